//! Thirty days, today's hours, and this month beside the last.

use maud::{Markup, html};

use super::{
    super::{
        charts::{self, Chart, Point},
        words,
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

fn won(amount: i64) -> String {
    words::won(Won::new(amount))
}

fn points<'a>(named: impl Iterator<Item = String>, values: &'a [Vec<i64>]) -> Vec<Point<'a>> {
    let pairs = named.zip(values);
    pairs.map(|(name, values)| Point { name, values }).collect()
}

/// What was paid stands above the line, what was cancelled hangs below it.
fn values<'a>(all: impl Iterator<Item = &'a Sums>) -> Vec<Vec<i64>> {
    all.map(|of| vec![of.paid_won.get(), of.cancelled_won.get().saturating_neg()])
        .collect()
}

fn names(lang: Lang) -> [&'static str; 2] {
    [lang.t("결제", "Paid"), lang.t("취소", "Cancelled")]
}

fn sheet(id: &str, title: &str, inside: &Markup) -> Markup {
    html! {
        section.sheet aria-labelledby=(id) {
            h2 id=(id) { (title) }
            (inside)
        }
    }
}

/// The last thirty days with today, oldest first.
pub fn last_days(figures: &Figures, lang: Lang) -> Markup {
    let skip = figures.days.len().saturating_sub(DAYS as usize);
    let days = figures.days.get(skip..).unwrap_or_default();
    let title = lang.t(format!("최근 {DAYS}일"), format!("The last {DAYS} days"));
    let values = values(days.iter().map(|(_, sums)| sums));
    let chart = Chart {
        id: "days-drawn",
        title: &title,
        about: lang.t(
            "날짜별 결제 금액과 취소 금액. 같은 숫자가 아래 표에 있습니다.",
            "Won paid and cancelled on each day. The table below has the same figures.",
        ),
        series: &names(lang),
        points: &points(days.iter().map(|(day, _)| day.to_string()), &values),
        write: won,
    };
    let any = days.iter().any(|(_, of)| of.paid + of.cancels > 0);
    let inside = html! {
        @if any { (charts::bars(&chart, lang)) }
        @else { p.soft { (lang.t("이 기간에 결제도 취소도 없습니다.", "Nothing was paid or cancelled in these days.")) } }
    };
    sheet("days", &title, &inside)
}

/// Today from midnight to midnight.
pub fn hours(figures: &Figures, lang: Lang) -> Markup {
    let title = lang.t("오늘 시간대별", "Today by the hour");
    let values = values(figures.hours.iter());
    let named =
        (0..figures.hours.len()).map(|hour| lang.t(format!("{hour}시"), format!("{hour}:00")));
    let chart = Chart {
        id: "hours-drawn",
        title,
        about: lang.t(
            "오늘 시간대별 결제 금액과 취소 금액. 같은 숫자가 아래 표에 있습니다.",
            "Won paid and cancelled in each hour of today. The table below has the same figures.",
        ),
        series: &names(lang),
        points: &points(named, &values),
        write: won,
    };
    let any = figures.hours.iter().any(|of| of.paid + of.cancels > 0);
    let inside = html! {
        @if any { (charts::bars(&chart, lang)) }
        @else { p.soft { (lang.t("오늘은 아직 결제도 취소도 없습니다.", "Nothing was paid or cancelled today yet.")) } }
    };
    sheet("hours", title, &inside)
}

/// What came in less what went back since the first of the month, day after day.
fn summed<'a>(days: impl Iterator<Item = &'a Sums>) -> Result<Vec<i64>, OutOfRange> {
    let mut so_far = Won::ZERO;
    days.map(|sums| {
        so_far = so_far.plus(sums.net()?)?;
        Ok(so_far.get())
    })
    .collect()
}

/// This month against the last, both summed up from their first day.
pub fn months(figures: &Figures, lang: Lang) -> Result<Markup, OutOfRange> {
    let this = summed(figures.month(false).map(|(_, sums)| sums))?;
    let last = summed(figures.month(true).map(|(_, sums)| sums))?;
    let end = last.last().copied().unwrap_or_default();
    // A shorter month stays where it ended; this one has not come further than today.
    let values: Vec<Vec<i64>> = (0..this.len().max(last.len()))
        .map(|day| {
            let before = last.get(day).copied().unwrap_or(end);
            [before].into_iter().chain(this.get(day).copied()).collect()
        })
        .collect();
    let named = (1..=values.len()).map(|day| lang.t(format!("{day}일"), format!("day {day}")));
    let title = lang.t("이번 달과 지난달", "This month and the last");
    let now = this.last().copied().unwrap_or_default();
    let then = this.len().checked_sub(1).and_then(|day| values.get(day));
    let then = then
        .and_then(|day| day.first())
        .copied()
        .unwrap_or_default();
    let about = lang.t(
        format!(
            "월초부터 쌓인 순매출: 이번 달 {}, 지난달 같은 날까지 {}. 같은 숫자가 아래 표에 있습니다.",
            won(now),
            won(then)
        ),
        format!(
            "Net since the first of the month: this month {}, last month by the same day {}. The table below has the same figures.",
            won(now),
            won(then)
        ),
    );
    let chart = Chart {
        id: "months-drawn",
        title,
        about: &about,
        series: &[
            lang.t("지난달", "Last month"),
            lang.t("이번 달", "This month"),
        ],
        points: &points(named, &values),
        write: won,
    };
    Ok(sheet("months", title, &charts::lines(&chart, lang)))
}
