//! The last days' sales, returns and fees, drawn on the server: a picture, and the same as a table.

use maud::{Markup, html};

use super::{
    super::{
        charts::{Chart, Point, bars_alone},
        words::won,
    },
    said::day_path,
};
use crate::{
    domain::{calendar::KstDay, money::Won},
    store::settlements::DaySums,
    web::lang::Lang,
};

/// How many days are shown.
pub const DAYS: i64 = 30;

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
    let label = lang.t(
        format!("{from}부터 {to}까지 날짜별 매출, 취소, 수수료. 같은 숫자가 아래 표에 있습니다."),
        format!("Sales, returns and fees per day from {from} to {to}. The table below has the same figures."),
    );
    let names = [
        lang.t("매출", "Sales"),
        lang.t("취소", "Returns"),
        lang.t("수수료(부가세 포함)", "Fees with VAT"),
    ];
    // Fees may be negative on a day that only gave back: then they lie below the line.
    let values: Vec<[i64; 3]> = days
        .iter()
        .map(|of| [of.sales, of.returned, of.fees].map(Won::get))
        .collect();
    let points: Vec<Point<'_>> = days
        .iter()
        .zip(&values)
        .map(|(of, values)| Point {
            name: of.day.to_string(),
            values,
        })
        .collect();
    let title = lang.t(format!("최근 {DAYS}일"), format!("The last {DAYS} days"));
    let picture = Chart {
        id: "of-days",
        title: &title,
        about: &label,
        series: &names,
        points: &points,
        write: |amount| won(Won::new(amount)),
    };
    html! {
        section.sheet aria-labelledby="chart" {
            div.head {
                h2 #chart { (title) }
            }
            @if sums.is_empty() {
                p.soft { (lang.t("이 기간에 정산된 날이 없습니다.", "No day of these has been settled.")) }
            } @else {
                (bars_alone(&picture, lang))
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
            text.contains("class=\"s1\" x=\"27.5\" y=\"50.00\""),
            "{text}"
        );
        assert!(text.contains("class=\"s0\" x=\"1.5\" y=\"0.00\""), "{text}");
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
