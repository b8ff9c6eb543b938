//! Raw webhook deliveries and browser callbacks, each with its verdict.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{StoreError, Tx, instant, instant_maybe};
use crate::domain::ids::{ImpUid, MerchantUid};

/// A message as it came in, and the hint that was read out of it.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub source: String,
    pub content_type: String,
    pub body: Vec<u8>,
    pub hint: Hint,
}

/// Which payment to ask about. Nothing of it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub imp_uid: ImpUid,
    pub merchant_uid: Option<MerchantUid>,
    pub status: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It led to something new in the books.
    Booked,
    /// The books had it already.
    NoNews,
    /// PortOne says that the payment is not paid.
    NotPaid,
    /// The payment is kept, but something does not fit: see its hold.
    Held,
    /// PortOne does not know the payment.
    UnknownPayment,
    /// The message and PortOne name different orders.
    AnotherOrder,
    /// Not in won.
    OtherCurrency,
    /// What PortOne answered cannot be.
    Contradiction,
    /// The job that was to ask became a dead letter.
    GivenUp,
}

impl Verdict {
    pub const ALL: [Verdict; 9] = [
        Verdict::Booked,
        Verdict::NoNews,
        Verdict::NotPaid,
        Verdict::Held,
        Verdict::UnknownPayment,
        Verdict::AnotherOrder,
        Verdict::OtherCurrency,
        Verdict::Contradiction,
        Verdict::GivenUp,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Booked => "BOOKED",
            Verdict::NoNews => "NO_NEWS",
            Verdict::NotPaid => "NOT_PAID",
            Verdict::Held => "HELD",
            Verdict::UnknownPayment => "UNKNOWN_PAYMENT",
            Verdict::AnotherOrder => "ANOTHER_ORDER",
            Verdict::OtherCurrency => "OTHER_CURRENCY",
            Verdict::Contradiction => "CONTRADICTION",
            Verdict::GivenUp => "GIVEN_UP",
        }
    }

    pub fn parse(text: &str) -> Option<Verdict> {
        Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
    }
}

/// A kept message.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    pub id: i64,
    pub received_at: Timestamp,
    pub source: String,
    pub content_type: String,
    pub body: String,
    pub imp_uid: String,
    pub merchant_uid: Option<String>,
    pub status: Option<String>,
    pub verdict: Option<Verdict>,
    pub detail: Option<String>,
    pub verdict_at: Option<Timestamp>,
}

const KEEP: &str = "
    insert into inbox (received_at, source, content_type, body, imp_uid, merchant_uid, status)
    values (:now, :source, :content_type, :body, :imp_uid, :merchant_uid, :status)";

pub fn keep(tx: &Tx<'_>, new: &NewMessage) -> Result<i64, StoreError> {
    tx.conn().prepare_cached(KEEP)?.execute(named_params! {
        ":now": tx.now_ms(),
        ":source": new.source,
        ":content_type": new.content_type,
        ":body": new.body,
        ":imp_uid": new.hint.imp_uid.as_str(),
        ":merchant_uid": new.hint.merchant_uid.as_ref().map(MerchantUid::as_str),
        ":status": new.hint.status,
    })?;
    Ok(tx.conn().last_insert_rowid())
}

/// Notes which job carries a message out, so that it is found by the message.
pub fn carried_by(tx: &Tx<'_>, id: i64, job: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("update inbox set job_id = ?2 where id = ?1")?
        .execute((id, job))?;
    Ok(())
}

/// The first word stands; but a message that was given up gets one when its dead letter is replayed.
const JUDGE: &str = "
    update inbox set verdict = :verdict, detail = :detail, verdict_at = :now
     where id = :id and (verdict is null or verdict = 'GIVEN_UP')";

pub fn judge(tx: &Tx<'_>, id: i64, verdict: Verdict, detail: &str) -> Result<(), StoreError> {
    tx.conn().prepare_cached(JUDGE)?.execute(named_params! {
        ":id": id,
        ":verdict": verdict.as_str(),
        ":detail": detail,
        ":now": tx.now_ms(),
    })?;
    Ok(())
}

pub fn hint(conn: &Connection, id: i64) -> Result<Option<Hint>, StoreError> {
    let found = conn
        .prepare_cached("select imp_uid, merchant_uid, status from inbox where id = ?1")?
        .query_row([id], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        })
        .optional()?;
    let Some((imp_uid, merchant_uid, status)) = found else {
        return Ok(None);
    };
    let wrong = |why: String| StoreError::Unreadable {
        table: "inbox",
        why,
    };
    Ok(Some(Hint {
        imp_uid: ImpUid::new(imp_uid).map_err(|e| wrong(e.to_string()))?,
        merchant_uid: merchant_uid
            .map(MerchantUid::new)
            .transpose()
            .map_err(|e| wrong(e.to_string()))?,
        status,
    }))
}

const COLUMNS: &str = "id, received_at, source, content_type, body, imp_uid, merchant_uid, status,
                       verdict, detail, verdict_at";

fn message(row: &Row<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get(0)?,
        received_at: instant(row.get(1)?)?,
        source: row.get(2)?,
        content_type: row.get(3)?,
        body: String::from_utf8_lossy(&row.get::<_, Vec<u8>>(4)?).into_owned(),
        imp_uid: row.get(5)?,
        merchant_uid: row.get(6)?,
        status: row.get(7)?,
        verdict: row
            .get::<_, Option<String>>(8)?
            .as_deref()
            .and_then(Verdict::parse),
        detail: row.get(9)?,
        verdict_at: instant_maybe(row.get(10)?)?,
    })
}

/// Messages about one payment, oldest first; the newest 200.
pub fn about(conn: &Connection, imp_uid: &str) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "select * from (select {COLUMNS} from inbox where imp_uid = ?1 order by id desc limit 200)
          order by id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_and_then([imp_uid], message)?.collect()
}

/// All messages, newest first, below `before`.
pub fn newest(
    conn: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    let sql = format!("select {COLUMNS} from inbox where id < ?1 order by id desc limit ?2 + 0");
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_and_then((before.unwrap_or(i64::MAX), limit as i64), message)?
        .collect()
}

/// Removes judged messages older than `before`, at most `limit` of them. A message whose dead letter
/// waits for a person stays: without it there would be nothing to replay.
pub fn prune(tx: &Tx<'_>, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let removed = tx
        .conn()
        .prepare_cached(
            "delete from inbox where id in (
                 select id from inbox i
                  where id < coalesce(
                      (select id from inbox where received_at >= ?1 order by id limit 1), 9223372036854775807)
                    and verdict is not null
                    and (verdict <> 'GIVEN_UP' or not exists (
                        select 1 from job where state = 'dead' and kind = 'confirm_payment'
                           and payload ->> '$.inbox_id' = i.id))
                  order by id limit ?2 + 0)",
        )?
        .execute((before.as_millisecond(), limit as i64))?;
    Ok(removed)
}
