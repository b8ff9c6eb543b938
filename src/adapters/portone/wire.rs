//! PortOne V1's JSON, as loosely as it may come.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::{
    ids::{ImpUid, MerchantUid},
    money::Won,
    seen::{About, Seen, SeenCancel, SeenStatus},
};

#[derive(Deserialize)]
pub struct Envelope<T> {
    pub code: i64,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default = "none")]
    pub response: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

#[derive(Deserialize)]
pub struct Token {
    pub access_token: String,
    pub now: Option<f64>,
    pub expired_at: Option<f64>,
}

#[derive(Deserialize)]
pub struct Prepared {
    pub amount: Option<f64>,
}

#[derive(Deserialize)]
pub struct List {
    #[serde(default)]
    pub next: i64,
    #[serde(default)]
    pub list: Vec<Value>,
}

/// The payment object. Everything but the required fields may be missing or null.
#[derive(Deserialize)]
pub struct Payment {
    imp_uid: String,
    merchant_uid: String,
    status: String,
    amount: f64,
    #[serde(default)]
    cancel_amount: Option<f64>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    sandbox: Option<bool>,
    #[serde(default)]
    cancel_history: Option<Vec<Cancel>>,
    #[serde(default)]
    started_at: Option<f64>,
    #[serde(default)]
    paid_at: Option<f64>,
    #[serde(default)]
    failed_at: Option<f64>,
    #[serde(default)]
    cancelled_at: Option<f64>,
    #[serde(default)]
    cancel_reason: Option<String>,
    #[serde(default)]
    fail_reason: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    pay_method: Option<String>,
    #[serde(default)]
    pg_provider: Option<String>,
    #[serde(default)]
    pg_tid: Option<String>,
    #[serde(default)]
    card_name: Option<String>,
    #[serde(default)]
    apply_num: Option<String>,
    #[serde(default)]
    receipt_url: Option<String>,
    #[serde(default)]
    buyer_name: Option<String>,
    #[serde(default)]
    buyer_email: Option<String>,
    #[serde(default)]
    buyer_tel: Option<String>,
    #[serde(default)]
    vbank_name: Option<String>,
    #[serde(default)]
    vbank_num: Option<String>,
    #[serde(default)]
    vbank_holder: Option<String>,
}

#[derive(Deserialize)]
struct Cancel {
    #[serde(default)]
    amount: Option<f64>,
    #[serde(default)]
    cancelled_at: Option<f64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    cancellation_id: Option<String>,
    #[serde(default)]
    pg_tid: Option<String>,
    #[serde(default)]
    receipt_url: Option<String>,
}

/// A number that is a whole one, and small enough to be exact as the JSON had it.
pub fn whole(number: f64) -> Option<i64> {
    let exact = number.is_finite() && number.fract() == 0.0 && number.abs() < 9e15;
    exact.then_some(number as i64)
}

/// PortOne writes 0 where a time does not apply; fractions of a second are kept.
fn time(seconds: Option<f64>) -> Option<Timestamp> {
    let seconds = seconds.filter(|s| s.is_finite() && *s > 0.0 && *s < 2e11)?;
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

/// Text of the outside world: without control characters, and no longer than a page can show.
fn text(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    if text.len() <= 200 && !text.bytes().any(|b| b.is_ascii_control()) {
        return text;
    }
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Payment {
    /// What we take from it, or why it cannot be read.
    pub fn into_seen(self) -> Result<Seen, String> {
        let status = match self.status.as_str() {
            "ready" => SeenStatus::Ready,
            "paid" => SeenStatus::Paid,
            "cancelled" => SeenStatus::Cancelled,
            "failed" => SeenStatus::Failed,
            other => {
                return Err(format!(
                    "status `{}` is unknown",
                    text(Some(other.to_owned()))
                ));
            }
        };
        let imp_uid = ImpUid::new(self.imp_uid).map_err(|why| why.to_string())?;
        let merchant_uid = MerchantUid::new(self.merchant_uid).map_err(|why| why.to_string())?;
        let currency = self.currency.unwrap_or_else(|| "KRW".into());
        // Foreign amounts are fractions; nothing is done with them but to say so.
        let amount = match whole(self.amount) {
            Some(amount) => amount,
            None if currency != "KRW" => 0,
            None => return Err(format!("amount {} is no whole number of won", self.amount)),
        };
        let mut cancels: Vec<SeenCancel> = Vec::new();
        for (place, entry) in self
            .cancel_history
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let amount = entry
                .amount
                .and_then(whole)
                .or((currency != "KRW").then_some(0))
                .filter(|amount| *amount >= 0)
                .ok_or("an entry of the cancel history has no whole amount")?;
            // An account that closed unpaid: nothing went back.
            if amount == 0 {
                continue;
            }
            let mut key = entry
                .cancellation_id
                .filter(|id| !id.is_empty())
                .or(entry
                    .pg_tid
                    .filter(|id| !id.is_empty())
                    .map(|tid| format!("{tid}#{place}")))
                .unwrap_or_else(|| format!("#{place}"));
            if cancels.iter().any(|other| other.key == key) {
                key = format!("{key}#{place}");
            }
            cancels.push(SeenCancel {
                key,
                amount: Won::new(amount),
                at: time(entry.cancelled_at),
                reason: text(entry.reason),
                receipt_url: text(entry.receipt_url),
            });
        }
        let listed = Won::sum(cancels.iter().map(|entry| entry.amount))
            .map_err(|why| why.to_string())?
            .get();
        let total = self.cancel_amount.and_then(whole).unwrap_or(listed);
        if currency == "KRW" && total > listed {
            // Money went back that the history does not list: it is booked as one more entry.
            cancels.push(SeenCancel {
                key: format!("unlisted-{total}"),
                amount: Won::new(total - listed),
                at: time(self.cancelled_at),
                reason: text(self.cancel_reason),
                receipt_url: String::new(),
            });
        } else if currency == "KRW" && total < listed {
            return Err(format!(
                "cancel_amount {total} is less than its history's {listed}"
            ));
        }
        let account = match (self.vbank_name, self.vbank_num) {
            (bank, Some(number)) if !number.is_empty() => {
                let bank = bank.unwrap_or_default();
                match self.vbank_holder.filter(|holder| !holder.is_empty()) {
                    Some(holder) => format!("{bank} {number} ({holder})"),
                    None => format!("{bank} {number}"),
                }
            }
            _ => String::new(),
        };
        Ok(Seen {
            imp_uid,
            merchant_uid,
            status,
            amount: Won::new(amount),
            currency,
            test: self.sandbox.unwrap_or(false),
            cancels,
            started_at: time(self.started_at),
            paid_at: time(self.paid_at),
            failed_at: time(self.failed_at),
            fail_reason: self.fail_reason.map(|reason| text(Some(reason))),
            about: About {
                name: text(self.name),
                method: text(self.pay_method),
                pg_provider: text(self.pg_provider),
                pg_tid: text(self.pg_tid),
                card_name: text(self.card_name),
                apply_num: text(self.apply_num),
                receipt_url: text(self.receipt_url),
                buyer_name: text(self.buyer_name),
                buyer_email: text(self.buyer_email),
                buyer_tel: text(self.buyer_tel),
                virtual_account: text(Some(account)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Seen, String> {
        serde_json::from_str::<Payment>(json)
            .map_err(|e| e.to_string())?
            .into_seen()
    }

    #[test]
    fn the_least_that_portone_sends_is_enough() {
        let seen = read(
            r#"{"imp_uid":"imp_1","merchant_uid":"o-1","status":"paid","amount":10000,
                "cancel_amount":0,"currency":"KRW","sandbox":false}"#,
        )
        .unwrap();
        assert_eq!(
            (seen.amount.get(), seen.cancels.len(), seen.test),
            (10_000, 0, false)
        );
    }

    #[test]
    fn fractions_of_a_second_nulls_and_new_fields_do_no_harm() {
        let seen = read(
            r#"{"imp_uid":"imp_1","merchant_uid":"o-1","status":"cancelled","amount":10000.0,
                "cancel_amount":3000,"currency":"KRW","sandbox":true,"paid_at":1754449060.25,
                "failed_at":0,"buyer_name":null,"card_type":7,"brand_new":{"a":[1]},
                "cancel_history":[{"pg_tid":"T1","amount":3000,"cancelled_at":1754452000,"reason":"반품"}]}"#,
        )
        .unwrap();
        assert_eq!(seen.paid_at.unwrap().as_millisecond(), 1_754_449_060_250);
        assert_eq!(seen.failed_at, None);
        assert_eq!(seen.cancels[0].key, "T1#0");
    }

    #[test]
    fn money_that_the_history_does_not_list_is_not_lost() {
        let seen = read(
            r#"{"imp_uid":"imp_1","merchant_uid":"o-1","status":"cancelled","amount":10000,"cancel_amount":4000,
                "cancel_history":[{"amount":3000,"cancellation_id":"c1"}]}"#,
        )
        .unwrap();
        let amounts: Vec<i64> = seen.cancels.iter().map(|c| c.amount.get()).collect();
        assert_eq!(amounts, [3_000, 1_000]);
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        for (json, why) in [
            (
                r#"{"imp_uid":"i","merchant_uid":"o","status":"paid","amount":10.5}"#,
                "whole",
            ),
            (
                r#"{"imp_uid":"i","merchant_uid":"o","status":"teapot","amount":1}"#,
                "teapot",
            ),
            (
                r#"{"imp_uid":"","merchant_uid":"o","status":"paid","amount":1}"#,
                "imp_uid",
            ),
            (
                r#"{"imp_uid":"i","merchant_uid":"o","status":"paid","amount":"1"}"#,
                "invalid type",
            ),
            (
                r#"{"imp_uid":"i","merchant_uid":"o","status":"paid"}"#,
                "amount",
            ),
            (
                r#"{"imp_uid":"i","merchant_uid":"o","status":"paid","amount":9,"cancel_amount":1,
                    "cancel_history":[{"amount":2,"cancellation_id":"c"}]}"#,
                "history",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
        let dollars = read(
            r#"{"imp_uid":"i","merchant_uid":"o","status":"paid","amount":10.5,"currency":"USD"}"#,
        );
        assert_eq!(dollars.unwrap().currency, "USD");
    }
}
