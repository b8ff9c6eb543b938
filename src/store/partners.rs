//! Partners: who is owed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{
    StoreError, Tx,
    contracts::{self, Version},
    instant, instant_maybe,
};
use crate::domain::{
    bank::{AccountNumber, BankAccount, BankCode},
    calendar::KstDay,
    ids::PartnerId,
    partner::{BusinessNumber, Contact, Partner, PartnerStatus, PartnerType},
};

fn unreadable(why: impl ToString) -> StoreError {
    StoreError::Unreadable {
        table: "partner",
        why: why.to_string(),
    }
}

/// A partner as it stands in the books. One that an order named first has a name, and nothing else yet.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PartnerRow {
    pub id: PartnerId,
    pub name: String,
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<PartnerType>,
    #[schema(value_type = Option<String>)]
    pub business_number: Option<BusinessNumber>,
    pub account: Option<BankAccount>,
    pub contact: Contact,
    pub status: PartnerStatus,
    pub memo: String,
    pub tags: Vec<String>,
    #[serde(serialize_with = "super::payments::seoul_time_maybe")]
    pub archived_at: Option<Timestamp>,
    #[serde(serialize_with = "super::payments::seoul_time")]
    pub created_at: Timestamp,
}

impl PartnerRow {
    pub fn is_archived(&self) -> bool {
        self.archived_at.is_some()
    }

    /// The same without what only the books know, where its type is known.
    pub fn partner(&self) -> Option<Partner> {
        Some(Partner {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind?,
            business_number: self.business_number,
            account: self.account.clone(),
            contact: self.contact.clone(),
            status: self.status,
            memo: self.memo.clone(),
            tags: self.tags.clone(),
            archived: self.is_archived(),
        })
    }
}

const COLUMNS: &str =
    "id, name, kind, business_number, bank, account, holder, contact_name, contact_email, contact_phone,
     status, memo, tags, archived_at, created_at";

fn read(row: &Row<'_>) -> Result<PartnerRow, StoreError> {
    let text = |at: usize| row.get::<_, Option<String>>(at);
    let kind = text(2)?
        .map(|kind| PartnerType::parse(&kind))
        .transpose()
        .map_err(unreadable)?;
    let business_number = text(3)?
        .map(|number| BusinessNumber::parse(&number))
        .transpose()
        .map_err(unreadable)?;
    let account = match (text(4)?, text(5)?, text(6)?) {
        (Some(bank), Some(number), Some(holder)) => Some(BankAccount {
            bank: BankCode::parse(&bank).map_err(unreadable)?,
            number: AccountNumber::parse(&number).map_err(unreadable)?,
            holder,
        }),
        _ => None,
    };
    let status: String = row.get(10)?;
    let tags: String = row.get(12)?;
    Ok(PartnerRow {
        id: PartnerId::new(row.get::<_, String>(0)?).map_err(unreadable)?,
        name: row.get(1)?,
        kind,
        business_number,
        account,
        contact: Contact {
            name: text(7)?,
            email: text(8)?,
            phone: text(9)?,
        },
        status: PartnerStatus::parse(&status).ok_or_else(|| unreadable(&status))?,
        memo: row.get(11)?,
        tags: serde_json::from_str(&tags).map_err(unreadable)?,
        archived_at: instant_maybe(row.get(13)?)?,
        created_at: instant(row.get(14)?)?,
    })
}

pub fn get(conn: &Connection, id: &str) -> Result<Option<PartnerRow>, StoreError> {
    let sql = format!("select {COLUMNS} from partner where id = ?1");
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([id], read)?.next().transpose()
}

/// The type alone; `None` as long as nobody said it.
pub fn kind(conn: &Connection, id: &str) -> Result<Option<PartnerType>, StoreError> {
    let kind: Option<Option<String>> = conn
        .prepare_cached("select kind from partner where id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    kind.flatten()
        .map(|kind| PartnerType::parse(&kind))
        .transpose()
        .map_err(unreadable)
}

/// What a list is cut by. All of it together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Part of the id or name.
    pub text: Option<String>,
    pub archived: bool,
    /// Only those that lack what a payout needs: type, account, approval, contract.
    pub incomplete: bool,
}

/// Partners by name, behind `after` (name, id).
pub fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<(&str, &str)>,
    most: usize,
) -> Result<Vec<PartnerRow>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from partner
          where (name, id) > (:name, :id) and (archived_at is not null) = :archived
            and (:text is null or instr(lower(name), lower(:text)) > 0 or instr(lower(id), lower(:text)) > 0)
            and (not :incomplete or (kind is not 'OWN' and (kind is null or account is null or status <> 'APPROVED'
                 or not exists (select 1 from contract_version c where c.partner_id = partner.id))))
          order by name, id limit :most + 0"
    );
    let (name, id) = after.unwrap_or(("", ""));
    conn.prepare_cached(&sql)?
        .query_and_then(
            named_params! {
                ":name": name,
                ":id": id,
                ":archived": filter.archived,
                ":text": filter.text,
                ":incomplete": filter.incomplete,
                ":most": most as i64,
            },
            read,
        )?
        .collect()
}

/// Writes a partner down, or over what was there. Whether it is archived is left as it was.
pub fn put(tx: &Tx<'_>, partner: &Partner) -> Result<(), StoreError> {
    let tags = serde_json::to_string(&partner.tags).map_err(unreadable)?;
    let number = partner
        .business_number
        .map(|number| number.to_string().replace('-', ""));
    let account = partner.account.as_ref();
    tx.conn()
        .prepare_cached(
            "insert into partner (id, name, kind, business_number, bank, account, holder, contact_name,
                                  contact_email, contact_phone, status, memo, tags, created_at, updated_at)
             values (:id, :name, :kind, :number, :bank, :account, :holder, :contact, :email, :phone, :status,
                     :memo, :tags, :now, :now)
             on conflict (id) do update set
                name = excluded.name, kind = excluded.kind, business_number = excluded.business_number,
                bank = excluded.bank, account = excluded.account, holder = excluded.holder,
                contact_name = excluded.contact_name, contact_email = excluded.contact_email,
                contact_phone = excluded.contact_phone, status = excluded.status, memo = excluded.memo,
                tags = excluded.tags, updated_at = excluded.updated_at",
        )?
        .execute(named_params! {
            ":id": partner.id.as_str(),
            ":name": partner.name,
            ":kind": partner.kind.as_str(),
            ":number": number,
            ":bank": account.map(|a| a.bank.as_str()),
            ":account": account.map(|a| a.number.as_str()),
            ":holder": account.map(|a| a.holder.as_str()),
            ":contact": partner.contact.name,
            ":email": partner.contact.email,
            ":phone": partner.contact.phone,
            ":status": partner.status.as_str(),
            ":memo": partner.memo,
            ":tags": tags,
            ":now": tx.now_ms(),
        })?;
    Ok(())
}

/// Archives a partner, or recovers it.
pub fn set_archived(tx: &Tx<'_>, id: &str, archived: bool) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "update partner set archived_at = case when ?2 then ?3 end, updated_at = ?3 where id = ?1",
        )?
        .execute((id, archived, tx.now_ms()))?;
    Ok(())
}

// --- What a list shows

/// What a partner lacks before it can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Lack {
    Type,
    Account,
    Approval,
    Contract,
}

/// A partner of a list, with what holds now and what is missing.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Listed {
    #[serde(flatten)]
    pub partner: PartnerRow,
    /// The version that holds today; none, or one that begins later, is none.
    pub contract: Option<Version>,
    pub lacks: Vec<Lack>,
}

impl Listed {
    /// Looks up what a list shows of a partner.
    pub fn of(conn: &Connection, partner: PartnerRow, today: KstDay) -> Result<Listed, StoreError> {
        let versions = contracts::of(conn, partner.id.as_str())?;
        let lacks = lacks(&partner, !versions.is_empty());
        Ok(Listed {
            contract: contracts::holding(&versions, today).cloned(),
            partner,
            lacks,
        })
    }
}

/// What keeps a partner from being paid. The shop itself lacks nothing.
pub fn lacks(partner: &PartnerRow, has_contract: bool) -> Vec<Lack> {
    if partner.kind == Some(PartnerType::Own) {
        return Vec::new();
    }
    [
        (partner.kind.is_none(), Lack::Type),
        (partner.account.is_none(), Lack::Account),
        (partner.status != PartnerStatus::Approved, Lack::Approval),
        (!has_contract, Lack::Contract),
    ]
    .into_iter()
    .filter_map(|(missing, lack)| missing.then_some(lack))
    .collect()
}
