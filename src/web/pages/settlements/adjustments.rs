//! `/admin/adjustments`: corrections by hand, with a reason, and all that were made.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::super::{icons::Icon, parts};
use super::{
    super::{
        approvals,
        cancel::new_key,
        layout::{Fields, Look, cut, field, layout, older, see_other},
        words,
    },
    crumb, page_of,
    said::{actor, day_path, partner_path, signed},
};
use crate::{
    domain::{ids::PartnerId, money::Won},
    flow::adjust::{AdjustError, Adjustment},
    sheet,
    store::{
        StoreError,
        adjustments::{self, AdjustmentRow},
        approvals::{self as approval_rows, ApprovalRow},
        orders, partners,
    },
    web::{
        Web,
        api::settlements::{Once, adjust_once},
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

const PAGE: usize = 50;

pub struct View<'a> {
    pub fields: &'a Fields,
    pub key: &'a str,
    pub rows: &'a [AdjustmentRow],
    /// Those that nobody has approved yet.
    pub waiting: &'a [ApprovalRow],
    pub next: Option<i64>,
    pub partners: &'a [(String, String)],
    /// What was just booked.
    pub did: Option<&'a str>,
    pub wrong: Option<&'a str>,
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("조정", "Adjustments");
    let body = html! {
        (crumb("/admin/settlements", lang.t("정산", "Settlements")))
        div.head {
            h1 { (title) }
            p.ways { a href="/admin/adjustments/import" { (lang.t("파일로 한꺼번에", "Many at once, by file")) } }
        }
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @match view.did {
            Some("waits") => p.message.wait role="status" { (lang.t("정한 금액을 넘어 다른 사람의 승인을 기다립니다. 승인하면 반영됩니다.", "It is above the set amount and waits for a second person. It is booked once approved.")) },
            Some("same") => p.message.wait role="status" { (lang.t("이미 반영한 조정입니다. 두 번 반영하지 않았습니다.", "It was booked already, and not booked twice.")) },
            Some(_) => p.message.good role="status" { (lang.t("조정을 반영했습니다.", "The adjustment is booked.")) },
            None => {}
        }
        div.two {
            div.stack {
                @if !view.waiting.is_empty() { (waiting(view.waiting, lang)) }
                @if view.rows.is_empty() {
                    (parts::none_yet(Icon::Coins, lang.t("아직 조정이 없습니다.", "There are no adjustments yet.")))
                } @else {
                    (table(view.rows, lang))
                    (older(lang, "/admin/adjustments", view.next))
                }
            }
            section.sheet aria-labelledby="new" {
                h2 #new { (lang.t("새 조정", "A new one")) }
                p.soft { (lang.t(
                    "닫힌 정산은 바뀌지 않습니다. 고칠 것은 다음 정산의 항목이 됩니다.",
                    "A closed settlement never changes: a correction is a line of the next one.",
                )) }
                (form(view, lang))
            }
        }
    };
    layout(look, page_of(title), body)
}

fn form(view: &View<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    html! {
        form.stack method="post" action="/admin/adjustments" {
            input type="hidden" name="key" value=(view.key);
            label.field {
                span { (lang.t("파트너사", "Partner")) }
                select name="partner" required {
                    option value="" { (lang.t("고르세요", "Choose one")) }
                    @for (id, name) in view.partners { option value=(id) selected[value("partner") == id] { (name) " (" (id) ")" } }
                }
            }
            label.field {
                span { (lang.t("금액", "Amount")) }
                input name="amount" required inputmode="text" autocomplete="off" maxlength="30" value=(value("amount")) placeholder="-5,000";
                span.hint { (lang.t("더할 금액은 5,000, 뺄 금액은 -5,000처럼 적어 주세요.", "5,000 adds, -5,000 takes.")) }
            }
            label.field {
                span { (lang.t("사유(파트너사가 봅니다)", "Reason, which the partner reads")) }
                input name="reason" required maxlength="200" autocomplete="off" value=(value("reason"));
            }
            button.primary { (lang.t("조정…", "Adjust…")) }
        }
    }
}

fn waiting(rows: &[ApprovalRow], lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="waiting" {
            h2 #waiting { (lang.t("승인을 기다리는 조정", "Wait for a second person")) }
            ul.lines {
                @for row in rows { li {
                    a href=(approvals::path(row.id)) { (approvals::title(row, lang)) }
                    " " (approvals::badge(row.state, lang))
                    span.grow {}
                    strong { (row.amount) }
                } }
            }
        }
    }
}

fn table(rows: &[AdjustmentRow], lang: Lang) -> Markup {
    html! {
        table.rows.tight {
            thead { tr {
                th scope="col" { (lang.t("적은 때", "Written")) }
                th scope="col" { (lang.t("파트너사 · 사유", "Partner · reason")) }
                th.num scope="col" { (lang.t("금액", "Amount")) }
                th scope="col" { (lang.t("정산일", "Counts on")) }
            } }
            tbody { @for row in rows { tr {
                td.when { (words::short_time(row.created_at)) " " span.by { (actor(&row.created_by, lang)) @if let Some(by) = &row.approved_by { " · ✓ " (actor(by, lang)) } } }
                td.what { a.main href=(partner_path(&row.partner)) { (row.partner_name) } div.small { (words::masked_text(&row.reason)) } }
                td.num data-label=(lang.t("금액", "Amount")) { strong { (signed(row.amount)) } }
                td.method { span.phone { (lang.t("정산일 ", "counts on ")) } a href=(day_path(row.day)) { (row.day) } }
            } } }
        }
    }
}

/// The page between writing and booking.
fn sure_page(look: &Look, name: &str, asked: &Adjustment, key: &str) -> Markup {
    let lang = look.lang;
    let amount = if asked.amount.is_positive() {
        format!("+{}", asked.amount)
    } else {
        format!("−{}", asked.amount.to_string().trim_start_matches('-'))
    };
    let title = lang.t("조정할까요?", "Book it?");
    let body = html! {
        (crumb("/admin/adjustments", lang.t("조정", "Adjustments")))
        section.sheet.narrow {
            h1 { (title) }
            p.big { (lang.t(
                format!("{name}의 다음 정산에서 {amount}원"),
                format!("{amount} won in the next settlement of {name}"),
            )) }
            p { (lang.t("사유: ", "Reason: ")) (asked.reason) }
            form.acts method="post" action="/admin/adjustments" data-once {
                input type="hidden" name="sure" value="1";
                input type="hidden" name="key" value=(key);
                input type="hidden" name="partner" value=(asked.partner);
                input type="hidden" name="amount" value=(asked.amount);
                input type="hidden" name="reason" value=(asked.reason);
                a.button href="/admin/adjustments" { (lang.t("그만두기", "Leave it")) }
                button.primary #do-it { (lang.t("조정하기", "Book it")) }
            }
        }
    };
    layout(look, page_of(title), body)
}

fn show_list(
    web: &Web,
    look: &Look,
    fields: &Fields,
    wrong: Option<&Problem>,
) -> Result<Response, Problem> {
    let before = field(fields, "before").and_then(|id| id.parse().ok());
    let (mut rows, waiting, partners) = web.ctx.store.read(|conn| {
        Ok::<_, StoreError>((
            adjustments::list(conn, None, before, PAGE + 1)?,
            approval_rows::waiting_adjustments(conn, PAGE)?,
            orders::partners(conn)?,
        ))
    })?;
    let next = cut(&mut rows, PAGE, |row| row.id);
    let key = new_key();
    let view = View {
        fields,
        key: field(fields, "key").unwrap_or(&key),
        rows: &rows,
        waiting: &waiting,
        next,
        partners: &partners,
        did: field(fields, "did"),
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `GET /admin/adjustments`
pub async fn list(State(web): State<Web>, _: Actor, look: Look, Q(fields): Q<Fields>) -> Response {
    look.answer(show_list(&web, &look, &fields, None))
}

fn read(form: &Fields) -> Result<Adjustment, Problem> {
    let text = |name: &str| field(form, name).unwrap_or_default();
    let amount = sheet::won(text("amount")).map_err(|said| {
        let en = format!("{}.", said.en);
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "adjustment-amount",
            said.ko,
            en,
        )
    })?;
    let asked = Adjustment {
        partner: PartnerId::new(text("partner"))?,
        amount,
        reason: text("reason").to_owned(),
    };
    // The same rules as the booking's, before a person is asked whether they are sure.
    if asked.amount.is_zero() || asked.amount.get().unsigned_abs() > Won::LARGEST.get() as u64 {
        return Err(AdjustError::Amount(asked.amount).into());
    }
    if asked.reason.is_empty() {
        return Err(AdjustError::Reason.into());
    }
    Ok(asked)
}

/// `POST /admin/adjustments`
pub async fn add(State(web): State<Web>, actor: Actor, look: Look, F(form): F<Fields>) -> Response {
    let result = async {
        let asked = read(&form)?;
        let key = field(&form, "key").map_or_else(new_key, str::to_owned);
        if field(&form, "sure").is_none() {
            let known = web
                .ctx
                .store
                .read(|conn| partners::get(conn, asked.partner.as_str()))?
                .ok_or(AdjustError::NoPartner(asked.partner.clone()))?;
            return Ok(sure_page(&look, &known.name, &asked, &key).into_response());
        }
        let did = match adjust_once(&web, Some(key), asked, actor.by).await? {
            (Once::Booked(_), true) => "booked",
            (Once::Waits(_), true) => "waits",
            (_, false) => "same",
        };
        Ok::<_, Problem>(see_other(&format!("/admin/adjustments?did={did}"), None))
    };
    look.answer(match result.await {
        Err(problem) if problem.status.is_client_error() => {
            show_list(&web, &look, &form, Some(&problem))
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(amount: i64) -> AdjustmentRow {
        AdjustmentRow {
            id: 1,
            partner: "farm-<b>".into(),
            partner_name: "농장 <b>".into(),
            day: "2026-08-06".parse().unwrap(),
            amount: Won::new(amount),
            reason: "<i>배송비</i>".into(),
            source: None,
            created_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            created_by: "page".into(),
            approved_by: Some("@<u>".into()),
        }
    }

    #[test]
    fn a_list_shows_signs_and_escapes() {
        let fields = Fields::from([("reason".to_owned(), "\"<b>".to_owned())]);
        let view = View {
            fields: &fields,
            key: "k",
            rows: &[row(5_000), row(-5_000)],
            waiting: &[],
            next: None,
            partners: &[("farm-<b>".into(), "농장 <b>".into())],
            did: None,
            wrong: Some("안 됩니다."),
        };
        let text = page(&Look::default(), &view).into_string();
        assert!(text.contains("+₩5,000") && text.contains("-₩5,000"));
        assert!(
            !text.contains("<i>")
                && !text.contains("<u>")
                && !text.contains("<b>")
                && text.contains("안 됩니다.")
        );
    }

    #[test]
    fn a_person_is_told_what_will_happen() {
        let asked = Adjustment {
            partner: PartnerId::new("farm").unwrap(),
            amount: Won::new(-5_000),
            reason: "배송비".into(),
        };
        let text = sure_page(&Look::default(), "농장", &asked, "k").into_string();
        assert!(text.contains("농장의 다음 정산에서 −5,000원"), "{text}");
    }

    #[test]
    fn what_cannot_be_booked_is_said_before_a_person_is_asked() {
        let form = |amount: &str, reason: &str| {
            let pairs = [("partner", "farm"), ("amount", amount), ("reason", reason)];
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        };
        assert_eq!(read(&form("△5,000", "a")).unwrap().amount, Won::new(-5_000));
        assert_eq!(read(&form("x", "a")).unwrap_err().kind, "adjustment-amount");
        assert_eq!(read(&form("0", "a")).unwrap_err().kind, "adjustment-amount");
        assert_eq!(read(&form("1", " ")).unwrap_err().kind, "reason-needed");
    }
}
