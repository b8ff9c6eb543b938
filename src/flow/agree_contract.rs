//! Agrees terms with a partner, from some day on.
//!
//! What has settled something never changes: terms count from a day of which nothing has been settled.
//! At most one version lies in the future.

use serde_json::json;

use crate::{
    domain::{calendar::KstDay, contract::Terms, ids::PartnerId},
    flow::Ctx,
    store::{
        StoreError, Tx, alerts,
        contracts::{self, Version},
        history::{self, Subject},
        partners,
    },
};

#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error("no partner `{0}` is known here")]
    NoPartner(PartnerId),
    #[error("partner `{0}` is archived: recover it first")]
    Archived(PartnerId),
    #[error(
        "payments up to {until} were settled by the version of {from}: terms can change from {next} on"
    )]
    Settled {
        from: KstDay,
        until: KstDay,
        next: KstDay,
    },
    #[error("a change is scheduled for {0} already: take it back first, or change that one")]
    Scheduled(KstDay),
    #[error(
        "the version of {0} holds already: sales since then count on it. Agree other terms instead"
    )]
    Begun(KstDay),
    #[error("no contract version {0} is known here")]
    NoVersion(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ContractError {
    /// The same in Korean, with what to do.
    pub fn ko(&self) -> String {
        match self {
            Self::NoPartner(id) => format!("파트너 `{id}`을(를) 찾을 수 없습니다."),
            Self::Archived(id) => {
                format!("파트너 `{id}`은(는) 보관되어 있습니다. 먼저 복구하세요.")
            }
            Self::Settled { from, until, next } => format!(
                "{from}부터 적용된 계약으로 {until} 결제까지 정산했습니다. {next}부터 바꿀 수 있습니다."
            ),
            Self::Scheduled(day) => format!(
                "{day}부터 적용될 변경이 이미 예약되어 있습니다. 그 예약을 먼저 취소하거나 그것을 바꾸세요."
            ),
            Self::Begun(day) => format!(
                "{day}부터의 계약은 이미 적용되고 있어 취소할 수 없습니다. 새 조건으로 바꾸세요."
            ),
            Self::NoVersion(id) => format!("계약 버전 {id}을(를) 찾을 수 없습니다."),
            Self::Store(error) => error.to_string(),
        }
    }
}

/// Agrees `terms` from `from` on; gives the version. The same again changes nothing.
pub async fn agree(
    ctx: &Ctx,
    partner: PartnerId,
    from: KstDay,
    terms: Terms,
    by: &'static str,
) -> Result<Version, ContractError> {
    ctx.store
        .write(move |tx| agree_in(tx, &partner, from, &terms, by))
        .await
}

/// The same inside of a transaction: for an import.
pub fn agree_in(
    tx: &mut Tx<'_>,
    partner: &PartnerId,
    from: KstDay,
    terms: &Terms,
    by: &str,
) -> Result<Version, ContractError> {
    let known = partners::get(tx.conn(), partner.as_str())?
        .ok_or_else(|| ContractError::NoPartner(partner.clone()))?;
    if known.is_archived() {
        return Err(ContractError::Archived(partner.clone()));
    }
    let versions = contracts::of(tx.conn(), partner.as_str())?;
    if let Some(same) = may_agree(&versions, from, terms, KstDay::of(tx.now))? {
        return Ok(same.clone());
    }
    let id = contracts::put(tx, partner.as_str(), from, terms, by)?;
    let was = contracts::holding(&versions, from).map(|version| &version.terms);
    let detail = json!({ "version": id, "from": from, "terms": terms, "was": was });
    history::add(
        tx,
        &Subject::Partner(partner.as_str()),
        "contract_agreed",
        by,
        &detail,
    )?;
    alerts::resolve(tx, &format!("no_contract:{partner}"))?;
    contracts::get(tx.conn(), id)?.ok_or(ContractError::NoVersion(id))
}

/// Whether `terms` can hold from `from` on, beside the partner's `versions`, oldest first. The version
/// that says the same already, if there is one.
pub fn may_agree<'a>(
    versions: &'a [Version],
    from: KstDay,
    terms: &Terms,
    today: KstDay,
) -> Result<Option<&'a Version>, ContractError> {
    if let Some(same) = versions
        .iter()
        .find(|v| v.from == from && v.terms == *terms)
    {
        return Ok(Some(same));
    }
    if let Some(holding) = contracts::holding(versions, from)
        && let Some(until) = holding.used_until
        && until >= from
    {
        return Err(ContractError::Settled {
            from: holding.from,
            until,
            next: until.next(),
        });
    }
    if from > today
        && let Some(other) = versions.iter().find(|v| v.from > today && v.from != from)
    {
        return Err(ContractError::Scheduled(other.from));
    }
    Ok(None)
}

/// Takes a version back that has settled nothing.
pub async fn withdraw(ctx: &Ctx, id: i64, by: &'static str) -> Result<(), ContractError> {
    ctx.store
        .write(move |tx| {
            let version = contracts::get(tx.conn(), id)?.ok_or(ContractError::NoVersion(id))?;
            if let Some(until) = version.used_until {
                return Err(ContractError::Settled {
                    from: version.from,
                    until,
                    next: until.next(),
                });
            }
            // Another would take its place without a word. One that stands alone may go.
            let others = contracts::of(tx.conn(), &version.partner)?;
            if version.from <= KstDay::of(tx.now) && others.iter().any(|v| v.from < version.from) {
                return Err(ContractError::Begun(version.from));
            }
            contracts::remove(tx, id)?;
            let detail = json!({ "version": id, "from": version.from, "terms": version.terms });
            history::add(
                tx,
                &Subject::Partner(&version.partner),
                "contract_withdrawn",
                by,
                &detail,
            )?;
            Ok(())
        })
        .await
}
