//! `jeongsan partners` and `jeongsan contracts`.

use std::{io::Read, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Subcommand};
use jeongsan::{
    config::Config,
    domain::{
        calendar::KstDay,
        contract::Terms,
        ids::PartnerId,
        partner::{FieldError, Partner, PartnerDraft},
        terms_draft::{TermsDraft, fee_text, from_day},
    },
    flow::{
        Ctx,
        agree_contract::{agree, withdraw},
        import_partners::{self, ImportError, Plan},
        save_partner::{Save, archive, recover, save_partner},
    },
    store::{
        StoreError,
        contracts::{self, Version},
        partners::{self, Filter, Lack, Listed, PartnerRow},
        progress, settlements,
    },
};
use serde_json::json;

use super::{beside, fail, say};

/// Rows that are read at a time.
const PORTION: usize = 500;

#[derive(Subcommand)]
pub enum Partners {
    /// By name, with what each still lacks.
    List {
        /// Part of the name or id.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only those that lack type, account, approval or contract.
        #[arg(long)]
        incomplete: bool,
        /// Those that are archived instead.
        #[arg(long)]
        archived: bool,
    },
    /// One of them, with its account and contracts.
    Show { id: String },
    /// Add or change one: JSON in a file, or on standard input. The same again changes nothing.
    Put {
        /// `-`, or nothing, is standard input.
        file: Option<PathBuf>,
    },
    /// Add and change many: XLSX or CSV, all of it or nothing.
    Import {
        file: PathBuf,
        /// Say what it would do, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take one out of the lists. One with money open stays.
    Archive { id: String },
    /// Bring an archived one back.
    Recover { id: String },
}

#[derive(Subcommand)]
pub enum Contracts {
    /// All versions of a partner, oldest first.
    List { partner: String },
    /// Agree on terms from a day on. What has settled something never changes.
    Agree(Box<Agree>),
    /// Take a version back that has settled nothing.
    Withdraw { id: i64 },
}

#[derive(Args)]
pub struct Agree {
    partner: String,
    /// The first day whose payments they hold for: 2026-08-01.
    #[arg(long, value_name = "DAY")]
    from: String,
    /// All of the terms as JSON, `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fee", "fee_vat", "cycle", "lag", "holiday", "min_payout"])]
    terms: Option<PathBuf>,
    /// 3.3% or 500원.
    #[arg(long)]
    fee: Option<String>,
    /// Who bears the VAT of the fee: PARTNER or PLATFORM.
    #[arg(long, value_name = "WHO")]
    fee_vat: Option<String>,
    /// DAILY, WEEKLY:MON,THU, MONTHLY:10,31 or DATES:1/31,7/31.
    #[arg(long)]
    cycle: Option<String>,
    /// Days that are waited at least.
    #[arg(long, value_name = "DAYS")]
    lag: Option<String>,
    /// Where banks are closed: BEFORE, AFTER or CALENDAR_DAY.
    #[arg(long)]
    holiday: Option<String>,
    /// Won; less waits for the next payout.
    #[arg(long, value_name = "WON")]
    min_payout: Option<String>,
}

/// `jeongsan partners …`
pub async fn partners(config: &Config, action: Partners, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match action {
        Partners::List {
            search,
            incomplete,
            archived,
        } => {
            let filter = Filter {
                text: search,
                archived,
                incomplete,
            };
            list(&ctx, &filter, as_json)
        }
        Partners::Show { id } => show(&ctx, &id, as_json),
        Partners::Put { file } => put(&ctx, file, as_json).await,
        Partners::Import { file, dry_run } => import(&ctx, file, dry_run, as_json).await,
        Partners::Archive { id } => set_archived(&ctx, id, true, as_json).await,
        Partners::Recover { id } => set_archived(&ctx, id, false, as_json).await,
    };
    ctx.store.close().await;
    code
}

/// `jeongsan contracts …`
pub async fn contracts(config: &Config, action: Contracts, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let code = match action {
        Contracts::List { partner } => versions(&ctx, &partner, as_json),
        Contracts::Agree(asked) => agree_on(&ctx, *asked, as_json).await,
        Contracts::Withdraw { id } => match withdraw(&ctx, id, "cli").await {
            Ok(()) => {
                done(as_json, &format!("Contract version {id} is taken back."));
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
    };
    ctx.store.close().await;
    code
}

fn done(as_json: bool, line: &str) {
    match as_json {
        true => say(&json!({ "done": line }).to_string()),
        false => say(line),
    }
}

fn list(ctx: &Ctx, filter: &Filter, as_json: bool) -> ExitCode {
    let today = KstDay::of(ctx.store.now());
    let mut after: Option<(String, String)> = None;
    let mut all = Vec::new();
    loop {
        let cursor = after
            .as_ref()
            .map(|(name, id)| (name.as_str(), id.as_str()));
        let found = ctx.store.read(|conn| {
            let found = partners::list(conn, filter, cursor, PORTION)?;
            let found = found.into_iter().map(|row| Listed::of(conn, row, today));
            found.collect::<Result<Vec<_>, StoreError>>()
        });
        let found = match found {
            Ok(found) => found,
            Err(error) => return fail(&error),
        };
        let whole = found.len() == PORTION;
        after = found
            .last()
            .map(|row| (row.partner.name.clone(), row.partner.id.to_string()));
        all.extend(found);
        if !whole {
            break;
        }
    }
    if as_json {
        say(&json!(all).to_string());
        return ExitCode::SUCCESS;
    }
    if all.is_empty() {
        say("There are no partners that fit.");
    }
    for row in &all {
        let partner = &row.partner;
        let kind = partner.kind.map_or("-", |kind| kind.as_str());
        let terms = row.contract.as_ref().map_or_else(
            || "no contract holds now".to_owned(),
            |version| terms_line(&version.terms),
        );
        say(&format!(
            "{:<20} {}  {kind}, {}",
            partner.id,
            partner.name,
            partner.status.as_str()
        ));
        say(&format!("{:<20} {terms}", ""));
        if !row.lacks.is_empty() {
            say(&format!("{:<20} missing: {}", "", lacking(&row.lacks)));
        }
    }
    ExitCode::SUCCESS
}

fn lacking(lacks: &[Lack]) -> String {
    let words = lacks.iter().map(|lack| match lack {
        Lack::Type => "type",
        Lack::Account => "account",
        Lack::Approval => "approval",
        Lack::Contract => "contract",
    });
    words.collect::<Vec<_>>().join(", ")
}

fn terms_line(terms: &Terms) -> String {
    format!(
        "{} ({} bears its VAT), {}",
        fee_text(terms.fee),
        terms.fee_vat.as_str().to_lowercase(),
        terms.cycle.describe().1
    )
}

fn version_line(version: &Version, today: KstDay, holding: Option<i64>) -> String {
    let standing = match version.from > today {
        true => "scheduled",
        false if holding == Some(version.id) => "holds now",
        false => "past",
    };
    let used = version
        .used_until
        .map_or_else(String::new, |until| format!(", used until {until}"));
    format!(
        "#{} from {} ({standing}{used}): {}",
        version.id,
        version.from,
        terms_line(&version.terms)
    )
}

fn say_versions(versions: &[Version], today: KstDay) {
    let holding = contracts::holding(versions, today).map(|version| version.id);
    for version in versions {
        say(&format!("  {}", version_line(version, today, holding)));
    }
}

fn known(ctx: &Ctx, id: &str) -> Result<PartnerRow, ExitCode> {
    match ctx.store.read(|conn| partners::get(conn, id)) {
        Ok(Some(row)) => Ok(row),
        Ok(None) => Err(fail(&format!("no partner `{id}` is known here"))),
        Err(error) => Err(fail(&error)),
    }
}

fn show(ctx: &Ctx, id: &str, as_json: bool) -> ExitCode {
    let partner = match known(ctx, id) {
        Ok(partner) => partner,
        Err(code) => return code,
    };
    let found = ctx.store.read(|conn| {
        let versions = contracts::of(conn, id)?;
        Ok::<_, StoreError>((versions, settlements::account(conn, id)?))
    });
    let (versions, account) = match found {
        Ok(found) => found,
        Err(error) => return fail(&error),
    };
    if as_json {
        let mut value = json!(partner);
        value["contracts"] = json!(versions);
        value["money"] = json!(account);
        say(&value.to_string());
        return ExitCode::SUCCESS;
    }
    let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
    say(&format!("{} {}", partner.id, partner.name));
    say(&format!(
        "  type      {}",
        text(partner.kind.map(|kind| kind.as_str()))
    ));
    if let Some(number) = partner.business_number {
        say(&format!("  business  {number}"));
    }
    let account_line = partner.account.as_ref().map(|account| {
        format!(
            "{} {} {}",
            account.bank.en(),
            account.number,
            account.holder
        )
    });
    say(&format!("  account   {}", text(account_line.as_deref())));
    let archived = if partner.is_archived() {
        ", archived"
    } else {
        ""
    };
    say(&format!(
        "  status    {}{archived}",
        partner.status.as_str()
    ));
    say(&format!(
        "  money     earned {}, paid {}, open {}, carried over {} won",
        account.earned, account.paid, account.open, account.carry
    ));
    say_versions(&versions, KstDay::of(ctx.store.now()));
    ExitCode::SUCCESS
}

/// A file's bytes, or those of standard input.
fn bytes_of(file: Option<&PathBuf>) -> Result<Vec<u8>, ExitCode> {
    match file {
        Some(path) if path.as_os_str() != "-" => std::fs::read(path)
            .map_err(|why| fail(&format!("cannot read `{}`: {why}", path.display()))),
        _ => {
            let mut bytes = Vec::new();
            match std::io::stdin().lock().read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(why) => Err(fail(&format!("cannot read standard input: {why}"))),
            }
        }
    }
}

fn all_wrong(errors: &[FieldError]) -> ExitCode {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    fail(&lines.join("\n  "))
}

async fn put(ctx: &Ctx, file: Option<PathBuf>, as_json: bool) -> ExitCode {
    let bytes = match bytes_of(file.as_ref()) {
        Ok(bytes) => bytes,
        Err(code) => return code,
    };
    let draft: PartnerDraft = match serde_json::from_slice(&bytes) {
        Ok(draft) => draft,
        Err(why) => return fail(&format!("this is not the JSON of a partner: {why}")),
    };
    let partner: Partner = match draft.check() {
        Ok(partner) => partner,
        Err(errors) => return all_wrong(&errors),
    };
    let id = partner.id.to_string();
    match save_partner(ctx, partner, Save::Put, "cli").await {
        Ok(true) => done(as_json, &format!("Partner {id} is saved.")),
        Ok(false) => done(
            as_json,
            &format!("Partner {id} is so already: nothing has changed."),
        ),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

async fn set_archived(ctx: &Ctx, id: String, archived: bool, as_json: bool) -> ExitCode {
    let of = match PartnerId::new(id.clone()) {
        Ok(of) => of,
        Err(error) => return fail(&error),
    };
    let (result, word) = if archived {
        (archive(ctx, of, "cli").await, "archived")
    } else {
        (recover(ctx, of, "cli").await, "back")
    };
    match result {
        Ok(()) => {
            done(as_json, &format!("Partner {id} is {word}."));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

async fn import(ctx: &Ctx, file: PathBuf, dry_run: bool, as_json: bool) -> ExitCode {
    let bytes = match bytes_of(Some(&file)) {
        Ok(bytes) => bytes,
        Err(code) => return code,
    };
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let table = match import_partners::read(bytes, name).await {
        Ok(table) => Arc::new(table),
        Err(error) => return refused(&error),
    };
    let result = if dry_run {
        import_partners::look(ctx, table).await
    } else {
        let work = import_partners::import(ctx, table, None, "cli");
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => break result,
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    let far = ctx.store.read(|conn| progress::get(conn, import_partners::PROGRESS));
                    if let (Ok(Some(far)), false) = (far, as_json) {
                        say(&format!("  row {} of {} ({}%)", far.done, far.total, far.percent()));
                    }
                }
            }
        }
    };
    match result {
        Ok(plan) => {
            say_plan(&plan, dry_run, as_json);
            ExitCode::SUCCESS
        }
        Err(error) => refused(&error),
    }
}

/// Everything that is wrong with a file: exit code 2.
fn refused(error: &ImportError) -> ExitCode {
    match error {
        ImportError::Wrong { errors, written } => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let told = match written {
                0 => "nothing was written".to_owned(),
                rows => format!("{rows} rows were written before the books changed"),
            };
            fail(&format!(
                "{told}; to be corrected:\n  {}",
                lines.join("\n  ")
            ))
        }
        other => fail(other),
    }
}

fn say_plan(plan: &Plan, dry_run: bool, as_json: bool) {
    if as_json {
        let mut value = json!(plan);
        value["dry_run"] = json!(dry_run);
        return say(&value.to_string());
    }
    if dry_run {
        for item in plan.items.iter().filter(|item| item.writes()) {
            say(&format!(
                "row {:>5}  {:?} {} {}",
                item.line, item.what, item.id, item.name
            ));
            for change in &item.changes {
                say(&format!(
                    "           {}: {} -> {}",
                    change.field, change.from, change.to
                ));
            }
            if let Some(agreed) = &item.contract {
                let terms = terms_line(&agreed.terms);
                say(&format!("           from {}: {terms}", agreed.from));
            }
        }
    }
    let would = if dry_run {
        "Nothing was written. It would be: "
    } else {
        ""
    };
    say(&format!(
        "{would}{} added, {} changed, {} unchanged, {} contracts.",
        plan.added, plan.changed, plan.unchanged, plan.contracts
    ));
}

fn versions(ctx: &Ctx, partner: &str, as_json: bool) -> ExitCode {
    if let Err(code) = known(ctx, partner) {
        return code;
    }
    let versions = match ctx.store.read(|conn| contracts::of(conn, partner)) {
        Ok(versions) => versions,
        Err(error) => return fail(&error),
    };
    if as_json {
        say(&json!(versions).to_string());
    } else if versions.is_empty() {
        say("There is no contract.");
    } else {
        say_versions(&versions, KstDay::of(ctx.store.now()));
    }
    ExitCode::SUCCESS
}

async fn agree_on(ctx: &Ctx, asked: Agree, as_json: bool) -> ExitCode {
    let id = match PartnerId::new(asked.partner.clone()) {
        Ok(id) => id,
        Err(error) => return fail(&error),
    };
    let mut wrong = Vec::new();
    let from = from_day("from", Some(&asked.from))
        .map_err(|error| wrong.push(error))
        .ok();
    let terms = match &asked.terms {
        Some(file) => {
            let bytes = match bytes_of(Some(file)) {
                Ok(bytes) => bytes,
                Err(code) => return code,
            };
            match serde_json::from_slice::<Terms>(&bytes) {
                Ok(terms) => Some(terms),
                Err(why) => return fail(&format!("these are no terms: {why}")),
            }
        }
        None => TermsDraft {
            fee: asked.fee,
            fee_vat: asked.fee_vat,
            cycle: asked.cycle,
            lag_days: asked.lag,
            holiday: asked.holiday,
            min_payout: asked.min_payout,
            ..TermsDraft::default()
        }
        .check()
        .map_err(|errors| wrong.extend(errors))
        .ok(),
    };
    let (Some(from), Some(terms)) = (from, terms) else {
        return all_wrong(&wrong);
    };
    match agree(ctx, id, from, terms, "cli").await {
        Ok(version) if as_json => say(&json!(version).to_string()),
        Ok(version) => say(&format!(
            "Contract version {} of {} holds from {}: {}",
            version.id,
            version.partner,
            version.from,
            terms_line(&version.terms)
        )),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}
