//! One partner: who it is, by which terms it is settled, what it is owed, what happened.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    Fields, Look, archived_badge, crumb, field, field_name, kind, lacking, layout, nothing, page,
    path, see_other, segment, status_badge, terms, words,
};
use crate::web::pages::reveal::{self, Shown};
use crate::web::pages::settlements::{
    actor, payout_badge, settlement_badge, settlement_path, statement_path,
};
use crate::{
    domain::{
        account::Right, calendar::KstDay, contract::Terms, ids::PartnerId, partner::PartnerType,
    },
    flow::{
        agree_contract::withdraw,
        save_partner::{archive, recover},
    },
    store::{
        StoreError,
        adjustments::{self, AdjustmentRow},
        contracts::{self, Version},
        history::{self, Happened, Subject},
        partners::{self, Lack, PartnerRow, lacks},
        payouts::{self, PayoutRow},
        settlements::{self, Account, SettlementRow},
    },
    web::{
        Web,
        api::partners::{Standing, standings},
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

/// Rows of each short list.
const SHORT: usize = 8;
/// Of what happened.
const HAPPENED: usize = 50;

/// All that the books hold of a partner.
pub struct Whole {
    pub partner: PartnerRow,
    /// Oldest first.
    pub versions: Vec<Version>,
    pub account: Account,
    pub settlements: Vec<SettlementRow>,
    pub payouts: Vec<PayoutRow>,
    pub adjustments: Vec<AdjustmentRow>,
    pub history: Vec<Happened>,
}

pub struct View<'a> {
    pub of: &'a Whole,
    pub today: KstDay,
    /// What was just done.
    pub did: Option<&'a str>,
    /// Why something could not be done.
    pub wrong: Option<&'a str>,
    /// How much of persons and accounts is shown.
    pub shown: Shown,
}

pub fn one_page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let partner = &view.of.partner;
    let lacks = lacks(partner, !view.of.versions.is_empty());
    let body = html! {
        (crumb("/admin/partners", lang.t("파트너사", "Partners")))
        div.head {
            h1 { (partner.name) }
            div.states {
                (status_badge(partner.status, lang))
                @if partner.is_archived() { (archived_badge(lang)) }
            }
        }
        (done(view.did, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @if !lacks.is_empty() && !partner.is_archived() { (missing(partner, &lacks, lang)) }
        div.two {
            div.stack {
                section.sheet {
                    h2 { (lang.t("정산 계정", "Account")) }
                    (account(&view.of.account, partner, lang))
                }
                (contracts_part(view, lang))
                (settlements_part(view, lang))
                (payouts_part(view.of, lang))
                (adjustments_part(view.of, lang))
            }
            div.stack {
                section.sheet {
                    h2 { (lang.t("기본 정보", "Who it is")) }
                    (facts(partner, view.shown, lang))
                    (reveal::form_part(&format!("{}/reveal", path(partner.id.as_str())), view.shown, lang))
                    p.acts { a.button href={ (path(partner.id.as_str())) "/edit" } { (lang.t("수정", "Change")) } }
                }
                section.sheet {
                    h2 { (lang.t("기록", "What happened")) }
                    @if view.of.history.is_empty() { p.soft { (lang.t("아직 기록이 없습니다.", "Nothing has happened yet.")) } }
                    @else { ol.timeline { @for happened in &view.of.history { (moment(happened, lang)) } } }
                }
                (archiving(partner, lang))
            }
        }
    };
    layout(look, page(&partner.name), body)
}

fn done(did: Option<&str>, lang: Lang) -> Markup {
    let text = match did {
        Some("added") => lang.t(
            "파트너를 추가했습니다. 이제 계약을 등록하세요.",
            "The partner was added. Now agree on a contract.",
        ),
        Some("changed") => lang.t("저장했습니다.", "Saved."),
        Some("same") => lang.t("바뀐 것이 없습니다.", "Nothing has changed."),
        Some("agreed") => lang.t("계약을 저장했습니다.", "The contract was saved."),
        Some("withdrawn") => lang.t(
            "계약을 취소했습니다.",
            "The contract version was taken back.",
        ),
        Some("archived") => lang.t("보관했습니다.", "Archived."),
        Some("recovered") => lang.t("복구했습니다.", "Brought back."),
        _ => return nothing(),
    };
    html! { p.message.good role="status" { (text) } }
}

/// What keeps the partner from being settled or paid, and where to mend it.
fn missing(partner: &PartnerRow, lacks: &[Lack], lang: Lang) -> Markup {
    let path = path(partner.id.as_str());
    html! {
        section.sheet.tone-bad {
            h2 { (lacking(lacks, lang)) }
            @if lacks.contains(&Lack::Contract) {
                p { (lang.t(
                    "계약이 없어서 이 파트너의 매출은 정산되지 않고 기다립니다.",
                    "Without a contract this partner's sales wait and are not settled.",
                )) }
            }
            @if lacks.iter().any(|lack| *lack != Lack::Contract) {
                p { (lang.t(
                    "정산은 되지만 모두 채우기 전에는 지급하지 않습니다.",
                    "It is settled, but not paid before all of it is there.",
                )) }
            }
            p.acts {
                @if lacks.contains(&Lack::Contract) { a.button.primary href={ (path) "/contract" } { (lang.t("계약 등록", "Agree on a contract")) } }
                @if lacks.iter().any(|lack| *lack != Lack::Contract) { a.button href={ (path) "/edit" } { (lang.t("정보 채우기", "Fill in")) } }
            }
        }
    }
}

fn account(of: &Account, partner: &PartnerRow, lang: Lang) -> Markup {
    html! {
        dl.sums {
            dt { (lang.t("정산한 금액", "Earned")) } dd { (of.earned) }
            dt { (lang.t("지급한 금액", "Paid")) } dd { (of.paid) }
            dt { (lang.t("이월된 마이너스", "Carried over")) } dd { (of.carry) }
            dt { (lang.t("지급할 금액", "Open")) } dd { (of.open) }
        }
        @if partner.kind == Some(PartnerType::Own) {
            p.soft.small { (lang.t("자사는 정산만 하고 지급하지 않습니다.", "The shop itself is settled, and never paid out.")) }
        }
    }
}

fn facts(partner: &PartnerRow, shown: Shown, lang: Lang) -> Markup {
    let contact = &partner.contact;
    html! {
        dl.facts {
            dt { (field_name("id", lang)) } dd { code { (partner.id) } }
            dt { (field_name("type", lang)) }
            dd { @if let Some(of) = partner.kind { (kind(of, lang)) } @else { span.soft { "–" } } }
            @if let Some(number) = partner.business_number { dt { (field_name("business_number", lang)) } dd { (number) } }
            dt { (field_name("account", lang)) }
            dd {
                @if let Some(account) = &partner.account {
                    (lang.t(account.bank.ko(), account.bank.en())) " "
                    code { (shown.text(account.number.as_str(), words::masked_account)) } " " (shown.text(&account.holder, words::masked_name))
                } @else { span.soft { "–" } }
            }
            @if let Some(name) = &contact.name { dt { (field_name("contact", lang)) } dd { (shown.text(name, words::masked_name)) } }
            @if let Some(email) = &contact.email { dt { (field_name("contact_email", lang)) } dd { (shown.text(email, words::masked_mail)) } }
            @if let Some(phone) = &contact.phone { dt { (field_name("contact_phone", lang)) } dd { (shown.text(phone, words::masked_phone)) } }
            @if !partner.memo.is_empty() { dt { (field_name("memo", lang)) } dd { (shown.text(&partner.memo, words::masked_text)) } }
            @if !partner.tags.is_empty() { dt { (field_name("tags", lang)) } dd { (partner.tags.join(", ")) } }
            dt { (lang.t("등록", "Known since")) } dd { (words::time(partner.created_at)) }
            @if let Some(at) = partner.archived_at { dt { (lang.t("보관", "Archived")) } dd { (words::time(at)) } }
        }
    }
}

fn contracts_part(view: &View<'_>, lang: Lang) -> Markup {
    let versions = &view.of.versions;
    let partner = &view.of.partner;
    let all: Vec<(&Version, Standing)> = versions
        .iter()
        .zip(standings(versions, view.today))
        .rev()
        .collect();
    let of = |standing: Standing| all.iter().filter(move |(_, is)| *is == standing);
    let past = of(Standing::Past).count();
    html! {
        section.sheet #contracts {
            h2 { (lang.t("계약", "Contract")) }
            @if versions.is_empty() { p.soft { (lang.t("계약이 없습니다.", "There is no contract.")) } }
            @for (version, _) in of(Standing::Scheduled) {
                (version_part(version, lang.t("예약된 변경", "Scheduled"), "wait", lang))
            }
            @for (version, _) in of(Standing::Holding) {
                (version_part(version, lang.t("지금 적용 중", "Holds now"), "good", lang))
            }
            @if past > 0 {
                details {
                    summary { (lang.t(format!("지난 계약 {past}건"), format!("{past} of the past"))) }
                    @for (version, _) in of(Standing::Past) {
                        (version_part(version, lang.t("지난 계약", "Past"), "plain", lang))
                    }
                }
            }
            @if !partner.is_archived() {
                p.acts {
                    a.button href={ (path(partner.id.as_str())) "/contract" } {
                        @if versions.is_empty() { (lang.t("계약 등록", "Agree on a contract")) }
                        @else { (lang.t("새 조건으로 변경", "Agree on new terms")) }
                    }
                }
            }
        }
    }
}

fn version_part(version: &Version, standing: &str, tone: &str, lang: Lang) -> Markup {
    let sign = match tone {
        "good" => "✓",
        "wait" => "◷",
        _ => "–",
    };
    html! {
        div.cancel id=(format!("version-{}", version.id)) {
            div.line {
                (words::tag(tone, sign, standing, "CONTRACT"))
                strong { (lang.t(format!("{}부터", version.from), format!("from {}", version.from))) }
                span.grow {}
                span.soft.small { "#" (version.id) " · " (actor(&version.created_by, lang)) }
            }
            (terms::facts(&version.terms, lang))
            @if let Some(until) = version.used_until {
                p.soft.small { (lang.t(
                    format!("{until} 결제까지 이 조건으로 정산했습니다. 그래서 바꾸거나 지울 수 없습니다."),
                    format!("Payments up to {until} were settled by it, so it cannot change any more."),
                )) }
            } @else {
                form method="post" action=(format!("/admin/contracts/{}/withdraw", version.id)) data-once {
                    button.danger { (lang.t("이 버전 취소…", "Take it back…")) }
                }
            }
        }
    }
}

fn settlements_part(view: &View<'_>, lang: Lang) -> Markup {
    let of = view.of;
    let id = of.partner.id.as_str();
    let month = view.today.first_of_month();
    html! {
        section.sheet {
            h2 { (lang.t("최근 정산", "Recent settlements")) }
            @if of.settlements.is_empty() { p.soft { (lang.t("아직 정산이 없습니다.", "Nothing has been settled yet.")) } }
            @else {
                ul.lines {
                    @for row in &of.settlements {
                        li {
                            a href=(settlement_path(row.id)) { (row.day) }
                            (settlement_badge(row, lang))
                            span.grow {}
                            strong { (row.net) }
                        }
                    }
                }
                p.acts {
                    a.button href={ "/admin/settlements?partner=" (segment(id)) } { (lang.t("모두 보기", "Show all")) }
                    a.button href=(statement_path(id, month, view.today)) { (lang.t("이달 정산내역서", "This month's statement")) }
                }
            }
        }
    }
}

fn payouts_part(of: &Whole, lang: Lang) -> Markup {
    html! {
        section.sheet {
            h2 { (lang.t("최근 지급", "Recent payouts")) }
            @if of.payouts.is_empty() { p.soft { (lang.t("아직 지급이 없습니다.", "Nothing has been paid yet.")) } }
            @else {
                ul.lines {
                    @for row in &of.payouts {
                        li {
                            a href=(format!("/admin/payouts/{}", row.batch)) { (row.reference()) }
                            (payout_badge(row, lang))
                            @if let Some(at) = row.decided_at { span.soft.small { (words::short_time(at)) } }
                            span.grow {}
                            strong { (row.amount) }
                        }
                    }
                }
            }
        }
    }
}

fn adjustments_part(of: &Whole, lang: Lang) -> Markup {
    if of.adjustments.is_empty() {
        return nothing();
    }
    html! {
        section.sheet {
            h2 { (lang.t("최근 조정", "Recent adjustments")) }
            ul.lines {
                @for row in &of.adjustments {
                    li { span.soft { (row.day) } span.grow { (words::masked_text(&row.reason)) } strong { (row.amount) } }
                }
            }
        }
    }
}

fn archiving(partner: &PartnerRow, lang: Lang) -> Markup {
    let path = path(partner.id.as_str());
    html! {
        section.sheet {
            @if partner.is_archived() {
                h2 { (lang.t("복구", "Bring back")) }
                p { (lang.t("목록에 다시 나오고, 고치고 계약할 수 있습니다.", "It stands in the lists again, and can be changed.")) }
                form method="post" action={ (path) "/recover" } data-once { button.wide { (lang.t("복구하기", "Bring back")) } }
            } @else {
                h2 { (lang.t("보관", "Archive")) }
                p { (lang.t(
                    "목록에서 감춥니다. 기록은 모두 남고 언제든 복구할 수 있습니다. 지급할 돈이 남아 있으면 보관할 수 없습니다.",
                    "It leaves the lists. Everything is kept and it can come back at any time. While money is open it stays.",
                )) }
                form method="post" action={ (path) "/archive" } data-once { button.danger.wide { (lang.t("보관하기", "Archive")) } }
            }
        }
    }
}

// --- What happened

fn moment(happened: &Happened, lang: Lang) -> Markup {
    let detail = &happened.detail;
    let (tone, title) = match happened.kind.as_str() {
        "added" => ("good", lang.t("추가", "Added")),
        "changed" => ("plain", lang.t("수정", "Changed")),
        "archived" => ("plain", lang.t("보관", "Archived")),
        "recovered" => ("good", lang.t("복구", "Brought back")),
        "contract_agreed" => ("good", lang.t("계약 저장", "Terms agreed")),
        "contract_withdrawn" => ("plain", lang.t("계약 취소", "Terms taken back")),
        "adjusted" => ("plain", lang.t("조정", "Adjusted")),
        other => ("plain", other),
    };
    html! {
        li class=(tone) {
            div.line {
                strong { (title) " " span.by { (actor(&happened.actor, lang)) } }
                (words::time(happened.at))
            }
            @for fact in told(&happened.kind, detail, lang) { p.fact { (fact) } }
        }
    }
}

fn told(kind: &str, detail: &Value, lang: Lang) -> Vec<String> {
    let text = |key: &str| plain(detail.get(key).unwrap_or(&Value::Null));
    match kind {
        "changed" => detail
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, change)| {
                // A value of its own knows no field: put back under its name it is masked by it.
                let of = |side: &str| {
                    let value = change.get(side).cloned().unwrap_or_default();
                    let named = Value::Object([(name.clone(), value)].into_iter().collect());
                    plain(
                        words::masked_answer(&named)
                            .get(name)
                            .unwrap_or(&Value::Null),
                    )
                };
                format!("{}: {} → {}", field_name(name, lang), of("from"), of("to"))
            })
            .collect(),
        "contract_agreed" | "contract_withdrawn" => {
            let mut facts = vec![lang.t(
                format!("{}부터 · 버전 #{}", text("from"), text("version")),
                format!("from {} · version #{}", text("from"), text("version")),
            )];
            let terms = detail.get("terms").cloned().unwrap_or_default();
            let terms = serde_json::from_value::<Terms>(terms).ok();
            facts.extend(terms.map(|terms| super::terms::phrase(&terms, lang)));
            facts
        }
        "adjusted" => vec![lang.t(
            format!(
                "{}원, {} 정산: {}",
                text("amount"),
                text("day"),
                words::masked_text(&text("reason"))
            ),
            format!(
                "{} won on {}: {}",
                text("amount"),
                text("day"),
                words::masked_text(&text("reason"))
            ),
        )],
        _ => Vec::new(),
    }
}

/// A value of a change, as people read it.
fn plain(value: &Value) -> String {
    let joined = |values: Vec<&Value>, with: &str| {
        let parts: Vec<String> = values
            .into_iter()
            .filter(|value| !value.is_null())
            .map(plain)
            .collect();
        if parts.is_empty() {
            "–".to_owned()
        } else {
            parts.join(with)
        }
    };
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) if text.is_empty() => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => joined(values.iter().collect(), ", "),
        Value::Object(values) => joined(values.values().collect(), " "),
        other => other.to_string(),
    }
}

// --- Handlers

fn whole(web: &Web, id: &str) -> Result<Whole, Problem> {
    let found = web.ctx.store.read(|conn| {
        let Some(partner) = partners::get(conn, id)? else {
            return Ok::<_, StoreError>(None);
        };
        let of_partner = settlements::Filter {
            partner: Some(id.to_owned()),
            ..settlements::Filter::default()
        };
        Ok(Some(Whole {
            versions: contracts::of(conn, id)?,
            account: settlements::account(conn, id)?,
            settlements: settlements::list(conn, &of_partner, None, SHORT)?,
            payouts: payouts::of_partner(conn, id, SHORT)?,
            adjustments: adjustments::list(conn, Some(id), None, SHORT)?,
            history: history::of(conn, &Subject::Partner(id), HAPPENED)?,
            partner,
        }))
    })?;
    found.ok_or_else(|| Problem::not_found(id))
}

fn shown(
    web: &Web,
    look: &Look,
    id: &str,
    did: Option<&str>,
    wrong: Option<&Problem>,
    shown: Shown,
) -> Result<Response, Problem> {
    let whole = whole(web, id)?;
    let view = View {
        of: &whole,
        today: KstDay::of(web.ctx.store.now()),
        did,
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
        shown,
    };
    let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, one_page(look, &view)).into_response())
}

/// `GET /admin/partners/{id}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    let did = field(&query, "did");
    look.answer(shown(&web, &look, &id, did, None, Shown::to(&look)))
}

/// `POST /admin/partners/{id}/reveal`: the same page, with persons and the account whole.
pub async fn reveal(
    State(web): State<Web>,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let result = async {
        whole(&web, &id)?;
        let whom = ("partner", id.as_str());
        reveal::noted(&web.ctx, &look, Right::PartnersRead, whom, &form).await?;
        shown(&web, &look, &id, None, None, Shown::Whole)
    };
    look.answer(result.await)
}

/// The partner's page again, with what is wrong; the switch of language leads there.
fn again(web: &Web, mut look: Look, id: &str, problem: Problem) -> Response {
    look.here = path(id);
    let page = shown(web, &look, id, None, Some(&problem), Shown::to(&look));
    look.answer(page)
}

async fn set_archived(
    web: &Web,
    look: Look,
    id: String,
    archived: bool,
    by: &'static str,
) -> Response {
    let of = match PartnerId::new(id.clone()) {
        Ok(of) => of,
        Err(error) => return look.problem(&error.into()),
    };
    let (done, did) = if archived {
        (archive(&web.ctx, of, by).await, "archived")
    } else {
        (recover(&web.ctx, of, by).await, "recovered")
    };
    match done {
        Ok(()) => see_other(&format!("{}?did={did}", path(&id)), None),
        Err(error) => again(web, look, &id, error.into()),
    }
}

/// `POST /admin/partners/{id}/archive`
pub async fn archive_it(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    set_archived(&web, look, id, true, actor.by).await
}

/// `POST /admin/partners/{id}/recover`
pub async fn recover_it(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    set_archived(&web, look, id, false, actor.by).await
}

/// The page between asking and taking back.
pub fn sure_page(look: &Look, version: &Version, name: &str) -> Markup {
    let lang = look.lang;
    let back = path(&version.partner);
    let body = html! {
        (crumb(&back, lang.t("돌아가기", "Back")))
        section.sheet.narrow {
            h1 { (lang.t("이 계약 버전을 취소할까요?", "Take this version back?")) }
            p.big { (name) " · " (lang.t(format!("{}부터", version.from), format!("from {}", version.from))) }
            (terms::facts(&version.terms, lang))
            p { (lang.t(
                "이 버전으로 정산한 것은 없습니다. 취소하면 그 전의 버전이 계속 적용되고, 전 버전이 없으면 매출이 정산되지 않고 기다립니다.",
                "Nothing was settled by it. The version before it goes on to hold; if there is none, sales wait and are not settled.",
            )) }
            form.acts method="post" action=(format!("/admin/contracts/{}/withdraw", version.id)) data-once {
                input type="hidden" name="sure" value="1";
                a.button href=(back) { (lang.t("그만두기", "Leave it")) }
                button.danger.solid #do-it { (lang.t("취소하기", "Take back")) }
            }
        }
    };
    layout(look, page(lang.t("계약 취소", "Take terms back")), body)
}

/// `POST /admin/contracts/{id}/withdraw`: asks first, and does it once `sure` is sent.
pub async fn take_back(
    State(web): State<Web>,
    actor: Actor,
    mut look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let number: i64 = match id.parse() {
        Ok(number) => number,
        Err(_) => return look.problem(&Problem::not_found(&id)),
    };
    let found = web.ctx.store.read(|conn| {
        let Some(version) = contracts::get(conn, number)? else {
            return Ok::<_, StoreError>(None);
        };
        let name = partners::get(conn, &version.partner)?.map(|row| row.name);
        Ok(Some((version, name.unwrap_or_default())))
    });
    let (version, name) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return look.problem(&Problem::not_found(&id)),
        Err(error) => return look.problem(&error.into()),
    };
    if field(&form, "sure").is_none() && version.used_until.is_none() {
        look.here = path(&version.partner);
        return sure_page(&look, &version, &name).into_response();
    }
    match withdraw(&web.ctx, number, actor.by).await {
        Ok(()) => see_other(&format!("{}?did=withdrawn", path(&version.partner)), None),
        Err(error) => again(&web, look, &version.partner, error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, *};
    use crate::domain::money::Won;

    fn whole() -> Whole {
        Whole {
            partner: test_values::partner(),
            versions: vec![
                test_values::version(1, "2026-01-01", Some("2026-07-31")),
                test_values::version(2, "2026-08-01", Some("2026-08-05")),
                test_values::version(3, "2026-09-01", None),
            ],
            account: Account {
                earned: Won::new(100),
                paid: Won::new(200),
                open: Won::ZERO,
                carry: Won::new(-100),
            },
            settlements: Vec::new(),
            payouts: Vec::new(),
            adjustments: Vec::new(),
            history: vec![Happened {
                id: 1,
                at: "2026-08-06T01:00:00Z".parse().unwrap(),
                kind: "changed".into(),
                actor: "page".into(),
                detail: serde_json::json!({ "name": { "from": null, "to": "<b>" }, "tags": { "from": ["a"], "to": [] } }),
            }],
        }
    }

    fn shown(of: &Whole, lang: Lang) -> String {
        let look = Look {
            lang,
            ..Look::default()
        };
        let today = "2026-08-06".parse().unwrap();
        let view = View {
            of,
            today,
            did: Some("agreed"),
            wrong: Some("<왜>"),
            shown: Shown::Masked,
        };
        one_page(&look, &view).into_string()
    }

    #[test]
    fn versions_stand_in_time_and_only_an_unused_one_can_be_taken_back() {
        let shown = shown(&whole(), Lang::Ko);
        for part in [
            "예약된 변경",
            "지금 적용 중",
            "지난 계약 1건",
            "/admin/contracts/3/withdraw",
            "-₩100",
            "이름: – →",
            "태그: a → –",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(
            !shown.contains("/admin/contracts/1/withdraw")
                && !shown.contains("/admin/contracts/2/withdraw")
        );
        for evil in ["<script>햇살", "<i>", "<u>", "<t>", "<왜>", "→ <b>"] {
            assert!(!shown.contains(evil), "{evil} in {shown}");
        }
    }

    #[test]
    fn a_partner_that_is_only_named_says_what_it_needs() {
        let mut of = whole();
        of.partner.kind = None;
        of.partner.account = None;
        of.versions.clear();
        of.history.clear();
        let shown = shown(&of, Lang::En);
        for part in [
            "missing: type, account, approval, contract",
            "There is no contract",
            "Nothing has been settled yet",
            "/contract\"",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}
