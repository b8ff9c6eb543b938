//! What settlements are called, in both languages: states, kinds, what happened to them.

use maud::{Markup, html};

use super::super::{
    layout::{Page, Part, payment_path, segment},
    words,
};
use crate::{
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, Fee, Round, Terms, VatBearer},
        derivation::{Figure, How},
        holidays::BusinessCalendar,
        money::Won,
        settlement::{Kind, State},
    },
    flow::make_statement::{kind_words, state_words},
    store::{
        contracts::Version,
        history::Happened,
        movements::PaymentLine,
        payouts::{PayoutRow, PayoutState},
        settlements::SettlementRow,
    },
    web::lang::Lang,
};

/// Who looks: the shop's people, or a partner at what is its own. A partner has no way to the shop's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Desk {
    #[default]
    Shop,
    Own,
}

impl Desk {
    pub fn page(self, title: &str) -> Page<'_> {
        let part = match self {
            Desk::Shop => Part::Settlements,
            Desk::Own => Part::Own,
        };
        Page {
            title,
            part,
            ..Page::default()
        }
    }

    /// The list that settlements are chosen from.
    pub fn list(self) -> &'static str {
        match self {
            Desk::Shop => "/admin/settlements",
            Desk::Own => "/partner",
        }
    }

    pub fn settlement(self, id: i64) -> String {
        match self {
            Desk::Shop => settlement_path(id),
            Desk::Own => format!("/partner/settlements/{id}"),
        }
    }

    /// Statements, without a period.
    pub fn statements(self, partner: &str) -> String {
        match self {
            Desk::Shop => format!("/admin/statements/{}", segment(partner)),
            Desk::Own => "/partner/statements".to_owned(),
        }
    }

    pub fn partner(self, id: &str, name: &str) -> Markup {
        match self {
            Desk::Shop => html! { a href=(partner_path(id)) { (name) } },
            Desk::Own => html! { (name) },
        }
    }

    pub fn day(self, day: KstDay) -> Markup {
        match self {
            Desk::Shop => html! { a href=(day_path(day)) { (day) } },
            Desk::Own => html! { (day) },
        }
    }

    pub fn payment(self, imp_uid: &str, inside: Markup) -> Markup {
        match self {
            Desk::Shop => html! { a.main href=(payment_path(imp_uid)) { (inside) } },
            Desk::Own => html! { strong { (inside) } },
        }
    }

    pub fn version(self, partner: &str, id: i64, lang: Lang) -> Markup {
        match self {
            Desk::Shop => version_link(partner, id, lang),
            Desk::Own => html! { (lang.t("계약 버전 ", "contract version ")) (id) },
        }
    }

    /// What to do about figures that do not tie.
    pub fn look_into(self, lang: Lang) -> &'static str {
        match self {
            Desk::Shop => lang.t(
                "지급하지 말고 `jeongsan verify`로 장부를 확인해 주세요.",
                "Do not pay it; run `jeongsan verify`.",
            ),
            Desk::Own => lang.t("쇼핑몰에 알려 주세요.", "Please tell the shop."),
        }
    }
}

pub fn settlement_path(id: i64) -> String {
    format!("/admin/settlements/{id}")
}

pub fn day_path(day: KstDay) -> String {
    format!("/admin/settlements/days/{day}")
}

pub fn partner_path(id: &str) -> String {
    format!("/admin/partners/{}", segment(id))
}

pub fn statement_path(partner: &str, from: KstDay, to: KstDay) -> String {
    format!("/admin/statements/{}?from={from}&to={to}", segment(partner))
}

/// The version on its partner's page.
pub fn version_link(partner: &str, id: i64, lang: Lang) -> Markup {
    html! {
        a href=(format!("{}#version-{id}", partner_path(partner))) {
            (lang.t("계약 버전 ", "contract version ")) (id)
        }
    }
}

/// How a settlement stands: colour, sign and words.
pub fn badge(row: &SettlementRow, lang: Lang) -> Markup {
    let words_of = |row: &SettlementRow| state_words(row, lang == Lang::Ko);
    let (tone, sign) = match row.state {
        State::Requested if row.net < Won::ZERO => ("back", "↷"),
        State::Requested => ("wait", "◷"),
        State::Processing => ("wait", "↻"),
        State::Completed => ("good", "✓"),
        State::Failed => ("bad", "✕"),
    };
    let mut free = row.clone();
    free.hold = None;
    html! {
        (words::tag(tone, sign, &capital(words_of(&free)), row.state.as_str()))
        @if row.hold.is_some() { " " (words::held_badge(lang)) }
    }
}

/// English words that stand alone begin with a capital.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

pub fn state(state: State, lang: Lang) -> &'static str {
    match state {
        State::Requested => lang.t("지급 대기", "Requested"),
        State::Processing => lang.t("지급 처리 중", "Processing"),
        State::Completed => lang.t("지급 완료", "Completed"),
        State::Failed => lang.t("지급 실패", "Failed"),
    }
}

pub fn kind(kind: Kind, lang: Lang) -> Markup {
    let (tone, sign) = match kind {
        Kind::Order => ("good", "+"),
        Kind::Cancel => ("back", "↩"),
        Kind::Correction => ("plain", "✎"),
        Kind::Adjustment => ("wait", "±"),
    };
    let text = capital(kind_words(kind, lang == Lang::Ko));
    words::tag(tone, sign, &text, kind.as_str())
}

/// A number of things: `1,000`.
pub fn count(many: i64) -> String {
    Won::new(many).to_string()
}

/// `1 line`, `3 lines`.
pub fn lines_en(count: i64) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{count} line{many}")
}

/// With its sign, as a correction is read: `+₩5,000`, `-₩5,000`.
pub fn signed(amount: Won) -> String {
    if amount.is_positive() {
        format!("+{}", words::won(amount))
    } else {
        words::won(amount)
    }
}

pub fn round(round: Round, lang: Lang) -> &'static str {
    match round {
        Round::Down => lang.t("버림", "rounded down"),
        Round::Up => lang.t("올림", "rounded up"),
        Round::Half => lang.t("반올림", "rounded half up"),
    }
}

pub fn figure(figure: &Figure, lang: Lang) -> String {
    match figure {
        Figure::Fee => lang.t("수수료", "Fee").into(),
        Figure::FeeVat => lang.t("수수료 부가세", "VAT of the fee").into(),
        Figure::Additional(name) => lang.t(
            format!("추가 수수료: {name}"),
            format!("Additional fee: {name}"),
        ),
        Figure::AdditionalVat(name) => lang.t(format!("{name} 부가세"), format!("VAT of {name}")),
        Figure::DiscountShare => lang.t("할인 분담", "Share of the discount").into(),
        Figure::PaymentVat => lang.t("결제 부가세", "VAT of the payment").into(),
    }
}

/// `10,000 × 10% = 1,000 (버림)`: one side of a step.
pub fn formula(how: How, base: Won, amount: Won, rounded: Round, lang: Lang) -> String {
    let by = round(rounded, lang);
    match how {
        How::Rate(rate) => format!("{base} × {rate} = {amount} ({by})"),
        How::Fixed(won) if base.is_zero() => lang.t(
            format!("남은 주문 금액이 없어 0 (건당 {won})"),
            format!("nothing is left of the order, so 0 ({won} each)"),
        ),
        How::Fixed(won) => lang.t(format!("건당 {won}"), format!("{won} each")),
        How::Tenth => format!("{base} × 10% = {amount} ({by})"),
        How::Eleventh => format!("{base} ÷ 11 = {amount} ({by})"),
        How::Nothing => lang.t("해당 없음".into(), "not taken".into()),
    }
}

fn fee_words(fee: Fee, lang: Lang) -> String {
    match fee {
        Fee::Rate(rate) => lang.t(
            format!("주문 금액 × {rate}"),
            format!("order amount × {rate}"),
        ),
        Fee::Fixed(won) => lang.t(
            format!("주문 항목마다 {}", words::won(won)),
            format!("{} for each order line", words::won(won)),
        ),
    }
}

fn bearer_words(bearer: VatBearer, lang: Lang) -> &'static str {
    match bearer {
        VatBearer::Partner => lang.t("수수료 × 10%, 파트너사 부담", "fee × 10%, on the partner"),
        VatBearer::Platform => lang.t(
            "수수료에 포함되어 있어 빼지 않음",
            "inside the fee: not deducted",
        ),
    }
}

/// What each figure of a settlement comes from, by the terms of a contract version.
pub fn rules(terms: &Terms, lang: Lang) -> [String; 6] {
    let rounding = &terms.rounding;
    let with = |text: String, by: Round| format!("{text} ({})", round(by, lang));
    let none = || {
        lang.t("이 계약에는 없음", "none in this contract")
            .to_owned()
    };
    let each = |of: &dyn Fn(&AdditionalFee) -> String| {
        let all: Vec<String> = terms.additional.iter().map(of).collect();
        match all.is_empty() {
            true => None,
            false => Some(all.join(" · ")),
        }
    };
    let additional = each(&|more| format!("{}: {}", more.name, fee_words(more.fee, lang)));
    let additional_vat = each(&|more| format!("{}: {}", more.name, bearer_words(more.vat, lang)));
    let share = terms.discount_share;
    [
        with(fee_words(terms.fee, lang), rounding.fee),
        with(bearer_words(terms.fee_vat, lang).into(), rounding.fee_vat),
        additional.map_or_else(none, |text| with(text, rounding.additional)),
        additional_vat.map_or_else(none, |text| with(text, rounding.additional_vat)),
        with(
            lang.t(
                format!("할인 금액 × {share}"),
                format!("discount × {share}"),
            ),
            rounding.discount_share,
        ),
        match terms.subtract_payment_vat {
            true => with(
                lang.t("과세 결제 금액 ÷ 11", "taxed payment ÷ 11").into(),
                rounding.payment_vat,
            ),
            false => none(),
        },
    ]
}

/// Why the payout day is that day: the cycle in words, and the day off that moved it.
pub fn payout_why(
    row: &SettlementRow,
    version: Option<&Version>,
    calendar: &BusinessCalendar,
    lang: Lang,
) -> String {
    let (Some(payout), Some(version)) = (row.payout_day, version) else {
        return lang.t(
            "지급하지 않는 정산입니다(자사 몫).".into(),
            "It is not paid out: the shop's own share.".into(),
        );
    };
    let cycle = &version.terms.cycle;
    let (ko, en) = cycle.describe();
    let mut why = lang.t(ko, en);
    let plain = crate::domain::cycle::Cycle::new(
        cycle.lag_days(),
        cycle.method().clone(),
        crate::domain::cycle::HolidayPolicy::CalendarDay,
    )
    .map(|plain| plain.payout_day(row.day, calendar));
    if let Ok(due) = plain
        && due != payout
    {
        why += &match calendar.day_off(due) {
            Some(reason) => lang.t(
                format!(". 원래 {due}이지만 휴일({})이라 옮겼습니다", reason.ko),
                format!(
                    ". It fell on {due}, a day off ({}), and was moved",
                    reason.en
                ),
            ),
            None => lang.t(
                format!(". 주기로는 {due}이지만 달력이 바뀌기 전에 정해졌습니다"),
                format!(". By the cycle it is {due}; it was set before the calendar changed"),
            ),
        };
    }
    why
}

pub fn payout_badge(payout: &PayoutRow, lang: Lang) -> Markup {
    let (tone, sign, text) = match payout.state {
        PayoutState::Waiting => ("wait", "↻", lang.t("은행 결과 대기", "Waits for the bank")),
        PayoutState::Paid => ("good", "✓", lang.t("지급됨", "Paid")),
        PayoutState::Failed => ("bad", "✕", lang.t("실패", "Failed")),
        PayoutState::Cancelled => ("plain", "–", lang.t("취소됨", "Called off")),
    };
    words::tag(tone, sign, text, payout.state.as_str())
}

pub fn actor(code: &str, lang: Lang) -> &str {
    match code {
        "schedule" => lang.t("자동 정산", "nightly run"),
        other => words::actor(other, lang),
    }
}

/// What happened, in a sentence, and its tone.
fn happened(event: &Happened, lang: Lang) -> (&'static str, String, Vec<String>) {
    let text = |name: &str| event.detail[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| event.detail[name].as_i64().unwrap_or_default();
    let reason = words::masked_text(&text("reason"));
    let mut facts = Vec::new();
    if !reason.is_empty() {
        facts.push(lang.t(format!("사유: {reason}"), format!("Reason: {reason}")));
    }
    if event.detail["batch"].is_i64() {
        let batch = number("batch");
        facts.push(lang.t(
            format!("지급 묶음 {batch}"),
            format!("Payout batch {batch}"),
        ));
    }
    let (tone, title) = match event.kind.as_str() {
        "requested" => {
            let (lines, net) = (number("lines"), words::won(Won::new(number("net"))));
            facts.push(lang.t(
                format!("항목 {lines}개, 합계 {net}"),
                format!("{}, {net}", lines_en(lines)),
            ));
            ("plain", lang.t("정산을 만들었습니다", "Worked out"))
        }
        "held" => ("bad", lang.t("보류했습니다", "Held")),
        "released" => ("good", lang.t("보류를 풀었습니다", "Released")),
        "requested_again" => (
            "plain",
            lang.t("다시 지급 대상이 되었습니다", "To be paid again"),
        ),
        "processing" => (
            "plain",
            lang.t("지급 묶음에 들어갔습니다", "Put into a payout batch"),
        ),
        "covered" => {
            let by = number("by_settlement");
            facts.push(lang.t(format!("정산 {by}에서"), format!("By settlement {by}")));
            (
                "good",
                lang.t("뒤의 매출로 상계가 끝났습니다", "Covered by later sales"),
            )
        }
        "completed" => ("good", lang.t("지급했습니다", "Paid")),
        "nothing_to_pay" => (
            "good",
            lang.t(
                "지급할 금액 없이 끝났습니다",
                "Completed with nothing to pay",
            ),
        ),
        "failed" => ("bad", lang.t("지급에 실패했습니다", "The payout failed")),
        "called_off" => (
            "plain",
            lang.t("지급이 취소되었습니다", "The payout was called off"),
        ),
        "payout_day_moved" => {
            facts.push(format!("{} → {}", text("from"), text("to")));
            (
                "plain",
                lang.t("지급일이 바뀌었습니다", "The payout day moved"),
            )
        }
        "reopened" => {
            let (gone, late) = (number("settlements"), number("late_movements"));
            facts.push(lang.t(
                format!("정산 {gone}건을 지우고 다시 계산, 늦은 항목 {late}개 반영"),
                format!("{gone} settlements worked out anew, {late} late movements came home"),
            ));
            ("plain", lang.t("다시 열었습니다", "Opened again"))
        }
        other => ("plain", other),
    };
    (tone, title.to_owned(), facts)
}

/// What happened to a settlement or a day, newest first.
pub fn timeline(events: &[Happened], lang: Lang) -> Markup {
    html! {
        @if events.is_empty() {
            p.soft { (lang.t("아직 기록이 없습니다.", "Nothing has happened yet.")) }
        } @else {
            ol.timeline {
                @for event in events {
                    @let (tone, title, facts) = happened(event, lang);
                    li class=(tone) {
                        div.line { strong { (title) " " span.by { (actor(&event.actor, lang)) } } (words::time(event.at)) }
                        @for fact in facts { p.fact { (fact) } }
                    }
                }
            }
        }
    }
}

/// On a payment's page: to whose settlement each movement of it belongs, and what it came to.
pub fn of_payment(lines: &[PaymentLine], lang: Lang) -> Markup {
    html! {
        @if !lines.is_empty() {
            section.sheet aria-labelledby="settled" {
                h2 #settled { (lang.t("정산", "Settlement")) }
                ul.lines {
                    @for line in lines {
                        @let movement = &line.movement;
                        li {
                            span.grow {
                                (kind(movement.kind, lang)) " "
                                a href=(partner_path(line.partner.as_str())) { (line.partner_name) }
                                br;
                                span.soft.small {
                                    @match line.settlement {
                                        Some(id) => {
                                            a href=(format!("{}/lines/{}", settlement_path(id), movement.seq)) {
                                                (line.day) " " (lang.t("정산 ", "settlement ")) (id)
                                            }
                                        }
                                        None => { (line.day) (lang.t(" 정산 예정", ", not settled yet")) }
                                    }
                                    " · " (lang.t("주문 금액 ", "order amount "))
                                    (signed(Won::new(movement.after.order.get().saturating_sub(movement.before.order.get()))))
                                }
                            }
                            span { @match line.net { Some(net) => strong { (words::won(net)) }, None => "–" } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::test_values::*, *};
    use crate::domain::cycle::{Cycle, HolidayPolicy, Method};

    #[test]
    fn every_state_has_a_badge_in_words() {
        for state in State::ALL {
            for net in [8_900, -4_450] {
                let row = settlement(state, net);
                assert!(badge(&row, Lang::Ko).into_string().contains(state.as_str()));
                assert_ne!(badge(&row, Lang::Ko).0, badge(&row, Lang::En).0);
            }
        }
        let mut held = settlement(State::Requested, 1);
        held.hold = Some("확인".into());
        assert!(badge(&held, Lang::Ko).into_string().contains("보류"));
    }

    #[test]
    fn a_moved_payout_day_names_the_holiday() {
        let mut version = version();
        version.terms.cycle = Cycle::new(0, Method::Daily, HolidayPolicy::After).unwrap();
        let mut row = settlement(State::Requested, 1);
        row.day = "2026-10-09".parse().unwrap();
        row.payout_day = Some("2026-10-12".parse().unwrap());
        let why = payout_why(&row, Some(&version), &BusinessCalendar::default(), Lang::Ko);
        assert!(
            why.contains("2026-10-09") && why.contains("한글날"),
            "{why}"
        );
        row.payout_day = None;
        let why = payout_why(&row, Some(&version), &BusinessCalendar::default(), Lang::En);
        assert!(why.contains("own share"));
    }

    #[test]
    fn what_happened_is_told_without_markup_of_others() {
        let event = |kind: &str, detail: Value| Happened {
            id: 1,
            at: "2026-08-06T01:00:00Z".parse().unwrap(),
            kind: kind.into(),
            actor: "schedule".into(),
            detail,
        };
        let events = [
            event("held", json!({ "reason": "<b>확인</b>" })),
            event("requested", json!({ "lines": 3, "net": -4450 })),
            event("later", Value::Null),
        ];
        let text = timeline(&events, Lang::Ko).into_string();
        assert!(text.contains("&lt;b&gt;확인") && !text.contains("<b>"));
        assert!(text.contains("-₩4,450") && text.contains("자동 정산"));
        assert!(timeline(&[], Lang::En).into_string().contains("Nothing"));
    }
}
