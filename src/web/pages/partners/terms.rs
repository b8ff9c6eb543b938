//! Terms in words: what was agreed, what it makes of 10,000 won, when it pays. Pure.

use maud::{Markup, html};

use super::{field_name, words};
use crate::{
    domain::{
        calendar::KstDay,
        contract::{Fee, Position, Rate, Round, Terms, VatBearer},
        cycle::{Cycle, Weekday},
        holidays::BusinessCalendar,
        money::Won,
        terms_draft::ROUNDED,
    },
    web::lang::Lang,
};

/// What the example sells.
const SOLD: Won = Won::new(10_000);
/// The discount in it, where the terms ask for one.
const DISCOUNT: Won = Won::new(1_000);

pub fn cycle(cycle: &Cycle, lang: Lang) -> String {
    let (ko, en) = cycle.describe();
    lang.t(ko, en)
}

fn fee(fee: Fee, lang: Lang) -> String {
    match fee {
        Fee::Rate(rate) => rate.to_string(),
        Fee::Fixed(amount) => lang.t(
            format!("주문 항목마다 {}", words::won(amount)),
            format!("{} per order line", words::won(amount)),
        ),
    }
}

fn vat(bearer: VatBearer, lang: Lang) -> &'static str {
    match bearer {
        VatBearer::Partner => lang.t("부가세 별도(파트너 부담)", "plus VAT, borne by the partner"),
        VatBearer::Platform => lang.t(
            "부가세 포함(플랫폼 부담)",
            "VAT included, borne by the platform",
        ),
    }
}

pub fn round(round: Round, lang: Lang) -> &'static str {
    match round {
        Round::Down => lang.t("버림", "down"),
        Round::Up => lang.t("올림", "up"),
        Round::Half => lang.t("반올림", "half up"),
    }
}

/// The six steps with how each is rounded, as [`ROUNDED`].
fn rounding(terms: &Terms) -> [(&'static str, Round); 6] {
    let of = &terms.rounding;
    let rounds = [
        of.fee,
        of.fee_vat,
        of.additional,
        of.additional_vat,
        of.discount_share,
        of.payment_vat,
    ];
    std::array::from_fn(|i| (ROUNDED[i], rounds[i]))
}

/// A step that is rounded.
pub fn step(of: &str, lang: Lang) -> &str {
    match of {
        "additional_vat" => lang.t("추가 수수료 부가세", "VAT of additional fees"),
        "payment_vat" => lang.t("결제 부가세", "Payment VAT"),
        other => field_name(other, lang),
    }
}

/// The terms in one short line, for lists.
pub fn phrase(terms: &Terms, lang: Lang) -> String {
    let vat = match terms.fee_vat {
        VatBearer::Partner => lang.t(" + 부가세", " + VAT"),
        VatBearer::Platform => "",
    };
    let more = match terms.additional.len() {
        0 => String::new(),
        count => lang.t(format!(" + 추가 {count}건"), format!(" + {count} more")),
    };
    format!(
        "{}{vat}{more} · {}",
        fee(terms.fee, lang),
        cycle(&terms.cycle, lang)
    )
}

/// All of the terms, each part by its name.
pub fn facts(terms: &Terms, lang: Lang) -> Markup {
    let odd = rounding(terms);
    let odd: Vec<_> = odd.iter().filter(|(_, how)| *how != Round::Down).collect();
    html! {
        dl.facts {
            dt { (field_name("fee", lang)) }
            dd { (fee(terms.fee, lang)) ", " (vat(terms.fee_vat, lang)) }
            @for more in &terms.additional {
                dt { (field_name("additional", lang)) }
                dd { (more.name) " " (fee(more.fee, lang)) ", " (vat(more.vat, lang)) }
            }
            @if terms.discount_share > Rate::ZERO {
                dt { (field_name("discount_share", lang)) }
                dd { (lang.t(
                    format!("할인 금액의 {}를 파트너가 부담", terms.discount_share),
                    format!("the partner bears {} of a discount", terms.discount_share),
                )) }
            }
            @if terms.subtract_payment_vat {
                dt { (field_name("subtract_payment_vat", lang)) }
                dd { (lang.t("결제액에 든 부가세를 빼고 지급", "the VAT inside what was paid is kept back")) }
            }
            dt { (field_name("cycle", lang)) } dd { (cycle(&terms.cycle, lang)) }
            @if terms.min_payout.is_positive() {
                dt { (field_name("min_payout", lang)) }
                dd { (lang.t(
                    format!("{}보다 적으면 다음 지급으로 미룸", words::won(terms.min_payout)),
                    format!("less than {} waits for the next payout", words::won(terms.min_payout)),
                )) }
            }
            dt { (field_name("rounding", lang)) }
            dd {
                @if odd.is_empty() { (lang.t("모두 버림", "always down")) }
                @for (i, (name, how)) in odd.iter().enumerate() {
                    @if i > 0 { ", " }
                    (step(name, lang)) " " (round(*how, lang))
                }
                @if !odd.is_empty() { (lang.t(", 나머지는 버림", ", the others down")) }
            }
        }
    }
}

/// One step of the example: what it is, how it comes about, what it takes.
struct Step {
    name: String,
    formula: String,
    amount: Won,
}

fn percent(of: Won, rate: Rate, how: Round, lang: Lang) -> String {
    format!("{of} × {rate} ({})", round(how, lang))
}

fn fee_formula(of: Fee, how: Round, lang: Lang) -> String {
    match of {
        Fee::Rate(rate) => percent(SOLD, rate, how, lang),
        Fee::Fixed(_) => lang
            .t("주문 항목마다 정액", "fixed, per order line")
            .to_owned(),
    }
}

fn vat_formula(bearer: VatBearer, of: Won, how: Round, lang: Lang) -> String {
    match bearer {
        VatBearer::Partner => format!("{of} × 10% ({})", round(how, lang)),
        VatBearer::Platform => lang.t("플랫폼 부담", "borne by the platform").to_owned(),
    }
}

/// What the terms make of an order of 10,000 won, step by step. `None` where it cannot be worked out.
fn example(terms: &Terms, lang: Lang) -> Option<(Won, Vec<Step>, Won)> {
    let discounted = terms.discount_share > Rate::ZERO || terms.subtract_payment_vat;
    let discount = if discounted { DISCOUNT } else { Won::ZERO };
    let sold = Position {
        order: SOLD,
        discount,
        tax_free: Won::ZERO,
    };
    let cut = terms.cut(&sold).ok()?;
    let how = &terms.rounding;
    let name = |of: &str| step(of, lang).to_owned();
    let mut steps = vec![
        Step {
            name: name("fee"),
            formula: fee_formula(terms.fee, how.fee, lang),
            amount: cut.fee,
        },
        Step {
            name: name("fee_vat"),
            formula: vat_formula(terms.fee_vat, cut.fee, how.fee_vat, lang),
            amount: cut.fee_vat,
        },
    ];
    for more in &terms.additional {
        let alone = Terms {
            additional: vec![more.clone()],
            ..terms.clone()
        };
        let alone = alone.cut(&sold).ok()?;
        steps.push(Step {
            name: more.name.clone(),
            formula: fee_formula(more.fee, how.additional, lang),
            amount: alone.additional,
        });
        steps.push(Step {
            name: lang.t(
                format!("{} 부가세", more.name),
                format!("VAT of {}", more.name),
            ),
            formula: vat_formula(more.vat, alone.additional, how.additional_vat, lang),
            amount: alone.additional_vat,
        });
    }
    if terms.discount_share > Rate::ZERO {
        steps.push(Step {
            name: name("discount_share"),
            formula: percent(discount, terms.discount_share, how.discount_share, lang),
            amount: cut.discount_share,
        });
    }
    if terms.subtract_payment_vat {
        steps.push(Step {
            name: name("payment_vat"),
            formula: format!(
                "({SOLD} − {discount}) ÷ 11 ({})",
                round(how.payment_vat, lang)
            ),
            amount: cut.payment_vat,
        });
    }
    Some((discount, steps, cut.net))
}

/// The example as a table of steps.
pub fn worked(terms: &Terms, lang: Lang) -> Markup {
    let Some((discount, steps, net)) = example(terms, lang) else {
        return html! { p { (lang.t("예시를 계산할 수 없습니다.", "The example cannot be worked out.")) } };
    };
    html! {
        @if discount.is_positive() {
            p.soft.small { (lang.t(
                format!("{} 주문에 {} 할인을 받아 {}을 결제한 경우입니다.", words::won(SOLD), words::won(discount), words::won(Won::new(SOLD.get() - discount.get()))),
                format!("For an order of {} with a discount of {}, so that {} was paid.", words::won(SOLD), words::won(discount), words::won(Won::new(SOLD.get() - discount.get()))),
            )) }
        }
        dl.sums {
            dt { (lang.t("주문 금액", "Order amount")) } dd { (SOLD) }
            @for step in &steps {
                dt { (step.name) div.soft.small { (step.formula) } }
                dd { (Won::new(-step.amount.get())) }
            }
            dt { (lang.t("정산 금액", "Owed to the partner")) } dd { (net) }
        }
        @if net < Won::ZERO {
            p.message.wait { (lang.t(
                "이 주문에서는 받는 돈보다 떼는 돈이 많습니다. 수수료를 확인해 주세요.",
                "More is taken than was sold here: please check the fees.",
            )) }
        }
    }
}

pub fn day(day: KstDay, lang: Lang) -> String {
    let (ko, en) = Weekday::of(day).words();
    let en: String = en.chars().take(3).collect();
    lang.t(format!("{day} ({ko})"), format!("{day} ({en})"))
}

/// On which days sales of yesterday, today and the month's last day are paid.
pub fn pays(of: &Cycle, today: KstDay, calendar: &BusinessCalendar, lang: Lang) -> Markup {
    let days = [
        (lang.t("어제", "Yesterday"), today.previous()),
        (lang.t("오늘", "Today"), today),
        (
            lang.t("이달 말일", "Month's last day"),
            today.last_of_month(),
        ),
    ];
    html! {
        dl.facts {
            @for (name, sold) in days {
                @let paid = of.payout_day(sold, calendar);
                dt { (name) " " (day(sold, lang)) }
                dd { "→ " strong { (day(paid, lang)) } " " span.soft { (lang.t(
                    format!("{}일 뒤", sold.days_until(paid)),
                    format!("{} days later", sold.days_until(paid)),
                )) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, *};
    use crate::domain::contract::AdditionalFee;

    #[test]
    fn the_example_adds_up_and_shows_its_formulas() {
        let terms = Terms {
            additional: vec![
                AdditionalFee {
                    name: "PG <b>".into(),
                    fee: Fee::Rate("2%".parse().unwrap()),
                    vat: VatBearer::Partner,
                },
                AdditionalFee {
                    name: "창고".into(),
                    fee: Fee::Fixed(Won::new(700)),
                    vat: VatBearer::Platform,
                },
            ],
            discount_share: "50%".parse().unwrap(),
            subtract_payment_vat: true,
            min_payout: Won::new(5_000),
            ..test_values::terms()
        };
        let (_, steps, net) = example(&terms, Lang::Ko).unwrap();
        let taken: i64 = steps.iter().map(|step| step.amount.get()).sum();
        assert_eq!(net.get(), 10_000 - taken);
        let shown = worked(&terms, Lang::Ko).into_string() + &facts(&terms, Lang::Ko).into_string();
        for part in [
            "10,000 × 3.3% (버림)",
            "330 × 10% (버림)",
            "1,000 × 50%",
            "(10,000 − 1,000) ÷ 11",
            "₩5,000보다 적으면",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("PG <b>"));
        assert!(phrase(&terms, Lang::En).starts_with("3.3% + VAT + 2 more · monthly"));
    }

    #[test]
    fn more_taken_than_sold_is_said() {
        let terms = Terms {
            fee: Fee::Fixed(Won::new(20_000)),
            ..test_values::terms()
        };
        assert!(
            worked(&terms, Lang::En)
                .into_string()
                .contains("please check the fees")
        );
    }

    #[test]
    fn payout_days_have_their_weekdays() {
        let calendar = BusinessCalendar::new([]);
        let today = "2026-08-06".parse().unwrap();
        let shown = pays(&test_values::terms().cycle, today, &calendar, Lang::Ko).into_string();
        assert!(shown.contains("2026-08-31 (월)"), "{shown}");
    }
}
