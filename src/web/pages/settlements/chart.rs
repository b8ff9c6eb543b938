//! The last days' sales, returns and fees, drawn on the server: a picture, and the same as a table.

use maud::{Markup, html};

use super::{super::words::won, said::day_path};
use crate::{
    domain::{calendar::KstDay, money::Won},
    store::settlements::DaySums,
    web::lang::Lang,
};

/// How many days are shown.
pub const DAYS: i64 = 30;

/// Units of the drawing; it is stretched to the room there is, and so has no letters in it.
const SLOT: f64 = 12.0;
const HEIGHT: f64 = 100.0;

/// Every day of `[from, to]`, those without a settlement as well.
fn all_days(sums: &[DaySums], from: KstDay, to: KstDay) -> Vec<DaySums> {
    let mut found = Vec::new();
    let mut day = from;
    while day <= to {
        let known = sums.iter().find(|sums| sums.day == day);
        found.push(known.copied().unwrap_or(DaySums {
            day,
            settlements: 0,
            sales: Won::ZERO,
            returned: Won::ZERO,
            fees: Won::ZERO,
            net: Won::ZERO,
        }));
        day = day.next();
    }
    found
}

pub fn chart(sums: &[DaySums], from: KstDay, to: KstDay, lang: Lang) -> Markup {
    let days = all_days(sums, from, to);
    // Fees may be negative on a day that only gave back: then they lie below the line.
    let up = days.iter().map(|d| d.sales.max(d.fees).get()).max();
    let down = days.iter().map(|d| d.returned.min(d.fees).get()).min();
    let (up, down) = (up.unwrap_or(0).max(0), down.unwrap_or(0).min(0));
    let span = (up - down).max(1) as f64;
    let zero = HEIGHT * up as f64 / span;
    let width = SLOT * days.len() as f64;
    let bar = |at: usize, amount: Won, inset: f64, class: &str, words: String| {
        let tall = HEIGHT * amount.get().unsigned_abs() as f64 / span;
        let y = if amount.is_positive() {
            zero - tall
        } else {
            zero
        };
        html! {
            @if !amount.is_zero() {
                rect class=(class) x=(format!("{:.1}", SLOT * at as f64 + inset)) y=(format!("{y:.2}"))
                    width=(format!("{:.1}", SLOT - 2.0 * inset)) height=(format!("{:.2}", tall.max(0.6))) {
                    title { (words) }
                }
            }
        }
    };
    let label = lang.t(
        format!("{from}부터 {to}까지 날짜별 매출, 취소, 수수료. 같은 숫자가 아래 표에 있습니다."),
        format!("Sales, returns and fees per day from {from} to {to}. The table below has the same figures."),
    );
    let names = [
        lang.t("매출", "Sales"),
        lang.t("취소", "Returns"),
        lang.t("수수료(부가세 포함)", "Fees with VAT"),
    ];
    html! {
        section.sheet aria-labelledby="chart" {
            div.head {
                h2 #chart { (lang.t(format!("최근 {DAYS}일"), format!("The last {DAYS} days"))) }
                p.legend { @for (class, name) in ["sales", "returned", "fees"].iter().zip(names) { span { i class={ "swatch " (class) } aria-hidden="true" {} (name) } } }
            }
            @if sums.is_empty() {
                p.soft { (lang.t("이 기간에 정산된 날이 없습니다.", "No day of these has been settled.")) }
            } @else {
                div.chart {
                    p.scale.top-scale { (won(Won::new(up))) }
                    svg role="img" aria-label=(label) viewBox=(format!("0 0 {width:.0} {HEIGHT:.0}")) preserveAspectRatio="none" {
                        @for (at, day) in days.iter().enumerate() {
                            (bar(at, day.sales, 1.5, "sales", format!("{} {} {}", day.day, names[0], won(day.sales))))
                            (bar(at, day.returned, 1.5, "returned", format!("{} {} {}", day.day, names[1], won(day.returned))))
                            (bar(at, day.fees, 4.0, "fees", format!("{} {} {}", day.day, names[2], won(day.fees))))
                        }
                        line.axis x1="0" x2=(format!("{width:.0}")) y1=(format!("{zero:.2}")) y2=(format!("{zero:.2}")) {}
                    }
                    p.ends { span { (from) } span { (to) } }
                    @if down < 0 { p.scale { (lang.t("가장 아래 ", "lowest ")) (won(Won::new(down))) } }
                }
                details {
                    summary { (lang.t("표로 보기", "As a table")) }
                    table.plain {
                        thead { tr {
                            th scope="col" { (lang.t("날짜", "Day")) }
                            @for name in names { th.num scope="col" { (name) } }
                            th.num scope="col" { (lang.t("정산금", "Net")) }
                        } }
                        tbody {
                            @for day in days.iter().rev().filter(|day| day.settlements > 0) {
                                tr {
                                    th scope="row" { a href=(day_path(day.day)) { (day.day) } }
                                    td.num { (day.sales) } td.num { (day.returned) } td.num { (day.fees) } td.num { (day.net) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str, sales: i64, returned: i64, fees: i64) -> DaySums {
        DaySums {
            day: text.parse().unwrap(),
            settlements: 1,
            sales: Won::new(sales),
            returned: Won::new(returned),
            fees: Won::new(fees),
            net: Won::new(sales + returned - fees),
        }
    }

    #[test]
    fn bars_lie_on_their_side_of_the_line_and_say_what_they_are() {
        let (from, to) = ("2026-08-01".parse().unwrap(), "2026-08-03".parse().unwrap());
        let sums = [
            day("2026-08-01", 100_000, 0, 11_000),
            day("2026-08-03", 0, -100_000, -11_000),
        ];
        let text = chart(&sums, from, to, Lang::Ko).into_string();
        assert!(text.contains("role=\"img\"") && text.contains("viewBox=\"0 0 36 100\""));
        assert!(text.contains("2026-08-01 매출 ₩100,000</title>"));
        assert!(
            text.contains("class=\"returned\" x=\"25.5\" y=\"50.00\""),
            "{text}"
        );
        assert!(
            text.contains("class=\"sales\" x=\"1.5\" y=\"0.00\""),
            "{text}"
        );
        assert!(!text.contains("style="));
    }

    #[test]
    fn no_day_at_all_is_said() {
        let (from, to) = ("2026-08-01".parse().unwrap(), "2026-08-03".parse().unwrap());
        for (lang, part) in [(Lang::Ko, "정산된 날이 없습니다"), (Lang::En, "No day")] {
            assert!(chart(&[], from, to, lang).into_string().contains(part));
        }
    }
}
