//! `jeongsan payouts` and `jeongsan calendar`.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use jeongsan::{
    config::Config,
    domain::{
        calendar::KstDay,
        holidays::{BusinessCalendar, Special},
        money::Won,
    },
    flow::{
        Ctx,
        approve::waits_for,
        bank_templates::{self, COMMON, TemplateError},
        change_calendar::{CalendarError, Change, Moved, change_calendar, preview},
        pay_out::{self, Choice, PayoutError, Told, Why, Word},
        read_bank_result::{ResultError, read_bank_result},
        write_bank_file::{FileError, deposit_memo, handed_out, write_bank_file},
    },
    sheet::CellError,
    store::{StoreError, calendar, payouts},
};
use serde_json::{Value, json};

use super::{beside, fail, say};

#[derive(Subcommand)]
pub enum Payouts {
    /// What a batch would hold, and what waits and why.
    Due {
        /// Settlements due up to this day; today if none is named.
        #[arg(long, value_name = "DAY")]
        until: Option<KstDay>,
    },
    /// Put what is due into a batch.
    Create {
        /// Settlements due up to this day; today if none is named.
        #[arg(long, value_name = "DAY")]
        until: Option<KstDay>,
        /// A settlement to leave out this time. May be repeated.
        #[arg(long, value_name = "ID")]
        leave_out: Vec<i64>,
        /// A partner to leave out this time. May be repeated.
        #[arg(long, value_name = "PARTNER")]
        leave_out_partner: Vec<String>,
        /// The sum that you saw, in won; another one is refused.
        #[arg(long, value_name = "WON")]
        total: Option<i64>,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Batches, newest first.
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// A batch with its payouts.
    Show { id: i64 },
    /// Write the file that the bank takes, of what waits in a batch.
    File {
        id: i64,
        #[arg(long, default_value = COMMON)]
        template: String,
        /// Where to write it; a file that is there stays.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Read the bank's result file: all of it, or nothing.
    Result {
        id: i64,
        file: PathBuf,
        #[arg(long, default_value = COMMON)]
        template: String,
        /// Say what it would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Mark one payout paid.
    Paid { id: i64, payout: i64 },
    /// Mark one payout failed; its settlements fail with it.
    Failed {
        id: i64,
        payout: i64,
        #[arg(long)]
        reason: String,
    },
    /// Call off what waits in a batch: its settlements can be paid again.
    CallOff {
        id: i64,
        #[arg(long)]
        reason: String,
        /// The bank will not carry the file out: needed once it was fetched.
        #[arg(long)]
        not_at_the_bank: bool,
    },
}

#[derive(Subcommand)]
pub enum Calendar {
    /// Weekdays of a year on which banks are closed, and the days that were added.
    List { year: i16 },
    /// Add a day off; says which settlements it moves.
    Add {
        day: KstDay,
        name: String,
        /// A business day after all, whatever the rules say.
        #[arg(long)]
        business_day: bool,
        /// Say what it would move, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take an added day away again.
    Remove {
        day: KstDay,
        /// Say what it would move, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// What a command may end with. A file's errors are told row by row.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Payout(#[from] PayoutError),
    #[error(transparent)]
    Result(#[from] ResultError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot use `{}`: {why}", path.display())]
    Io { path: PathBuf, why: std::io::Error },
    #[error("the year {0} is not known: expected 2020 to 2100")]
    Year(i16),
}

impl CliError {
    fn rows(&self) -> &[CellError] {
        match self {
            CliError::Result(ResultError::Rows(rows)) | CliError::File(FileError::Rows(rows)) => {
                rows
            }
            _ => &[],
        }
    }

    fn tell(&self) -> ExitCode {
        let rows = self.rows();
        if rows.len() < 2 {
            return fail(self);
        }
        let rows: Vec<String> = rows.iter().map(|row| format!("  {row}")).collect();
        fail(&format!(
            "{} things are wrong with the file, and nothing of it was taken:\n{}",
            rows.len(),
            rows.join("\n")
        ))
    }
}

/// What a command says, for people and for programs.
struct Said {
    lines: Vec<String>,
    value: Value,
}

async fn end(ctx: Ctx, as_json: bool, answer: Result<Said, CliError>) -> ExitCode {
    let code = match answer {
        Ok(said) if as_json => {
            say(&said.value.to_string());
            ExitCode::SUCCESS
        }
        Ok(said) => {
            said.lines.iter().for_each(|line| say(line));
            ExitCode::SUCCESS
        }
        Err(error) => error.tell(),
    };
    ctx.store.close().await;
    code
}

/// `jeongsan payouts …`
pub async fn payouts(config: &Config, action: Payouts, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let answer = act(&ctx, action).await;
    end(ctx, as_json, answer).await
}

fn today(ctx: &Ctx) -> KstDay {
    KstDay::of(ctx.store.now())
}

async fn act(ctx: &Ctx, action: Payouts) -> Result<Said, CliError> {
    match action {
        Payouts::Due { until } => due(ctx, until.unwrap_or_else(|| today(ctx))),
        Payouts::Create {
            until,
            leave_out,
            leave_out_partner,
            total,
            note,
        } => {
            let choice = Choice {
                until: until.unwrap_or_else(|| today(ctx)),
                leave_out: leave_out.into_iter().collect(),
                leave_out_partners: leave_out_partner.into_iter().collect(),
            };
            let id = pay_out::create(ctx, choice, total.map(Won::new), note, "cli").await?;
            let mut said = show(ctx, id)?;
            said.lines.insert(0, format!("Batch {id} is made."));
            if let Some(approval) = ctx.store.read(|conn| waits_for(conn, id))? {
                said.lines.push(format!(
                    "It waits for a second person: approval {approval}, on the pages."
                ));
                said.value["approval"] = json!(approval);
            }
            Ok(said)
        }
        Payouts::List { limit } => list(ctx, limit),
        Payouts::Show { id } => show(ctx, id),
        Payouts::File { id, template, out } => file(ctx, id, &template, out).await,
        Payouts::Result {
            id,
            file,
            template,
            dry_run,
        } => result(ctx, id, file, &template, dry_run).await,
        Payouts::Paid { id, payout } => decided(ctx, id, payout, Word::Paid).await,
        Payouts::Failed { id, payout, reason } => {
            decided(ctx, id, payout, Word::Failed(reason)).await
        }
        Payouts::CallOff {
            id,
            reason,
            not_at_the_bank,
        } => {
            let off = pay_out::call_off(ctx, id, reason, not_at_the_bank, "cli").await?;
            let mut said = show(ctx, id)?;
            said.lines
                .insert(0, format!("{off} payouts of batch {id} are called off."));
            Ok(said)
        }
    }
}

fn due(ctx: &Ctx, until: KstDay) -> Result<Said, CliError> {
    let choice = Choice {
        until,
        leave_out: Default::default(),
        leave_out_partners: Default::default(),
    };
    let (proposal, value) = ctx.store.read(|conn| {
        let proposal = pay_out::propose(conn, &choice)?;
        let value = pay_out::in_full(conn, &proposal)?;
        Ok::<_, PayoutError>((proposal, value))
    })?;
    let mut lines = Vec::new();
    for one in &proposal.payouts {
        let (cut, to) = (&one.withheld, &one.account);
        lines.push(format!(
            "{:<24} {:>14} won to {} {}  (gross {}, income tax {}, local tax {}; {} settlements)",
            one.partner,
            cut.paid.to_string(),
            to.bank,
            to.number,
            cut.gross,
            cut.income_tax,
            cut.local_tax,
            one.settlements.len(),
        ));
    }
    for one in &proposal.waiting {
        lines.push(format!(
            "{:<24} {:>14} won wait: {}",
            one.partner,
            one.amount.to_string(),
            why(one.why)
        ));
    }
    if !proposal.nothing_to_pay.is_empty() {
        let count = proposal.nothing_to_pay.len();
        lines.push(format!(
            "{count} settlements of 0 won are closed along with the batch."
        ));
    }
    let count = proposal.payouts.len();
    lines.push(format!(
        "Due up to {until}: {count} payouts, {} won to be transferred.",
        proposal.total
    ));
    Ok(Said { lines, value })
}

fn why(why: Why) -> String {
    match why {
        Why::LeftOut => "left out".into(),
        Why::Own => "it is the shop itself".into(),
        Why::Archived => "it is archived".into(),
        Why::NoType => "its type is not known".into(),
        Why::NoAccount => "it has no account".into(),
        Why::NotApproved => "it is not approved".into(),
        Why::BelowMinimum { minimum } => format!("below the minimum of {minimum} won"),
    }
}

fn list(ctx: &Ctx, limit: usize) -> Result<Said, CliError> {
    let rows = ctx.store.read(|conn| payouts::batches(conn, None, limit))?;
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{:>6}  {:<9}  due until {}  {} payouts, {} won: {} wait, {} paid, {} failed",
                row.id,
                row.state.as_str(),
                row.due_until,
                row.payouts,
                row.amount,
                row.waiting,
                row.paid,
                row.failed
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("There are no payout batches.".into());
    }
    Ok(Said {
        lines,
        value: json!({ "items": rows, "next": null }),
    })
}

fn show(ctx: &Ctx, id: i64) -> Result<Said, CliError> {
    let (batch, rows) = ctx.store.read(|conn| {
        let batch = payouts::batch(conn, id)?.ok_or(PayoutError::NoBatch(id))?;
        Ok::<_, PayoutError>((batch, payouts::of_batch(conn, id)?))
    })?;
    let mut lines = vec![format!(
        "Batch {id}: {}, due until {}, {} won in {} payouts",
        batch.state.as_str(),
        batch.due_until,
        batch.amount,
        batch.payouts
    )];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:>6}  {:<9}  {:<10} {:>14} won to {} {}  {}{}",
            row.id,
            row.state.as_str(),
            row.reference(),
            row.amount.to_string(),
            row.bank,
            row.account,
            row.partner,
            row.reason
                .as_ref()
                .map_or(String::new(), |why| format!(": {why}")),
        )
    }));
    let mut value = json!({ "batch": batch });
    value["payouts"] = rows
        .iter()
        .map(|row| {
            let mut one = json!(row);
            one["reference"] = json!(row.reference());
            one
        })
        .collect();
    Ok(Said { lines, value })
}

async fn file(ctx: &Ctx, id: i64, template: &str, out: PathBuf) -> Result<Said, CliError> {
    let made = ctx.store.read(|conn| {
        let template = bank_templates::get(conn, template)?.template;
        let memo = deposit_memo(ctx, conn)?;
        Ok::<_, CliError>(write_bank_file(conn, id, &template, &memo)?)
    })?;
    let mut options = std::fs::OpenOptions::new();
    let failed = |why| CliError::Io {
        path: out.clone(),
        why,
    };
    let opened = options.write(true).create_new(true).open(&out);
    let mut file = opened.map_err(failed)?;
    // Whether it may go is decided in the transaction that notes that it went, before there is anything in it.
    if let Err(error) = handed_out(ctx, id, made.payouts, template, "cli").await {
        let _ = std::fs::remove_file(&out);
        return Err(error.into());
    }
    std::io::Write::write_all(&mut file, &made.bytes).map_err(failed)?;
    Ok(Said {
        lines: vec![format!(
            "{} holds what waits in batch {id}, for the bank.",
            out.display()
        )],
        value: json!({ "batch": id, "template": template, "file": out, "bytes": made.bytes.len() }),
    })
}

async fn result(
    ctx: &Ctx,
    id: i64,
    path: PathBuf,
    template: &str,
    dry_run: bool,
) -> Result<Said, CliError> {
    let bytes = std::fs::read(&path).map_err(|why| CliError::Io { path, why })?;
    let read = ctx.store.read(|conn| {
        let template = bank_templates::get(conn, template)?.template;
        Ok::<_, CliError>(read_bank_result(conn, id, &template, &bytes)?)
    })?;
    let mut lines: Vec<String> = read
        .matched
        .iter()
        .map(|m| {
            let said = match &m.word {
                Word::Paid => "PAID".to_owned(),
                Word::Failed(reason) => format!("FAILED: {reason}"),
            };
            let known = if m.is_known() { " (known before)" } else { "" };
            format!(
                "row {}: {} {} won to {}: {said}{known}",
                m.line,
                m.payout.reference(),
                m.payout.amount,
                m.payout.partner
            )
        })
        .collect();
    let waiting = read.unmentioned.len();
    if waiting > 0 {
        lines.push(format!(
            "{waiting} payouts are not in the file and go on waiting."
        ));
    }
    let matched: Vec<Value> = read
        .matched
        .iter()
        .map(|m| {
            json!({
                "line": m.line,
                "payout": m.payout.id,
                "reference": m.payout.reference(),
                "state": m.word.state(),
                "known": m.is_known(),
            })
        })
        .collect();
    let mut value = json!({ "dry_run": dry_run, "matched": matched, "told": null });
    if dry_run {
        lines.push("Nothing was changed.".into());
    } else {
        let told = pay_out::decide(ctx, id, read.words(), "cli").await?;
        lines.push(told_line(told));
        value["told"] = json!(told);
    }
    Ok(Said { lines, value })
}

fn told_line(told: Told) -> String {
    let Told { paid, failed, same } = told;
    format!("{paid} paid, {failed} failed, {same} known before.")
}

async fn decided(ctx: &Ctx, id: i64, payout: i64, word: Word) -> Result<Said, CliError> {
    let told = pay_out::decide(ctx, id, vec![(payout, word)], "cli").await?;
    Ok(Said {
        lines: vec![told_line(told)],
        value: json!({ "told": told }),
    })
}

/// `jeongsan calendar …`
pub async fn calendar(config: &Config, action: Calendar, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let answer = match action {
        Calendar::List { year } => days(&ctx, year),
        Calendar::Add {
            day,
            name,
            business_day,
            dry_run,
        } => {
            let special = Special {
                day,
                name,
                off: !business_day,
            };
            change(&ctx, Change::Put(special), dry_run).await
        }
        Calendar::Remove { day, dry_run } => change(&ctx, Change::Remove(day), dry_run).await,
    };
    end(ctx, as_json, answer).await
}

fn days(ctx: &Ctx, year: i16) -> Result<Said, CliError> {
    if !(2020..=2100).contains(&year) {
        return Err(CliError::Year(year));
    }
    let specials = ctx.store.read(calendar::specials)?;
    let business = BusinessCalendar::new(specials.clone());
    let off = business.weekdays_off(year);
    let mut lines: Vec<String> = off
        .iter()
        .map(|day| {
            let names: Vec<String> = business
                .holidays(year)
                .iter()
                .filter(|holiday| holiday.day == *day)
                .map(|holiday| format!("{} ({})", holiday.name_ko, holiday.name_en))
                .collect();
            format!("{day} {:?}  {}", day.weekday(), names.join(", "))
        })
        .collect();
    let added: Vec<&Special> = specials
        .iter()
        .filter(|special| special.day.year() == year)
        .collect();
    lines.extend(added.iter().map(|special| {
        let what = if special.off {
            "day off"
        } else {
            "business day"
        };
        format!("added: {} {what}, {}", special.day, special.name)
    }));
    lines.push(format!("{} weekdays off in {year}.", off.len()));
    Ok(Said {
        value: json!({ "year": year, "weekdays_off": off, "added": added }),
        lines,
    })
}

async fn change(ctx: &Ctx, change: Change, dry_run: bool) -> Result<Said, CliError> {
    let moved: Vec<Moved> = if dry_run {
        preview(ctx, change).await?
    } else {
        change_calendar(ctx, change, "cli").await?
    };
    let verb = if dry_run { "would move" } else { "moved" };
    let mut lines: Vec<String> = moved
        .iter()
        .map(|one| {
            format!(
                "settlement {} of {} ({} won) {verb} from {} to {}",
                one.settlement, one.partner, one.net, one.from, one.to
            )
        })
        .collect();
    lines.push(match (moved.len(), dry_run) {
        (count, true) => format!("{count} settlements would move. Nothing was changed."),
        (count, false) => format!("The calendar is changed; {count} settlements moved."),
    });
    Ok(Said {
        lines,
        value: json!({ "dry_run": dry_run, "moved": moved }),
    })
}
