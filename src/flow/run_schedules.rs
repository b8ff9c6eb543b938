//! Turns the clock into jobs: one per slot of a schedule, whoever asks and however often.

use jiff::Timestamp;

use crate::{
    domain::job::Job,
    flow::Ctx,
    store::{StoreError, jobs, schedules},
};

/// A last slot further ahead than this was claimed under a clock that was wrong.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// What becomes of slots that passed while the process was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Only the newest runs: it covers what the others would have done.
    Latest,
    /// None runs; the next one in time does.
    Skip,
}

struct Schedule {
    name: &'static str,
    cron: String,
    missed: Missed,
    job: fn(Timestamp) -> Job,
}

fn schedules(ctx: &Ctx) -> [Schedule; 4] {
    [
        Schedule {
            name: "sweep",
            cron: ctx.policy.sweep_cron.clone(),
            missed: Missed::Latest,
            job: |until| Job::Sweep { until },
        },
        Schedule {
            name: "prune",
            cron: ctx.policy.prune_cron.clone(),
            missed: Missed::Skip,
            job: |until| Job::Prune { until },
        },
        Schedule {
            name: "settle",
            cron: ctx.policy.settle_cron.clone(),
            // The newest settles every day before it that was not.
            missed: Missed::Latest,
            job: |until| Job::Settle { until },
        },
        Schedule {
            name: "digest",
            cron: ctx.policy.digest_cron.clone(),
            // What is stuck today is told tomorrow, too.
            missed: Missed::Skip,
            job: |until| Job::Digest { until },
        },
    ]
}

/// Slots of a cron in `(after, now]`, in Seoul; at most the newest `most`.
pub fn slots(
    cron: &str,
    after: Timestamp,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Timestamp>, String> {
    let parsed =
        cronexpr::parse_crontab(&format!("{cron} Asia/Seoul")).map_err(|e| e.to_string())?;
    let mut found = std::collections::VecDeque::new();
    for slot in parsed.iter_after(after).map_err(|e| e.to_string())? {
        let slot = slot.map_err(|e| e.to_string())?.timestamp();
        if slot > now {
            break;
        }
        found.push_back(slot);
        if found.len() > most {
            found.pop_front();
        }
    }
    Ok(found.into())
}

/// Publishes what is due. To be called every second or so; calling it twice at once does no harm.
pub async fn run_schedules(ctx: &Ctx) -> Result<usize, StoreError> {
    let now = ctx.store.now();
    let mut published = 0;
    for schedule in schedules(ctx) {
        let last = ctx
            .store
            .read(|conn| schedules::last_slot(conn, schedule.name))?;
        let Some(last) = last else {
            // The first start: a sweep at once, everything else at its time.
            published += publish(ctx, &schedule, now, schedule.missed == Missed::Latest).await?;
            continue;
        };
        if last > now + AHEAD {
            let name = schedule.name;
            tracing::warn!(schedule = name, %last, %now, "the clock was set back; the schedule follows it");
            ctx.store
                .write(move |tx| schedules::set_back(tx, name, now))
                .await?;
            continue;
        }
        let due = match slots(&schedule.cron, last, now, 1) {
            Ok(due) => due,
            Err(why) => {
                tracing::error!(%why, schedule = schedule.name, "a schedule's cron cannot be read");
                continue;
            }
        };
        if let Some(&slot) = due.last() {
            let in_time = now.duration_since(slot).as_secs() < 60;
            let run = in_time || schedule.missed == Missed::Latest;
            published += publish(ctx, &schedule, slot, run).await?;
        }
    }
    Ok(published)
}

async fn publish(
    ctx: &Ctx,
    schedule: &Schedule,
    slot: Timestamp,
    run: bool,
) -> Result<usize, StoreError> {
    let name = schedule.name;
    let job = (schedule.job)(slot);
    let max_attempts = ctx.policy.job_attempts;
    ctx.store
        .write(move |tx| {
            if !run {
                schedules::claim(tx, name, slot, None)?;
                return Ok(0);
            }
            let terms = jobs::Terms {
                max_attempts,
                run_at: None,
            };
            // One that still runs or waits does this slot's work too.
            let id = jobs::publish(tx, &job, terms)?.id();
            Ok(usize::from(schedules::claim(tx, name, slot, Some(id))?))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slots_are_counted_in_seoul() {
        // 01:00 in Seoul is 16:00 UTC of the day before.
        let found = slots(
            "0 1 * * *",
            at("2026-08-06T00:00:00Z"),
            at("2026-08-08T00:00:00Z"),
            9,
        );
        assert_eq!(
            found.unwrap(),
            [at("2026-08-06T16:00:00Z"), at("2026-08-07T16:00:00Z")]
        );
    }

    #[test]
    fn a_slot_is_due_once_it_has_come_and_not_again() {
        let ten = at("2026-08-06T00:10:00Z");
        let cron = "*/10 * * * *";
        assert_eq!(
            slots(cron, at("2026-08-06T00:00:00Z"), ten, 9).unwrap(),
            [ten]
        );
        assert_eq!(slots(cron, ten, ten, 9).unwrap(), [] as [Timestamp; 0]);
        let newest = slots(cron, at("2026-08-01T00:00:00Z"), ten, 1).unwrap();
        assert_eq!(newest, [ten]);
    }

    #[test]
    fn a_cron_that_is_none_says_so() {
        assert!(
            slots(
                "every now and then",
                at("2026-08-06T00:00:00Z"),
                Timestamp::MAX,
                1
            )
            .is_err()
        );
    }
}
