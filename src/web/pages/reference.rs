//! `GET /api/reference`: the OpenAPI document as pages that need no scripts and nothing from elsewhere: one
//! of the endpoints, and with `?shapes=1` one of what bodies and answers are made of.

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::Value;

use super::layout::{Fields, Look, Page, field, layout};
use crate::web::{
    api::openapi::{
        document, example, scope,
        table::{OPS, TAGS},
        takes_key,
        words::{Asks, Gives, Op},
    },
    extract::Q,
    lang::Lang,
};

/// Where the shapes stand.
const SHAPES: &str = "/api/reference?shapes=1";

/// `GET /api/reference`
pub async fn show(look: Look, Q(query): Q<Fields>) -> Response {
    match field(&query, "shapes") {
        Some(_) => shapes(&look),
        None => endpoints(&look),
    }
    .into_response()
}

/// A schema and its name in the document.
fn schemas() -> &'static [(String, Value)] {
    static ALL: OnceLock<Vec<(String, Value)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let components = document(Lang::En).components.map(|all| all.schemas);
        components
            .unwrap_or_default()
            .into_iter()
            .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or(Value::Null)))
            .collect()
    })
}

/// What bodies and answers are made of.
fn shapes(look: &Look) -> Markup {
    let lang = look.lang;
    let title = lang.t("스키마", "Schemas");
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft { a href="/api/reference" { (lang.t("API 안내서", "API reference")) } }
        }
        section.sheet.stack {
            @for (name, schema) in schemas() { (shape(name, schema, lang)) }
        }
    };
    let page = Page {
        title,
        ..Page::default()
    };
    layout(look, page, body)
}

fn endpoints(look: &Look) -> Markup {
    let lang = look.lang;
    let title = lang.t("API 안내서", "API reference");
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft {
                (lang.t("금액은 정수 원, 날은 한국 날짜입니다. 같은 내용의 ", "Amounts are whole won, days are days in Korea. The same as an "))
                a href="/api/openapi.json" { "OpenAPI 3.1" } (lang.t(" 문서도 있습니다. ", " document. "))
                a href=(SHAPES) { (lang.t("스키마", "Schemas")) }
            }
        }
        section.sheet.stack {
            h2 { (lang.t("인증", "Authentication")) }
            p { (lang.t("요청마다 키를 보냅니다. 키는 소유자가 API 키 페이지나 jeongsan key add로 만들고, 권한을 골라 줍니다.", "Each request carries a key. An owner makes it on the page of API keys or by jeongsan key add, with the scopes that it needs.")) }
            pre { code { "curl -H \"Authorization: Bearer $TOKEN\" …" } }
            h2 { (lang.t("멱등 키", "Idempotency")) }
            p { (lang.t(
                "바꾸는 요청에는 Idempotency-Key를 붙이세요. 같은 키로 같은 요청을 다시 보내면 처음의 답이 Idempotency-Replayed: true와 함께 오고, 두 번 처리되지 않습니다. 다른 요청이면 422, 아직 처리 중이면 409와 Retry-After, 서버가 멈추어 결과를 모르면 409 idempotency-outcome-unknown입니다.",
                "Send an Idempotency-Key with what changes something. The same request under the same key again gets the first answer with Idempotency-Replayed: true, and nothing is done twice. Another request is 422, one that is under way 409 with Retry-After, and one whose outcome was lost when the server stopped 409 idempotency-outcome-unknown.",
            )) }
            h2 { (lang.t("오류", "Errors")) }
            p { (lang.t("오류는 모두 application/problem+json입니다. type의 끝이 아래에 적힌 종류이고, detail이 사람이 읽을 문장입니다. 어디서나: 401 unauthorized, 403 forbidden, 429 too-many-requests, 500 internal, 503 overloaded.", "Every error is application/problem+json. Its type ends in a kind as listed below, and detail is the sentence for people. Everywhere: 401 unauthorized, 403 forbidden, 429 too-many-requests, 500 internal, 503 overloaded.")) }
        }
        @for (tag, ko, en) in TAGS {
            section.stack {
                h2 #{ "t-" (tag) } { (lang.t(ko, en)) }
                @for op in OPS.iter().filter(|op| op.tag == *tag) { (endpoint(op, lang)) }
            }
        }
    };
    let page = Page {
        title,
        ..Page::default()
    };
    layout(look, page, body)
}

fn endpoint(op: &Op, lang: Lang) -> Markup {
    html! {
        details.sheet #(op.id) {
            summary { code { (op.method) " " (op.path) } " " (lang.t(op.ko, op.en)) }
            @if let Some((ko, en)) = op.about { p { (lang.t(ko, en)) } }
            p.soft.small {
                @match scope(op) {
                    Some(scope) => { (lang.t("권한", "scope")) " " code { (scope) } },
                    None => { (lang.t("누구나", "anybody")) },
                }
                @if takes_key(op) { " · " code { "Idempotency-Key" } }
            }
            @if op.parameters().next().is_some() {
                ul.small { @for asked in op.parameters() {
                    li { code { (asked.0) } " " (asked.kind()) " – " (lang.t(asked.2, asked.3)) }
                } }
            }
            p.small {
                @match op.asks {
                    Asks::Nothing => {},
                    Asks::Json(name) => { (lang.t("본문", "body")) " " (there(name)) " · " },
                    Asks::File => { (lang.t("본문: CSV·XLSX 파일", "body: a CSV or XLSX file")) " · " },
                }
                @for (n, (status, gives)) in op.gives.iter().enumerate() {
                    @if n > 0 { ", " }
                    (status) @if let Gives::Json(name) = gives { " " (there(name)) }
                }
            }
            @if !op.no.is_empty() {
                p.soft.small {
                    @for (n, (status, kinds)) in op.no.iter().enumerate() {
                        @if n > 0 { " · " }
                        (status) " " (kinds)
                    }
                }
            }
            pre { code { (curl(op)) } }
        }
    }
}

/// A shape, from the page of endpoints.
fn there(name: &str) -> Markup {
    html! { a href={ (SHAPES) "#s-" (name) } { (name) } }
}

/// The same among shapes.
fn link(name: &str) -> Markup {
    html! { a href={ "#s-" (name) } { (name) } }
}

/// A call that could be made.
fn curl(op: &Op) -> String {
    let mut line = String::from("curl");
    if matches!(op.gives, [(_, Gives::Events)]) {
        line.push_str(" -N");
    }
    if op.method != "GET" {
        line.push_str(" -X ");
        line.push_str(op.method);
    }
    line.push_str(" https://pay.example.kr");
    line.push_str(op.path);
    if scope(op).is_some() {
        line.push_str(" -H \"Authorization: Bearer $TOKEN\"");
    }
    if takes_key(op) {
        line.push_str(" -H 'Idempotency-Key: …'");
    }
    match op.asks {
        Asks::Nothing => {}
        Asks::Json(name) => {
            let body = example(name).map(|body| body.to_string());
            line.push_str(" -H 'Content-Type: application/json' -d '");
            line.push_str(body.as_deref().unwrap_or("{}"));
            line.push('\'');
        }
        Asks::File => line.push_str(" --data-binary @file.xlsx"),
    }
    line
}

/// What a property is, in a word: a type, or the name of another shape.
fn type_of(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
        return link(name);
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(all) = schema[several].as_array() {
            let all: Vec<&Value> = all.iter().filter(|one| one["type"] != "null").collect();
            return html! { @for (n, one) in all.iter().enumerate() { @if n > 0 { " | " } (type_of(one)) } };
        }
    }
    if !schema["items"].is_null() {
        return html! { "[" (type_of(&schema["items"])) "]" };
    }
    let plain = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .find_map(|one| one.as_str().filter(|one| *one != "null")),
        one => one.as_str(),
    };
    let format = schema["format"]
        .as_str()
        .filter(|format| format.starts_with("date"));
    html! { (format.or(plain).unwrap_or("…")) }
}

fn shape(name: &str, schema: &Value, lang: Lang) -> Markup {
    let parts: Vec<&Value> = match schema["allOf"].as_array() {
        Some(parts) => parts.iter().collect(),
        None => vec![schema],
    };
    html! {
        details #{ "s-" (name) } {
            summary { code { (name) } }
            @for part in parts {
                @if let Some(fields) = part["properties"].as_object() {
                    p.small { @for (n, (field, of)) in fields.iter().enumerate() {
                        @if n > 0 { " · " }
                        b { (field) } " " (type_of(of))
                    } }
                } @else if let Some(values) = part["enum"].as_array() {
                    p.small { @for value in values { code { (value.as_str().unwrap_or_default()) } " " } }
                } @else if !part["$ref"].is_null() {
                    p.small { (lang.t("모두 포함:", "all of")) " " (type_of(part)) }
                } @else {
                    p.small { (type_of(part)) }
                }
            }
        }
    }
}
