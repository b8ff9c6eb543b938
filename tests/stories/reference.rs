//! The OpenAPI document: that it is one, that it leaves nothing out, and that answers are as it says.

use std::collections::{BTreeMap, BTreeSet};

use jeongsan::{
    domain::account::Role,
    flow::pay_out::Word,
    sandbox::{Fault, Kind, Target},
    web::{
        access::{self, Need},
        api::openapi,
        lang::Lang,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    people::Visitor,
    shop::Shop,
    support::{TOKEN, TestApp},
};

fn document(lang: Lang) -> Value {
    serde_json::from_str(openapi::text(lang)).unwrap()
}

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// Method, path and what the document says of it.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    all
}

#[test]
fn the_document_and_the_table_of_access_name_the_same_routes_and_scopes() {
    let document = document(Lang::En);
    let table: BTreeMap<(String, String), Need> = access::TABLE
        .iter()
        .filter(|row| row.path.starts_with("/api/"))
        .map(|row| ((row.method.to_owned(), row.path.to_owned()), row.need))
        .collect();
    let told: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    assert_eq!(told, table.keys().cloned().collect());
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        let security = operation["security"].as_array().unwrap();
        let write = method != "GET" || path == "/api/payment/cancel/{imp_uid}";
        let has_key = operation["parameters"].as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one["name"] == "Idempotency-Key" && one["in"] == "header")
        });
        match table[&(method, path)] {
            Need::Has(right) => {
                assert_eq!(security, &[json!({ "bearer": [right.as_str()] })], "{at}");
                assert_eq!(has_key, write, "{at}");
                for status in ["401", "403", "429", "500", "503"] {
                    assert!(
                        !operation["responses"][status].is_null(),
                        "{at}: no {status}"
                    );
                }
            }
            need => {
                assert_eq!(need, Need::Open, "{at}");
                assert_eq!(security, &[json!({})], "{at}");
                assert!(!has_key, "{at}");
            }
        }
    }
}

/// What the 3.1 specification demands of the parts that we use.
#[test]
fn the_document_is_valid_openapi() {
    for lang in [Lang::Ko, Lang::En] {
        let document = document(lang);
        assert_eq!(document["openapi"], "3.1.0");
        for field in ["title", "version"] {
            assert!(document["info"][field].is_string(), "info.{field}");
        }
        let tags: BTreeSet<&str> = document["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["name"].as_str().unwrap())
            .collect();
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations(&document) {
            let at = format!("{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{at}: its id is not its own"
            );
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
            for tag in operation["tags"].as_array().unwrap() {
                assert!(tags.contains(tag.as_str().unwrap()), "{at}: {tag}");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.keys().any(|status| status.starts_with('2')),
                "{at}: no success"
            );
            assert!(responses.contains_key("500"), "{at}");
            for (status, response) in responses {
                assert!(
                    status.len() == 3 && response["description"].is_string(),
                    "{at}: {status}"
                );
                if !status.starts_with('2') {
                    let of = &response["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(of, "#/components/schemas/Problem", "{at}: {status}");
                }
            }
            let named: BTreeSet<&str> = path
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
                .collect();
            let mut declared = BTreeSet::new();
            let mut seen = BTreeSet::new();
            for one in operation["parameters"].as_array().into_iter().flatten() {
                let (name, place) = (one["name"].as_str().unwrap(), one["in"].as_str().unwrap());
                assert!(seen.insert((name, place)), "{at}: {name} twice");
                assert!(one["schema"].is_object(), "{at}: {name}");
                if place == "path" {
                    assert_eq!(one["required"], true, "{at}: {name}");
                    declared.insert(name);
                }
            }
            assert_eq!(declared, named, "{at}");
            if matches!(method.as_str(), "GET" | "DELETE") {
                assert!(operation["requestBody"].is_null(), "{at}");
            }
        }
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        for at in &used {
            assert!(
                document.pointer(at.trim_start_matches('#')).is_some(),
                "{at} leads nowhere"
            );
        }
        assert!(used.len() > 40, "{}", used.len());
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            well_formed(schema, name);
        }
        assert_eq!(
            document["components"]["securitySchemes"]["bearer"]["scheme"],
            "bearer"
        );
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(at)) = fields.get("$ref") {
                found.insert(at.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Keywords of JSON Schema 2020-12, and types that there are.
fn well_formed(schema: &Value, at: &str) {
    let Value::Object(fields) = schema else {
        assert!(schema.is_boolean(), "{at}: {schema}");
        return;
    };
    const WORDS: [&str; 22] = [
        "$ref",
        "type",
        "format",
        "properties",
        "required",
        "items",
        "enum",
        "oneOf",
        "allOf",
        "anyOf",
        "description",
        "example",
        "examples",
        "default",
        "minimum",
        "maximum",
        "additionalProperties",
        "title",
        "propertyNames",
        "uniqueItems",
        "const",
        "discriminator",
    ];
    const TYPES: [&str; 7] = [
        "null", "boolean", "object", "array", "number", "string", "integer",
    ];
    for (word, value) in fields {
        assert!(WORDS.contains(&word.as_str()), "{at}: `{word}`");
        match word.as_str() {
            "type" => {
                let types: Vec<&Value> = match value {
                    Value::Array(types) => types.iter().collect(),
                    one => vec![one],
                };
                assert!(
                    types
                        .iter()
                        .all(|one| TYPES.contains(&one.as_str().unwrap())),
                    "{at}: {value}"
                );
            }
            "properties" => {
                for (name, of) in value.as_object().unwrap() {
                    well_formed(of, &format!("{at}.{name}"));
                }
            }
            "items" => well_formed(value, &format!("{at}[]")),
            "oneOf" | "allOf" | "anyOf" => {
                for of in value.as_array().unwrap() {
                    well_formed(of, at);
                }
            }
            _ => {}
        }
    }
}

/// Kinds of problems that it names are those that the manual explains.
#[test]
fn the_problems_that_it_names_are_explained() {
    let manual =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let document = document(Lang::En);
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') {
                continue;
            }
            for kind in response["description"].as_str().unwrap().split(", ") {
                let explained = manual.lines().any(|line| {
                    let row = line.strip_prefix(&format!("| `{kind}` | "));
                    let statuses = row.and_then(|row| row.split(" |").next());
                    statuses.is_some_and(|all| all.split(' ').any(|one| one == status))
                });
                assert!(explained, "{method} {path}: {kind} is not a {status}");
            }
        }
    }
}

// --- Answers against their schemas

/// Under this name the validator keeps what other fields may be.
const MORE: &str = "*";

struct Checked<'a> {
    document: &'a Value,
    wrong: Vec<String>,
}

impl Checked<'_> {
    fn resolved<'b>(&'b self, schema: &'b Value) -> &'b Value {
        match schema["$ref"].as_str() {
            Some(at) => self.resolved(self.document.pointer(at.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    /// Properties and required ones, `allOf` put together.
    fn shape(
        &self,
        schema: &Value,
        properties: &mut Map<String, Value>,
        required: &mut Vec<String>,
    ) {
        let schema = self.resolved(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.shape(part, properties, required);
        }
        if let Some(own) = schema["properties"].as_object() {
            properties.extend(own.clone());
        }
        if !schema["additionalProperties"].is_null() {
            properties.insert(MORE.to_owned(), schema["additionalProperties"].clone());
        }
        let own = schema["required"].as_array().into_iter().flatten();
        required.extend(own.filter_map(|name| name.as_str().map(str::to_owned)));
    }

    fn fits(&self, value: &Value, schema: &Value, at: &str) -> Vec<String> {
        let mut inner = Checked {
            document: self.document,
            wrong: Vec::new(),
        };
        inner.check(value, schema, at);
        inner.wrong
    }

    fn check(&mut self, value: &Value, schema: &Value, at: &str) {
        let schema = &self.resolved(schema).clone();
        for several in ["oneOf", "anyOf"] {
            if let Some(all) = schema[several].as_array() {
                let tries: Vec<Vec<String>> =
                    all.iter().map(|one| self.fits(value, one, at)).collect();
                if !tries.iter().any(Vec::is_empty) {
                    self.wrong
                        .push(format!("{at}: fits none of {several}: {tries:?}"));
                }
                return;
            }
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => vec![one],
            _ => vec![],
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_composed = schema["allOf"].is_array();
        if !types.is_empty() && !types.contains(&is) {
            self.wrong.push(format!("{at}: {is}, not {types:?}"));
            return;
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            self.wrong
                .push(format!("{at}: {value} is none of {values:?}"));
        }
        match value {
            Value::Array(items) if schema["items"].is_object() => {
                for (n, item) in items.iter().enumerate() {
                    self.check(item, &schema["items"], &format!("{at}[{n}]"));
                }
            }
            Value::Object(fields) => {
                let (mut properties, mut required) = (Map::new(), Vec::new());
                self.shape(schema, &mut properties, &mut required);
                if properties.is_empty() && !is_composed {
                    return;
                }
                for name in required.iter().filter(|name| !fields.contains_key(*name)) {
                    self.wrong.push(format!("{at}: no `{name}`"));
                }
                for (name, inner) in fields {
                    match properties.get(name).or_else(|| properties.get(MORE)) {
                        Some(of) => self.check(inner, of, &format!("{at}.{name}")),
                        None => self
                            .wrong
                            .push(format!("{at}: `{name}` is not in the document")),
                    }
                }
            }
            _ => {}
        }
    }
}

/// The endpoints of the document that were called.
#[derive(Default)]
struct Called {
    all: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Called {
    /// Calls an endpoint and holds its answer against the document.
    async fn call(&mut self, app: &TestApp, document: &Value, template: &str, path: &str) {
        let request = app.http.get(app.url(path)).bearer_auth(TOKEN);
        self.sent(document, "GET", template, request.send().await.unwrap())
            .await;
    }

    async fn sent(
        &mut self,
        document: &Value,
        method: &str,
        template: &str,
        answer: reqwest::Response,
    ) {
        let at = format!("{method} {template}");
        let operation = &document["paths"][template][method.to_lowercase()];
        let status = answer.status().as_u16().to_string();
        let kind = answer
            .headers()
            .get("content-type")
            .map(|kind| kind.to_str().unwrap().to_owned());
        let kind = kind
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let content = &operation["responses"][&status]["content"];
        if operation["responses"][&status].is_null() {
            let body = answer.text().await.unwrap();
            self.wrong
                .push(format!("{at}: {status} is not in the document: {body}"));
            return;
        }
        if kind == "text/event-stream" {
            assert!(content[&kind].is_object(), "{at}");
        } else if kind == "application/json" || kind == "application/problem+json" {
            let schema = &content[&kind]["schema"];
            assert!(
                schema.is_object(),
                "{at}: {status} {kind} is not in the document"
            );
            let body: Value = answer.json().await.unwrap();
            let mut checked = Checked {
                document,
                wrong: Vec::new(),
            };
            checked.check(&body, schema, "");
            self.wrong.extend(
                checked
                    .wrong
                    .into_iter()
                    .map(|wrong| format!("{at} {status}: {wrong}")),
            );
        } else if status != "204" {
            let known = content.as_object().unwrap();
            let file = known.contains_key("application/octet-stream");
            assert!(known.contains_key(&kind) || file, "{at}: {kind}");
        }
        self.all.insert(at);
    }
}

#[tokio::test]
async fn every_answer_of_a_get_is_what_the_document_says() {
    let shop = Shop::open().await;
    let document = document(Lang::Ko);
    let app = &shop.app;
    shop.plain_partner("farm").await;
    shop.plain_partner("pear").await;
    let imp_uid = shop
        .buy("ord-1", &[("farm", 12_000, 1_000), ("pear", 9_000, 0)])
        .await;
    shop.give_back(&imp_uid, 3_000).await;
    let dead = shop.buy("ord-2", &[("farm", 5_000, 0)]).await;
    app.portone
        .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
    app.cancel(&dead, None).await;
    let held = app.charge("ord-1", 100);
    app.webhook(&held, "ord-1", "paid").await;
    app.drain().await;
    let post = |path: String, body: Value| async move { shop_post(app, &path, &body).await };
    let mut called = Called::default();
    for (method, template, path, body) in [
        (
            "POST",
            "/api/adjustments",
            "/api/adjustments",
            json!({ "partner": "farm", "amount": -500, "reason": "배송비" }),
        ),
        (
            "POST",
            "/api/partners",
            "/api/partners",
            json!({ "id": "plum", "name": "자두", "type": "INDIVIDUAL", "account": { "bank": "004", "number": "00400012345", "holder": "자두" } }),
        ),
        (
            "POST",
            "/api/partners/{id}/archive",
            "/api/partners/plum/archive",
            json!(null),
        ),
        (
            "POST",
            "/api/partners/{id}/recover",
            "/api/partners/plum/recover",
            json!(null),
        ),
        (
            "POST",
            "/api/orders",
            "/api/orders",
            json!({ "merchant_uid": "ord-9", "lines": [{ "partner": "farm", "name": "배", "quantity": 1, "unit_price": 100 }] }),
        ),
        (
            "POST",
            "/api/payment/{imp_uid}/cancel",
            &format!("/api/payment/{imp_uid}/cancel"),
            json!({ "amount": 1_000, "reason": "반품" }),
        ),
    ] {
        called
            .sent(
                &document,
                method,
                template,
                post(path.to_owned(), body).await,
            )
            .await;
    }
    let today = shop.today();
    shop.days(1);
    let settled = post(format!("/api/settlements/days/{today}"), json!(null)).await;
    called
        .sent(&document, "POST", "/api/settlements/days/{day}", settled)
        .await;
    let settlement = shop.get("farm", today).id;
    for act in ["hold", "release"] {
        let answer = post(
            format!("/api/settlements/{settlement}/{act}"),
            json!({ "reason": "확인" }),
        )
        .await;
        called
            .sent(
                &document,
                "POST",
                &format!("/api/settlements/{{id}}/{act}"),
                answer,
            )
            .await;
    }
    shop.days(2);
    called
        .call(app, &document, "/api/payouts/due", "/api/payouts/due")
        .await;
    let made = post(
        "/api/payouts".into(),
        json!({ "until": shop.today(), "note": "정기" }),
    )
    .await;
    called.sent(&document, "POST", "/api/payouts", made).await;
    let batch: i64 = app.sql("select max(id) from payout_batch");
    let payout: i64 = app.sql("select min(id) from payout");
    let file = async |query: &str| {
        let answer = app.get(&format!("/api/payouts/{batch}/file{query}")).await;
        assert_eq!(answer.status(), 200, "{query}");
        answer.text().await.unwrap()
    };
    assert_eq!(file("?template=").await, file("").await);
    let decided = post(
        format!("/api/payouts/{batch}/payouts/{payout}"),
        json!({ "failed": "예금주 불일치" }),
    )
    .await;
    called
        .sent(
            &document,
            "POST",
            "/api/payouts/{id}/payouts/{payout}",
            decided,
        )
        .await;
    shop.bank(batch, Word::Paid).await;
    let day_off = shop.today().plus_days(30);
    let put = app
        .http
        .put(app.url(&format!("/api/calendar/{day_off}")))
        .bearer_auth(TOKEN);
    let put = put.json(&json!({ "name": "창립일" })).send().await.unwrap();
    called
        .sent(&document, "PUT", "/api/calendar/{day}", put)
        .await;

    let owner = Visitor::signed_in(&shop.ctx().store, &app.url(""), "boss", Role::Owner).await;
    let rule = [("rule", "approvals.adjustment_over"), ("value", "100000")];
    assert_eq!(owner.post("/admin/settings", &rule).await.status(), 303);
    for (template, body) in [
        (
            "/api/adjustments",
            json!({ "partner": "farm", "amount": 500_000, "reason": "보전" }),
        ),
        (
            "/api/buyers/links",
            json!({ "merchant_uids": ["ord-1"], "expires": "7d" }),
        ),
    ] {
        let answer = post(template.to_owned(), body).await;
        called.sent(&document, "POST", template, answer).await;
    }
    let approval: i64 = app.sql("select max(id) from approval");

    let year = &today.to_string()[..4];
    for (template, path) in [
        ("/api/payment/list", "/api/payment/list?limit=50".to_owned()),
        ("/api/payment/events", "/api/payment/events".to_owned()),
        ("/api/payment/{imp_uid}", format!("/api/payment/{imp_uid}")),
        ("/api/payment/{imp_uid}", format!("/api/payment/{dead}")),
        ("/api/payment/{imp_uid}", format!("/api/payment/{held}")),
        ("/api/payment/{imp_uid}", "/api/payment/imp_none".to_owned()),
        (
            "/api/payment/{imp_uid}/status",
            format!("/api/payment/{held}/status"),
        ),
        (
            "/api/payment/{imp_uid}/events",
            format!("/api/payment/{imp_uid}/events"),
        ),
        (
            "/api/payment/cancel/{imp_uid}",
            format!("/api/payment/cancel/{imp_uid}"),
        ),
        (
            "/api/payment/cancel/{imp_uid}",
            format!("/api/payment/cancel/{imp_uid}"),
        ),
        ("/api/orders/{merchant_uid}", "/api/orders/ord-1".to_owned()),
        ("/api/partners", "/api/partners".to_owned()),
        ("/api/partners/{id}", "/api/partners/plum".to_owned()),
        (
            "/api/partners/{id}/account",
            "/api/partners/farm/account".to_owned(),
        ),
        (
            "/api/partners/{id}/contracts",
            "/api/partners/farm/contracts".to_owned(),
        ),
        ("/api/settlements", "/api/settlements".to_owned()),
        ("/api/settlements", "/api/settlements?limit=0".to_owned()),
        (
            "/api/settlements/{id}",
            format!("/api/settlements/{settlement}"),
        ),
        (
            "/api/settlements/{id}/lines",
            format!("/api/settlements/{settlement}/lines"),
        ),
        (
            "/api/settlements/days/{day}",
            format!("/api/settlements/days/{today}"),
        ),
        (
            "/api/statements/{partner}",
            format!("/api/statements/farm?from={today}&to={today}"),
        ),
        ("/api/adjustments", "/api/adjustments".to_owned()),
        ("/api/payouts/due", "/api/payouts/due".to_owned()),
        ("/api/payouts", "/api/payouts".to_owned()),
        ("/api/payouts/{id}", format!("/api/payouts/{batch}")),
        (
            "/api/payouts/{id}/file",
            format!("/api/payouts/{batch}/file"),
        ),
        ("/api/approvals", "/api/approvals".to_owned()),
        ("/api/approvals/{id}", format!("/api/approvals/{approval}")),
        ("/api/calendar", format!("/api/calendar?year={year}")),
        ("/api/bank-templates", "/api/bank-templates".to_owned()),
        (
            "/api/bank-templates/{name}",
            "/api/bank-templates/공통".to_owned(),
        ),
        ("/api/openapi.json", "/api/openapi.json".to_owned()),
        ("/api/reference", "/api/reference".to_owned()),
    ] {
        called.call(app, &document, template, &path).await;
    }
    let all: BTreeSet<String> = operations(&document)
        .into_iter()
        .filter(|(method, _, _)| method == "GET")
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let left: Vec<&String> = all.difference(&called.all).collect();
    assert_eq!(called.wrong, Vec::<String>::new());
    assert!(left.is_empty(), "no story calls {left:?}");
    shop.close().await;
}

async fn shop_post(app: &TestApp, path: &str, body: &Value) -> reqwest::Response {
    app.post(path, body).await
}

#[tokio::test]
async fn the_reference_is_pages_that_need_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let of_all_pages: usize = ["app.css", "app.js", "icon.svg"]
        .iter()
        .map(|name| concat!(env!("CARGO_MANIFEST_DIR"), "/assets/").to_owned() + name)
        .map(|path| std::fs::read(path).unwrap().len())
        .sum();
    for (lang, words) in [("ko", "API 안내서"), ("en", "API reference")] {
        let page = async |path: &str| {
            let request = app.http.get(app.url(path)).header("accept-language", lang);
            let text = request.send().await.unwrap().text().await.unwrap();
            assert!(text.contains(words), "{path} {lang}");
            let all = text.len() + of_all_pages;
            assert!(all <= 100_000, "{path} {lang}: {all} bytes in all");
            assert!(
                !text.contains(" style=") && !text.contains("http://"),
                "{path} {lang}"
            );
            text
        };
        let endpoints = page("/api/reference").await;
        let shapes = page("/api/reference?shapes=1").await;
        for (method, path, operation) in operations(&document(Lang::En)) {
            let at = format!("<code>{method} {path}</code>");
            assert!(endpoints.contains(&at), "{at}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(endpoints.contains(&format!("id=\"{id}\"")), "{id}");
        }
        // What is linked is there.
        let linked = |text: &str, before: &str| -> BTreeSet<String> {
            let found = text.split(before).skip(1);
            found
                .filter_map(|rest| Some(rest.split('"').next()?.to_owned()))
                .collect()
        };
        let mut all = linked(&endpoints, "href=\"/api/reference?shapes=1#");
        assert!(all.len() > 30, "{all:?}");
        all.extend(
            linked(&shapes, "href=\"#")
                .into_iter()
                .filter(|at| at.starts_with("s-")),
        );
        for target in all {
            assert!(
                shapes.contains(&format!("id=\"{target}\"")),
                "#{target} leads nowhere"
            );
        }
    }
    let (ko, en) = (document(Lang::Ko), document(Lang::En));
    for (method, path, operation) in operations(&ko) {
        let summary = |of: &Value| of["summary"].as_str().unwrap().to_owned();
        let other = summary(&en["paths"][&path][method.to_lowercase()]);
        let korean = |c: char| ('가'..='힣').contains(&c);
        assert!(summary(operation).chars().any(korean), "{path}");
        assert!(other.is_ascii(), "{path}: {other}");
    }
}

/// A query that cannot be read is told as everything else is, and what is wrong in it is not taken for its absence.
#[tokio::test]
async fn a_parameter_that_is_wrong_is_refused_and_an_empty_one_is_none() {
    let shop = Shop::open().await;
    let document = document(Lang::Ko);
    let (mut lists, mut refused, mut longest) = (0, 0, 0);
    for (method, template, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let asked: Vec<&Value> = parameters.filter(|of| of["in"] == "query").collect();
        if asked.is_empty() {
            continue;
        }
        let path = template
            .replace("{day}", "2026-08-06")
            .replace("{partner}", "farm")
            .replace("{id}", "1");
        let ask = async |query: String| {
            let method: reqwest::Method = method.parse().unwrap();
            let url = shop.app.url(&format!("{path}?{query}"));
            let request = shop.app.http.request(method, url).bearer_auth(TOKEN);
            request.send().await.unwrap()
        };
        let is_list = method == "GET" && !template.contains('{');
        for of in asked {
            let name = of["name"].as_str().unwrap();
            let schema = &of["schema"];
            let mut wrong = vec![format!("{name}=1&{name}=1")];
            match (schema["type"].as_str(), schema["format"].as_str()) {
                (Some("boolean"), _) => wrong.extend(["AAA", "0.5"].map(|v| format!("{name}={v}"))),
                (Some("integer"), _) => wrong.push(format!("{name}=many")),
                (_, Some("date")) => wrong.push(format!("{name}=2026-02-30")),
                _ => {}
            }
            for query in wrong {
                let what = format!("{method} {path}?{query}");
                let answer = ask(query).await;
                let status = answer.status().as_u16();
                if is_list {
                    assert_eq!(status, 400, "{what}");
                }
                assert!((400..500).contains(&status), "{what}: {status}");
                let known = &operation["responses"][status.to_string()];
                assert!(known.is_object(), "{what}: {status} is not documented");
                let kind = answer.headers()["content-type"].to_str().unwrap();
                assert!(
                    kind.starts_with("application/problem+json"),
                    "{what}: {kind}"
                );
                refused += 1;
            }
            // A page is as long as the document says it may be, and no longer.
            if let Some(most) = schema["maximum"].as_u64() {
                let answer = ask(format!("{name}={most}")).await;
                assert_ne!(answer.status(), 400, "{template}?{name}={most}");
                let answer = ask(format!("{name}={}", most + 1)).await;
                // Whose lines, is asked before how many.
                let no = if template.ends_with("/lines") {
                    404
                } else {
                    400
                };
                assert_eq!(answer.status(), no, "{template}?{name}={most} and one");
                longest += 1;
            }
            if is_list {
                assert_eq!(of["allowEmptyValue"], true, "{template} {name}");
                let answer = ask(format!("{name}=")).await;
                assert_eq!(answer.status(), 200, "{template}?{name}=");
                lists += 1;
            }
        }
    }
    assert!(
        lists > 20 && refused > 60 && longest >= 9,
        "{lists}, {refused} and {longest} were asked"
    );
}
