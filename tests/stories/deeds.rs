//! Somebody who does things by pages and by the API, and what the audit log says of each.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, Response};
use rusqlite::Connection;
use serde_json::Value;
use totp_rs::{Builder, Secret};

use crate::{
    people::{PASSWORD, Visitor},
    support::TestApp,
};

/// Somebody who does things, and what the log says of each.
pub struct Deeds<'a> {
    pub app: &'a TestApp,
    pub who: Visitor,
    /// What the log said of each route.
    pub told: BTreeMap<String, Vec<String>>,
}

impl Deeds<'_> {
    pub fn head(&self) -> i64 {
        self.app.sql("select coalesce(max(id), 0) from audit")
    }

    pub fn since(&self, head: i64) -> Vec<String> {
        let conn = Connection::open(self.app.database()).unwrap();
        let mut query = conn
            .prepare("select act from audit where id > ?1 and actor = '@minji' and origin <> '' order by id")
            .unwrap();
        query
            .query_map([head], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    pub async fn sent(&mut self, route: &str, head: i64, answer: Response) -> String {
        let status = answer.status().as_u16();
        let to = answer
            .headers()
            .get("location")
            .map(|to| to.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        assert!(
            matches!(status, 200 | 201 | 202 | 204 | 303),
            "{route}: {status} {text}"
        );
        let away = to
            .as_deref()
            .unwrap_or_default()
            .starts_with("/sign-in/again");
        assert!(!away, "{route}: asked who it is");
        let acts = self.since(head);
        self.told.entry(route.to_owned()).or_default().extend(acts);
        to.unwrap_or(text)
    }

    pub async fn json(&mut self, route: &str, path: &str, body: Value) -> Value {
        let head = self.head();
        let method: Method = route.split(' ').next().unwrap().parse().unwrap();
        let request = self.who.with(self.who.request(method, path));
        let request = request.header("x-form-token", self.who.token()).json(&body);
        let answer = request.send().await.unwrap();
        let text = self.sent(route, head, answer).await;
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    pub async fn bytes(&mut self, route: &str, path: &str, kind: &str, body: Vec<u8>) -> String {
        let head = self.head();
        let request = self.who.with(self.who.request(Method::POST, path));
        let request = request
            .header("x-form-token", self.who.token())
            .header("content-type", kind)
            .body(body);
        let answer = request.send().await.unwrap();
        self.sent(route, head, answer).await
    }

    pub async fn parts(&mut self, route: &str, path: &str, parts: &[(&str, &str)]) -> String {
        let mut body = String::new();
        for (name, content) in parts {
            let file = if *name == "file" {
                "; filename=\"f.csv\""
            } else {
                ""
            };
            body += &format!(
                "--cut\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
            );
        }
        body += "--cut--\r\n";
        let kind = "multipart/form-data; boundary=cut";
        self.bytes(route, path, kind, body.into_bytes()).await
    }

    pub async fn form(&mut self, route: &str, path: &str, fields: &[(&str, &str)]) -> String {
        let head = self.head();
        let answer = self.who.post(path, fields).await;
        self.who.keep(&answer);
        self.sent(route, head, answer).await
    }

    /// Files count as well: who took them away.
    pub async fn file(&mut self, route: &str, path: &str) {
        let head = self.head();
        let answer = self.who.get(path).await;
        self.sent(route, head, answer).await;
    }

    pub async fn days_later(&mut self, days: u64) {
        self.app.clock.advance(Duration::from_secs(days * 86_400));
        let answer = self.who.sign_in("minji", PASSWORD, "/").await;
        assert_eq!(answer.status(), 303);
    }

    pub fn id(&self, sql: &str) -> i64 {
        self.app.sql(sql)
    }
}

/// The value of a hidden field.
pub fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let start = page
        .find(&mark)
        .unwrap_or_else(|| panic!("{name} in {page}"))
        + mark.len();
    page[start..]
        .split('"')
        .next()
        .unwrap()
        .replace("&quot;", "\"")
}

/// What an authenticator shows now.
pub fn code(app: &TestApp, secret: &str) -> String {
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .with_account_name("minji")
        .with_issuer(Some("jeongsan"))
        .build()
        .unwrap();
    let at = app.clock.now().as_second();
    totp.generate(u64::try_from(at).unwrap()).to_string()
}
