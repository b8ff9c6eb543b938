//! `/admin/settlements/{id}/lines/{seq}`: how one line came to its figures, step by step.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        layout::{Look, layout, nothing},
        words::{self, won},
    },
    crumb,
    said::{Desk, figure, formula, kind, signed},
};
use crate::{
    domain::{
        contract::Position,
        derivation::{Step, steps},
        money::Won,
        settlement::Kind,
    },
    store::{
        StoreError,
        contracts::{self, Version},
        settlements::{LineRow, SettlementRow},
    },
    web::{
        Web,
        api::settlements::{find, lines_of},
        auth::Actor,
        error::Problem,
        lang::Lang,
    },
};

pub fn page(
    look: &Look,
    desk: Desk,
    row: &SettlementRow,
    line: &LineRow,
    version: Option<&Version>,
) -> Markup {
    let lang = look.lang;
    let seq = line.movement.seq;
    let title = lang.t(
        format!("정산 {} 항목 {seq}", row.id),
        format!("Settlement {}, line {seq}", row.id),
    );
    let movement = &line.movement;
    let body = html! {
        (crumb(&desk.settlement(row.id), &lang.t(format!("정산 {}", row.id), format!("Settlement {}", row.id))))
        div.head {
            h1 { @if line.title.trim().is_empty() { (title) } @else { (words::masked_text(&line.title)) } }
            p.states { (kind(movement.kind, lang)) }
        }
        div.two {
            div.stack {
                @if movement.kind == Kind::Adjustment {
                    section.sheet {
                        h2 { (lang.t("조정", "Adjustment")) }
                        p { (lang.t("사람이 사유와 함께 적은 금액이라 계산식이 없습니다.", "A person wrote it down with a reason: there is no formula.")) }
                        p.big { (signed(line.line.adjustment)) }
                    }
                } @else {
                    (positions(&movement.before, &movement.after, lang))
                    (derivation(line, version, desk, lang))
                }
            }
            (facts(row, line, version, desk, lang))
        }
    };
    layout(look, desk.page(&title), body)
}

/// What was sold before and after.
fn positions(before: &Position, after: &Position, lang: Lang) -> Markup {
    let difference = |before: Won, after: Won| after.minus(before).map_or("–".to_owned(), signed);
    let paid = |at: &Position| at.payment().unwrap_or_default();
    let rows = [
        (
            lang.t("주문 금액", "Order amount"),
            before.order,
            after.order,
        ),
        (lang.t("할인", "Discount"), before.discount, after.discount),
        (lang.t("결제 금액", "Paid"), paid(before), paid(after)),
        (
            lang.t("그중 면세", "Of it tax-free"),
            before.tax_free,
            after.tax_free,
        ),
    ];
    html! {
        section.sheet aria-labelledby="positions" {
            h2 #positions { (lang.t("무엇이 바뀌었나", "What changed")) }
            table.plain {
                thead { tr {
                    td {}
                    th.num scope="col" { (lang.t("전", "Before")) }
                    th.num scope="col" { (lang.t("후", "After")) }
                    th.num scope="col" { (lang.t("차이", "Difference")) }
                } }
                tbody { @for (name, before, after) in rows {
                    tr { th scope="row" { (name) } td.num { (before) } td.num { (after) } td.num { strong { (difference(before, after)) } } }
                } }
            }
        }
    }
}

/// Each figure by its rule, before and after, and that they add up to the line.
fn derivation(line: &LineRow, version: Option<&Version>, desk: Desk, lang: Lang) -> Markup {
    let Some(version) = version else {
        return nothing();
    };
    let movement = &line.movement;
    let Ok(steps) = steps(&version.terms, &movement.before, &movement.after) else {
        return nothing();
    };
    let first = movement.before == Position::NONE;
    let taken = Won::sum(steps.iter().map(|step| step.worth));
    let net = taken.and_then(|taken| line.line.cut.order.minus(taken));
    let ties = net.is_ok_and(|net| net == line.line.net);
    html! {
        section.sheet aria-labelledby="steps" {
            h2 #steps { (lang.t("계산", "How it was worked out")) }
            ul.ladder.open {
                li.total { span.grow { (lang.t("주문 금액", "Order amount")) } strong { (won(line.line.cut.order)) } }
                @for step in &steps { (shown_step(step, first, lang)) }
                li.total.net { span.grow { "= " (lang.t("정산금", "Net")) } strong { (won(line.line.net)) } }
            }
            @if ties {
                p.tie.good-text { "✓ " (lang.t("같은 규칙으로 다시 계산한 값과 맞습니다.", "Worked out again by the same rules, it ties.")) }
            } @else {
                p.message.bad role="alert" { "! " (lang.t(
                    "다시 계산한 값이 장부와 다릅니다.",
                    "Worked out again, it differs from the books.",
                )) " " (desk.look_into(lang)) }
            }
        }
    }
}

fn shown_step(step: &Step, first: bool, lang: Lang) -> Markup {
    let side = |of: &crate::domain::derivation::Side| {
        formula(step.how, of.base, of.amount, step.round, lang)
    };
    let name = figure(&step.figure, lang);
    html! {
        li {
            div.line { span.grow { (name) } strong { (won(Won::new(step.worth.get().saturating_neg()))) } }
            @if first {
                p.small.formula { (name) " = " (side(&step.after)) }
            } @else {
                p.small.formula { span.soft { (lang.t("후 ", "After ")) } (side(&step.after)) }
                p.small.formula { span.soft { (lang.t("전 ", "Before ")) } (side(&step.before)) }
                p.small.formula { span.soft { (lang.t("후 − 전 ", "After − before ")) } (step.after.amount) " − " (step.before.amount) " = " (step.worth) }
            }
        }
    }
}

fn facts(
    row: &SettlementRow,
    line: &LineRow,
    version: Option<&Version>,
    desk: Desk,
    lang: Lang,
) -> Markup {
    let movement = &line.movement;
    html! {
        section.sheet {
            h2 { (lang.t("항목", "The line")) }
            dl.facts {
                dt { (lang.t("파트너사", "Partner")) } dd { (desk.partner(&row.partner, &row.partner_name)) }
                dt { (lang.t("정산일", "Day")) } dd { (row.day) }
                dt { (lang.t("발생 시각", "Happened at")) } dd { (words::time(movement.happened_at)) }
                @if let Some(id) = &line.imp_uid { dt { (lang.t("결제", "Payment")) } dd { (desk.payment(id, html! { code { (id) } })) } }
                @if let Some(order) = &line.merchant_uid { dt { (lang.t("주문", "Order")) } dd { code { (order) } } }
                @if let Some(version) = version {
                    dt { (lang.t("계약", "Contract")) }
                    dd { (desk.version(&row.partner, version.id, lang)) br; span.soft.small { (lang.t(
                        format!("결제한 날({})의 계약, {}부터", movement.terms_day, version.from),
                        format!("of the day of payment ({}), from {}", movement.terms_day, version.from),
                    )) } }
                }
                dt { (lang.t("정산금", "Net")) } dd { strong { (line.line.net) } }
            }
        }
    }
}

/// `GET /admin/settlements/{id}/lines/{seq}`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path((id, seq)): Path<(String, String)>,
) -> Response {
    look.answer(find(&web, &id).and_then(|row| shown(&web, &look, Desk::Shop, &row, &seq)))
}

/// A line as it is seen from a desk, from which its settlement may be seen.
pub fn shown(
    web: &Web,
    look: &Look,
    desk: Desk,
    row: &SettlementRow,
    seq: &str,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found(&format!("{}/{seq}", row.id));
    let number: i64 = seq.parse().map_err(|_| missing())?;
    let (line, version) = web.ctx.store.read(|conn| {
        let line = lines_of(conn, row, number.saturating_sub(1), 1)?
            .into_iter()
            .find(|line| line.movement.seq == number);
        let version = match line.as_ref().and_then(|line| line.line.contract) {
            Some(id) => contracts::get(conn, id)?,
            None => None,
        };
        Ok::<_, StoreError>((line, version))
    })?;
    let line = line.ok_or_else(missing)?;
    Ok(page(look, desk, row, &line, version.as_ref()).into_response())
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, *};
    use crate::domain::settlement::State;

    fn shown(lang: Lang, of: Kind) -> String {
        let look = Look {
            lang,
            ..Look::default()
        };
        let row = test_values::settlement(State::Requested, 8_900);
        let line = test_values::line(of);
        page(
            &look,
            Desk::Shop,
            &row,
            &line,
            Some(&test_values::version()),
        )
        .into_string()
    }

    #[test]
    fn an_order_shows_its_formula_and_a_cancel_the_difference() {
        let text = shown(Lang::Ko, Kind::Order);
        assert!(
            text.contains("수수료 = 10,000 × 10% = 1,000 (버림)"),
            "{text}"
        );
        assert!(text.contains("✓ 같은 규칙으로"));
        let text = shown(Lang::Ko, Kind::Cancel);
        assert!(text.contains("5,000 × 10% = 500 (버림)"), "{text}");
        assert!(text.contains("후 − 전"), "{text}");
        assert!(text.contains("-₩4,450"));
        assert!(!text.contains("<i>") && !text.contains("<b>"));
    }

    #[test]
    fn an_adjustment_has_no_formula() {
        let text = shown(Lang::En, Kind::Adjustment);
        assert!(text.contains("no formula") && text.contains("-₩700"));
        assert!(!text.contains("id=\"steps\""));
    }
}
