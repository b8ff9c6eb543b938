//! Files that people send are read one at a time: each may take a few hundred megabytes while it is.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::error::Problem;
use crate::store::{StoreError, acting};

static READING: Semaphore = Semaphore::const_new(1);

/// How long a file waits for those before it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a file once it is its turn. One whose turn does not come in time is refused, to come back later.
///
/// The work goes on to its end even if nobody waits for it any more, and so does its turn.
pub async fn in_turn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    let turn = turn_of(&READING, PATIENCE).await?;
    let work = tokio::spawn(acting::carry(async move {
        let done = work.await;
        drop(turn);
        done
    }));
    let broken = |error: tokio::task::JoinError| StoreError::Panicked(error.to_string());
    Ok(work.await.map_err(broken)?)
}

async fn turn_of(reading: &Semaphore, patience: Duration) -> Result<SemaphorePermit<'_>, Problem> {
    match timeout(patience, reading.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::full()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_file_is_read_at_a_time_and_who_waits_too_long_is_told() {
        let (reading, patience) = (Semaphore::new(1), Duration::from_millis(20));
        let first = turn_of(&reading, patience).await.unwrap();
        let problem = turn_of(&reading, patience).await.unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.kind), (503, "overloaded"));
        drop(first);
        assert!(turn_of(&reading, patience).await.is_ok());
    }
}
