//! `jeongsan work`: a process that runs jobs and nothing else, on the same books as a server.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    StartError, context,
    room::{Role, Room, Runs},
};
use crate::{
    config::Config,
    store::{Clock, Store, StoreError, admin},
};

/// A running process of workers.
pub struct Worker {
    pub room: Room,
    stop: CancellationToken,
    limit: Duration,
}

impl Worker {
    pub async fn start(config: &Config, clock: Clock) -> Result<Worker, StartError> {
        let store = Store::open_worker(&config.data_dir, clock.clone())?;
        let stop = CancellationToken::new();
        follow_clock(&store, &clock)?;
        tokio::spawn(keep_following(store.clone(), clock, stop.clone()));
        let ctx = context(config, store)?;
        let runs = Runs {
            workers: true,
            schedules: true,
        };
        let room = Room::open(config, &ctx, Role::Work, runs, &stop).await?;
        Ok(Worker {
            room,
            stop,
            limit: config.shutdown,
        })
    }

    /// Stops: lets running jobs finish within the limit, gives the rest back, and closes the books.
    pub async fn stop(self) {
        self.stop.cancel();
        let store = self.room.ctx.store.clone();
        self.room.close(self.limit).await;
        store.close().await;
    }
}

/// Beside the demo the time is the demo's. Other books have no such setting.
fn follow_clock(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let ahead = store.read(|conn| admin::setting(conn, admin::CLOCK_AHEAD))?;
    if let Some(ms) = ahead.and_then(|ms| ms.parse().ok()) {
        clock.set_ahead(ms);
    }
    Ok(())
}

async fn keep_following(store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        if let Err(error) = follow_clock(&store, &clock) {
            tracing::warn!(%error, "the demo's clock could not be read");
        }
    }
}
