//! The API as an OpenAPI 3.1 document, built from the code: schemas are derived from what bodies and answers
//! are made of, scopes come from [`crate::web::access::TABLE`], and the words from [`table`].

pub mod answers;
pub mod table;
pub mod words;

use std::sync::OnceLock;

use axum::{
    Router,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, Deprecated, HttpMethod, InfoBuilder, License, OpenApi,
    OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder, Schema, Server,
    extensions::Extensions,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, SchemaFormat, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    tag::TagBuilder,
};

use self::{
    table::{OPS, TAGS},
    words::{Asks, Gives, Op},
};
use crate::{
    domain::{account::Right, api_key::grantable},
    web::{
        Web,
        access::{self, Need},
        api::{payouts::calendar::YEARS, settlements::MOST_STATEMENT_LINES},
        asked::LARGEST_PAGE,
        lang::Lang,
        once, pages,
    },
};

/// The name of the way to say who calls.
const BEARER: &str = "bearer";

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/api/openapi.json", get(openapi))
        .route("/api/reference", get(pages::reference::show))
}

/// `GET /api/openapi.json`
async fn openapi(headers: HeaderMap) -> Response {
    let text = text(Lang::of(&headers));
    let kind = [
        (header::CONTENT_TYPE, "application/json"),
        (header::VARY, "accept-language, cookie"),
    ];
    (kind, text).into_response()
}

/// The document as it is served.
pub fn text(lang: Lang) -> &'static str {
    static TEXTS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let [ko, en] = &TEXTS;
    lang.t(ko, en).get_or_init(|| {
        serde_json::to_string_pretty(&document(lang)).unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            "{}".to_owned()
        })
    })
}

/// The document, with its words in this language.
pub fn document(lang: Lang) -> OpenApi {
    let mut paths = Paths::new();
    for op in OPS {
        let method = match op.method {
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        paths.add_path_operation(op.path, vec![method], operation(op, lang));
    }
    let tags = TAGS.iter().map(|(name, ko, en)| {
        TagBuilder::new()
            .name(*name)
            .description(Some(lang.t(*ko, *en)))
            .build()
    });
    let info = InfoBuilder::new()
        .title("jeongsan")
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .description(Some(lang.t(
            "결제와 정산 API. 금액은 정수 원, 시각은 시차(`+09:00`)가 붙고, 날은 한국 날짜입니다. `Accept-Language: en`이면 문장이 영어로 옵니다. 값이 빈 쿼리 매개변수는 없는 것과 같습니다. `dry_run`만은 값이 없어도 `true`입니다.",
            "Payments and settlements. Amounts are whole won, times carry their offset (`+09:00`), days are days in Korea. Sentences come in Korean, or in English with `Accept-Language: en`. A query parameter without a value counts as not given, but for `dry_run`, which then is `true`.",
        )))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .tags(Some(tags))
        .components(Some(components(lang)))
        .build()
}

/// Everything that paths refer to.
fn components(lang: Lang) -> Components {
    use super::{self as api, buyers, partners, payouts, settlements};
    use crate::{sheet::bank::BankTemplate, store::partners::Listed};
    let scopes: Vec<&str> = grantable().map(Right::as_str).collect();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("jsk_…")
        .description(Some(format!(
            "{} {}",
            lang.t(
                "`/admin/keys`나 `jeongsan key add`로 만든 API 키. 권한:",
                "An API key, made on `/admin/keys` or by `jeongsan key add`. Scopes:",
            ),
            scopes.join(", ")
        )))
        .build();
    let mut schemas = Schemas::default();
    schemas.add::<answers::Problem>();
    schemas.add::<answers::PaymentPage>();
    schemas.add::<answers::PaymentStory>();
    schemas.add::<answers::PaymentStatus>();
    schemas.add::<answers::Cancelled>();
    schemas.add::<answers::OrderMade>();
    schemas.add::<answers::LinkMade>();
    schemas.add::<answers::OrderStory>();
    schemas.add::<answers::PartnerPage>();
    schemas.add::<answers::PartnerBody>();
    schemas.add::<answers::PartnerAccount>();
    schemas.add::<answers::ContractMade>();
    schemas.add::<answers::ContractPage>();
    schemas.add::<answers::PartnersImported>();
    schemas.add::<answers::SettlementPage>();
    schemas.add::<answers::SettlementStory>();
    schemas.add::<answers::SettlementActed>();
    schemas.add::<answers::LinePage>();
    schemas.add::<answers::DayRunning>();
    schemas.add::<answers::DayReopened>();
    schemas.add::<answers::StatementShown>();
    schemas.add::<answers::AdjustmentPage>();
    schemas.add::<answers::AdjustmentBody>();
    schemas.add::<answers::AdjustmentMade>();
    schemas.add::<answers::AdjustmentsImported>();
    schemas.add::<answers::Due>();
    schemas.add::<answers::BatchPage>();
    schemas.add::<answers::BatchStory>();
    schemas.add::<answers::BatchCalledOff>();
    schemas.add::<answers::PayoutDecided>();
    schemas.add::<answers::BankResultRead>();
    schemas.add::<answers::CalendarYear>();
    schemas.add::<answers::CalendarChanged>();
    schemas.add::<answers::TemplatePage>();
    schemas.add::<answers::TemplateRemoved>();
    schemas.add::<answers::AdjustmentKnown>();
    schemas.add::<answers::ApprovalPage>();
    schemas.add::<answers::ApprovalStory>();
    schemas.add::<buyers::LinkBody>();
    schemas.add::<answers::Message>();
    schemas.add::<answers::MessageTaken>();
    schemas.add::<Listed>();
    schemas.add::<BankTemplate>();
    schemas.add::<settlements::DayView>();
    schemas.add::<api::CancelBody>();
    schemas.add::<api::OrderBody>();
    schemas.add::<partners::ContractBody>();
    schemas.add::<settlements::ReasonBody>();
    schemas.add::<settlements::ReopenBody>();
    schemas.add::<payouts::CreateBody>();
    schemas.add::<payouts::DecideBody>();
    schemas.add::<payouts::CallOffBody>();
    schemas.add::<payouts::calendar::PutBody>();
    ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .schemas_from_iter(schemas.0)
        .build()
}

/// Schemas with all that they are made of.
#[derive(Default)]
struct Schemas(Vec<(String, RefOr<Schema>)>);

impl Schemas {
    fn add<T: ToSchema>(&mut self) {
        self.0.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.0);
    }
}

fn schema(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn text_of(kind: Type, format: Option<&str>) -> RefOr<Schema> {
    let format = format.map(|format| SchemaFormat::Custom(format.to_owned()));
    RefOr::T(Schema::Object(
        ObjectBuilder::new()
            .schema_type(kind)
            .format(format)
            .build(),
    ))
}

/// A whole number of a range.
fn whole(least: i64, most: i64) -> RefOr<Schema> {
    RefOr::T(Schema::Object(
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(least))
            .maximum(Some(most))
            .build(),
    ))
}

/// What [`once`] takes as a key.
fn idempotency_key() -> RefOr<Schema> {
    RefOr::T(Schema::Object(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(255))
            .pattern(Some("^[!#-~]([ -~]*[!#-~])?$"))
            .build(),
    ))
}

/// Whether the access table lets anybody call it, and what it wants otherwise.
pub fn need(op: &Op) -> Option<Need> {
    access::find(op.method, op.path).map(|row| row.need)
}

/// The scope that a key needs, if it needs one.
pub fn scope(op: &Op) -> Option<&'static str> {
    match need(op) {
        Some(Need::Has(right)) => Some(right.as_str()),
        _ => None,
    }
}

/// Whether it changes something, so that it takes an idempotency key.
pub fn takes_key(op: &Op) -> bool {
    let method = op.method.parse().unwrap_or_default();
    scope(op).is_some() && once::writes(&method, op.path)
}

/// Statuses that say no, with the kinds of problems: those of the endpoint and those of all.
pub fn refusals(op: &Op) -> Vec<(u16, Vec<&'static str>)> {
    let mut all: Vec<(u16, Vec<&'static str>)> = Vec::new();
    let mut add = |status: u16, kinds: &'static str| {
        let at = all.iter().position(|(known, _)| *known == status);
        let of = match at {
            Some(at) => &mut all[at].1,
            None => {
                all.push((status, Vec::new()));
                let last = all.len() - 1;
                &mut all[last].1
            }
        };
        for kind in kinds.split(' ') {
            if !of.contains(&kind) {
                of.push(kind);
            }
        }
    };
    for (status, kinds) in op.no {
        add(*status, kinds);
    }
    if scope(op).is_some() {
        add(401, "unauthorized");
        add(403, "forbidden cross-site stale-form");
        add(429, "too-many-requests");
        add(503, "overloaded");
    }
    if op.parameters().next().is_some() {
        add(400, "bad-request");
    }
    if takes_key(op) {
        add(400, "bad-request idempotency-key");
        add(409, "idempotency-in-flight idempotency-outcome-unknown");
        add(413, "too-large");
        add(422, "idempotency-key-reused");
    }
    add(500, "internal");
    if takes_key(op) {
        // What is asked again under its key: those that are remembered.
        for (status, kinds) in &mut all {
            if (400..500).contains(status) && ![401, 403, 408, 429].contains(status) {
                kinds.push("idempotency-refused-before");
            }
        }
    }
    all.sort_by_key(|(status, _)| *status);
    all
}

fn operation(op: &Op, lang: Lang) -> Operation {
    let mut built = OperationBuilder::new()
        .operation_id(Some(op.id))
        .tag(op.tag)
        .summary(Some(lang.t(op.ko, op.en)))
        .description(op.about.map(|(ko, en)| lang.t(ko, en)));
    if op.id == "cancelWholePaymentByGet" {
        built = built.deprecated(Some(Deprecated::True));
    }
    for name in op
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
    {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(match name {
                "day" => text_of(Type::String, Some("date")),
                _ => text_of(Type::String, None),
            }));
        built = built.parameter(parameter);
    }
    for asked in op.parameters() {
        let of = match asked.1 {
            "integer" => text_of(Type::Integer, None),
            "limit" => whole(1, LARGEST_PAGE as i64),
            "lines" => whole(1, MOST_STATEMENT_LINES as i64),
            "year" => whole(i64::from(*YEARS.start()), i64::from(*YEARS.end())),
            "boolean" => text_of(Type::Boolean, None),
            "date" => text_of(Type::String, Some("date")),
            _ => text_of(Type::String, None),
        };
        let parameter = ParameterBuilder::new()
            .name(asked.0)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(lang.t(asked.2, asked.3)))
            .extensions(Some(Extensions::from_iter([("allowEmptyValue", true)])))
            .schema(Some(of));
        built = built.parameter(parameter);
    }
    if takes_key(op) {
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(lang.t(
                "같은 요청을 몇 번 보내도 한 번만 처리됩니다. 1~255자의 ASCII.",
                "However often the same request is sent, it is carried out once. 1 to 255 ASCII characters.",
            )))
            .example(Some(json!("order-1001-1")))
            .schema(Some(idempotency_key()));
        built = built.parameter(parameter);
    }
    built = match op.asks {
        Asks::Nothing => built,
        Asks::Json(name) => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(
                    "application/json",
                    with_example(Content::new(Some(schema(name))), name),
                );
            built.request_body(Some(body.build()))
        }
        Asks::File => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .description(Some(lang.t("CSV 또는 XLSX 파일", "A CSV or XLSX file")))
                .content(
                    "application/octet-stream",
                    Content::new(Some(text_of(Type::String, Some("binary")))),
                );
            built.request_body(Some(body.build()))
        }
    };
    for (status, gives) in op.gives {
        built = built.response(status.to_string(), answer(*status, *gives, lang));
    }
    for (status, kinds) in refusals(op) {
        let response = ResponseBuilder::new()
            .description(kinds.join(", "))
            .content(
                "application/problem+json",
                Content::new(Some(schema("Problem"))),
            );
        built = built.response(status.to_string(), response.build());
    }
    match scope(op) {
        Some(scope) => built = built.security(SecurityRequirement::new(BEARER, [scope])),
        None => built = built.securities(Some([SecurityRequirement::default()])),
    }
    built.build()
}

fn answer(status: u16, gives: Gives, lang: Lang) -> utoipa::openapi::Response {
    let what = match status {
        201 => lang.t("새로 만들었습니다", "made"),
        202 => lang.t("받았고 계속 진행합니다", "taken on, and it goes on"),
        204 => lang.t("끝났고 본문은 없습니다", "done, without a body"),
        _ => lang.t("성공", "done"),
    };
    let response = ResponseBuilder::new().description(what);
    let response = match gives {
        Gives::Nothing => response,
        Gives::Json(name) => response.content("application/json", Content::new(Some(schema(name)))),
        // A stream has no end that a schema of 3.1 could describe.
        Gives::Events => response.content("text/event-stream", Content::default()),
        Gives::File => response.content(
            "application/octet-stream",
            Content::new(Some(text_of(Type::String, Some("binary")))),
        ),
        Gives::Document => response.content(
            "application/json",
            Content::new(Some(text_of(Type::Object, None))),
        ),
        Gives::Page => {
            response.content("text/html", Content::new(Some(text_of(Type::String, None))))
        }
    };
    response.build()
}

/// A body that would be taken.
pub fn example(name: &str) -> Option<Value> {
    Some(match name {
        "Message" => {
            json!({ "imp_uid": "imp_262385355247", "merchant_uid": "ord-1001", "status": "paid" })
        }
        "CancelBody" => json!({ "amount": 3000, "reason": "부분 반품" }),
        "LinkBody" => json!({ "buyer": "customer-7", "expires": "7d" }),
        "OrderBody" => {
            json!({ "merchant_uid": "ord-1001", "lines": [{ "partner": "farm-1", "name": "사과 5kg", "quantity": 1, "unit_price": 12000 }] })
        }
        "PartnerBody" => json!({ "id": "farm-1", "name": "햇살농장", "type": "INDIVIDUAL" }),
        "ContractBody" => {
            json!({ "from": "2026-08-01", "terms": { "fee": { "rate": 10000 }, "cycle": { "lag_days": 2, "method": { "kind": "MONTHLY", "days": [31] }, "holiday": "BEFORE" } } })
        }
        "ReasonBody" => json!({ "reason": "계좌 확인 중" }),
        "ReopenBody" => json!({ "reason": "계약 정정", "settle": true }),
        "AdjustmentBody" => {
            json!({ "partner": "farm-1", "amount": -5000, "reason": "배송비 정산" })
        }
        "CreateBody" => json!({ "until": "2026-08-06", "total": 120000 }),
        "DecideBody" => json!({ "paid": true }),
        "CallOffBody" => json!({ "reason": "은행 점검" }),
        "PutBody" => json!({ "name": "임시공휴일", "off": true }),
        "BankTemplate" => {
            json!({ "format": "xlsx", "header": true, "columns": [{ "header": "계좌번호", "field": "account" }], "result": {} })
        }
        _ => return None,
    })
}

fn with_example(mut content: Content, name: &str) -> Content {
    content.example = example(name);
    content
}
