//! `/admin/approvals`: what waits for a second person, and the page on which one decides, on a phone too.

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    layout::{Fields, Look, Page, Part, cut, field, layout, older, see_other, segment},
    words,
};
use crate::{
    domain::{
        account::Right,
        approval::{Kind, State as Stand},
        money::Won,
    },
    flow::{
        adjust::rows_of,
        approve::{self, ApproveError},
    },
    store::{
        approvals::{self, ApprovalRow},
        partners,
        payouts::{self, BatchRow, PayoutRow},
    },
    web::{
        Web,
        api::approvals::whole,
        api::payouts::number,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

const PAGE: usize = 50;
/// Requests that wait and are shown.
const WAITING: usize = 200;
/// Payouts or adjustments that a page shows of what is asked for.
const SHOWN: usize = 50;

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/approvals", get(list))
        .route("/admin/approvals/{id}", get(show))
        .route("/admin/approvals/{id}/approve", post(approve_it))
        .route("/admin/approvals/{id}/refuse", post(refuse_it))
        .route("/admin/approvals/{id}/withdraw", post(withdraw_it))
}

/// The page of an approval.
pub fn path(id: i64) -> String {
    format!("/admin/approvals/{id}")
}

/// How it stands.
pub fn badge(state: Stand, lang: Lang) -> Markup {
    let (tone, sign, text) = match state {
        Stand::Waiting => ("wait", "◷", lang.t("승인 대기", "Waits for approval")),
        Stand::Approved => ("good", "✓", lang.t("승인됨", "Approved")),
        Stand::Refused => ("bad", "✕", lang.t("거절됨", "Refused")),
        Stand::Withdrawn => ("plain", "–", lang.t("철회됨", "Withdrawn")),
    };
    words::tag(tone, sign, text, state.as_str())
}

/// What it is, in a few words.
pub fn title(row: &ApprovalRow, lang: Lang) -> String {
    let text = |name: &str| {
        row.asked
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let count = row.asked.get("rows").and_then(Value::as_i64).unwrap_or(1);
    match (row.kind, row.batch()) {
        (Kind::Payout, Some(batch)) => lang.t(
            format!("지급 묶음 {batch} 지급"),
            format!("Payout of batch {batch}"),
        ),
        _ if count == 1 => lang.t(
            format!("조정 · {}", text("partner")),
            format!("Adjustment · {}", text("partner")),
        ),
        _ => lang.t(
            format!("파일 조정 {count}건"),
            format!("{count} adjustments by file"),
        ),
    }
}

/// The right that somebody needs to decide it.
fn right(kind: Kind) -> Right {
    match kind {
        Kind::Payout => Right::PayoutsWrite,
        Kind::Adjustment => Right::SettlementsWrite,
    }
}

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("승인", "Approvals"),
        part: Part::Approvals,
        ..Page::default()
    }
}

struct ListView<'a> {
    /// Stands on the first page alone.
    waiting: Option<&'a [ApprovalRow]>,
    count: i64,
    decided: &'a [ApprovalRow],
    next: Option<i64>,
}

fn list_page(look: &Look, view: &ListView<'_>) -> Markup {
    let lang = look.lang;
    let body = html! {
        div.head {
            h1 { (lang.t("승인", "Approvals")) }
            p.soft { (lang.t(
                "정한 금액을 넘는 지급과 조정은 요청한 사람이 아닌 다른 사람이 승인해야 진행됩니다.",
                "Payouts and adjustments above a set amount go on once somebody else than the maker approves them.",
            )) }
        }
        @if let Some(waiting) = view.waiting {
            h2 { (lang.t("승인 대기", "Waiting")) " " @if view.count > 0 { span.count { (view.count) } } }
            @if waiting.is_empty() {
                section.sheet.centre.empty { p { (lang.t("승인을 기다리는 것이 없습니다.", "Nothing waits.")) } }
            } @else {
                (table(waiting, lang))
                @if view.count > waiting.len() as i64 {
                    p.soft { (lang.t(
                        format!("최근 {WAITING}건만 보입니다. 처리하면 그다음 요청이 나타납니다."),
                        format!("These are the newest {WAITING}. Others appear as these are decided."),
                    )) }
                }
            }
        }
        h2 { (lang.t("처리됨", "Decided")) }
        @if view.decided.is_empty() {
            section.sheet.centre.empty { p { (lang.t("아직 처리한 요청이 없습니다.", "Nothing is decided yet.")) } }
        } @else {
            (table(view.decided, lang))
            (older(lang, "/admin/approvals", view.next))
        }
    };
    layout(look, self_page(lang), body)
}

fn table(rows: &[ApprovalRow], lang: Lang) -> Markup {
    html! {
        table.rows {
            thead { tr {
                th scope="col" { (lang.t("요청", "What")) }
                th scope="col" { (lang.t("상태", "State")) }
                th.num scope="col" { (lang.t("금액", "Amount")) }
                th scope="col" { (lang.t("요청한 때", "Asked")) }
            } }
            tbody { @for row in rows { tr {
                td.what {
                    a.main href=(path(row.id)) { (title(row, lang)) }
                    @if let Some(reason) = row.asked.get("reason").and_then(Value::as_str) { div.small { (words::masked_text(reason)) } }
                }
                td.state {
                    (badge(row.state, lang))
                    @if let Some(by) = &row.decided_by { div.soft.small { (words::actor(by, lang)) @if let Some(note) = &row.note { " · " (words::masked_text(note)) } } }
                }
                td.num data-label=(lang.t("금액", "Amount")) { strong { (row.amount) } }
                td.when { (words::short_time(row.made_at)) " " span.by { (words::actor(&row.made_by, lang)) } }
            } } }
        }
    }
}

/// `GET /admin/approvals`
async fn list(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    let before = field(&query, "before").and_then(|id| id.parse().ok());
    let found = web.ctx.store.read(|conn| {
        let waiting = match before {
            Some(_) => None,
            None => Some(approvals::list(conn, true, None, WAITING)?),
        };
        let decided = approvals::list(conn, false, before, PAGE + 1)?;
        Ok::<_, Problem>((waiting, approvals::waiting(conn)?, decided))
    });
    look.answer(found.map(|(waiting, count, mut decided)| {
        let next = cut(&mut decided, PAGE, |row| row.id);
        let view = ListView {
            waiting: waiting.as_deref(),
            count,
            decided: &decided,
            next,
        };
        list_page(&look, &view).into_response()
    }))
}

/// What is asked for, as the books have it now.
enum About {
    Batch {
        batch: BatchRow,
        payouts: Vec<PayoutRow>,
        more: usize,
        /// Partners whose account is another one by now.
        moved: Vec<String>,
    },
    /// Partner, its name, amount and reason of each.
    Adjustments {
        rows: Vec<(String, String, Won, String)>,
        more: usize,
        net: Won,
    },
}

struct View<'a> {
    row: &'a ApprovalRow,
    about: &'a About,
    /// Names what is shown: what is approved is this.
    seal: &'a str,
    /// Whether whoever looks has the right to decide it, and whether they asked for it.
    may: bool,
    own: bool,
    note: &'a str,
    did: Option<&'a str>,
    wrong: Option<&'a str>,
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let row = view.row;
    let title = title(row, lang);
    let body = html! {
        p.crumb { a href="/admin/approvals" { "← " (lang.t("승인", "Approvals")) } }
        @match view.did {
            Some("approved") => p.message.good role="status" { (lang.t("승인했습니다.", "It is approved.")) },
            Some("refused") => p.message.good role="status" { (lang.t("거절했습니다.", "It is refused.")) },
            Some("withdrawn") => p.message.good role="status" { (lang.t("요청을 철회했습니다.", "It is withdrawn.")) },
            Some("same") => p.message.wait role="status" { (lang.t("이미 처리된 요청입니다. 바뀐 것이 없습니다.", "It was decided so before. Nothing changed.")) },
            _ => {}
        }
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        section.sheet.narrow {
            h1 { (title) }
            p { (badge(row.state, lang)) }
            dl.sums {
                dt { (lang.t("금액", "Amount")) } dd { strong { (row.amount) } }
            }
            dl.facts {
                dt { (lang.t("요청한 사람", "Asked by")) } dd { (words::actor(&row.made_by, lang)) }
                dt { (lang.t("요청한 때", "Asked at")) } dd { (words::time(row.made_at)) }
                @if let (Some(by), Some(at)) = (&row.decided_by, row.decided_at) {
                    dt { (lang.t("처리한 사람", "Decided by")) } dd { (words::actor(by, lang)) }
                    dt { (lang.t("처리한 때", "Decided at")) } dd { (words::time(at)) }
                }
                @if let Some(note) = &row.note { dt { (lang.t("사유", "Reason")) } dd { (words::masked_text(note)) } }
            }
            (again(row, lang))
            (what(view, lang))
            @if row.waits() { (decide(view, lang)) }
        }
        (details(view.about, lang))
    };
    layout(look, self_page(lang), body)
}

/// Why an approval had to be asked for once more.
fn again(row: &ApprovalRow, lang: Lang) -> Markup {
    let again = &row.asked["again"];
    let by = again["by"].as_str();
    html! {
        @if let Some(former) = again["approval"].as_i64() {
            p.message.wait {
                @if let Some(by) = by {
                    (lang.t("승인한 뒤에 계좌가 바뀌었습니다. 다시 승인해야 합니다: ", "An account was changed after it was approved, so it waits again: "))
                    (again["partner"].as_str().unwrap_or_default()) " · " (words::actor(by, lang)) " · "
                } @else {
                    (lang.t("승인한 내용과 지금 내용이 달라 다시 승인해야 합니다. ", "What was approved is not what is in it now, so it waits again. "))
                }
                a href=(path(former)) { (lang.t("앞의 승인", "The approval before")) }
            }
        }
    }
}

/// What will happen on approval.
fn what(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        @match view.about {
            About::Batch { batch, moved, .. } => {
                p.big { (lang.t(
                    format!("승인하면 파트너사 {}곳에 {}을 이체하는 은행 파일을 받을 수 있습니다.", batch.payouts, words::won(batch.amount)),
                    format!("Once approved, the bank's file can be fetched: {} to {} partners.", words::won(batch.amount), batch.payouts),
                )) }
                @if !moved.is_empty() {
                    p.message.bad { (lang.t(
                        format!("이 묶음은 옛 계좌로 보냅니다. 그사이 계좌가 바뀐 파트너사: {}. 새 계좌로 보내려면 거절하고 다시 만드세요.", moved.join(", ")),
                        format!("This batch pays to accounts that were changed since it was made: {}. To pay to the new ones, refuse it and make another.", moved.join(", ")),
                    )) }
                }
                p.soft.small {
                    (lang.t("거절하면 지급 묶음이 취소되고, 정산은 다시 지급 대상이 됩니다. ", "Refused, the batch is called off and its settlements can be paid again. "))
                    a href=(format!("/admin/payouts/{}", batch.id)) { (lang.t(format!("지급 묶음 {} 보기", batch.id), format!("Batch {}", batch.id))) }
                }
            },
            About::Adjustments { rows, more, net } => {
                p.big { (lang.t(
                    format!("승인하면 조정 {}건, 합계 {}원을 바로 장부에 반영합니다.", rows.len() + more, net),
                    format!("Once approved, {} adjustments of {} won in all are booked at once.", rows.len() + more, net),
                )) }
                p.soft.small { (lang.t("거절하면 아무것도 반영하지 않습니다.", "Refused, nothing is booked.")) }
            },
        }
    }
}

fn decide(view: &View<'_>, lang: Lang) -> Markup {
    let path = path(view.row.id);
    html! {
        @if view.own {
            p.message.wait { (lang.t(
                "직접 요청한 것이라 승인할 수 없습니다. 다른 사람에게 알려 주세요.",
                "You asked for this, so somebody else has to approve it.",
            )) }
            form.stack method="post" action={ (path) "/withdraw" } data-once {
                button.danger.wide #withdraw { (lang.t("요청 철회하기", "Withdraw it")) }
            }
        } @else if view.may {
            form.stack method="post" action={ (path) "/approve" } data-once {
                input type="hidden" name="seen" value=(view.seal);
                button.primary.wide #approve { (lang.t(format!("{} 승인하기", words::won(view.row.amount)), format!("Approve {}", words::won(view.row.amount)))) }
            }
            form.stack method="post" action={ (path) "/refuse" } data-once {
                label.field {
                    span { (lang.t("거절 사유(요청한 사람이 봅니다)", "Why it is refused, for whoever asked")) }
                    input name="note" required maxlength="200" autocomplete="off" value=(view.note);
                }
                button.danger.wide #refuse { (lang.t("거절하기", "Refuse it")) }
            }
        } @else {
            p.message.wait { (lang.t("이 요청을 승인할 권한이 없습니다.", "You may not decide this.")) }
        }
    }
}

fn details(about: &About, lang: Lang) -> Markup {
    html! {
        @match about {
            About::Batch { payouts, more, .. } => {
                h2 { (lang.t("지급", "Payouts")) }
                table.rows.tight {
                    thead { tr {
                        th scope="col" { (lang.t("파트너사 · 계좌", "Partner · account")) }
                        th.num scope="col" { (lang.t("이체액", "Transfer")) }
                    } }
                    tbody { @for row in payouts { tr {
                        td.what {
                            a.main href={ "/admin/partners/" (segment(&row.partner)) } { (row.partner_name) }
                            div.small { (super::payouts::account(&row.bank, &row.account, lang)) " · " (words::masked_name(&row.holder)) }
                        }
                        td.num data-label=(lang.t("이체액", "Transfer")) { strong { (row.amount) } }
                    } } }
                }
                (and_more(*more, lang))
            },
            About::Adjustments { rows, more, .. } => {
                h2 { (lang.t("조정", "Adjustments")) }
                table.rows.tight {
                    thead { tr {
                        th scope="col" { (lang.t("파트너사 · 사유", "Partner · reason")) }
                        th.num scope="col" { (lang.t("금액", "Amount")) }
                    } }
                    tbody { @for (partner, name, amount, reason) in rows { tr {
                        td.what { a.main href={ "/admin/partners/" (segment(partner)) } { (name) } div.small { (words::masked_text(reason)) } }
                        td.num data-label=(lang.t("금액", "Amount")) { strong { (*amount) } }
                    } } }
                }
                (and_more(*more, lang))
            },
        }
    }
}

fn and_more(more: usize, lang: Lang) -> Markup {
    html! {
        @if more > 0 { p.soft { (lang.t(format!("이 밖에 {more}건이 더 있습니다."), format!("And {more} more."))) } }
    }
}

/// Looks up what is asked for.
fn about(web: &Web, row: &ApprovalRow, rows: Option<&Value>) -> Result<(About, String), Problem> {
    web.ctx.store.read(|conn| {
        let seal = approve::seal(conn, row)?;
        if let Some(id) = row.batch() {
            let missing = || Problem::not_found(&format!("payout batch {id}"));
            let batch = payouts::batch(conn, id)?.ok_or_else(missing)?;
            let mut payouts = payouts::of_batch(conn, id)?;
            let more = payouts.len().saturating_sub(SHOWN);
            let moved = payouts::moved(conn, id)?;
            payouts.truncate(SHOWN);
            let about = About::Batch {
                batch,
                payouts,
                more,
                moved,
            };
            return Ok((about, seal));
        }
        let all = rows.map(rows_of).transpose()?.unwrap_or_default();
        let net = Won::sum(all.iter().map(|(_, one)| one.amount)).unwrap_or_default();
        let more = all.len().saturating_sub(SHOWN);
        let mut shown = Vec::new();
        for (_, one) in all.into_iter().take(SHOWN) {
            let partner = one.partner.to_string();
            let name = partners::get(conn, &partner)?.map_or_else(|| partner.clone(), |p| p.name);
            shown.push((partner, name, one.amount, one.reason));
        }
        let about = About::Adjustments {
            rows: shown,
            more,
            net,
        };
        Ok((about, seal))
    })
}

fn answer(
    web: &Web,
    look: &Look,
    id: i64,
    wrong: Option<&Problem>,
    note: &str,
    did: Option<&str>,
) -> Result<Response, Problem> {
    let (row, rows) = whole(web, id)?;
    let (about, seal) = about(web, &row, rows.as_ref())?;
    let actor = look.actor.as_ref();
    let view = View {
        row: &row,
        about: &about,
        seal: &seal,
        may: look.may(right(row.kind)),
        own: actor.is_some_and(|actor| actor.by == row.made_by),
        note,
        did,
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong.map_or(axum::http::StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `GET /admin/approvals/{id}`
async fn show(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let did = field(&query, "did");
    look.answer(asked_before(&web, &actor, &look, &id, did))
}

/// Whoever can decide it here proves first who they are: before they write down why, not after.
fn asked_before(
    web: &Web,
    actor: &Actor,
    look: &Look,
    id: &str,
    did: Option<&str>,
) -> Result<Response, Problem> {
    let id = number(id)?;
    let row = web.ctx.store.read(|conn| approvals::get(conn, id))?;
    let decides = row.is_some_and(|row| row.waits() && actor.may(right(row.kind)));
    if decides && !actor.is_fresh(web.ctx.store.now().as_millisecond()) {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("next", &path(id))
            .finish();
        return Ok(see_other(&format!("/sign-in/again?{query}"), None));
    }
    answer(web, look, id, None, "", did)
}

/// Whoever decides needs the right that the thing itself needs.
fn allowed(web: &Web, actor: &Actor, id: i64) -> Result<(), Problem> {
    let row = web.ctx.store.read(|conn| approvals::get(conn, id))?;
    let row = row.ok_or(ApproveError::NoApproval(id))?;
    // A key that asks on a page's address is no person either.
    if actor.person().is_none() {
        return Err(ApproveError::NotAPerson.into());
    }
    let needed = right(row.kind);
    match actor.may(needed) {
        true => Ok(()),
        false => Err(Problem::forbidden(needed.as_str())),
    }
}

async fn act(
    web: &Web,
    actor: &Actor,
    look: &Look,
    id: &str,
    form: &Fields,
    to: Stand,
) -> Result<Response, Problem> {
    let id = number(id)?;
    let look = Look {
        here: path(id),
        ..look.clone()
    };
    let note = field(form, "note").unwrap_or_default();
    let result = async {
        allowed(web, actor, id)?;
        let seen = field(form, "seen").unwrap_or_default();
        let done = match to {
            Stand::Approved => approve::approve(&web.ctx, id, seen.to_owned(), actor.by).await,
            Stand::Refused => approve::refuse(&web.ctx, id, note.to_owned(), actor.by).await,
            Stand::Withdrawn | Stand::Waiting => approve::withdraw(&web.ctx, id, actor.by).await,
        };
        Ok::<_, Problem>(done?)
    };
    match result.await {
        Ok(done) => {
            let did = match (done, to) {
                (None, _) => "same",
                (Some(_), Stand::Approved) => "approved",
                (Some(_), Stand::Refused) => "refused",
                (Some(_), Stand::Withdrawn | Stand::Waiting) => "withdrawn",
            };
            Ok(see_other(&format!("{}?did={did}", path(id)), None))
        }
        Err(problem) if problem.status.is_client_error() => {
            answer(web, &look, id, Some(&problem), note, None)
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /admin/approvals/{id}/approve`: `seen` names what the page showed.
async fn approve_it(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    look.answer(act(&web, &actor, &look, &id, &form, Stand::Approved).await)
}

/// `POST /admin/approvals/{id}/refuse`, with a `note`.
async fn refuse_it(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    look.answer(act(&web, &actor, &look, &id, &form, Stand::Refused).await)
}

/// `POST /admin/approvals/{id}/withdraw`
async fn withdraw_it(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    look.answer(act(&web, &actor, &look, &id, &form, Stand::Withdrawn).await)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(state: Stand) -> ApprovalRow {
        let at = "2026-08-06T01:00:00Z".parse().unwrap();
        let decided = state != Stand::Waiting;
        ApprovalRow {
            id: 7,
            kind: Kind::Adjustment,
            subject: "partner:farm".into(),
            amount: Won::new(5_000_000),
            asked: json!({ "rows": 1, "partner": "farm-<b>", "reason": "<i>x" }),
            made_by: "@minji".into(),
            made_at: at,
            state,
            decided_by: decided.then(|| "@jiho".into()),
            decided_at: decided.then_some(at),
            note: decided.then(|| "<u>".into()),
            seen: None,
            source: None,
        }
    }

    #[test]
    fn only_a_second_person_sees_the_buttons_that_decide() {
        let about = About::Adjustments {
            rows: vec![(
                "farm".into(),
                "농장 <b>".into(),
                Won::new(-5_000_000),
                "<i>x".into(),
            )],
            more: 2,
            net: Won::new(-5_000_000),
        };
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            for (state, may, own, ids) in [
                (Stand::Waiting, true, false, [true, true, false]),
                (Stand::Waiting, true, true, [false, false, true]),
                (Stand::Waiting, false, false, [false; 3]),
                (Stand::Approved, true, false, [false; 3]),
            ] {
                let row = row(state);
                let view = View {
                    row: &row,
                    about: &about,
                    seal: "abc",
                    may,
                    own,
                    note: "\"<x>",
                    did: None,
                    wrong: Some("<y>"),
                };
                let text = page(&look, &view).into_string();
                let has = ["id=\"approve\"", "id=\"refuse\"", "id=\"withdraw\""]
                    .map(|id| text.contains(id));
                assert_eq!(has, ids, "{state:?} {may} {own}");
                assert!(text.contains("₩5,000,000") && text.contains(lang.t("2건이 더", "2 more")));
                for raw in ["<i>x", "농장 <b>", "<u>", "<x>", "<y>", "farm-<b>"] {
                    assert!(!text.contains(raw), "{raw}");
                }
            }
        }
    }

    #[test]
    fn a_list_shows_what_waits_first() {
        let (waiting, decided) = ([row(Stand::Waiting)], [row(Stand::Refused)]);
        let view = ListView {
            waiting: Some(&waiting),
            count: 1,
            decided: &decided,
            next: Some(7),
        };
        let text = list_page(&Look::default(), &view).into_string();
        let (first, then) = (text.find("WAITING").unwrap(), text.find("REFUSED").unwrap());
        assert!(first < then && text.contains("/admin/approvals?before=7"));
        assert!(!text.contains("<b>") && !text.contains("<i>x"));

        // An older page does not say that nothing waits.
        let view = ListView {
            waiting: None,
            ..view
        };
        let text = list_page(&Look::default(), &view).into_string();
        assert!(
            text.contains("REFUSED")
                && !text.contains("승인 대기")
                && !text.contains("기다리는 것이")
        );
    }
}
