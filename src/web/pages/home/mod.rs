//! `/admin`: what needs somebody today, then how today and this month go.
//!
//! Each line of the first part leads to exactly the rows that it counts. The part fetches itself anew when
//! a payment changes, and every other second, since not all that may wait is a payment's news.

mod attention;
mod charts;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{Look, Page, Part, layout};
use crate::{
    domain::{
        account::{Right, Rights},
        calendar::KstDay,
        money::{OutOfRange, Won},
    },
    store::{
        StoreError,
        attention::{self as waiting, Pile},
        figures::{self, Sums},
    },
    web::{Web, auth::Actor, error::Problem, lang::Lang},
};

/// What waits, and of what the person may not be told.
#[derive(Default)]
pub struct Attention {
    pub piles: Vec<Pile>,
    /// PortOne refuses our keys: nothing is confirmed or cancelled until that is mended.
    pub halted: Option<String>,
}

/// Today, this month and the one before, and the last thirty days.
pub struct Figures {
    pub today: KstDay,
    pub hours: Vec<Sums>,
    /// From the first of last month up to today.
    pub days: Vec<(KstDay, Sums)>,
    /// Settlements that partners are owed, and what they come to.
    pub owed: (i64, Won),
}

impl Figures {
    /// The days of the month that so many months ago was.
    fn month(&self, last: bool) -> impl Iterator<Item = &(KstDay, Sums)> {
        let this = (self.today.year(), self.today.month());
        self.days
            .iter()
            .filter(move |(day, _)| ((day.year(), day.month()) == this) != last)
            .filter(move |(day, _)| !last || day.first_of_month() == month_before(self.today))
    }

    fn sum(&self, last: bool) -> Result<Sums, OutOfRange> {
        Sums::sum(self.month(last).map(|(_, sums)| sums))
    }
}

/// The first day of the month before the day's.
fn month_before(day: KstDay) -> KstDay {
    day.first_of_month().previous().first_of_month()
}

pub struct View<'a> {
    pub attention: &'a Attention,
    pub figures: &'a Figures,
    /// Whether the person may see what partners are owed.
    pub owed: bool,
    pub now: Timestamp,
}

pub fn page(look: &Look, view: &View<'_>) -> Result<Markup, OutOfRange> {
    let lang = look.lang;
    let today = KstDay::of(view.now);
    let body = html! {
        div.head {
            h1 { (lang.t("오늘 할 일", "What needs you today")) }
            p.soft { (today) }
            p.live #live-state data-on=(lang.t("실시간", "Live")) data-off=(lang.t("연결이 끊겨 다시 연결하는 중", "Connection lost, trying again")) hidden {}
        }
        div hx-ext="sse" sse-connect="/api/payment/events" sse-swap="payment,resync" hx-swap="none" #feed {
            (attention::part(view.attention, view.now, lang))
        }
        (numbers(view.figures, view.owed, lang)?)
        (charts::last_days(view.figures, lang))
        div.two.even {
            (charts::hours(view.figures, lang))
            (charts::months(view.figures, lang)?)
        }
    };
    let page = Page {
        title: lang.t("홈", "Home"),
        part: Part::Home,
        live: true,
        reload: Some(60),
        ..Page::default()
    };
    Ok(layout(look, page, body))
}

/// Today and this month in figures.
fn numbers(figures: &Figures, owed: bool, lang: Lang) -> Result<Markup, OutOfRange> {
    let today = Sums::sum(&figures.hours)?;
    let month = figures.sum(false)?;
    let day = figures.today;
    let of_today = format!("from={day}&to={day}");
    let of_month = format!("from={}&to={day}", day.first_of_month());
    Ok(html! {
        div.two.even {
            (stretch("today", lang.t("오늘", "Today"), &today, &of_today, lang)?)
            (stretch("month", lang.t("이번 달", "This month"), &month, &of_month, lang)?)
        }
        @if owed { section.sheet aria-labelledby="owed" {
            h2 #owed { (lang.t("파트너사에 줄 돈", "Owed to partners")) }
            dl.figures {
                div { dt { (lang.t(format!("지급하지 않은 정산 {}건", figures.owed.0), format!("{} settlements not paid yet", figures.owed.0))) } dd { (figures.owed.1) } }
                div { dt { (lang.t("오늘 지급", "Paid out today")) } dd { (today.payout_won) } }
                div { dt { (lang.t("이번 달 지급", "Paid out this month")) } dd { (month.payout_won) } }
            }
        } }
    })
}

fn stretch(
    id: &str,
    title: &str,
    sums: &Sums,
    query: &str,
    lang: Lang,
) -> Result<Markup, OutOfRange> {
    let many = |count: i64, en: &str| lang.t(format!("{count}건"), format!("{count} {en}"));
    Ok(html! {
        section.sheet aria-labelledby=(id) {
            h2 id=(id) { (title) }
            dl.figures.console {
                div { dt { (lang.t("결제", "Paid")) } dd { (sums.paid_won) } dd.note { (many(sums.paid, "payments")) } }
                div { dt { (lang.t("취소", "Cancelled")) } dd { (sums.cancelled_won) } dd.note { (many(sums.cancels, "cancels")) } }
                div { dt { (lang.t("순매출", "Net")) } dd { (sums.net()?) } dd.note { (lang.t("결제 − 취소", "paid − cancelled")) } }
                div { dt { (lang.t("새 주문", "New orders")) } dd { (sums.ordered_won) } dd.note { (many(sums.orders, "orders")) } }
                div { dt { (lang.t("결제 실패", "Failed")) } dd { (many(sums.failed, "")) } dd.note {
                    a href=(format!("/payment/mypage?status=FAILED&{query}")) { (lang.t("보기", "Show")) span.hidden { " " (title) } }
                } }
            }
        }
    })
}

/// What waits of that which the person may see, sort by sort. What another part of the console adds gets its
/// line here, beside its right.
fn read_attention(
    web: &Web,
    rights: Rights,
    conn: &rusqlite::Connection,
) -> Result<Attention, StoreError> {
    let today = KstDay::of(web.ctx.store.now());
    let mut found = Attention::default();
    if rights.has(Right::JobsRead) {
        found.halted = web.ctx.gateway.halted();
        found.piles.extend(waiting::dead_letters(conn)?);
    }
    if rights.has(Right::PaymentsRead) {
        found.piles.extend(waiting::payments(conn)?);
    }
    if rights.has(Right::SettlementsRead) {
        found.piles.extend(waiting::settlements(conn, today)?);
    }
    if rights.has(Right::JobsRead) {
        found.piles.extend(waiting::alerts(conn)?);
        found.piles.extend(waiting::paused(conn)?);
    }
    // Who may only look at them is not waited for.
    if rights.has(Right::SettlementsWrite) {
        found.piles.extend(waiting::approvals(conn)?);
    }
    // The page to which it leads is for who may pay.
    if !rights.has(Right::PayoutsWrite) {
        found
            .piles
            .retain(|pile| pile.sort != waiting::Sort::PayoutsDue);
    }
    Ok(found)
}

fn read_figures(conn: &rusqlite::Connection, today: KstDay) -> Result<Figures, StoreError> {
    let from = month_before(today).min(today.plus_days(1 - charts::DAYS));
    Ok(Figures {
        today,
        hours: figures::of_day(conn, today)?,
        days: figures::by_day(conn, from, today)?,
        owed: figures::owed(conn)?,
    })
}

/// `GET /admin`
pub async fn show(State(web): State<Web>, actor: Actor, look: Look) -> Response {
    look.answer(answer(&web, &look, actor.rights).await)
}

async fn answer(web: &Web, look: &Look, rights: Rights) -> Result<Response, Problem> {
    let now = web.ctx.store.now();
    let reads = web.clone();
    let (attention, figures) = web
        .ctx
        .store
        .read_long(move |conn| {
            let attention = read_attention(&reads, rights, conn)?;
            Ok::<_, StoreError>((attention, read_figures(conn, KstDay::of(now))?))
        })
        .await?;
    let view = View {
        attention: &attention,
        figures: &figures,
        owed: rights.has(Right::SettlementsRead),
        now,
    };
    let page = page(look, &view).map_err(|OutOfRange| {
        Problem::from(StoreError::Unreadable {
            table: "hour_sum",
            why: OutOfRange.to_string(),
        })
    })?;
    Ok(page.into_response())
}

/// `GET /admin/attention`: the first part as it stands now.
pub async fn attention_changed(State(web): State<Web>, actor: Actor, lang: Lang) -> Response {
    let (now, rights) = (web.ctx.store.now(), actor.rights);
    let reads = web.clone();
    let read = move |conn: &rusqlite::Connection| read_attention(&reads, rights, conn);
    match web.ctx.store.read_long(read).await {
        Ok(found) => attention::part(&found, now, lang).into_response(),
        Err(error) => Problem::from(error).lang(lang).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waiting::Sort;

    fn day(text: &str) -> KstDay {
        text.parse().unwrap()
    }

    fn figures(today: &str) -> Figures {
        let today = day(today);
        let sums = |won: i64| Sums {
            paid: 2,
            paid_won: Won::new(won),
            cancels: 1,
            cancelled_won: Won::new(1_000),
            payouts: 1,
            payout_won: Won::new(77),
            ..Sums::default()
        };
        let mut at = month_before(today).min(today.plus_days(1 - charts::DAYS));
        let mut days = Vec::new();
        while at <= today {
            days.push((at, sums(10_000)));
            at = at.next();
        }
        let mut hours = vec![Sums::default(); 24];
        hours[9] = sums(10_000);
        Figures {
            today,
            hours,
            days,
            owed: (3, Won::new(26_700)),
        }
    }

    fn shown(lang: Lang, piles: Vec<Pile>, halted: Option<&str>) -> String {
        let attention = Attention {
            piles,
            halted: halted.map(str::to_owned),
        };
        let figures = figures("2026-03-05");
        let view = View {
            attention: &attention,
            figures: &figures,
            owed: true,
            now: "2026-03-05T01:00:00Z".parse().unwrap(),
        };
        let look = Look {
            lang,
            ..Look::default()
        };
        page(&look, &view).unwrap().into_string()
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let figures = figures("2026-03-05");
        assert_eq!(figures.month(false).count(), 5);
        assert_eq!(figures.month(true).count(), 28);
        assert_eq!(month_before(day("2026-01-31")), day("2025-12-01"));
        assert_eq!(figures.days[0].0, day("2026-02-01"));
    }

    #[test]
    fn nothing_to_do_is_said_calmly_and_figures_have_a_table() {
        for (lang, words) in [
            (Lang::Ko, "오늘 처리할 일이 없습니다"),
            (Lang::En, "Nothing waits for you"),
        ] {
            let text = shown(lang, Vec::new(), None);
            assert!(text.contains(words), "{text}");
            assert_eq!(text.matches("role=\"img\"").count(), 3);
            assert!(text.matches("<details").count() >= 3);
            assert!(text.contains("₩45,000") && text.contains("₩26,700"));
            assert!(!text.contains("style=") && !text.contains("NaN"));
            assert!(text.len() < 40_000, "{} bytes", text.len());
        }
    }

    #[test]
    fn every_sort_leads_to_its_rows() {
        let kinds = |kind: &str| kind.to_owned();
        for (sort, path) in [
            (
                Sort::DeadLetters {
                    kind: kinds("retry_cancel"),
                },
                "/admin/dead-letters?kind=retry_cancel\"",
            ),
            (
                Sort::DeadLetters { kind: kinds("<x>") },
                "/admin/dead-letters?kind=%3Cx%3E\"",
            ),
            (
                Sort::Held {
                    reason: kinds("AMOUNT_DIFFERS"),
                },
                "/payment/mypage?hold=AMOUNT_DIFFERS\"",
            ),
            (Sort::OutcomeUnknown, "/payment/mypage?unknown=1\""),
            (Sort::PayoutsDue, "/admin/payouts/new?until=2026-03-05\""),
            (Sort::Approvals, "/admin/approvals\""),
            (Sort::SettlementsHeld, "/admin/settlements?held=1\""),
            (Sort::PayoutsFailed, "/admin/settlements?state=FAILED\""),
            (
                Sort::AlertsOpen {
                    kind: kinds("no_contract"),
                },
                "/admin/alerts?open=no_contract\"",
            ),
            (
                Sort::Paused {
                    kind: kinds("sweep"),
                },
                "/admin/jobs?kind=sweep\"",
            ),
        ] {
            let pile = |count| Pile {
                sort: sort.clone(),
                count,
                since: "2026-03-03T01:00:00Z".parse().ok(),
                amount: Some(Won::new(12_000)),
            };
            for (lang, age, more) in [
                (Lang::Ko, "2일 전", "999+건"),
                (Lang::En, "2 d ago", "999+"),
            ] {
                let text = shown(lang, vec![pile(1)], Some("403 <Forbidden>"));
                assert!(text.contains(path), "{sort:?}: {text}");
                assert!(text.contains(age) && text.contains("₩12,000"), "{text}");
                assert!(text.contains("403 &lt;Forbidden&gt;"));
                let text = shown(lang, vec![pile(waiting::MOST)], None);
                // A paused kind is one.
                let one = matches!(sort, Sort::Paused { .. });
                assert_eq!(text.contains(more), !one, "{text}");
            }
        }
    }
}
