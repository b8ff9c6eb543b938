//! `jeongsan jobs`.

use std::process::ExitCode;

use clap::Subcommand;
use jeongsan::{
    config::Config,
    domain::{
        calendar::{kst, moment},
        job::JobState,
    },
    flow::{
        Ctx,
        dead_letters::{self, DeadLetterError, Discarded},
        operate_jobs::{self, JobStory, OperateError, Subject},
        replay_dead_letters::{self, BulkError, DryRun, Skip},
    },
    store::{
        StoreError,
        job_lists::{self, Cursor, DeadFilter, Filter, KindStand, MOST_FOUND, Stand},
        jobs::{self, JobRow},
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{beside, fail, say};

#[derive(Subcommand)]
pub enum Jobs {
    /// How each kind stands: waiting, running, retrying, scheduled, dead, done today.
    Kinds,
    /// Jobs, by kind and state or by what they are about.
    List {
        #[arg(long)]
        kind: Option<String>,
        /// running, dead, waiting, retrying, scheduled, done or cancelled.
        #[arg(long, value_parser = stand)]
        state: Option<Stand>,
        /// A job's, payment's, order's or cancellation's id, or words of an error.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// Go on where a page ended: its `next`.
        #[arg(long, value_name = "NEXT", value_parser = cursor)]
        before: Option<Cursor>,
    },
    /// One of them, with its payload and every attempt.
    Show { id: i64 },
    /// Let one that waits for its time run now.
    RunNow { id: i64 },
    /// Call off one that waits, or give up a dead letter, saying why.
    Discard {
        id: i64,
        #[arg(long)]
        note: String,
    },
    /// Let a dead letter run again, or all that fit: without `--yes` it only says what that would mean.
    Replay {
        #[arg(conflicts_with_all = ["kind", "error", "since", "until", "dry_run", "yes", "mark"])]
        id: Option<i64>,
        /// Only of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Only those whose error contains this.
        #[arg(long, value_name = "TEXT")]
        error: Option<String>,
        /// Only those dead since then: `2026-08-06` or `2026-08-06T14:03`, in Korea.
        #[arg(long, value_name = "TIME", value_parser = from)]
        since: Option<Timestamp>,
        /// Only those dead before then; a day counts whole.
        #[arg(long, value_name = "TIME", value_parser = until)]
        until: Option<Timestamp>,
        /// Say how many, whose and how much money, and do nothing.
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Do it.
        #[arg(long)]
        yes: bool,
        /// Do it only if what fits is still what the dry run of this mark showed.
        #[arg(long, requires = "yes")]
        mark: Option<String>,
    },
    /// Let nothing of a kind begin any more. What runs ends, what comes waits.
    Pause {
        kind: String,
        #[arg(long)]
        note: String,
    },
    /// Let a kind run again.
    Resume { kind: String },
    /// Which processes run jobs, and which of them keeps the schedules.
    Workers,
}

impl Jobs {
    /// Whether PortOne may have to be asked.
    pub fn needs_keys(&self) -> bool {
        matches!(self, Jobs::Discard { .. })
    }
}

fn stand(text: &str) -> Result<Stand, String> {
    Stand::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Stand::ALL.into_iter().map(Stand::as_str).collect();
        format!("expected one of {}", all.join(", "))
    })
}

fn cursor(text: &str) -> Result<Cursor, String> {
    Cursor::parse(text).ok_or_else(|| "expected the `next` of a page".to_owned())
}

fn from(text: &str) -> Result<Timestamp, String> {
    moment(text, false).ok_or_else(|| "write it as 2026-08-06 or 2026-08-06T14:03".to_owned())
}

fn until(text: &str) -> Result<Timestamp, String> {
    moment(text, true).ok_or_else(|| "write it as 2026-08-06 or 2026-08-06T14:03".to_owned())
}

#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Operate(#[from] OperateError),
    #[error(transparent)]
    DeadLetter(#[from] DeadLetterError),
    #[error(transparent)]
    Bulk(#[from] BulkError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a command says, for people and for programs.
struct Said {
    lines: Vec<String>,
    value: Value,
    /// What has to be added for it to be done.
    but: Option<String>,
}

impl Said {
    fn new(lines: Vec<String>, value: Value) -> Said {
        Said {
            lines,
            value,
            but: None,
        }
    }

    fn done(line: String, value: Value) -> Result<Said, CliError> {
        Ok(Said::new(vec![line], value))
    }
}

/// `jeongsan jobs …`
pub async fn jobs(config: &Config, action: Jobs, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match act(&ctx, action).await {
        Ok(said) => {
            if as_json {
                say(&said.value.to_string());
            } else {
                said.lines.iter().for_each(|line| say(line));
            }
            said.but.map_or(ExitCode::SUCCESS, |but| fail(&but))
        }
        Err(error) => fail(&error),
    };
    ctx.store.close().await;
    code
}

async fn act(ctx: &Ctx, action: Jobs) -> Result<Said, CliError> {
    match action {
        Jobs::Kinds => kinds(ctx),
        Jobs::List {
            kind,
            state,
            search,
            limit,
            before,
        } => {
            let filter = Filter { kind, stand: state };
            list(ctx, &filter, search.as_deref(), limit.into(), before)
        }
        Jobs::Show { id } => show(ctx, id),
        Jobs::RunNow { id } => {
            operate_jobs::run_now(ctx, id, "cli").await?;
            let paused = story(ctx, id)?.paused.is_some();
            let line = if paused {
                format!(
                    "Job {id} is due now, but its kind is paused: it runs once that is resumed."
                )
            } else {
                format!("Job {id} is due now; the server takes it within a second.")
            };
            Said::done(line, json!({ "id": id, "due": true, "paused": paused }))
        }
        Jobs::Discard { id, note } => discard(ctx, id, note).await,
        Jobs::Replay { id: Some(id), .. } => {
            dead_letters::replay(ctx, id, "cli").await?;
            Said::done(
                format!("Dead letter {id} runs again; the server takes it within a second."),
                json!({ "id": id, "replayed": 1 }),
            )
        }
        Jobs::Replay {
            kind,
            error,
            since,
            until,
            dry_run,
            yes,
            mark,
            ..
        } => {
            let filter = DeadFilter {
                kind,
                error,
                since,
                until,
            };
            replay(ctx, filter, dry_run, yes, mark).await
        }
        Jobs::Pause { kind, note } => {
            operate_jobs::pause(ctx, &kind, &note, "cli").await?;
            Said::done(
                format!("`{kind}` is paused: what runs ends, and nothing new begins."),
                json!({ "kind": kind, "paused": true }),
            )
        }
        Jobs::Resume { kind } => {
            operate_jobs::resume(ctx, &kind).await?;
            Said::done(
                format!("`{kind}` runs again."),
                json!({ "kind": kind, "paused": false }),
            )
        }
        Jobs::Workers => workers(ctx),
    }
}

fn kinds(ctx: &Ctx) -> Result<Said, CliError> {
    let now = ctx.store.now();
    let kinds = ctx.store.read(|conn| job_lists::kinds(conn, now))?;
    let mut lines = vec![format!(
        "{:<16} {:>8} {:>8} {:>9} {:>10} {:>6} {:>11} {:>10}",
        "kind", "waiting", "running", "retrying", "scheduled", "dead", "done today", "oldest"
    )];
    for KindStand {
        depth,
        today,
        paused,
        ..
    } in &kinds
    {
        let oldest = depth.oldest_due.map_or_else(
            || "-".to_owned(),
            |since| format!("{} s", now.duration_since(since).as_secs().max(0)),
        );
        lines.push(format!(
            "{:<16} {:>8} {:>8} {:>9} {:>10} {:>6} {:>11} {:>10}",
            depth.kind,
            depth.waiting,
            depth.running,
            depth.retrying,
            depth.scheduled,
            depth.dead,
            today.done,
            oldest
        ));
        if let Some(pause) = paused {
            lines.push(format!(
                "    paused since {} by {}: {}",
                kst(pause.since),
                pause.by,
                pause.note
            ));
        }
    }
    Ok(Said::new(lines, json!(kinds)))
}

/// What a job is about, in a few words.
fn about(of: &Subject) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(of.amount.map(|won| format!("{won} won")));
    parts.extend(of.imp_uid.clone());
    parts.extend(of.merchant_uid.as_ref().map(|id| format!("order {id}")));
    parts.extend(of.alert.map(|id| format!("alert {id}")));
    parts.extend(of.until.map(|at| format!("up to {}", kst(at))));
    parts.join(", ")
}

fn list(
    ctx: &Ctx,
    filter: &Filter,
    search: Option<&str>,
    limit: usize,
    after: Option<Cursor>,
) -> Result<Said, CliError> {
    let now = ctx.store.now();
    let (rows, next) = ctx.store.read(|conn| {
        let (rows, next) = match search.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => {
                let mut rows = job_lists::find(conn, filter, text, now)?;
                rows.truncate(limit.min(MOST_FOUND));
                (rows, None)
            }
            None => {
                let listed = job_lists::list(conn, filter, now, after, limit)?;
                (listed.rows, listed.next)
            }
        };
        let rows = rows.into_iter().map(|row| {
            let of = operate_jobs::subject(conn, &row)?;
            Ok::<_, StoreError>((row, of))
        });
        Ok::<_, StoreError>((rows.collect::<Result<Vec<(JobRow, Subject)>, _>>()?, next))
    })?;
    let state = |row: &JobRow| {
        Stand::of(row, now).map_or_else(|| row.state.clone(), |stand| stand.as_str().to_owned())
    };
    let mut lines = Vec::new();
    for (row, of) in &rows {
        let (state, about) = (state(row), about(of));
        lines.push(format!(
            "{:>8}  {:<16} {state:<10} {about}",
            row.id, row.kind
        ));
        let failed = row.last_error.as_ref().filter(|_| state != "done");
        lines.extend(failed.map(|error| format!("          {error}")));
    }
    if rows.is_empty() {
        lines.push("No job fits.".to_owned());
    }
    lines.extend(next.map(|next| format!("More: --before {next}")));
    let jobs: Vec<Value> = rows
        .iter()
        .map(|(row, of)| {
            let mut value = json!(row);
            value["stand"] = json!(state(row));
            value["about"] = json!(of);
            value
        })
        .collect();
    let next = next.map(|next| next.to_string());
    Ok(Said::new(lines, json!({ "jobs": jobs, "next": next })))
}

fn story(ctx: &Ctx, id: i64) -> Result<JobStory, CliError> {
    let now = ctx.store.now();
    let story = ctx
        .store
        .read(|conn| operate_jobs::story(conn, id, now))?
        .ok_or(OperateError::NotFound(id))?;
    Ok(story)
}

fn show(ctx: &Ctx, id: i64) -> Result<Said, CliError> {
    let story = story(ctx, id)?;
    let job = &story.letter.job;
    let state = match story.stand {
        Some(stand) => stand.as_str(),
        None => &job.state,
    };
    let mut lines = vec![
        format!("Job {id}: {} ({state})", job.kind),
        format!("  about     {}", about(&story.about)),
        format!("  payload   {}", story.payload),
        format!(
            "  attempts  {} of {}, replayed {} times",
            job.attempt, job.max_attempts, job.generation
        ),
        format!("  created   {}", kst(job.created_at)),
        format!("  due       {}", kst(job.run_at)),
    ];
    let mut more = |name: &str, text: Option<String>| {
        lines.extend(text.map(|text| format!("  {name:<9} {text}")));
    };
    more("begun", job.started_at.map(kst));
    more("ended", job.finished_at.map(kst));
    more("key", story.unique_key.clone());
    more("runs in", job.lease_by.clone());
    more(
        "message",
        job.published_at
            .map(|at| format!("in RabbitMQ since {}", kst(at))),
    );
    more(
        "paused",
        story.paused.as_ref().map(|pause| pause.note.clone()),
    );
    more("error", job.last_error.clone());
    more("note", job.note.clone());
    for attempt in &story.letter.cancel_attempts {
        lines.push(format!(
            "  attempt {} {} {} {}: {} -> {}",
            attempt.number,
            attempt.step,
            kst(attempt.started_at),
            attempt.outcome,
            attempt.asked,
            attempt.answer
        ));
    }
    for run in &story.letter.attempts {
        let took = run.finished_at.as_millisecond() - run.started_at.as_millisecond();
        lines.push(format!(
            "  run {} {} {} after {took} ms: {}",
            run.attempt,
            kst(run.started_at),
            run.outcome,
            run.error
        ));
    }
    Ok(Said::new(lines, json!(story)))
}

/// A waiting job is called off, a dead letter given up: by the rules of each.
async fn discard(ctx: &Ctx, id: i64, note: String) -> Result<Said, CliError> {
    let row = ctx.store.read(|conn| jobs::get(conn, id))?;
    let dead = row.is_some_and(|row| row.state == JobState::Dead.as_str());
    if !dead {
        operate_jobs::discard(ctx, id, &note, "cli").await?;
        return Said::done(
            format!("Job {id} is called off."),
            json!({ "id": id, "discarded": true }),
        );
    }
    match dead_letters::discard(ctx, id, note, "cli").await? {
        Discarded::GivenUp => Said::done(
            format!("Dead letter {id} is given up."),
            json!({ "id": id, "discarded": true }),
        ),
        Discarded::WasDone => Said::done(
            "PortOne had carried it out after all: it is booked, and no longer a dead letter."
                .to_owned(),
            json!({ "id": id, "discarded": false, "was_done": true }),
        ),
    }
}

fn skips(of: impl IntoIterator<Item = (Skip, usize)>) -> Vec<String> {
    of.into_iter()
        .map(|(skip, count)| {
            let why = match skip {
                Skip::Settled => "their cancellation is settled already",
                Skip::Live => "another job for the same thing is live",
                Skip::Unreadable => "this version cannot read them",
                Skip::Gone => "somebody dealt with them meanwhile",
            };
            format!("  skipped   {count}: {why}")
        })
        .collect()
}

fn told(run: &DryRun) -> Vec<String> {
    let mut lines = vec![format!(
        "{} dead letters would run again, about {} payments and {} won; {} won of it would go back to buyers.",
        run.runs, run.payments, run.amount, run.back
    )];
    lines.extend(
        run.kinds
            .iter()
            .map(|(kind, count)| format!("  {kind:<16} {count}")),
    );
    for of in &run.partners {
        lines.push(format!(
            "  partner   {}: {} won in {}",
            of.partner, of.amount, of.letters
        ));
    }
    let at = |name: &str, at: Option<Timestamp>| at.map(|at| format!("  {name:<9} {}", kst(at)));
    lines.extend(at("oldest", run.oldest));
    lines.extend(at("newest", run.newest));
    lines.extend(skips(run.skipped.clone()));
    for kind in &run.paused {
        lines.push(format!(
            "  `{kind}` is paused: those wait until it is resumed"
        ));
    }
    lines
}

async fn replay(
    ctx: &Ctx,
    filter: DeadFilter,
    dry_run: bool,
    yes: bool,
    mark: Option<String>,
) -> Result<Said, CliError> {
    let run = replay_dead_letters::look(ctx, filter.clone()).await?;
    if !yes {
        let but = (!dry_run && run.runs > 0).then(|| {
            format!(
                "nothing was done: add --yes to replay these {}, and --mark {} to do so only if they are still the same",
                run.runs, run.mark
            )
        });
        return Ok(Said {
            lines: told(&run),
            value: json!(run),
            but,
        });
    }
    let mark = mark.unwrap_or(run.mark);
    let done = replay_dead_letters::replay_all(ctx, filter, &mark, "cli").await?;
    let mut lines = vec![format!(
        "{} dead letters run again; the server takes them within a second.",
        done.replayed
    )];
    lines.extend(skips(done.skipped.clone()));
    Ok(Said::new(lines, json!(done)))
}

fn workers(ctx: &Ctx) -> Result<Said, CliError> {
    let store = &ctx.store;
    let workers = store.read(|conn| operate_jobs::workers(store, conn))?;
    let mut lines: Vec<String> = workers
        .processes
        .iter()
        .map(|worker| {
            let process = &worker.process;
            format!(
                "{:<6} {:>8}  {:<9} {:<6} since {}",
                process.role,
                process.pid,
                process.engine,
                if worker.alive { "alive" } else { "dead" },
                kst(process.started_at)
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("No process has said that it runs jobs.".to_owned());
    }
    lines.extend(workers.keeper.as_ref().map(|keeper| {
        format!(
            "Schedules are kept by {}, until {} unless it says more.",
            keeper.holder,
            kst(keeper.until)
        )
    }));
    Ok(Said::new(lines, json!(workers)))
}
