//! Keeps what is known of a partner; archives instead of deleting.

use serde_json::{Map, Value, json};

use crate::{
    domain::{
        calendar::KstDay,
        contract::{Fee, Rate, Terms},
        cycle::{Cycle, HolidayPolicy, Method, WrongCycle},
        ids::{NotAnId, PartnerId},
        partner::{Partner, PartnerStatus, PartnerType},
    },
    flow::{
        Ctx,
        agree_contract::{ContractError, agree_in},
        approve,
    },
    store::{
        StoreError, Tx, calendar, contracts,
        history::{self, Subject},
        partners, settlements,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    #[error("no partner `{0}` is known here")]
    NotFound(PartnerId),
    #[error("a partner `{0}` is known already: change that one, or choose another id")]
    Exists(PartnerId),
    #[error(
        "partner `{id}` cannot be archived: {open} won are open and {carry} won carried over; settle its account first"
    )]
    Open {
        id: PartnerId,
        open: crate::domain::money::Won,
        carry: crate::domain::money::Won,
    },
    #[error("partner `{id}` cannot be archived: sales of {day} are not settled yet")]
    Waiting { id: PartnerId, day: KstDay },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a partner is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Save {
    /// It must be new, or known by nothing but the orders that named it.
    New,
    /// It must be known.
    Change,
    /// Either.
    Put,
}

/// Saves a partner. The same again changes nothing; `false` then.
pub async fn save_partner(
    ctx: &Ctx,
    partner: Partner,
    save: Save,
    by: &'static str,
) -> Result<bool, PartnerError> {
    ctx.store
        .write(move |tx| save_in(tx, &partner, save, by))
        .await
}

/// The same inside of a transaction: for an import.
pub fn save_in(
    tx: &mut Tx<'_>,
    partner: &Partner,
    save: Save,
    by: &str,
) -> Result<bool, PartnerError> {
    let id = &partner.id;
    let known = partners::get(tx.conn(), id.as_str())?;
    match (&known, save) {
        (None, Save::Change) => return Err(PartnerError::NotFound(id.clone())),
        (Some(known), Save::New) if known.kind.is_some() => {
            return Err(PartnerError::Exists(id.clone()));
        }
        _ => {}
    }
    let before = known.as_ref().map(|known| json!(known));
    let was = known.as_ref().and_then(partners::PartnerRow::partner);
    let same = was.as_ref().is_some_and(|was| {
        let archived = was.archived;
        *was == Partner {
            archived,
            ..partner.clone()
        }
    });
    if same {
        return Ok(false);
    }
    partners::put(tx, partner)?;
    if was
        .as_ref()
        .is_some_and(|was| was.kind.is_paid_out() != partner.kind.is_paid_out())
    {
        move_payouts(tx, partner)?;
    }
    let kind = if before.is_some() { "changed" } else { "added" };
    let detail = changes(before.as_ref(), &json!(partner));
    history::add(tx, &Subject::Partner(id.as_str()), kind, by, &detail)?;
    if was.is_some_and(|was| was.account != partner.account) {
        approve::account_changed(tx, id.as_str(), by)?;
    }
    Ok(true)
}

/// A partner became the shop itself, or is it no more: what is open gets no payout day, or one.
fn move_payouts(tx: &Tx<'_>, partner: &Partner) -> Result<(), StoreError> {
    let calendar = calendar::business(tx.conn())?;
    let versions = contracts::of(tx.conn(), partner.id.as_str())?;
    for (id, day) in settlements::requested_of(tx.conn(), partner.id.as_str())? {
        let payout_day = contracts::holding(&versions, day)
            .filter(|_| partner.kind.is_paid_out())
            .map(|version| version.terms.cycle.payout_day(day, &calendar));
        match payout_day {
            Some(payout_day) => settlements::set_payout_day(tx, id, payout_day)?,
            None => settlements::clear_payout_day(tx, id)?,
        }
    }
    Ok(())
}

/// Fields that differ, before and after.
fn changes(before: Option<&Value>, after: &Value) -> Value {
    let mut changed = Map::new();
    for (key, value) in after.as_object().into_iter().flatten() {
        if key == "archived" {
            continue;
        }
        let old = before.and_then(|before| before.get(key));
        if old != Some(value) {
            changed.insert(key.clone(), json!({ "from": old, "to": value }));
        }
    }
    Value::Object(changed)
}

/// Takes a partner out of the lists. One with money open stays.
pub async fn archive(ctx: &Ctx, id: PartnerId, by: &'static str) -> Result<(), PartnerError> {
    set_archived(ctx, id, true, by).await
}

/// Brings an archived partner back.
pub async fn recover(ctx: &Ctx, id: PartnerId, by: &'static str) -> Result<(), PartnerError> {
    set_archived(ctx, id, false, by).await
}

async fn set_archived(
    ctx: &Ctx,
    id: PartnerId,
    archived: bool,
    by: &'static str,
) -> Result<(), PartnerError> {
    ctx.store
        .write(move |tx| {
            let known = partners::get(tx.conn(), id.as_str())?
                .ok_or_else(|| PartnerError::NotFound(id.clone()))?;
            if known.is_archived() == archived {
                return Ok(());
            }
            if archived {
                let account = settlements::account(tx.conn(), id.as_str())?;
                if !account.open.is_zero() || !account.carry.is_zero() {
                    let (open, carry) = (account.open, account.carry);
                    return Err(PartnerError::Open { id, open, carry });
                }
                if let Some(day) = settlements::first_unsettled(tx.conn(), id.as_str())? {
                    return Err(PartnerError::Waiting { id, day });
                }
            }
            partners::set_archived(tx, id.as_str(), archived)?;
            let kind = if archived { "archived" } else { "recovered" };
            history::add(tx, &Subject::Partner(id.as_str()), kind, by, &json!({}))?;
            Ok(())
        })
        .await
}

/// Why the default partner could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    #[error(transparent)]
    Id(#[from] NotAnId),
    #[error("the shop's own contract: {0}")]
    Cycle(#[from] WrongCycle),
    #[error(transparent)]
    Partner(#[from] PartnerError),
    #[error(transparent)]
    Contract(#[from] ContractError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the default partner the shop itself, unless a person said otherwise: settled without a fee,
/// so that the books tell its sales, and never paid out.
pub async fn ensure_own(ctx: &Ctx) -> Result<(), OwnError> {
    let id = PartnerId::new(ctx.policy.default_partner.clone())?;
    let known = ctx.store.read(|conn| {
        let known = partners::get(conn, id.as_str())?;
        let agreed = !contracts::of(conn, id.as_str())?.is_empty();
        Ok::<_, StoreError>((known, agreed))
    })?;
    let (known, agreed) = known;
    if agreed || known.as_ref().is_some_and(|known| known.kind.is_some()) {
        return Ok(());
    }
    let name = known.map_or_else(|| id.to_string(), |known| known.name);
    let partner = Partner {
        id: id.clone(),
        name,
        kind: PartnerType::Own,
        business_number: None,
        account: None,
        contact: Default::default(),
        status: PartnerStatus::Approved,
        memo: String::new(),
        tags: Vec::new(),
        archived: false,
    };
    let cycle = Cycle::new(1, Method::Daily, HolidayPolicy::CalendarDay)?;
    let terms = Terms::plain(Fee::Rate(Rate::ZERO), cycle);
    let from = KstDay::of(jiff::Timestamp::UNIX_EPOCH);
    ctx.store
        .write(move |tx| {
            save_in(tx, &partner, Save::Put, "start")?;
            agree_in(tx, &id, from, &terms, "start")?;
            Ok::<_, OwnError>(())
        })
        .await
}
