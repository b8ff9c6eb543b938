//! `jeongsan broker`: who hands out jobs and who runs them, and moving between the engines.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use jeongsan::{
    app::switch,
    config::{BrokerChoice, Config},
    domain::{calendar::kst, job::Engine},
    store::{StoreError, leases, published},
};
use serde_json::json;

use super::{beside, fail, say};

#[derive(Subcommand)]
pub enum Broker {
    /// The engine, the processes that run jobs, and which of them keeps the schedules.
    Status,
    /// Move what waits to the other engine. No process may run jobs meanwhile.
    Drain {
        #[arg(long)]
        to: To,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum To {
    Embedded,
    Amqp,
}

pub async fn broker(config: &Config, action: Broker, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match action {
        Broker::Status => {
            let read = ctx.store.read(|conn| {
                Ok::<_, StoreError>((
                    leases::processes(conn)?,
                    leases::get(conn, leases::KEEPER)?,
                    published::count(conn)?,
                ))
            });
            let (processes, keeper, in_rabbitmq) = match read {
                Ok(read) => read,
                Err(error) => return fail(&error),
            };
            let configured = match &config.broker {
                BrokerChoice::Embedded => Engine::Embedded,
                BrokerChoice::Amqp(_) => Engine::Amqp,
            };
            let alive = |boot: &str| ctx.store.is_alive(boot);
            if as_json {
                let processes: Vec<_> = processes
                    .iter()
                    .map(|process| json!({ "process": process, "alive": alive(&process.boot) }))
                    .collect();
                say(&json!({
                    "configured": configured, "processes": processes, "keeper": keeper, "in_rabbitmq": in_rabbitmq,
                })
                .to_string());
            } else {
                say(&format!("broker.url says {}.", configured.as_str()));
                if processes.is_empty() {
                    say("No process runs jobs.");
                }
                for process in &processes {
                    say(&format!(
                        "  {:<5} {:<8} process {} since {}{}",
                        process.role,
                        process.engine,
                        process.pid,
                        kst(process.started_at),
                        if alive(&process.boot) {
                            ""
                        } else {
                            " — died without a word"
                        },
                    ));
                }
                if let Some(lease) = keeper {
                    let holder = processes
                        .iter()
                        .find(|process| process.boot == lease.holder)
                        .map_or(lease.holder.clone(), |process| {
                            format!("process {}", process.pid)
                        });
                    say(&format!(
                        "The schedules are kept by {holder}, until {} unless it says more.",
                        kst(lease.until)
                    ));
                }
                say(&format!(
                    "{in_rabbitmq} waiting jobs have a message in RabbitMQ."
                ));
            }
            ExitCode::SUCCESS
        }
        Broker::Drain { to } => {
            let to = match to {
                To::Embedded => Engine::Embedded,
                To::Amqp => Engine::Amqp,
            };
            match switch::switch(config, &ctx, to).await {
                Ok(done) if as_json => {
                    say(&json!(done).to_string());
                    ExitCode::SUCCESS
                }
                Ok(done) => {
                    let moved = done.moved;
                    say(&match to {
                        Engine::Embedded => format!(
                            "{} waiting jobs are taken back from RabbitMQ, {} messages removed there. \
                             Start with --broker embedded.",
                            moved.rows, moved.messages
                        ),
                        Engine::Amqp => format!(
                            "{} waiting jobs have a message in RabbitMQ now. Start with the same --broker.",
                            moved.rows
                        ),
                    });
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&error),
            }
        }
    };
    ctx.store.close().await;
    code
}
