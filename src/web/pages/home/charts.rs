//! Thirty days, today's hours, and this month beside the last: drawn on the server, each with its table.

use maud::{Markup, html};

use super::{
    super::{
        bars::{Series, Slot, bars, legend},
        words::won,
    },
    Figures,
};
use crate::{
    domain::money::{OutOfRange, Won},
    store::figures::Sums,
    web::lang::Lang,
};

/// How many days are drawn.
pub const DAYS: i64 = 30;

const HEIGHT: f64 = 100.0;

fn series(lang: Lang) -> [Series<'static>; 2] {
    [
        ("sales", lang.t("결제", "Paid")),
        ("returned", lang.t("취소", "Cancelled")),
    ]
    .map(|(class, name)| Series {
        class,
        name,
        inset: 1.5,
    })
}

fn slot(name: String, sums: &Sums) -> Result<Slot<2>, OutOfRange> {
    Ok(Slot {
        name,
        amounts: [sums.paid_won, Won::ZERO.minus(sums.cancelled_won)?],
    })
}

/// The figures of a chart, for who does not see it.
fn table(head: &str, rows: &[(String, Sums)], lang: Lang) -> Result<Markup, OutOfRange> {
    let nets: Vec<Won> = rows
        .iter()
        .map(|(_, of)| of.net())
        .collect::<Result<_, _>>()?;
    Ok(html! {
        details {
            summary { (lang.t("표로 보기", "As a table")) }
            table.plain {
                thead { tr {
                    th scope="col" { (head) }
                    th.num scope="col" { (lang.t("결제", "Paid")) }
                    th.num scope="col" { (lang.t("취소", "Cancelled")) }
                    th.num scope="col" { (lang.t("순매출", "Net")) }
                } }
                tbody {
                    @for ((name, of), net) in rows.iter().zip(nets) {
                        tr {
                            th scope="row" { (name) }
                            td.num { (of.paid_won) span.soft { " · " (of.paid) } }
                            td.num { (of.cancelled_won) span.soft { " · " (of.cancels) } }
                            td.num { (net) }
                        }
                    }
                }
            }
        }
    })
}

/// The last thirty days with today, oldest first.
pub fn last_days(figures: &Figures, lang: Lang) -> Result<Markup, OutOfRange> {
    let skip = figures.days.len().saturating_sub(DAYS as usize);
    let days = figures.days.get(skip..).unwrap_or_default();
    let slots = days
        .iter()
        .map(|(day, sums)| slot(day.to_string(), sums))
        .collect::<Result<Vec<_>, _>>()?;
    let series = series(lang);
    let label = lang.t(
        format!("최근 {DAYS}일의 날짜별 결제와 취소 금액. 같은 숫자가 아래 표에 있습니다."),
        format!("Won paid and cancelled on each of the last {DAYS} days. The table below has the same figures."),
    );
    let rows: Vec<_> = days
        .iter()
        .rev()
        .filter(|(_, of)| of.paid + of.cancels > 0)
        .map(|(day, sums)| (day.to_string(), *sums))
        .collect();
    Ok(html! {
        section.sheet aria-labelledby="days" {
            div.head {
                h2 #days { (lang.t(format!("최근 {DAYS}일"), format!("The last {DAYS} days"))) }
                (legend(&series))
            }
            @if rows.is_empty() {
                p.soft { (lang.t("이 기간에 결제도 취소도 없습니다.", "Nothing was paid or cancelled in these days.")) }
            } @else {
                (bars(&slots, &series, &label, lang))
                (table(lang.t("날짜", "Day"), &rows, lang)?)
            }
        }
    })
}

/// Today from midnight to midnight.
pub fn hours(figures: &Figures, lang: Lang) -> Result<Markup, OutOfRange> {
    let name = |hour: usize| lang.t(format!("{hour}시"), format!("{hour}:00"));
    let slots = figures
        .hours
        .iter()
        .enumerate()
        .map(|(hour, sums)| slot(name(hour), sums))
        .collect::<Result<Vec<_>, _>>()?;
    let series = series(lang);
    let label = lang.t(
        "오늘 시간대별 결제와 취소 금액. 같은 숫자가 아래 표에 있습니다.",
        "Won paid and cancelled in each hour of today. The table below has the same figures.",
    );
    let rows: Vec<_> = figures
        .hours
        .iter()
        .enumerate()
        .filter(|(_, of)| of.paid + of.cancels > 0)
        .map(|(hour, sums)| (name(hour), *sums))
        .collect();
    Ok(html! {
        section.sheet aria-labelledby="hours" {
            div.head { h2 #hours { (lang.t("오늘 시간대별", "Today by the hour")) } (legend(&series)) }
            @if rows.is_empty() {
                p.soft { (lang.t("오늘은 아직 결제도 취소도 없습니다.", "Nothing was paid or cancelled today yet.")) }
            } @else {
                (bars(&slots, &series, label, lang))
                (table(lang.t("시간", "Hour"), &rows, lang)?)
            }
        }
    })
}

/// What came in less what went back since the first of the month, day after day.
fn summed<'a>(days: impl Iterator<Item = &'a Sums>) -> Result<Vec<Won>, OutOfRange> {
    let mut so_far = Won::ZERO;
    days.map(|sums| {
        so_far = so_far.plus(sums.net()?)?;
        Ok(so_far)
    })
    .collect()
}

/// This month against the last, both summed up from their first day.
pub fn months(figures: &Figures, lang: Lang) -> Result<Markup, OutOfRange> {
    let this = summed(figures.month(false).map(|(_, sums)| sums))?;
    let last = summed(figures.month(true).map(|(_, sums)| sums))?;
    let names = [
        lang.t("이번 달", "This month"),
        lang.t("지난달", "Last month"),
    ];
    let all = || this.iter().chain(&last).map(|won| won.get());
    let (up, down) = (
        all().max().unwrap_or(0).max(0),
        all().min().unwrap_or(0).min(0),
    );
    let span = (up - down).max(1) as f64;
    let days = this.len().max(last.len()).max(2);
    let y = |won: &Won| HEIGHT * (up - won.get()) as f64 / span;
    let path = |sums: &[Won]| {
        let points = sums.iter().enumerate().map(|(at, won)| {
            let step = if at == 0 { 'M' } else { 'L' };
            format!("{step}{at} {:.2}", y(won))
        });
        // A point alone has no line: it is drawn as a short one.
        points.collect::<Vec<_>>().join("") + if sums.len() == 1 { "h0.4" } else { "" }
    };
    let same_day = last.get(this.len().saturating_sub(1)).or(last.last());
    let label = lang.t(
        format!(
            "월초부터 쌓인 순매출: 이번 달 {}, 지난달 같은 날까지 {}. 같은 숫자가 아래 표에 있습니다.",
            won(this.last().copied().unwrap_or_default()),
            won(same_day.copied().unwrap_or_default())
        ),
        format!(
            "Net since the first of the month: this month {}, last month by the same day {}. The table below has the same figures.",
            won(this.last().copied().unwrap_or_default()),
            won(same_day.copied().unwrap_or_default())
        ),
    );
    Ok(html! {
        section.sheet aria-labelledby="months" {
            div.head {
                h2 #months { (lang.t("이번 달과 지난달", "This month and the last")) }
                p.legend {
                    @for (class, name) in [("sales", names[0]), ("before", names[1])] { span { i class={ "swatch " (class) } aria-hidden="true" {} (name) } }
                }
            }
            div.chart {
                p.scale.top-scale { (won(Won::new(up))) }
                svg role="img" aria-label=(label) viewBox=(format!("0 0 {} {HEIGHT:.0}", days - 1)) preserveAspectRatio="none" {
                    title { (label) }
                    line.axis x1="0" x2=(days - 1) y1=(format!("{:.2}", y(&Won::ZERO))) y2=(format!("{:.2}", y(&Won::ZERO))) {}
                    @if !last.is_empty() { path.sum-line.before d=(path(&last)) {} }
                    @if !this.is_empty() { path.sum-line d=(path(&this)) {} }
                }
                p.ends { span { (lang.t("1일", "1st")) } span { (lang.t(format!("{days}일"), format!("day {days}"))) } }
            }
            details {
                summary { (lang.t("표로 보기", "As a table")) }
                table.plain {
                    thead { tr {
                        th scope="col" { (lang.t("일", "Day of the month")) }
                        @for name in names { th.num scope="col" { (name) } }
                    } }
                    tbody {
                        @for day in 0..this.len().max(last.len()) {
                            tr {
                                th scope="row" { (day + 1) }
                                @for sums in [&this, &last] { td.num { @match sums.get(day) { Some(won) => (won), None => "–" } } }
                            }
                        }
                    }
                }
            }
        }
    })
}
