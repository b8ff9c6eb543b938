//! `/admin/settlements/{id}`: one settlement, from its sum down to every line.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        layout::{Fields, Look, field, layout, nothing, see_other},
        parts,
        words::{self, won},
    },
    crumb, page_of,
    said::{
        Desk, badge, kind, lines_en, payout_badge, payout_why, rules, settlement_path, timeline,
    },
};
use crate::{
    domain::{holidays::BusinessCalendar, money::Won, settlement},
    store::{
        StoreError, calendar, contracts,
        contracts::Version,
        history::{self, Happened},
        line_sums::{self, OfVersion},
        payouts::{self, PayoutRow},
        settlements::{self, LineRow, SettlementRow, Sums},
    },
    web::{
        Web,
        api::settlements::{Act, act, find, lines_of},
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

/// Lines on a page.
const PAGE: usize = 50;

pub struct View<'a> {
    pub desk: Desk,
    pub row: &'a SettlementRow,
    /// The versions that made its lines, and the one of its day.
    pub versions: &'a [Version],
    pub parts: &'a [OfVersion],
    pub lines: &'a [LineRow],
    /// The lines behind the one with this number.
    pub after: i64,
    pub next: Option<i64>,
    pub carried_in: &'a [SettlementRow],
    pub payouts: &'a [PayoutRow],
    pub events: &'a [Happened],
    pub calendar: &'a BusinessCalendar,
    pub did: Option<&'a str>,
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let row = view.row;
    let title = lang.t(format!("정산 {}", row.id), format!("Settlement {}", row.id));
    let body = html! {
        (crumb(view.desk.list(), lang.t("정산", "Settlements")))
        (done(view.did, lang))
        div.head {
            h1 { (view.desk.partner(&row.partner, &row.partner_name)) " · " (row.day) }
            p.states { (badge(row, lang)) }
        }
        (trouble(row, view.desk, lang))
        div.two {
            div.stack {
                (ladder(view, lang))
                (lines(view, lang))
            }
            div.stack {
                (facts(view, lang))
                @if view.desk == Desk::Shop { (actions(row, lang)) }
                section.sheet aria-labelledby="history" {
                    h2 #history { (lang.t("진행 기록", "What happened")) " " span.by { (lang.t("한국 시간", "Korean time")) } }
                    (timeline(view.events, lang))
                }
            }
        }
    };
    layout(look, view.desk.page(&title), body)
}

fn done(did: Option<&str>, lang: Lang) -> Markup {
    let text = match did {
        Some("hold") => lang.t(
            "보류했습니다. 풀기 전에는 지급되지 않습니다.",
            "It is held: it is not paid before it is released.",
        ),
        Some("release") => lang.t("보류를 풀었습니다.", "The hold is released."),
        Some("retry") => lang.t(
            "다음 지급에 다시 들어갑니다.",
            "The next payout takes it again.",
        ),
        _ => return nothing(),
    };
    html! { p.message.good role="status" { (text) } }
}

fn trouble(row: &SettlementRow, desk: Desk, lang: Lang) -> Markup {
    html! {
        @if let Some(why) = &row.hold {
            p.message.bad { "‖ " (lang.t("보류된 정산입니다: ", "Held: ")) (words::masked_text(why)) }
        }
        @if let Some(why) = &row.fail_reason {
            p.message.bad { "✕ " (lang.t("지급에 실패했습니다: ", "The payout failed: ")) (words::masked_text(why)) }
        }
        @if let Some(into) = row.carried_into {
            p.message.wait {
                "↷ " (lang.t("이 음수 합계는 ", "This negative sum was netted in "))
                a href=(desk.settlement(into)) { (lang.t(format!("정산 {into}"), format!("settlement {into}"))) }
                (lang.t("에 이월 반영되었습니다.", "."))
            }
        } @else if row.is_carried_over() {
            p.message.wait { "↷ " (lang.t(
                "합계가 음수라 지급하지 않습니다. 다음 정산에서 뺍니다.",
                "The sum is negative and is not paid: the next settlement takes it.",
            )) }
        }
    }
}

/// The sum, step by step; each step opens to what made it.
fn ladder(view: &View<'_>, lang: Lang) -> Markup {
    let (row, sums, cut) = (view.row, &view.row.sums, &view.row.sums.cut);
    let minus = |amount: Won| Won::new(amount.get().saturating_neg());
    let taken = [
        (lang.t("수수료", "Fee"), cut.fee),
        (lang.t("수수료 부가세", "VAT of the fee"), cut.fee_vat),
        (lang.t("추가 수수료", "Additional fees"), cut.additional),
        (
            lang.t("추가 수수료 부가세", "VAT of additional fees"),
            cut.additional_vat,
        ),
        (
            lang.t("할인 분담", "Share of the discount"),
            cut.discount_share,
        ),
        (lang.t("결제 부가세", "VAT of the payment"), cut.payment_vat),
    ];
    let earned = sums.net().unwrap_or_default();
    html! {
        section.sheet aria-labelledby="sum" {
            h2 #sum { (lang.t("정산 계산", "How it comes to its sum")) }
            ul.ladder {
                (rung(lang.t("매출", "Sales"), sums.sales, html! { p { (lang.t(
                    format!("주문 항목 {}개의 주문 금액입니다.", sums.orders),
                    format!("Order amounts that came, in {}.", lines_en(sums.orders)),
                )) } }))
                (rung(lang.t("취소", "Returned"), sums.returned, html! { p { (lang.t(
                    format!("취소 항목 {}개로 돌려준 주문 금액입니다.", sums.cancels),
                    format!("Order amounts that went back, in {}.", lines_en(sums.cancels)),
                )) } }))
                li.total { span.grow { "= " (lang.t("주문 금액", "Order amount")) } strong { (cut.order) } }
                @for (at, (name, amount)) in taken.iter().enumerate() {
                    (rung(name, minus(*amount), by_version(view, at, lang)))
                }
                (rung(lang.t("조정", "Adjustments"), sums.adjustment, html! { p { (lang.t(
                    "사람이 사유와 함께 더하거나 뺀 금액입니다.",
                    "What a person added or took, with a reason.",
                )) @if view.desk == Desk::Shop { " " a href="/admin/adjustments" { (lang.t("조정 목록", "Adjustments")) } } } }))
                li.total { span.grow { "= " (lang.t("항목 합계", "Net of the lines")) } strong { (earned) } }
                (rung(lang.t("이월 반영", "Carried in"), row.carried_in, carried(view, lang)))
                li.total.net { span.grow { "= " (lang.t("정산 결과", "Settlement")) } strong { (row.net) } }
            }
            (tie(view, lang))
        }
    }
}

/// A step of the ladder. Nothing opens where there is nothing.
fn rung(name: &str, amount: Won, inside: Markup) -> Markup {
    html! {
        li {
            details {
                summary { span.grow { (name) } span { (won(amount)) } }
                div.inside { (inside) }
            }
        }
    }
}

/// Which contract versions made a figure, by which rule, and what each came to.
fn by_version(view: &View<'_>, at: usize, lang: Lang) -> Markup {
    let of = |sums: &Sums| {
        let cut = &sums.cut;
        [
            cut.fee,
            cut.fee_vat,
            cut.additional,
            cut.additional_vat,
            cut.discount_share,
            cut.payment_vat,
        ][at]
    };
    html! {
        @for part in view.parts.iter().filter(|part| part.contract.is_some()) {
            @let version = view.versions.iter().find(|v| Some(v.id) == part.contract);
            p {
                @if let Some(version) = version {
                    (view.desk.version(&view.row.partner, version.id, lang)) ": " (rules(&version.terms, lang)[at]) " "
                }
                (lang.t(
                    format!("→ 항목 {}개의 합 {}", part.sums.lines, won(of(&part.sums))),
                    format!("→ {} in {}", won(of(&part.sums)), lines_en(part.sums.lines)),
                ))
            }
        }
        p.soft { (lang.t(
            "항목마다 계산하고 반올림한 뒤 더합니다. 취소는 취소 뒤와 앞의 차이입니다.",
            "Each line is worked out and rounded by itself; a cancel is the difference of after and before.",
        )) }
    }
}

fn carried(view: &View<'_>, lang: Lang) -> Markup {
    html! {
        @if view.carried_in.is_empty() {
            p { (lang.t("앞에서 이월된 음수 합계가 없습니다.", "No negative sum was carried into it.")) }
        } @else {
            ul { @for from in view.carried_in {
                li { a href=(view.desk.settlement(from.id)) { (from.day) " " (lang.t("정산 ", "settlement ")) (from.id) } " " (from.net) }
            } }
        }
    }
}

/// Σ of the lines against the settlement's own figures.
fn tie(view: &View<'_>, lang: Lang) -> Markup {
    let row = view.row;
    let carried = Won::sum(view.carried_in.iter().map(|from| from.net));
    let lines = line_sums::total(view.parts);
    let sound = lines.as_ref().is_ok_and(|sums| *sums == row.sums)
        && carried.is_ok_and(|carried| carried == row.carried_in);
    let net = Won::sum(view.parts.iter().map(|part| part.net)).unwrap_or_default();
    html! {
        @if sound {
            p.tie.good-text { "✓ " (lang.t(
                format!("항목 {}개를 다시 더한 합({})이 모든 숫자와 맞습니다.", row.sums.lines, won(net)),
                format!("Added up again ({}, {}): every figure ties.", lines_en(row.sums.lines), won(net)),
            )) }
        } @else {
            p.message.bad role="alert" { "! " (lang.t(
                format!("항목을 다시 더한 합({})이 정산의 숫자와 맞지 않습니다.", won(net)),
                format!("The lines add up to {}, which does not tie with the settlement.", won(net)),
            )) " " (view.desk.look_into(lang)) }
        }
    }
}

fn lines(view: &View<'_>, lang: Lang) -> Markup {
    let row = view.row;
    let here = view.desk.settlement(row.id);
    let first = (view.after > 0).then(|| format!("{here}#lines"));
    let next = (view.next).map(|next| format!("{here}?after={next}#lines"));
    html! {
        section.stack aria-labelledby="lines" {
            h2 #lines { (lang.t(format!("항목 {}개", row.sums.lines), lines_en(row.sums.lines))) }
            table.rows.tight {
                thead { tr {
                    th scope="col" { (lang.t("구분", "Kind")) }
                    th scope="col" { (lang.t("내용", "What")) }
                    th.num scope="col" { (lang.t("주문 금액", "Order amount")) }
                    th.num scope="col" { (lang.t("공제", "Taken")) }
                    th.num scope="col" { (lang.t("정산금", "Net")) }
                    th scope="col" { span.hidden { (lang.t("계산 보기", "How it was made")) } }
                } }
                tbody { @for line in view.lines { (line_row(&here, view.desk, line, lang)) } }
            }
            (parts::pager(lang, first.as_deref(), next.as_deref()))
        }
    }
}

fn line_row(here: &str, desk: Desk, line: &LineRow, lang: Lang) -> Markup {
    let cut = &line.line.cut;
    let taken = Won::new(cut.net.get().saturating_sub(cut.order.get()));
    let seq = line.movement.seq;
    html! {
        tr {
            td.state { (kind(line.movement.kind, lang)) }
            td.what {
                @match (&line.imp_uid, line.title.trim()) {
                    (Some(id), "") => { (desk.payment(id, html! { (id) })) }
                    (Some(id), title) => { (desk.payment(id, html! { (words::masked_text(title)) })) }
                    (None, title) => strong { (words::masked_text(title)) },
                }
                div.soft.small { (words::short_time(line.movement.happened_at)) @if let Some(order) = &line.merchant_uid { " · " code { (order) } } }
            }
            td.num data-label=(lang.t("주문 금액", "Order amount")) { (cut.order) }
            td.num data-label=(lang.t("공제", "Taken")) { (taken) }
            td.num data-label=(lang.t("정산금", "Net")) { strong { (line.line.net) } }
            td.act { a.button.small href=(format!("{here}/lines/{seq}")) { (lang.t("계산", "How")) span.hidden { " " (seq) } } }
        }
    }
}

fn facts(view: &View<'_>, lang: Lang) -> Markup {
    let row = view.row;
    let version = view.versions.iter().find(|v| Some(v.id) == row.contract);
    html! {
        section.sheet aria-labelledby="facts" {
            h2 #facts { (lang.t("지급", "Payout")) }
            dl.facts {
                dt { (lang.t("정산일", "Day")) } dd { (view.desk.day(row.day)) }
                @if let Some(day) = row.payout_day { dt { (lang.t("지급일", "Payout day")) } dd { strong { (day) } } }
                dt { (lang.t("이유", "Why")) } dd { (payout_why(row, version, view.calendar, lang)) }
                @if let Some(version) = version { dt { (lang.t("계약", "Contract")) } dd { (view.desk.version(&row.partner, version.id, lang)) " (" (version.from) "~)" } }
                @if let Some(since) = row.carry_since { dt { (lang.t("이월 시작", "Carried since")) } dd { (since) } }
                @if let Some(at) = row.completed_at {
                    dt { (lang.t("지급 완료", "Completed")) }
                    dd { (words::time(at)) @if let Some(by) = row.completed_by.as_ref().filter(|_| view.desk == Desk::Shop) { " " span.by { (super::said::actor(by, lang)) } } }
                }
            }
            @if !view.payouts.is_empty() {
                ul.lines { @for payout in view.payouts {
                    li {
                        span.grow {
                            @if view.desk == Desk::Shop { a href=(format!("/admin/payouts/{}", payout.batch)) { (lang.t("지급 묶음 ", "Payout batch ")) (payout.batch) } " " } code.small { (payout.reference()) }
                            @if let Some(why) = &payout.reason { br; span.soft.small { (words::masked_text(why)) } }
                        }
                        (payout_badge(payout, lang))
                    }
                } }
            }
            p { a href={ (view.desk.statements(&row.partner)) "?from=" (row.day) "&to=" (row.day) } { (lang.t("이 날의 정산내역서", "Statement of this day")) } }
        }
    }
}

fn actions(row: &SettlementRow, lang: Lang) -> Markup {
    let open = matches!(
        row.state,
        settlement::State::Requested | settlement::State::Failed
    );
    html! {
        @if row.state == settlement::State::Failed { (form(row.id, Act::Retry, lang)) }
        @if row.hold.is_some() {
            (form(row.id, Act::Release, lang))
        } @else if open && row.carried_into.is_none() {
            (form(row.id, Act::Hold, lang))
        }
    }
}

fn path_of(act: Act) -> &'static str {
    match act {
        Act::Hold => "hold",
        Act::Release => "release",
        Act::Retry => "retry",
    }
}

fn act_words(act: Act, lang: Lang) -> (&'static str, &'static str, &'static str) {
    match act {
        Act::Hold => (
            lang.t("보류", "Hold"),
            lang.t(
                "보류하면 지급 묶음에 들어가지 않고, 음수 합계라면 다음 정산에서 빼지 않습니다.",
                "A held settlement is put into no payout; a negative sum is not netted.",
            ),
            lang.t("보류하기", "Hold it"),
        ),
        Act::Release => (
            lang.t("보류 풀기", "Release"),
            lang.t(
                "보류를 풀면 지급일에 따라 다시 지급 대상이 됩니다.",
                "Once released it is paid as its payout day says.",
            ),
            lang.t("보류 풀기", "Release it"),
        ),
        Act::Retry => (
            lang.t("다시 지급", "Pay again"),
            lang.t(
                "지급 대기로 되돌립니다. 다음 지급 묶음에 다시 들어갑니다. 계좌를 먼저 확인해 주세요.",
                "It goes back to REQUESTED and the next payout batch takes it. Check the account first.",
            ),
            lang.t("다시 지급하기", "Pay it again"),
        ),
    }
}

fn form(id: i64, act: Act, lang: Lang) -> Markup {
    let (title, about, _) = act_words(act, lang);
    html! {
        section.sheet {
            h2 { (title) }
            p { (about) }
            form.inline method="post" action={ (settlement_path(id)) "/" (path_of(act)) } data-once {
                label.field.grow {
                    span { (lang.t("사유", "Reason")) }
                    input name="reason" required maxlength="200" autocomplete="off";
                }
                button { (title) "…" }
            }
        }
    }
}

/// The page between asking and doing; also where a reason is written anew.
fn sure_page(
    look: &Look,
    row: &SettlementRow,
    act: Act,
    reason: &str,
    wrong: Option<&str>,
) -> Markup {
    let lang = look.lang;
    let (title, about, doing) = act_words(act, lang);
    let back = settlement_path(row.id);
    let body = html! {
        (crumb(&back, lang.t("돌아가기", "Back")))
        section.sheet.narrow {
            h1 { (lang.t(format!("{title}: 진행할까요?"), format!("{title}: go on?"))) }
            p.big { (row.partner_name) " · " (row.day) " · " (row.net) }
            p { (about) }
            @if let Some(wrong) = wrong { p.message.bad role="alert" { (wrong) } }
            form.stack method="post" action={ (back) "/" (path_of(act)) } data-once {
                input type="hidden" name="sure" value="1";
                label.field {
                    span { (lang.t("사유", "Reason")) }
                    input name="reason" required maxlength="200" autocomplete="off" value=(reason);
                }
                div.acts {
                    a.button href=(back) { (lang.t("그만두기", "Leave it")) }
                    button.primary #do-it { (doing) }
                }
            }
        }
    };
    layout(look, page_of(title), body)
}

async fn carry_out(
    web: &Web,
    by: &'static str,
    look: &Look,
    id: &str,
    what: Act,
    form: &Fields,
) -> Result<Response, Problem> {
    let row = find(web, id)?;
    let reason = field(form, "reason").unwrap_or_default();
    if field(form, "sure").is_none() {
        return Ok(sure_page(look, &row, what, reason, None).into_response());
    }
    match act(web, row.id, what, reason.to_owned(), by).await {
        Ok(()) => {
            let to = format!("{}?did={}", settlement_path(row.id), path_of(what));
            Ok(see_other(&to, None))
        }
        Err(error) => {
            let problem = Problem::from(error);
            if problem.status != StatusCode::UNPROCESSABLE_ENTITY {
                return Err(problem);
            }
            let wrong = problem.sentence(look.lang);
            let page = sure_page(look, &row, what, reason, Some(wrong));
            Ok((problem.status, page).into_response())
        }
    }
}

/// `POST /admin/settlements/{id}/hold`
pub async fn hold(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    look.answer(carry_out(&web, actor.by, &look, &id, Act::Hold, &form).await)
}

/// `POST /admin/settlements/{id}/release`
pub async fn release(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    look.answer(carry_out(&web, actor.by, &look, &id, Act::Release, &form).await)
}

/// `POST /admin/settlements/{id}/retry`
pub async fn retry(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    look.answer(carry_out(&web, actor.by, &look, &id, Act::Retry, &form).await)
}

/// `GET /admin/settlements/{id}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(answer(&web, &look, &id, &query).await)
}

async fn answer(web: &Web, look: &Look, id: &str, query: &Fields) -> Result<Response, Problem> {
    shown(web, look, Desk::Shop, find(web, id)?, query).await
}

/// A settlement as it is seen from a desk. Whoever calls has made sure that it may be seen from there.
pub async fn shown(
    web: &Web,
    look: &Look,
    desk: Desk,
    row: SettlementRow,
    query: &Fields,
) -> Result<Response, Problem> {
    let after = field(query, "after").and_then(|seq| seq.parse().ok());
    let after: i64 = after.unwrap_or(0);
    let (look, did) = (look.clone(), field(query, "did").map(str::to_owned));
    // A day of a large partner has many lines to add up.
    web.ctx
        .store
        .read_long(move |conn| {
            let parts = line_sums::of(conn, &row.partner, row.day)?;
            let mut wanted: Vec<i64> = parts.iter().filter_map(|part| part.contract).collect();
            wanted.extend(row.contract.filter(|id| !wanted.contains(id)));
            let mut versions = Vec::new();
            for id in wanted {
                versions.extend(contracts::get(conn, id)?);
            }
            let mut lines = lines_of(conn, &row, after, PAGE + 1)?;
            let more = lines.len() > PAGE;
            lines.truncate(PAGE);
            let mut events = history::of(conn, &history::Subject::Settlement(row.id), 100)?;
            if desk == Desk::Own {
                // Which of the shop's people it was is the shop's business.
                for event in events.iter_mut().filter(|event| event.actor != "schedule") {
                    look.lang
                        .t("쇼핑몰", "the shop")
                        .clone_into(&mut event.actor);
                }
            }
            let view = View {
                desk,
                row: &row,
                versions: &versions,
                parts: &parts,
                next: lines.last().filter(|_| more).map(|line| line.movement.seq),
                lines: &lines,
                after,
                carried_in: &settlements::carried_into(conn, row.id)?,
                payouts: &payouts::of_settlement(conn, row.id)?,
                events: &events,
                calendar: &calendar::business(conn)?,
                did: did.as_deref(),
            };
            Ok::<_, StoreError>(page(&look, &view).into_response())
        })
        .await
        .map_err(Problem::from)
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, super::test_values::*, *};
    use settlement::{Kind, State};

    fn shown(lang: Lang, row: &SettlementRow, lines: &[LineRow], parts: &[OfVersion]) -> String {
        let look = Look {
            lang,
            ..Look::default()
        };
        let view = View {
            desk: Desk::Shop,
            row,
            versions: &[version()],
            parts,
            lines,
            after: 0,
            next: None,
            carried_in: &[],
            payouts: &[],
            events: &[],
            calendar: &BusinessCalendar::default(),
            did: None,
        };
        page(&look, &view).into_string()
    }

    fn with_lines(kinds: &[Kind]) -> (SettlementRow, Vec<LineRow>, Vec<OfVersion>) {
        let lines: Vec<LineRow> = kinds.iter().map(|kind| test_values::line(*kind)).collect();
        let sums = sums(&lines);
        let net = sums.net().unwrap();
        let mut row = settlement(State::Requested, net.get());
        row.sums = sums;
        let part = OfVersion {
            contract: Some(3),
            sums,
            net,
        };
        (row, lines, vec![part])
    }

    #[test]
    fn the_ladder_ties_with_the_lines_and_opens_to_the_rule() {
        let (row, lines, parts) = with_lines(&[Kind::Order, Kind::Cancel, Kind::Adjustment]);
        let text = shown(Lang::Ko, &row, &lines, &parts);
        for part in [
            "₩10,000",
            "-₩5,000",
            "✓ 항목 3개를 다시 더한 합",
            "주문 금액 × 10% (버림)",
            "#version-3",
            "/admin/settlements/7/lines/2",
            "매일",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("<b>") && !text.contains("<i>") && !text.contains("imp_<1>"));
    }

    #[test]
    fn sums_that_do_not_tie_are_told_loudly() {
        let (mut row, lines, parts) = with_lines(&[Kind::Order]);
        row.sums.cut.fee = Won::new(999);
        for (lang, part) in [(Lang::Ko, "맞지 않습니다"), (Lang::En, "does not tie")] {
            let text = shown(lang, &row, &lines, &parts);
            assert!(text.contains(part) && text.contains("role=\"alert\""));
        }
    }

    #[test]
    fn only_what_can_be_done_is_offered() {
        for (state, hold, netted, offered) in [
            (State::Requested, None, None, vec!["/hold"]),
            (State::Requested, Some("x"), None, vec!["/release"]),
            (State::Requested, None, Some(9), vec![]),
            (State::Processing, None, None, vec![]),
            (State::Completed, None, None, vec![]),
            (State::Failed, None, None, vec!["/retry", "/hold"]),
        ] {
            let mut row = settlement(state, -1);
            row.hold = hold.map(str::to_owned);
            row.carried_into = netted;
            let text = shown(Lang::En, &row, &[], &[]);
            for act in ["/hold", "/release", "/retry"] {
                let form = format!("action=\"/admin/settlements/7{act}\"");
                assert_eq!(
                    text.contains(&form),
                    offered.contains(&act),
                    "{state:?} {act}"
                );
            }
        }
    }

    #[test]
    fn a_reason_is_kept_while_a_person_is_asked_again() {
        let row = settlement(State::Requested, 1);
        let page = sure_page(
            &Look::default(),
            &row,
            Act::Hold,
            "\"><b>",
            Some("사유를 …"),
        );
        let text = page.into_string();
        assert!(text.contains("value=\"&quot;&gt;&lt;b&gt;\"") && text.contains("role=\"alert\""));
    }
}
