//! Takes partners, and contracts with them, out of a file.
//!
//! A file is looked at as a whole first ([`look`]): what it would add and change, field by field, or
//! everything that is wrong with it, by row and column. Nothing is written as long as one row is wrong.
//!
//! A column that the file does not have leaves its field as it is; an empty cell empties it, but for
//! the status, which nobody loses by an empty cell. Terms that have no column here (additional fees,
//! shares, rounding) are those of the version before. The same row again changes nothing, so that a
//! large file, which is written in portions to let others write in between, can simply be sent again
//! if it breaks off.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        calendar::KstDay,
        contract::Terms,
        partner::{FieldError, Partner, PartnerDraft},
        terms_draft::{TermsDraft, from_day},
    },
    flow::{
        Ctx,
        agree_contract::{ContractError, agree_in, may_agree},
        save_partner::{PartnerError, Save, save_in},
    },
    sheet::{self, CellError, Column, Columns, Others, Row, Said, Table},
    store::{
        StoreError, Tx, acting,
        audit::{self, Act},
        contracts,
        partners::{self, PartnerRow},
        progress,
    },
};

/// How far an import has come: its name among all long work.
pub const PROGRESS: &str = "import:partners";
/// Rows of one file.
pub const MOST_ROWS: usize = 20_000;
/// Up to so many rows that change something are written in one transaction.
const AT_ONCE: usize = 500;
/// Rows in a transaction of a larger file.
const PORTION: usize = 100;

const fn column(key: &'static str, aliases: &'static [&'static str]) -> Column<'static> {
    Column {
        key,
        aliases,
        required: false,
    }
}

/// What a file may have, in the order in which files are written. The first alias is the Korean header.
pub const COLUMNS: [Column<'static>; 20] = [
    Column {
        key: "partner_id",
        aliases: &["파트너 ID", "파트너 아이디", "아이디", "id", "partner"],
        required: true,
    },
    column(
        "name",
        &["상호/이름", "상호", "이름", "파트너명", "파트너 이름"],
    ),
    column("type", &["유형", "파트너 유형", "kind", "구분"]),
    column(
        "business_number",
        &["사업자등록번호", "사업자번호", "사업자 등록 번호"],
    ),
    column("bank", &["은행", "은행명", "은행코드"]),
    column("account_number", &["계좌번호", "계좌", "account"]),
    column("account_holder", &["예금주", "예금주명", "holder"]),
    column("contact_name", &["담당자", "담당자명", "contact"]),
    column("contact_email", &["이메일", "담당자 이메일", "email"]),
    column(
        "contact_phone",
        &["전화", "전화번호", "연락처", "담당자 전화", "phone"],
    ),
    column("status", &["상태", "승인 상태"]),
    column("memo", &["메모", "비고"]),
    column("tags", &["태그"]),
    column("contract_from", &["계약 시작일", "계약일", "적용일"]),
    column("fee", &["수수료", "중개 수수료", "수수료율"]),
    column("fee_vat", &["수수료 부가세", "부가세 부담"]),
    column("cycle", &["정산 주기", "주기"]),
    column("lag_days", &["보류일", "보류 일수"]),
    column("holiday", &["휴일 처리", "휴일"]),
    column("min_payout", &["최소 지급액", "최소 지급 금액"]),
];

/// The columns of a contract.
const OF_CONTRACT: [&str; 7] = [
    "contract_from",
    "fee",
    "fee_vat",
    "cycle",
    "lag_days",
    "holiday",
    "min_payout",
];

/// What a row does to a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum What {
    Added,
    Changed,
    Unchanged,
}

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub field: &'static str,
    pub from: String,
    pub to: String,
}

/// A contract that a row agrees on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreed {
    pub from: KstDay,
    pub terms: Terms,
    /// What holds on that day now.
    pub was: Option<Terms>,
}

/// What one row of a file comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// As the person sees it in their spreadsheet.
    pub line: usize,
    pub id: String,
    pub name: String,
    pub what: What,
    pub changes: Vec<Change>,
    /// `None`: the row names none, or the one that is there.
    pub contract: Option<Agreed>,
    #[serde(skip)]
    partner: Partner,
}

impl Item {
    /// Whether the row writes anything.
    pub fn writes(&self) -> bool {
        self.what != What::Unchanged || self.contract.is_some()
    }
}

/// What a file comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub rows: usize,
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
    /// Contract versions that are new or changed.
    pub contracts: usize,
    pub items: Vec<Item>,
}

impl Plan {
    fn of(items: Vec<Item>) -> Plan {
        let count = |what| items.iter().filter(|item| item.what == what).count();
        Plan {
            rows: items.len(),
            added: count(What::Added),
            changed: count(What::Changed),
            unchanged: count(What::Unchanged),
            contracts: items.iter().filter(|item| item.contract.is_some()).count(),
            items,
        }
    }

    /// Whether the file writes anything.
    pub fn writes(&self) -> bool {
        self.items.iter().any(Item::writes)
    }

    /// Tells this plan from another: what a person has seen from what would happen now.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for item in &self.items {
            hash.update(serde_json::to_vec(item).unwrap_or_default());
        }
        hex::encode(hash.finalize())
    }
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Everything that is wrong. Nothing was written, but `written` rows of a large file during whose
    /// import the books changed.
    #[error("{} rows of the file are wrong", .errors.len())]
    Wrong {
        errors: Vec<CellError>,
        written: usize,
    },
    /// The books have changed since the person looked: this is what the file would do now.
    #[error("the books have changed since the file was looked at: look again")]
    Changed(Box<Plan>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    fn wrong(errors: Vec<CellError>) -> ImportError {
        ImportError::Wrong { errors, written: 0 }
    }
}

/// Reads a file, on a thread of its own. `name` is the file's, if known.
pub async fn read(bytes: Vec<u8>, name: Option<String>) -> Result<Table, ImportError> {
    let read = tokio::task::spawn_blocking(move || {
        sheet::read_at_most(&bytes, name.as_deref(), MOST_ROWS)
    })
    .await;
    let table = read
        .map_err(|error| StoreError::Panicked(error.to_string()))?
        .map_err(|error| ImportError::wrong(vec![error.into_cell_error()]))?;
    if !table.rows.is_empty() {
        return Ok(table);
    }
    let said = Said::new(
        "열 이름 아래에 행이 없습니다. 파트너를 한 행에 하나씩 적어 주세요.",
        "there are no rows below the header: write one partner in each",
    );
    Err(ImportError::wrong(vec![CellError::file(said)]))
}

/// What the table would do to the books as they stand, or everything that is wrong with it.
pub async fn look(ctx: &Ctx, table: Arc<Table>) -> Result<Plan, ImportError> {
    let today = KstDay::of(ctx.store.now());
    ctx.store
        .read_long(move |conn| {
            let columns = columns(&table)?;
            Ok(Plan::of(plan_rows(conn, &columns, &table.rows, today)?))
        })
        .await
}

/// Takes the table over into the books. With `seen`, the fingerprint of the plan that a person agreed
/// to, only if it would still do the same.
///
/// It goes on to its end even if nobody waits for it any more.
pub async fn import(
    ctx: &Ctx,
    table: Arc<Table>,
    seen: Option<String>,
    by: &'static str,
) -> Result<Plan, ImportError> {
    let ctx = ctx.clone();
    let work = tokio::spawn(acting::carry(
        async move { write(&ctx, table, seen, by).await },
    ));
    match work.await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Panicked(error.to_string()).into()),
    }
}

async fn write(
    ctx: &Ctx,
    table: Arc<Table>,
    seen: Option<String>,
    by: &'static str,
) -> Result<Plan, ImportError> {
    let plan = look(ctx, table.clone()).await?;
    if seen.is_some_and(|seen| seen != plan.fingerprint()) {
        return Err(ImportError::Changed(Box::new(plan)));
    }
    let found = Arc::new(columns(&table)?);
    let lines = plan.items.iter().filter(|item| item.writes());
    let lines: std::collections::HashSet<usize> = lines.map(|item| item.line).collect();
    let rows: Vec<Row> = table
        .rows
        .iter()
        .filter(|row| lines.contains(&row.line))
        .cloned()
        .collect();
    let total = rows.len();
    let portion = if total <= AT_ONCE { AT_ONCE } else { PORTION };
    let mut done = 0;
    for rows in rows.chunks(portion) {
        let (rows, columns) = (rows.to_vec(), found.clone());
        let before = done;
        done += rows.len();
        let (first, last) = (before == 0, done == total);
        let written = ctx
            .store
            .write(move |tx| {
                if first {
                    progress::begin(tx, PROGRESS, total as i64)?;
                    let after = json!({ "rows": total });
                    let act = Act {
                        act: "partner.imported",
                        subject: "partners",
                        before: None,
                        after: Some(&after),
                    };
                    audit::note(tx, &act)?;
                }
                write_rows(tx, &columns, &rows, by)?;
                progress::step(tx, PROGRESS, done as i64)?;
                if last {
                    progress::end(tx, PROGRESS, None)?;
                }
                Ok::<_, ImportError>(())
            })
            .await;
        if let Err(error) = written {
            return Err(broken_off(ctx, error, before).await);
        }
    }
    Ok(plan)
}

/// Says in the books that an import ended before its end.
async fn broken_off(ctx: &Ctx, error: ImportError, written: usize) -> ImportError {
    if written > 0 {
        let why = error.to_string();
        let told = ctx
            .store
            .write(move |tx| progress::end(tx, PROGRESS, Some(&why)))
            .await;
        if let Err(error) = told {
            tracing::warn!(%error, "an import broke off, and the books do not say so");
        }
    }
    match error {
        ImportError::Wrong { errors, .. } => ImportError::Wrong { errors, written },
        other => other,
    }
}

/// Rows that change something, checked against the books once more: what was read may be old by now.
fn write_rows(
    tx: &mut Tx<'_>,
    columns: &Columns,
    rows: &[Row],
    by: &str,
) -> Result<(), ImportError> {
    let today = KstDay::of(tx.now);
    for item in plan_rows(tx.conn(), columns, rows, today)? {
        save_in(tx, &item.partner, Save::Put, by).map_err(|error| match error {
            PartnerError::Store(error) => error.into(),
            other => ImportError::wrong(vec![CellError::row(
                item.line,
                Said::new(other.to_string(), other.to_string()),
            )]),
        })?;
        if let Some(agreed) = &item.contract {
            let id = &item.partner.id;
            agree_in(tx, id, agreed.from, &agreed.terms, by).map_err(|error| match error {
                ContractError::Store(error) => error.into(),
                other => {
                    ImportError::wrong(vec![CellError::row(item.line, said_of_contract(&other))])
                }
            })?;
        }
    }
    Ok(())
}

// --- Looking

fn columns(table: &Table) -> Result<Columns, ImportError> {
    Columns::find(table, &COLUMNS, Others::Refused).map_err(ImportError::wrong)
}

fn plan_rows(
    conn: &rusqlite::Connection,
    columns: &Columns,
    rows: &[Row],
    today: KstDay,
) -> Result<Vec<Item>, ImportError> {
    let mut items = Vec::with_capacity(rows.len());
    let mut wrong = Vec::new();
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        if let Some(id) = columns.get(row, "partner_id") {
            match lines.entry(id) {
                std::collections::hash_map::Entry::Occupied(first) => {
                    let first = first.get();
                    let said = Said::new(
                        format!("{first}행과 같은 파트너입니다. 한 행만 남겨 주세요."),
                        format!("the same partner as in row {first}: keep one of them"),
                    );
                    wrong.push(columns.error(row, "partner_id", said));
                    continue;
                }
                std::collections::hash_map::Entry::Vacant(free) => _ = free.insert(row.line),
            }
        }
        match plan_row(conn, columns, row, today)? {
            Ok(item) => items.push(item),
            Err(errors) => wrong.extend(errors),
        }
    }
    match wrong.is_empty() {
        true => Ok(items),
        false => Err(ImportError::wrong(wrong)),
    }
}

fn plan_row(
    conn: &rusqlite::Connection,
    columns: &Columns,
    row: &Row,
    today: KstDay,
) -> Result<Result<Item, Vec<CellError>>, StoreError> {
    let id = columns.get(row, "partner_id").unwrap_or_default();
    let known = partners::get(conn, id)?;
    let mut wrong = Vec::new();
    let before = known.as_ref().map(draft_of);
    let partner = match overlay(before.clone().unwrap_or_default(), columns, row).check() {
        Ok(partner) => Some(partner),
        Err(errors) => {
            wrong.extend(errors.into_iter().map(|error| cell(columns, row, error)));
            None
        }
    };
    if known.as_ref().is_some_and(PartnerRow::is_archived) {
        let said = Said::new(
            "보관된 파트너입니다. 먼저 복구하거나 행을 지워 주세요.",
            "the partner is archived: recover it first, or delete the row",
        );
        wrong.push(columns.error(row, "partner_id", said));
    }
    let contract = plan_contract(conn, columns, row, today)?
        .map_err(|errors| wrong.extend(errors))
        .unwrap_or_default();
    let Some(partner) = partner.filter(|_| wrong.is_empty()) else {
        return Ok(Err(wrong));
    };
    let after = PartnerDraft::from(partner.clone());
    let changes = changes(&before.clone().unwrap_or_default(), &after);
    let what = match &known {
        None => What::Added,
        Some(_) if changes.is_empty() => What::Unchanged,
        Some(_) => What::Changed,
    };
    Ok(Ok(Item {
        line: row.line,
        id: partner.id.to_string(),
        name: partner.name.clone(),
        what,
        changes: if what == What::Changed {
            changes
        } else {
            Vec::new()
        },
        contract,
        partner,
    }))
}

/// A partner of the books as a draft, even one of which only the name is known.
pub fn draft_of(row: &PartnerRow) -> PartnerDraft {
    let account = row.account.as_ref();
    PartnerDraft {
        id: Some(row.id.to_string()),
        name: Some(row.name.clone()),
        kind: row.kind.map(|kind| kind.as_str().to_owned()),
        business_number: row.business_number.map(String::from),
        bank: account.map(|account| account.bank.to_string()),
        account_number: account.map(|account| account.number.to_string()),
        account_holder: account.map(|account| account.holder.clone()),
        contact_name: row.contact.name.clone(),
        contact_email: row.contact.email.clone(),
        contact_phone: row.contact.phone.clone(),
        status: Some(row.status.as_str().to_owned()),
        memo: Some(row.memo.clone()),
        tags: row.tags.clone(),
        archived: Some(row.is_archived().to_string()),
    }
}

/// What the row says over what is known.
fn overlay(mut draft: PartnerDraft, columns: &Columns, row: &Row) -> PartnerDraft {
    let text = |key: &str| columns.get(row, key).map(str::to_owned);
    draft.id = text("partner_id");
    for (key, field) in [
        ("name", &mut draft.name),
        ("type", &mut draft.kind),
        ("business_number", &mut draft.business_number),
        ("bank", &mut draft.bank),
        ("account_number", &mut draft.account_number),
        ("account_holder", &mut draft.account_holder),
        ("contact_name", &mut draft.contact_name),
        ("contact_email", &mut draft.contact_email),
        ("contact_phone", &mut draft.contact_phone),
        ("memo", &mut draft.memo),
    ] {
        if columns.has(key) {
            *field = text(key);
        }
    }
    if let Some(status) = text("status") {
        draft.status = Some(status);
    }
    if columns.has("tags") {
        draft.tags = text("tags").into_iter().collect();
    }
    draft
}

fn changes(before: &PartnerDraft, after: &PartnerDraft) -> Vec<Change> {
    fn fields(draft: &PartnerDraft) -> [(&'static str, String); 12] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            ("name", text(&draft.name)),
            ("type", text(&draft.kind)),
            ("business_number", text(&draft.business_number)),
            ("bank", text(&draft.bank)),
            ("account_number", text(&draft.account_number)),
            ("account_holder", text(&draft.account_holder)),
            ("contact_name", text(&draft.contact_name)),
            ("contact_email", text(&draft.contact_email)),
            ("contact_phone", text(&draft.contact_phone)),
            ("status", text(&draft.status)),
            ("memo", text(&draft.memo)),
            ("tags", draft.tags.join(",")),
        ]
    }
    let pairs = fields(before).into_iter().zip(fields(after));
    pairs
        .filter(|((_, from), (_, to))| from != to)
        .map(|((field, from), (_, to))| Change { field, from, to })
        .collect()
}

/// The contract of a row. `Err` is what is wrong with it.
fn plan_contract(
    conn: &rusqlite::Connection,
    columns: &Columns,
    row: &Row,
    today: KstDay,
) -> Result<Result<Option<Agreed>, Vec<CellError>>, StoreError> {
    let text = |key: &str| columns.get(row, key).map(str::to_owned);
    if OF_CONTRACT
        .iter()
        .all(|key| columns.get(row, key).is_none())
    {
        return Ok(Ok(None));
    }
    let id = columns.get(row, "partner_id").unwrap_or_default();
    let versions = contracts::of(conn, id)?;
    let from = from_day("contract_from", columns.get(row, "contract_from"));
    let was = match &from {
        Ok(from) => contracts::holding(&versions, *from),
        Err(_) => versions.last(),
    };
    let mut draft = was.map_or_else(TermsDraft::default, |was| TermsDraft::from(&was.terms));
    for (key, field) in [
        ("fee", &mut draft.fee),
        ("fee_vat", &mut draft.fee_vat),
        ("cycle", &mut draft.cycle),
        ("lag_days", &mut draft.lag_days),
        ("holiday", &mut draft.holiday),
        ("min_payout", &mut draft.min_payout),
    ] {
        if columns.has(key) {
            *field = text(key);
        }
    }
    let mut wrong = Vec::new();
    let from = from.map_err(|error| wrong.push(error)).ok();
    let terms = draft.check().map_err(|errors| wrong.extend(errors)).ok();
    let (Some(from), Some(terms)) = (from, terms) else {
        let cells = wrong.into_iter().map(|error| cell(columns, row, error));
        return Ok(Err(cells.collect()));
    };
    match may_agree(&versions, from, &terms, today) {
        Ok(Some(_)) => Ok(Ok(None)),
        Ok(None) => {
            let was = contracts::holding(&versions, from).map(|was| was.terms.clone());
            Ok(Ok(Some(Agreed { from, terms, was })))
        }
        Err(ContractError::Store(error)) => Err(error),
        Err(error) => Ok(Err(vec![columns.error(
            row,
            "contract_from",
            said_of_contract(&error),
        )])),
    }
}

fn said_of_contract(error: &ContractError) -> Said {
    Said::new(error.ko(), error.to_string())
}

/// A field's error, where the person sees it.
fn cell(columns: &Columns, row: &Row, error: FieldError) -> CellError {
    let key = match error.field {
        "id" => "partner_id",
        field => field,
    };
    let said = Said::new(format!("{}.", error.ko), error.en);
    if columns.has(key) {
        return columns.error(row, key, said);
    }
    // The file lacks the column, so that its name has to be said.
    let shown = COLUMNS.iter().find(|column| column.key == key);
    let shown = shown.and_then(|column| column.aliases.first()).copied();
    CellError {
        column: Some(shown.unwrap_or(key).to_owned()),
        ..columns.error(row, key, said)
    }
}
