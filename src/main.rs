//! `jeongsan`: reads the command and hands over.

mod cli;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use jeongsan::{
    app::{self, App, Parts, Worker, logging},
    config::{self, Config},
    demo::{self, DemoOptions},
    flow::dead_letters::{self, Discarded},
    healthcheck,
    store::{
        Clock, Store, StoreError,
        acting::{self, Acting},
        audit, backup, books, database_in, jobs,
    },
};
use secrecy::ExposeSecret;
use serde_json::json;

/// Payments and partner settlement through PortOne: one binary, one SQLite file.
#[derive(Parser)]
#[command(name = "jeongsan", version)]
struct Cli {
    /// Settings in TOML. `jeongsan serve --help` lists them.
    #[arg(long, global = true, env = "JEONGSAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server against PortOne, live or test.
    Serve {
        #[command(flatten)]
        broker: BrokerUrl,
    },
    /// Run jobs and nothing else, beside a server on the same books. Any number of these share the work.
    Work {
        #[command(flatten)]
        broker: BrokerUrl,
    },
    /// Try everything without an account: a PortOne of our own, with some weeks of past payments.
    Demo {
        /// Port of the shop. Another is taken if it is in use.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Port of the sandbox. Another is taken if it is in use.
        #[arg(long, default_value_t = 8090)]
        sandbox_port: u16,
        /// Where everything is kept; a folder that was used before goes on where it ended.
        #[arg(long, value_name = "DIR", default_value = "./data/demo")]
        data_dir: PathBuf,
        #[command(flatten)]
        broker: BrokerUrl,
    },
    /// Who hands out jobs and who runs them; moving between the engines.
    Broker {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(flatten)]
        broker: BrokerUrl,
        #[command(subcommand)]
        action: cli::broker::Broker,
    },
    /// Bring the database's schema up to date, and do nothing else.
    Migrate,
    /// Cancellations and other jobs that wait for a person.
    DeadLetters {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: DeadLetters,
    },
    /// What runs by itself: how it stands, and what a person may do about it.
    Jobs {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::jobs::Jobs,
    },
    /// Who is owed: list, add, change, archive, import.
    Partners {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::partners::Partners,
    },
    /// By which terms partners are settled: list, agree, take back.
    Contracts {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::partners::Contracts,
    },
    /// Settle a day, or every day that is over and not settled.
    Settle(cli::settlements::Settle),
    /// What partners are owed, per day.
    Settlements {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::settlements::Settlements,
    },
    /// A partner's statement of a period.
    Statement(cli::settlements::StatementOf),
    /// Corrections by hand.
    Adjustments {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::settlements::Adjustments,
    },
    /// What is due to partners: batches, files for the bank and from it.
    Payouts {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::payouts::Payouts,
    },
    /// The days on which banks are closed.
    Calendar {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::payouts::Calendar,
    },
    /// Copy the database into a new file while the server runs, and check the copy.
    Backup { path: PathBuf },
    /// Check the books' invariants and the audit log's chain; exits 1 with a list if one is broken.
    Verify {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The end of the audit log as an earlier run printed it: it must still be in the log.
        #[arg(long, value_name = "HASH")]
        audit_head: Option<String>,
    },
    /// Who may sign in: add an account, reset its password, list all.
    User {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::users::Users,
    },
    /// Keys of programs: make one, list all, revoke one.
    Key {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        action: cli::keys::Keys,
    },
    /// Ask the server that listens here whether it lives; exits 1 if not. For containers.
    Healthcheck,
}

#[derive(clap::Args)]
struct BrokerUrl {
    /// Who hands out jobs: `embedded`, or a RabbitMQ such as amqp://guest:guest@127.0.0.1:5672/%2f. Overrides broker.url.
    #[arg(long = "broker", value_name = "URL", global = true)]
    url: Option<String>,
}

impl BrokerUrl {
    fn set(&self) -> Vec<(&'static str, String)> {
        self.url
            .iter()
            .map(|url| ("broker.url", url.clone()))
            .collect()
    }
}

#[derive(Subcommand)]
enum DeadLetters {
    /// All of them, newest first.
    List,
    /// One of them, with every attempt.
    Show { id: i64 },
    /// Let it run again. It reads the payment before it sends anything.
    Replay { id: i64 },
    /// Give it up, saying why.
    Discard {
        id: i64,
        #[arg(long)]
        note: String,
    },
}

fn main() -> ExitCode {
    let command =
        Cli::command().mut_subcommand("serve", |serve| serve.after_long_help(config::help()));
    let cli = match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot start: {error}")),
    };
    let code = runtime.block_on(run(cli));
    // What still runs has been given back in the books: it need not be waited for.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    code
}

/// One sentence on standard error, and exit code 2.
fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "jeongsan: {why}");
    ExitCode::from(2)
}

/// Prints a line; a reader that has gone away (`| head`) is not an error.
macro_rules! say {
    ($($arg:tt)*) => {{ let _ = writeln!(std::io::stdout(), $($arg)*); }};
}

async fn run(cli: Cli) -> ExitCode {
    if let Command::Demo {
        port,
        sandbox_port,
        data_dir,
        broker,
    } = cli.command
    {
        let file = std::fs::create_dir_all(&data_dir)
            .and_then(|()| std::fs::File::create(data_dir.join("jeongsan.log")));
        match file {
            Ok(file) => logging::begin_in(file),
            Err(why) => return fail(&format!("cannot use `{}`: {why}", data_dir.display())),
        }
        let options = DemoOptions {
            port,
            sandbox_port,
            data_dir,
            broker: broker.url,
            ..DemoOptions::default()
        };
        return match demo::run(options, signal()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    // Commands about the file alone need no keys of PortOne.
    let needs_keys = matches!(
        cli.command,
        Command::Serve { .. }
            | Command::Work { .. }
            | Command::DeadLetters {
                action: DeadLetters::Replay { .. } | DeadLetters::Discard { .. },
                ..
            }
    ) || matches!(&cli.command, Command::Jobs { action, .. } if action.needs_keys());
    let placeholder = || "not needed by this command".to_owned();
    let environment = std::env::vars();
    let set = match &cli.command {
        Command::Serve { broker } | Command::Work { broker } | Command::Broker { broker, .. } => {
            broker.set()
        }
        _ => Vec::new(),
    };
    let mut config = Config::load(cli.config.as_deref(), environment, &set);
    if !needs_keys && config.is_err() {
        let mut with_keys = vec![
            ("portone.imp_key", placeholder()),
            ("portone.imp_secret", placeholder()),
        ];
        with_keys.extend(set);
        config = Config::load(cli.config.as_deref(), std::env::vars(), &with_keys);
    }
    let config = match config {
        Ok(config) => config,
        Err(errors) => return fail(&errors),
    };
    match cli.command {
        Command::Serve { .. } => serve(config).await,
        Command::Work { .. } => work(config).await,
        command => {
            // What a person does at the terminal stands in the audit log, too.
            let acting = Acting {
                by: "cli",
                origin: "terminal".into(),
                once: None,
            };
            acting::scope(acting, at_once(config, command)).await
        }
    }
}

/// A command that does one thing, and ends.
async fn at_once(config: Config, command: Command) -> ExitCode {
    match command {
        Command::Serve { .. } | Command::Work { .. } | Command::Demo { .. } => ExitCode::SUCCESS,
        Command::Broker { json, action, .. } => cli::broker::broker(&config, action, json).await,
        Command::Migrate => match Store::open(&config.data_dir, Clock::default()) {
            Ok(store) => {
                store.close().await;
                say!(
                    "The schema of {} is up to date.",
                    database_in(&config.data_dir).display()
                );
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::Backup { path } => match backup::write(&database_in(&config.data_dir), &path) {
            Ok(bytes) => {
                say!(
                    "{} ({bytes} bytes) is a checked copy of the books.",
                    path.display()
                );
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::Verify { json, audit_head } => verify(&config, json, audit_head.as_deref()),
        Command::DeadLetters { json, action } => dead_letters(&config, action, json).await,
        Command::Jobs { json, action } => cli::jobs::jobs(&config, action, json).await,
        Command::Partners { json, action } => cli::partners::partners(&config, action, json).await,
        Command::Contracts { json, action } => {
            cli::partners::contracts(&config, action, json).await
        }
        Command::Payouts { json, action } => cli::payouts::payouts(&config, action, json).await,
        Command::Calendar { json, action } => cli::payouts::calendar(&config, action, json).await,
        Command::Settle(asked) => cli::settlements::settle(&config, asked).await,
        Command::Settlements { json, action } => {
            cli::settlements::settlements(&config, action, json).await
        }
        Command::Statement(asked) => cli::settlements::statement(&config, asked).await,
        Command::Adjustments { json, action } => {
            cli::settlements::adjustments(&config, action, json).await
        }
        Command::Healthcheck => match healthcheck::ask(config.listen) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                fail(&why);
                ExitCode::from(1) // 2 means something of its own to Docker
            }
        },
        Command::User { json, action } => cli::users::users(&config, action, json).await,
        Command::Key { json, action } => cli::keys::keys(&config, action, json).await,
    }
}

/// Ctrl-C or SIGTERM.
async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn serve(config: Config) -> ExitCode {
    logging::begin(config.log_json, &config.log_level);
    let mode = if config.portone.test { "test" } else { "live" };
    let url = config.public_url.clone();
    // Listened for from before the first answer on: whoever sees it alive may stop it.
    let stop = tokio::spawn(signal());
    tokio::task::yield_now().await;
    let app = match App::start(config, Parts::default()).await {
        Ok(app) => app,
        Err(error) => return fail(&error),
    };
    tracing::info!(listen = %app.addr, %url, mode, "jeongsan is ready");
    if let Some(code) = &app.set_up {
        say!("\nNobody has an account yet. This link makes the owner's, once, within an hour:\n");
        say!("    {url}set-up?code={}\n", code.expose_secret());
    }
    let _ = stop.await;
    tracing::info!("stopping: what runs is let finish");
    app.stop().await;
    ExitCode::SUCCESS
}

async fn work(config: Config) -> ExitCode {
    logging::begin(config.log_json, &config.log_level);
    let stop = tokio::spawn(signal());
    tokio::task::yield_now().await;
    let worker = match Worker::start(&config, Clock::default()).await {
        Ok(worker) => worker,
        Err(error) => return fail(&error),
    };
    tracing::info!(
        engine = worker.room.broker.engine().as_str(),
        "jeongsan works"
    );
    let _ = stop.await;
    tracing::info!("stopping: what runs is let finish");
    worker.stop().await;
    ExitCode::SUCCESS
}

/// Opens the books beside a server that may be running.
fn beside(config: &Config) -> Result<Store, ExitCode> {
    if !database_in(&config.data_dir).exists() {
        let at = database_in(&config.data_dir);
        return Err(fail(&format!(
            "there is no database at `{}`: is data.dir right?",
            at.display()
        )));
    }
    Store::open_beside(&config.data_dir, Clock::default()).map_err(|error| fail(&error))
}

fn verify(config: &Config, as_json: bool, audit_head: Option<&str>) -> ExitCode {
    let store = match beside(config) {
        Ok(store) => store,
        Err(code) => return code,
    };
    let read = store.read(|conn| {
        let mut broken = books::check(conn)?;
        if let Some(hash) = audit_head
            && !audit::holds(conn, hash)?
        {
            broken.push(books::Broken {
                rule: "audit_head",
                meaning: "the audit log still holds the line that it ended with before",
                rows: vec![hash.to_owned()],
            });
        }
        Ok::<_, StoreError>((broken, audit::head(conn)?))
    });
    let (broken, (lines, head)) = match read {
        Ok(read) => read,
        Err(error) => return fail(&error),
    };
    let rules = books::rules().count();
    if as_json {
        let audit = json!({ "lines": lines, "head": head });
        say!(
            "{}",
            json!({ "rules": rules, "broken": broken, "audit": audit })
        );
    } else if broken.is_empty() {
        say!("The books are sound: {rules} rules hold.");
        if lines > 0 {
            say!(
                "The audit log has {lines} lines and ends with {head}: kept elsewhere, it shows later"
            );
            say!(
                "with `jeongsan verify --audit-head {head}` that none of them was changed or cut off."
            );
        }
    } else {
        say!("{} of {rules} rules are broken:", broken.len());
        for rule in &broken {
            say!("\n  {} — {}", rule.rule, rule.meaning);
            for row in &rule.rows {
                say!("      {row}");
            }
        }
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

async fn dead_letters(config: &Config, action: DeadLetters, as_json: bool) -> ExitCode {
    let store = match beside(config) {
        Ok(store) => store,
        Err(code) => return code,
    };
    let ctx = match app::context(config, store.clone()) {
        Ok(ctx) => ctx,
        Err(error) => return fail(&error),
    };
    let code = match action {
        DeadLetters::List => list_dead(&store, as_json),
        DeadLetters::Show { id } => show_dead(&store, id, as_json),
        DeadLetters::Replay { id } => match dead_letters::replay(&ctx, id, "cli").await {
            Ok(()) => {
                say!("Dead letter {id} runs again; the server takes it within a second.");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        DeadLetters::Discard { id, note } => {
            match dead_letters::discard(&ctx, id, note, "cli").await {
                Ok(Discarded::GivenUp) => {
                    say!("Dead letter {id} is given up.");
                    ExitCode::SUCCESS
                }
                Ok(Discarded::WasDone) => {
                    say!(
                        "PortOne had carried it out after all: it is booked, and no longer a dead letter."
                    );
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&error),
            }
        }
    };
    store.close().await;
    code
}

fn list_dead(store: &Store, as_json: bool) -> ExitCode {
    let found = store.read(|conn| {
        jobs::dead(conn, None, 500)?
            .into_iter()
            .map(|job| dead_letters::describe(conn, job))
            .collect::<Result<Vec<_>, _>>()
    });
    let found = match found {
        Ok(found) => found,
        Err(error) => return fail(&error),
    };
    if as_json {
        say!("{}", json!(found));
        return ExitCode::SUCCESS;
    }
    if found.is_empty() {
        say!("There are no dead letters.");
    }
    for letter in found {
        let what = match (&letter.imp_uid, &letter.cancellation) {
            (Some(imp_uid), Some(cancel)) => format!("cancel {} won of {imp_uid}", cancel.amount),
            (Some(imp_uid), None) => format!("payment {imp_uid}"),
            _ => String::new(),
        };
        let error = letter.job.last_error.as_deref().unwrap_or("");
        say!(
            "{:>6}  {:<16} {what}\n        {error}",
            letter.job.id,
            letter.job.kind
        );
    }
    ExitCode::SUCCESS
}

fn show_dead(store: &Store, id: i64, as_json: bool) -> ExitCode {
    let found = store.read(|conn| {
        jobs::get(conn, id)?
            .map(|job| dead_letters::describe(conn, job))
            .transpose()
    });
    let letter = match found {
        Ok(Some(letter)) => letter,
        Ok(None) => return fail(&format!("there is no job {id}")),
        Err(error) => return fail(&error),
    };
    if as_json {
        say!("{}", json!(letter));
        return ExitCode::SUCCESS;
    }
    let kst = jeongsan::domain::calendar::kst;
    say!("Job {id}: {} ({})", letter.job.kind, letter.job.state);
    say!("  since     {}", kst(letter.job.created_at));
    if let Some(imp_uid) = &letter.imp_uid {
        say!("  payment   {imp_uid}");
    }
    if let Some(cancel) = &letter.cancellation {
        say!(
            "  cancel    {} won, {} ({})",
            cancel.amount,
            cancel.reason,
            cancel.id
        );
    }
    say!(
        "  error     {}",
        letter.job.last_error.as_deref().unwrap_or("-")
    );
    for attempt in &letter.cancel_attempts {
        say!(
            "  attempt {} {} {} {}: {} -> {}",
            attempt.number,
            attempt.step,
            kst(attempt.started_at),
            attempt.outcome,
            attempt.asked,
            attempt.answer
        );
    }
    for attempt in &letter.attempts {
        say!(
            "  run {} {} {}: {}",
            attempt.attempt,
            kst(attempt.started_at),
            attempt.outcome,
            attempt.error
        );
    }
    ExitCode::SUCCESS
}
