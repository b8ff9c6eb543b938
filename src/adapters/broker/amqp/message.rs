//! How a message looks: which row it stands for, and, for people and other programs, how that job
//! stands. Only the row is believed.

use jiff::Timestamp;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde::{Deserialize, Serialize};

use crate::store::published::{DeadCopy, Hint, Waiting};

/// Text in a header; an error can be long, and a frame is not for that.
const LONGEST_TEXT: usize = 500;
const PERSISTENT: u8 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    id: i64,
    generation: u32,
    /// Runs so far, for people.
    attempt: u32,
    turn: i64,
}

/// A message to publish.
pub struct Message {
    pub body: Vec<u8>,
    pub properties: BasicProperties,
}

/// Which row a message stands for. `None`: it is none of ours.
pub fn read(body: &[u8]) -> Option<Hint> {
    let body: Body = serde_json::from_slice(body).ok()?;
    Some(Hint {
        id: body.id,
        generation: body.generation,
        turn: body.turn,
    })
}

fn text(value: &str) -> AMQPValue {
    let short: String = value.chars().take(LONGEST_TEXT).collect();
    AMQPValue::LongString(short.into())
}

fn number(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

fn message(
    body: &Body,
    kind: &str,
    at: Timestamp,
    headers: Vec<(&'static str, AMQPValue)>,
) -> Message {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(name.into(), value);
    }
    Message {
        // A struct of numbers always is JSON.
        body: serde_json::to_vec(body).unwrap_or_default(),
        properties: BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_app_id("jeongsan".into())
            .with_message_id(body.id.to_string().into())
            .with_type(kind.into())
            .with_timestamp(u64::try_from(at.as_second()).unwrap_or_default())
            .with_headers(table),
    }
}

/// For a row that is to be run.
pub fn of_waiting(row: &Waiting, now: Timestamp) -> Message {
    let body = Body {
        id: row.id,
        generation: row.generation,
        attempt: row.attempt,
        turn: row.turn,
    };
    let mut headers = vec![
        ("x-attempt", number(row.attempt.into())),
        ("x-generation", number(row.generation.into())),
        ("x-run-at", text(&row.run_at.to_string())),
    ];
    if let Some(error) = &row.last_error {
        headers.push(("x-error", text(error)));
    }
    message(&body, &row.kind, now, headers)
}

/// For a dead letter: why, how often tried, from when to when.
pub fn of_dead(row: &DeadCopy) -> Message {
    let body = Body {
        id: row.id,
        generation: row.generation,
        attempt: row.attempts,
        turn: row.turn,
    };
    let headers = vec![
        ("x-reason", text(&row.reason)),
        ("x-error", text(&row.error)),
        ("x-attempts", number(row.attempts.into())),
        ("x-generation", number(row.generation.into())),
        ("x-first-at", text(&row.first_at.to_string())),
        ("x-last-at", text(&row.last_at.to_string())),
    ];
    message(&body, &row.kind, row.last_at, headers)
}

/// A message that is none of ours, as it came, with a word on why it lies where it lies.
pub fn of_foreign(body: &[u8], properties: &BasicProperties) -> Message {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert("x-reason".into(), text("unreadable"));
    headers.insert(
        "x-error".into(),
        text("this is no message of jeongsan's: expected {id, generation, attempt, turn}"),
    );
    Message {
        body: body.to_vec(),
        properties: properties
            .clone()
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers),
    }
}

/// What somebody wrote beside a message that is to be given up.
pub fn note(properties: &BasicProperties) -> Option<String> {
    let headers = properties.headers().as_ref()?;
    match headers.inner().get("x-note")? {
        AMQPValue::LongString(text) => {
            let text = String::from_utf8_lossy(text.as_bytes()).trim().to_owned();
            (!text.is_empty()).then_some(text)
        }
        AMQPValue::ShortString(text) => Some(text.as_str().trim().to_owned()),
        _ => None,
    }
}

/// Why RabbitMQ dead-lettered a message, if it did so for a reason of its own: `delivery_limit`,
/// `rejected`. A tier's end (`expired`) is no such reason.
pub fn given_up(properties: &BasicProperties) -> Option<String> {
    let headers = properties.headers().as_ref()?;
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
        return None;
    };
    deaths.as_slice().iter().find_map(|death| {
        let AMQPValue::FieldTable(death) = death else {
            return None;
        };
        match death.inner().get("reason")? {
            AMQPValue::LongString(reason) => {
                let reason = String::from_utf8_lossy(reason.as_bytes()).into_owned();
                (reason != "expired").then_some(reason)
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_row_and_tells_people_of_it() {
        let at: Timestamp = "2026-08-06T01:00:00Z".parse().unwrap();
        let row = Waiting {
            id: 7,
            kind: "retry_cancel".into(),
            turn: 3,
            generation: 1,
            attempt: 2,
            run_at: at,
            created_at: at,
            last_error: Some("PortOne answered 500 ".repeat(100)),
        };
        let message = of_waiting(&row, at);
        let hint = read(&message.body).unwrap();
        assert_eq!((hint.id, hint.generation, hint.turn), (7, 1, 3));
        let properties = &message.properties;
        assert_eq!(properties.delivery_mode(), &Some(2));
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "7");
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), "retry_cancel");
        let headers = properties.headers().as_ref().unwrap().inner();
        assert!(
            matches!(headers.get("x-error"), Some(AMQPValue::LongString(e)) if e.as_bytes().len() == LONGEST_TEXT)
        );
    }

    #[test]
    fn what_is_none_of_ours_is_kept_as_it_came() {
        for body in [&b"hello"[..], b"{}", b"{\"id\":\"x\"}", b""] {
            assert_eq!(read(body), None);
        }
        let kept = of_foreign(b"hello", &BasicProperties::default());
        assert_eq!(kept.body, b"hello");
        assert_eq!(given_up(&kept.properties), None);
    }
}
