//! `jeongsan settle`, `jeongsan settlements`, `jeongsan statement`, `jeongsan adjustments`.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use jeongsan::{
    config::Config,
    domain::{
        calendar::{KstDay, kst},
        ids::PartnerId,
        settlement::State,
    },
    flow::{
        Ctx,
        adjust::{Adjustment, Booking, adjust},
        hold_settlement,
        import_adjustments::{ImportAdjustmentsError, import_adjustments},
        make_statement::{MOST_LINES, Statement, kind_words, make_statement, state_words},
        record_movements,
        reopen_day::{open_again, reopen_day},
        settle_day::{self, Report, SettleDayError, progress_of, settle_day},
    },
    sheet::{self, Encoding},
    store::{
        StoreError, adjustments, history, payouts, progress,
        settlements::{self, Cursor, Filter, LineCursor, SettlementRow},
    },
};
use serde_json::{Value, json};

use super::{beside, fail, say};

/// Which days are settled, and how.
#[derive(Args)]
pub struct Settle {
    #[command(subcommand)]
    action: Option<SettleAction>,
    /// A day in Seoul, as 2026-08-06. Without it, every day that is over and not settled.
    #[arg(long, value_name = "DAY")]
    date: Option<KstDay>,
    /// Work it out and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum SettleAction {
    /// Remove a day's settlements and work them out anew, while none of them is being paid.
    Reopen {
        #[arg(long, value_name = "DAY")]
        date: KstDay,
        #[arg(long)]
        reason: String,
        /// Leave it open, so that its terms can be put right first; `settle` settles it again.
        #[arg(long)]
        only_open: bool,
    },
}

#[derive(Subcommand)]
pub enum Settlements {
    /// The newest, or those that fit.
    List {
        /// REQUESTED, PROCESSING, COMPLETED or FAILED.
        #[arg(long)]
        state: Option<String>,
        #[arg(long)]
        partner: Option<String>,
        #[arg(long, value_name = "DAY")]
        from: Option<KstDay>,
        #[arg(long, value_name = "DAY")]
        to: Option<KstDay>,
        /// Only those that somebody holds.
        #[arg(long)]
        held: bool,
        /// Only negative ones that wait for later sales.
        #[arg(long)]
        carried: bool,
        /// `next` of the page before.
        #[arg(long)]
        after: Option<String>,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// One of them, with what happened to it and its first lines.
    Show { id: i64 },
    /// Keep it out of every payout.
    Hold {
        id: i64,
        #[arg(long)]
        reason: String,
    },
    /// Let a held one go on.
    Release {
        id: i64,
        #[arg(long)]
        reason: String,
    },
    /// Let the next payout take one that failed.
    Retry {
        id: i64,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Csv,
    Xlsx,
}

/// Whose statement, of which days.
#[derive(Args)]
pub struct StatementOf {
    partner: String,
    /// Its first day. Without it, the first of the month of the last.
    #[arg(long, value_name = "DAY")]
    from: Option<KstDay>,
    /// Its last day. Without it, yesterday.
    #[arg(long, value_name = "DAY")]
    to: Option<KstDay>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where it is written; `-` is standard output. A workbook needs one.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
pub enum Adjustments {
    /// Add to, or with a negative amount take from, a partner's next settlement.
    Add {
        partner: String,
        /// Won, as 5000 or -5,000.
        #[arg(allow_hyphen_values = true)]
        amount: String,
        #[arg(long)]
        reason: String,
    },
    /// The newest.
    List {
        #[arg(long)]
        partner: Option<String>,
        /// `next` of the page before.
        #[arg(long)]
        after: Option<i64>,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// All rows of a CSV or XLSX (partner_id, amount, reason), or none.
    Import {
        file: PathBuf,
        /// Check it and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Prints JSON, or what people read.
fn told(as_json: bool, value: &Value, text: impl FnOnce()) -> ExitCode {
    if as_json {
        say(&value.to_string());
    } else {
        text();
    }
    ExitCode::SUCCESS
}

async fn closing(ctx: Ctx, code: ExitCode) -> ExitCode {
    ctx.store.close().await;
    code
}

// --- Settling

pub async fn settle(config: &Config, asked: Settle) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match asked.action {
        Some(SettleAction::Reopen {
            date,
            reason,
            only_open: true,
        }) => match open_again(&ctx, date, reason, "cli").await {
            Ok(()) => told(asked.json, &json!({ "day": date, "opened": true }), || {
                say(&format!(
                    "{date} is open. Put its terms right, then: jeongsan settle --date {date}"
                ));
            }),
            Err(error) => fail(&error),
        },
        Some(SettleAction::Reopen { date, reason, .. }) => {
            let watch = Watch::of(&ctx, date);
            let result = reopen_day(&ctx, date, reason, "cli").await;
            watch.end().await;
            match result {
                Ok(report) => reports(&[report], asked.json),
                Err(error) => fail(&error),
            }
        }
        None => match days(&ctx, asked.date, asked.dry_run).await {
            Ok(done) => reports(&done, asked.json),
            Err(error) => fail(&error),
        },
    };
    closing(ctx, code).await
}

async fn days(
    ctx: &Ctx,
    date: Option<KstDay>,
    dry_run: bool,
) -> Result<Vec<Report>, SettleDayError> {
    let days = match date {
        Some(day) => vec![day],
        None => {
            record_movements::catch_up(ctx).await?;
            let today = KstDay::of(ctx.store.now());
            ctx.store.read(|conn| settle_day::days_due(conn, today))?
        }
    };
    let mut done = Vec::with_capacity(days.len());
    for day in days {
        done.push(if dry_run {
            settle_day::dry_run(ctx, day).await?
        } else {
            let watch = Watch::of(ctx, day);
            let result = settle_day(ctx, day, "cli").await;
            watch.end().await;
            result?
        });
    }
    Ok(done)
}

/// 0: everything is settled. 1: partners wait for a contract.
fn reports(done: &[Report], as_json: bool) -> ExitCode {
    if as_json {
        say(&json!(done).to_string());
    } else if done.is_empty() {
        say("Every day that is over is settled.");
    }
    for report in done.iter().filter(|_| !as_json) {
        let net: i64 = report.settled.iter().map(|one| one.net.get()).sum();
        let verb = if report.dry_run {
            "would be settled"
        } else {
            "are settled"
        };
        say(&format!(
            "{}: {} partners {verb}, {} lines, {} won{}.",
            report.day,
            report.settled.len(),
            report.lines,
            jeongsan::domain::money::Won::new(net),
            match report.already {
                0 => String::new(),
                already => format!("; {already} were settled before"),
            },
        ));
        for one in &report.blocked {
            say(&format!(
                "  {} waits for a contract that holds on {} ({} movements, {} won)",
                one.partner, one.day, one.movements, one.waiting
            ));
        }
    }
    match done.iter().any(|report| !report.blocked.is_empty()) {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    }
}

/// Tells on standard error how far a day is: one line that changes on a terminal, else a line each time.
struct Watch {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    fn of(ctx: &Ctx, day: KstDay) -> Watch {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let store = ctx.store.clone();
        let name = progress_of(day);
        let task = tokio::spawn(async move {
            let terminal = std::io::stderr().is_terminal();
            let pace = Duration::from_millis(if terminal { 200 } else { 1_000 });
            let (mut last, mut shown) = (-1, false);
            while tokio::time::timeout(pace, &mut stopped).await.is_err() {
                let Ok(Some(now)) = store.read(|conn| progress::get(conn, &name)) else {
                    continue;
                };
                if now.finished_at.is_some() || now.done == last {
                    continue;
                }
                last = now.done;
                shown = true;
                let (begin, end) = if terminal { ("\r", "") } else { ("", "\n") };
                let mut err = std::io::stderr();
                let _ = write!(
                    err,
                    "{begin}{day}: {} of {} lines, {} %{end}",
                    now.done,
                    now.total,
                    now.percent()
                );
                let _ = err.flush();
            }
            if terminal && shown {
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
        });
        Watch { stop, task }
    }

    async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

// --- Settlements

pub async fn settlements(config: &Config, action: Settlements, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match action {
        Settlements::List {
            state,
            partner,
            from,
            to,
            held,
            carried,
            after,
            limit,
        } => {
            let known = state
                .as_deref()
                .map(|text| State::parse(&text.to_uppercase()));
            let cursor = after.as_deref().map(Cursor::parse);
            if known == Some(None) {
                let all = State::ALL.map(State::as_str).join(", ");
                fail(&format!("no such state: expected one of {all}"))
            } else if cursor == Some(None) {
                fail(&"--after is not the `next` of a page before")
            } else {
                let filter = Filter {
                    state: known.flatten(),
                    held,
                    carried,
                    partner,
                    from,
                    to,
                };
                list(
                    &ctx,
                    &filter,
                    cursor.flatten().as_ref(),
                    limit.into(),
                    as_json,
                )
            }
        }
        Settlements::Show { id } => show(&ctx, id, as_json),
        Settlements::Hold { id, reason } => {
            let done = hold_settlement::hold(&ctx, id, reason, "cli").await;
            acted(&ctx, id, done, "is held", as_json)
        }
        Settlements::Release { id, reason } => {
            let done = hold_settlement::release(&ctx, id, reason, "cli").await;
            acted(&ctx, id, done, "is released", as_json)
        }
        Settlements::Retry { id, reason } => {
            let done = hold_settlement::try_again(&ctx, id, reason, "cli").await;
            acted(&ctx, id, done, "waits for the next payout", as_json)
        }
    };
    closing(ctx, code).await
}

fn acted(
    ctx: &Ctx,
    id: i64,
    done: Result<(), impl Display>,
    words: &str,
    as_json: bool,
) -> ExitCode {
    if let Err(error) = done {
        return fail(&error);
    }
    match ctx.store.read(|conn| settlements::get(conn, id)) {
        Ok(row) => told(as_json, &json!(row), || {
            say(&format!("Settlement {id} {words}."))
        }),
        Err(error) => fail(&error),
    }
}

fn row_text(row: &SettlementRow) -> String {
    format!(
        "{:>7}  {}  {:<20} {:>16} won  {}{}",
        row.id,
        row.day,
        row.partner,
        row.net.to_string(),
        state_words(row, false),
        row.payout_day
            .map(|day| format!(", payout day {day}"))
            .unwrap_or_default(),
    )
}

fn list(
    ctx: &Ctx,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
    as_json: bool,
) -> ExitCode {
    let rows = ctx
        .store
        .read(|conn| settlements::list(conn, filter, after, limit + 1));
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) => return fail(&error),
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| Cursor::of(row).to_string());
    told(as_json, &json!({ "items": rows, "next": next }), || {
        if rows.is_empty() {
            say("No settlement fits.");
        }
        for row in &rows {
            say(&row_text(row));
        }
        if let Some(next) = &next {
            say(&format!("There are more: --after {next}"));
        }
    })
}

/// Lines that `show` prints.
const SHOWN: usize = 100;

fn show(ctx: &Ctx, id: i64, as_json: bool) -> ExitCode {
    let found = ctx.store.read(|conn| {
        let Some(row) = settlements::get(conn, id)? else {
            return Ok(None);
        };
        let after = LineCursor {
            day: row.day,
            seq: 0,
        };
        let lines = settlements::lines(conn, &row.partner, row.day, row.day, Some(after), SHOWN)?;
        let events = history::of(conn, &history::Subject::Settlement(id), 50)?;
        let payouts = payouts::of_settlement(conn, id)?;
        Ok::<_, StoreError>(Some((row, lines, events, payouts)))
    });
    let (row, lines, events, payouts) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return fail(&format!("no settlement {id} is known here")),
        Err(error) => return fail(&error),
    };
    let value = json!({ "settlement": row, "lines": lines, "history": events, "payouts": payouts });
    told(as_json, &value, || {
        let (sums, cut) = (&row.sums, &row.sums.cut);
        say(&row_text(&row));
        for why in [&row.hold, &row.fail_reason].into_iter().flatten() {
            say(&format!("  because      {why}"));
        }
        for (name, amount) in [
            ("sales", sums.sales),
            ("returned", sums.returned),
            ("order amount", cut.order),
            ("fee", cut.fee),
            ("its VAT", cut.fee_vat),
            ("additional", cut.additional),
            ("their VAT", cut.additional_vat),
            ("discounts", cut.discount_share),
            ("payment VAT", cut.payment_vat),
            ("adjustments", sums.adjustment),
            ("carried in", row.carried_in),
            ("net", row.net),
        ] {
            say(&format!("  {name:<12} {:>16}", amount.to_string()));
        }
        if let Some(into) = row.carried_into {
            say(&format!("  netted in settlement {into}"));
        }
        for payout in &payouts {
            say(&format!(
                "  payout {} {}",
                payout.reference(),
                payout.state.as_str()
            ));
        }
        for line in &lines {
            say(&format!(
                "  line {:>5}  {:<10} {:>14} -> {:>14}  {} {}",
                line.movement.seq,
                kind_words(line.movement.kind, false),
                line.line.cut.order.to_string(),
                line.line.net.to_string(),
                line.imp_uid.as_deref().unwrap_or("-"),
                line.title
            ));
        }
        for event in &events {
            say(&format!(
                "  {}  {} by {}",
                kst(event.at),
                event.kind,
                event.actor
            ));
        }
    })
}

// --- Statements

pub async fn statement(config: &Config, asked: StatementOf) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = write_statement(&ctx, &asked).unwrap_or_else(|code| code);
    closing(ctx, code).await
}

fn write_statement(ctx: &Ctx, asked: &StatementOf) -> Result<ExitCode, ExitCode> {
    let to = asked
        .to
        .unwrap_or_else(|| KstDay::of(ctx.store.now()).previous());
    let from = asked.from.unwrap_or_else(|| to.first_of_month());
    let made = ctx
        .store
        .read(|conn| make_statement(conn, &asked.partner, from, to, MOST_LINES))
        .map_err(|error| fail(&error))?;
    if asked.json {
        say(&json!(made).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let bytes = match asked.format {
        Format::Text => statement_text(&made).into_bytes(),
        Format::Csv => {
            let [_, lines] = made.sheets(true);
            sheet::csv(&lines, Encoding::Utf8Bom).map_err(|error| fail(&error))?
        }
        Format::Xlsx => sheet::xlsx(&made.sheets(true)).map_err(|error| fail(&error))?,
    };
    let to_stdout = asked
        .out
        .as_ref()
        .is_none_or(|path| path.as_os_str() == "-");
    match &asked.out {
        Some(path) if !to_stdout => {
            std::fs::write(path, &bytes)
                .map_err(|why| fail(&format!("cannot write `{}`: {why}", path.display())))?;
            say(&format!(
                "{} holds {} settlements with {} lines, {} won.",
                path.display(),
                made.settlements.len(),
                made.lines.len(),
                made.totals.earned
            ));
        }
        _ if matches!(asked.format, Format::Xlsx) && std::io::stdout().is_terminal() => {
            return Err(fail(&"a workbook is no text: name a file with --out"));
        }
        _ => {
            // A reader that has gone away (`| head`) is not an error.
            let _ = std::io::stdout().write_all(&bytes);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn statement_text(of: &Statement) -> String {
    let mut lines = vec![format!(
        "{} ({}), {} to {}",
        of.partner.name, of.partner.id, of.from, of.to
    )];
    lines.extend(of.settlements.iter().map(row_text));
    let totals = &of.totals;
    for (name, amount) in [
        ("order amount", totals.sums.cut.order),
        ("adjustments", totals.sums.adjustment),
        ("net of lines", totals.earned),
        ("carried in", totals.carried_in),
        ("payable", totals.payable),
        ("completed", totals.completed),
        ("held", totals.held),
        ("carried over", totals.open_carry),
    ] {
        lines.push(format!("  {name:<12} {:>16}", amount.to_string()));
    }
    lines.push(String::new());
    lines.join("\n")
}

// --- Adjustments

pub async fn adjustments(config: &Config, action: Adjustments, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match action {
        Adjustments::Add {
            partner,
            amount,
            reason,
        } => add(&ctx, partner, &amount, reason, as_json).await,
        Adjustments::List {
            partner,
            after,
            limit,
        } => list_adjustments(&ctx, partner.as_deref(), after, limit.into(), as_json),
        Adjustments::Import { file, dry_run } => import(&ctx, &file, dry_run, as_json).await,
    };
    closing(ctx, code).await
}

async fn add(ctx: &Ctx, partner: String, amount: &str, reason: String, as_json: bool) -> ExitCode {
    let asked = match (PartnerId::new(partner), sheet::won(amount)) {
        (Ok(partner), Ok(amount)) => Adjustment {
            partner,
            amount,
            reason,
        },
        (Err(error), _) => return fail(&error),
        (_, Err(said)) => return fail(&said.en),
    };
    match adjust(ctx, asked, "cli").await {
        Ok(Booking::Booked(all)) => {
            let booked = all.first();
            told(as_json, &json!(booked), || {
                if let Some(booked) = booked {
                    say(&format!(
                        "Adjustment {} is booked; it counts in the settlement of {}.",
                        booked.id, booked.day
                    ));
                }
            })
        }
        Ok(Booking::Waits(approval)) => told(as_json, &json!({ "approval": approval }), || {
            say(&format!(
                "Nothing is booked: it waits for a second person, approval {approval} on the pages."
            ));
        }),
        Err(error) => fail(&error),
    }
}

fn list_adjustments(
    ctx: &Ctx,
    partner: Option<&str>,
    after: Option<i64>,
    limit: usize,
    as_json: bool,
) -> ExitCode {
    let rows = ctx
        .store
        .read(|conn| adjustments::list(conn, partner, after, limit + 1));
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) => return fail(&error),
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    told(as_json, &json!({ "items": rows, "next": next }), || {
        if rows.is_empty() {
            say("There are no adjustments.");
        }
        for row in &rows {
            say(&format!(
                "{:>7}  {}  {:<20} {:>16} won  {}",
                row.id,
                row.day,
                row.partner,
                row.amount.to_string(),
                row.reason
            ));
        }
        if let Some(next) = next {
            say(&format!("There are more: --after {next}"));
        }
    })
}

/// 0: taken, or could be. 1: rows are wrong, and nothing was booked. 2: as everywhere.
async fn import(ctx: &Ctx, file: &PathBuf, dry_run: bool, as_json: bool) -> ExitCode {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(why) => return fail(&format!("cannot read `{}`: {why}", file.display())),
    };
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    match import_adjustments(ctx, bytes, name, dry_run, "cli").await {
        Ok(imported) => told(as_json, &json!(imported), || {
            let verb = match (dry_run, imported.waits) {
                (true, _) => "can be booked; nothing was",
                (false, Some(_)) => "wait for a second person on the pages",
                (false, None) => "are booked",
            };
            say(&format!(
                "{} adjustments {verb}, {} won in all.",
                imported.rows.len(),
                imported.total
            ));
        }),
        Err(ImportAdjustmentsError::Cells(errors)) => {
            if as_json {
                say(&json!({ "errors": errors }).to_string());
            }
            let mut err = std::io::stderr();
            for error in errors.iter().filter(|_| !as_json) {
                let _ = writeln!(err, "jeongsan: {error}");
            }
            let _ = writeln!(err, "jeongsan: nothing was booked");
            ExitCode::from(1)
        }
        Err(error) => fail(&error),
    }
}
