//! Moving what waits from one engine to the other, while no process runs jobs.
//!
//! The rows are in the books with either, so moving is about the messages alone: to RabbitMQ each
//! waiting row gets one, to the embedded engine each loses its own. Dying in the middle leaves rows that
//! the next try, or the next start, moves; a message too many does nothing.

use secrecy::SecretString;
use serde::Serialize;

use crate::{
    adapters::broker::amqp::{self, MoveError, Moved},
    config::{BrokerChoice, Config},
    domain::job::Engine,
    flow::Ctx,
    store::{StoreError, leases},
};

#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    #[error(
        "which RabbitMQ is meant? Set broker.url, or add --broker amqp://user:password@host:5672/%2f"
    )]
    NoRabbitMq,
    #[error(
        "`jeongsan {role}` (process {pid}) runs jobs on these books by `{engine}`: stop it first, and start it by \
         `{to}` afterwards"
    )]
    Running {
        role: String,
        pid: u32,
        engine: String,
        to: &'static str,
    },
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was moved, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Switched {
    pub to: Engine,
    #[serde(flatten)]
    pub moved: Moved,
}

/// Moves all that waits to an engine.
pub async fn switch(config: &Config, ctx: &Ctx, to: Engine) -> Result<Switched, SwitchError> {
    let url: &SecretString = match &config.broker {
        BrokerChoice::Amqp(url) => url,
        BrokerChoice::Embedded => return Err(SwitchError::NoRabbitMq),
    };
    let running = ctx
        .store
        .read(leases::processes)?
        .into_iter()
        .find(|process| ctx.store.is_alive(&process.boot));
    if let Some(process) = running {
        return Err(SwitchError::Running {
            role: process.role,
            pid: process.pid,
            engine: process.engine,
            to: to.as_str(),
        });
    }
    let prefix = &config.broker_prefix;
    let moved = match to {
        Engine::Embedded => amqp::take_back(&ctx.store, url, prefix).await?,
        Engine::Amqp => amqp::hand_over(&ctx.store, url, prefix).await?,
    };
    Ok(Switched { to, moved })
}
