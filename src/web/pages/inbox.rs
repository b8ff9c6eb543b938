//! `/admin/inbox`: messages as they came in, each with its verdict.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{icons::Icon, parts};
use super::{
    layout::{Fields, Look, Page, Part, cut, field, layout, older, payment_path},
    words,
};
use crate::{
    store::inbox::{self, Message, Verdict},
    web::{Web, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

const PAGE: usize = 30;
/// As much of a body as anybody reads here.
const SHOWN: usize = 4_000;

pub fn page(look: &Look, messages: &[Message], next: Option<i64>) -> Markup {
    let lang = look.lang;
    let title = lang.t("수신함", "Inbox");
    let cards = parts::carried(messages.iter().map(|message| card(message, lang)));
    let next = parts::behind(messages, cards.len(), next, |message| message.id);
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft { (lang.t(
                "웹훅과 결제창이 보낸 메시지입니다. 내용은 믿지 않고, 어느 결제를 포트원에 물을지만 읽습니다.",
                "What webhooks and payment windows sent. Nothing of it is believed but which payment to ask PortOne about.",
            )) }
        }
        @if messages.is_empty() {
            (parts::none_yet(Icon::Inbox, lang.t("아직 받은 메시지가 없습니다.", "Nothing has come in yet.")))
        } @else {
            ul.cards { @for card in &cards { (card) } }
            (older(lang, "/admin/inbox", next))
        }
    };
    let page = Page {
        title,
        part: Part::Inbox,
        ..Page::default()
    };
    layout(look, page, body)
}

/// What the verdict does not say by itself.
fn detail(message: &Message) -> Option<&str> {
    let known = matches!(message.verdict, Some(Verdict::Booked | Verdict::NoNews));
    message
        .detail
        .as_deref()
        .filter(|detail| !known && !detail.is_empty())
}

fn card(message: &Message, lang: Lang) -> Markup {
    let body = words::masked_body(&message.body);
    let shown: String = body.chars().take(SHOWN).collect();
    html! {
        li.sheet {
            div.line {
                (words::verdict(message.verdict, lang))
                a.main href=(payment_path(&message.imp_uid)) { code { (message.imp_uid) } }
                span.grow {}
                (words::time(message.received_at))
            }
            p.soft.small {
                "#" (message.id) " · " (message.source)
                @if let Some(order) = &message.merchant_uid { " · " (lang.t("주문 ", "order ")) (order) }
                @if let Some(status) = &message.status { " · " (lang.t("주장한 상태 ", "claims ")) (status) }
            }
            @if let Some(detail) = detail(message) { p.small { (words::told(detail, lang)) } }
            details {
                summary { (lang.t("받은 내용 (개인정보 가림)", "As it came, personal data masked")) @if !message.content_type.is_empty() { " · " (message.content_type) } }
                pre { (shown) @if shown.len() < body.len() { " …" } }
            }
        }
    }
}

/// `GET /admin/inbox`
pub async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let before = field(&query, "before").and_then(|id| id.parse().ok());
    let rows = web
        .ctx
        .store
        .read(|conn| inbox::newest(conn, before, PAGE + 1));
    look.answer(rows.map_err(Problem::from).map(|mut rows| {
        let next = cut(&mut rows, PAGE, |row| row.id);
        page(&look, &rows, next).into_response()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_text_and_not_without_end() {
        let message = Message {
            id: 1,
            received_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            source: "1.2.3.4".into(),
            content_type: "text/html".into(),
            body: format!("<script>alert(1)</script>{}", "가".repeat(10_000)),
            imp_uid: "../x".into(),
            merchant_uid: Some("<b>".into()),
            status: Some("<i>".into()),
            verdict: Some(Verdict::Held),
            detail: None,
            verdict_at: None,
        };
        let text = page(&Look::default(), &[message], Some(1)).into_string();
        assert!(!text.contains("<script>alert") && !text.contains("<b>") && !text.contains("<i>"));
        assert!(text.contains("/payment/..%2Fx") && text.len() < 40_000);
        let none = page(
            &Look {
                lang: Lang::En,
                ..Look::default()
            },
            &[],
            None,
        )
        .into_string();
        assert!(none.contains("Nothing has come in yet"));
    }
}
