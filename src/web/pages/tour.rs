//! The demo's tour: a card on top of every page that says what to do now, why it matters and what to look
//! at. Pay, cancel, failure, dead letter, replay, settlement.
//!
//! Which step is reached is worked out from the books at every page (`store::tour`), never from clicks. The
//! browser keeps where the tour began and whether it is laid aside, and nothing else. Only the demo has a
//! [`Tour`](crate::web::Tour); to every other program none of this exists.

use std::str::FromStr;

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, request::Parts},
    response::Response,
    routing::post,
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{Fields, Look, field, nothing, payment_path, see_other};
use crate::{
    domain::calendar::KstDay,
    store::tour::{self, Happened},
    web::{
        Web,
        auth::{Cookie, own_path},
        error::Problem,
        extract::F,
        lang::Lang,
    },
};

/// Steps there are.
pub const STEPS: usize = 6;
/// A browser remembers where the tour began for so long.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3_600);

/// Only the demo has them.
pub fn routes() -> Router<Web> {
    Router::new().route("/tour/{act}", post(act))
}

/// Where a newcomer is.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Not begun.
    Offered,
    /// Laid aside, and can be taken up again.
    Aside,
    On(Happened),
}

impl Standing {
    /// The step to do now, from 1; 7 once all are done.
    fn step(happened: &Happened) -> usize {
        let done = [
            happened.paid.is_some(),
            happened.cancelled.is_some(),
            happened.failed.is_some(),
            happened.dead.is_some(),
            happened.replayed.is_some(),
            happened.settled.is_some(),
        ];
        done.iter().take_while(|done| **done).count() + 1
    }
}

/// What the browser keeps: after which event of the books, on which day the tour began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Began {
    event: i64,
    day: KstDay,
    aside: bool,
}

impl FromStr for Began {
    type Err = ();

    fn from_str(text: &str) -> Result<Began, ()> {
        let mut parts = text.split('.');
        let (event, day, how) = (parts.next(), parts.next(), parts.next());
        Ok(Began {
            event: event
                .and_then(|event| event.parse().ok())
                .filter(|event| *event >= 0)
                .ok_or(())?,
            day: day.and_then(|day| day.parse().ok()).ok_or(())?,
            aside: how == Some("aside"),
        })
    }
}

impl std::fmt::Display for Began {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.aside { "aside" } else { "on" };
        write!(f, "{}.{}.{how}", self.event, self.day)
    }
}

fn began(web: &Web, headers: &axum::http::HeaderMap) -> Option<Began> {
    Cookie::Tour.of(headers, &web.site)?.parse().ok()
}

/// Where whoever looks stands. Nobody stands anywhere outside of the demo.
pub fn standing(web: &Web, parts: &Parts, signed_in: bool) -> Option<Standing> {
    web.site.tour.as_ref().filter(|_| signed_in)?;
    match began(web, &parts.headers) {
        None => Some(Standing::Offered),
        Some(began) if began.aside => Some(Standing::Aside),
        // What cannot be read now is left out: the page itself says what is wrong.
        Some(began) => web
            .ctx
            .store
            .read(|conn| tour::since(conn, began.event, began.day))
            .ok()
            .map(Standing::On),
    }
}

/// One step as it is told.
struct Told {
    title: &'static str,
    /// What to do now.
    now: &'static str,
    /// Why it matters, and what to look at.
    why: &'static str,
}

fn told(step: usize, lang: Lang) -> Told {
    match step {
        1 => Told {
            title: lang.t("결제하기", "Pay"),
            now: lang.t(
                "상품을 하나 골라 결제해 보세요. 샌드박스의 결제창이 열리면 승인을 누르면 됩니다. 실제 돈은 나가지 않습니다.",
                "Choose something and pay for it. The sandbox's payment window opens: approve it. No money moves.",
            ),
            why: lang.t(
                "결과 화면은 브라우저의 말이 아니라 포트원에 물어본 답을 보여 줍니다.",
                "The result page shows what PortOne says was paid, not what the browser says.",
            ),
        },
        2 => Told {
            title: lang.t("일부 취소", "Give a part back"),
            now: lang.t(
                "방금 결제를 열고 1,000원만 취소해 보세요. 사유를 적고 확인하면 됩니다.",
                "Open your payment and cancel ₩1,000 of it: an amount, a reason, confirm.",
            ),
            why: lang.t(
                "취소는 포트원을 부르기 전에 먼저 장부에 적힙니다. 아래 진행 기록에서 각 단계를 보세요.",
                "A cancel is on disk before PortOne is called. Look at the timeline: it tells each step.",
            ),
        },
        3 => Told {
            title: lang.t("실패하는 취소", "Let one fail"),
            now: lang.t(
                "먼저 포트원을 끄고, 그다음 남은 금액을 취소해 보세요.",
                "Switch PortOne off first; then cancel what is left.",
            ),
            why: lang.t(
                "요청은 바로 받아 두고, 두 번 호출하고, 안 되면 대기열이 이어받습니다. 요청은 사라지지 않습니다.",
                "The request is kept at once. Two calls are made, then the queue takes over: nothing gets lost.",
            ),
        },
        4 => Told {
            title: lang.t("데드레터", "Dead letter"),
            now: lang.t(
                "10초쯤 기다려 주세요. 마지막 재시도도 실패하면 사람을 기다리는 데드레터가 됩니다.",
                "Wait some ten seconds. When the last retry has failed, too, it becomes a dead letter that waits for a person.",
            ),
            why: lang.t(
                "끝없이 재시도하지 않습니다. 각 시도의 요청과 응답이 남고, Slack으로 알림이 갑니다.",
                "Nobody retries for ever. Each attempt is kept with what was asked and what came back, and Slack is told.",
            ),
        },
        5 => Told {
            title: lang.t("재처리", "Replay"),
            now: lang.t(
                "포트원을 다시 켜고, 데드레터를 열어 재처리를 누르세요. 몇 초 안에 끝납니다.",
                "Switch PortOne on again, open the dead letter and press replay. It is through in seconds.",
            ),
            why: lang.t(
                "재처리는 보내기 전에 먼저 포트원을 읽습니다. 이미 취소된 것을 두 번 취소하지 않습니다.",
                "A replay reads PortOne before it sends anything: nothing is cancelled twice.",
            ),
        },
        _ => Told {
            title: lang.t("정산", "Settlement"),
            now: lang.t(
                "새벽 1시로 시계를 돌리면 오늘이 정산됩니다.",
                "Let the night come: at 1 a.m. today is settled.",
            ),
            why: lang.t(
                "결제와 취소가 파트너사의 정산 항목이 됩니다. 모든 금액은 계약과 계산식까지 따라가 볼 수 있습니다.",
                "Payments and cancels become lines of each partner. Every figure leads to its contract and its formula.",
            ),
        },
    }
}

/// The card.
pub fn card(standing: &Standing, here: &str, lang: Lang) -> Markup {
    match standing {
        Standing::Offered => html! {
            aside.tour #tour aria-labelledby="tour-title" {
                h2 #tour-title { (lang.t("처음이신가요? 3분 둘러보기", "New here? Take the tour (3 minutes)")) }
                p { (lang.t(
                    "결제하고, 취소하고, 일부러 실패시키고, 되살리고, 정산까지 한 번에 해 봅니다.",
                    "Pay, cancel, let a cancel fail, bring it back to life, and see it settled.",
                )) }
                div.acts {
                    (button("start", lang.t("둘러보기 시작", "Take the tour"), true, here))
                    (button("aside", lang.t("나중에", "Not now"), false, here))
                }
            }
        },
        Standing::Aside => html! {
            aside.tour.aside #tour aria-label=(lang.t("둘러보기", "Tour")) {
                (button("resume", lang.t("둘러보기 이어서 하기", "Go on with the tour"), false, here))
            }
        },
        Standing::On(happened) => on(happened, here, lang),
    }
}

fn on(happened: &Happened, here: &str, lang: Lang) -> Markup {
    let step = Standing::step(happened);
    if step > STEPS {
        return done(happened, here, lang);
    }
    let told = told(step, lang);
    let polls = matches!(step, 4..=6);
    html! {
        aside.tour #tour aria-labelledby="tour-title" data-step=(step)
            hx-get=[polls.then_some(here)] hx-select=[polls.then_some("#tour")]
            hx-swap=[polls.then_some("outerHTML")] hx-trigger=[polls.then_some("every 4s")]
        {
            div.line {
                h2.grow #tour-title { (told.title) }
                span.step { (step) "/" (STEPS) }
            }
            progress max=(STEPS) value=(step - 1) aria-label=(lang.t("둘러보기 진행", "The tour's progress")) {}
            p { (told.now) }
            p.soft.small { (told.why) }
            div.acts {
                (ways(step, happened, here, lang))
                (button("aside", lang.t("나중에", "Not now"), false, here))
            }
        }
    }
}

/// Where the step is done, and what the sandbox has to be told for it.
fn ways(step: usize, happened: &Happened, here: &str, lang: Lang) -> Markup {
    let go = |to: &str, text: &str| html! { a.button.primary href=(to) { (text) } };
    let paid = happened.paid.as_deref().map(payment_path);
    match step {
        1 => go("/payment", lang.t("결제하러 가기", "To the pay page")),
        2 => match paid {
            Some(to) => go(&to, lang.t("내 결제 열기", "Open the payment")),
            None => nothing(),
        },
        3 => html! {
            (button("portone-down", lang.t("① 포트원 끄기", "① Switch PortOne off"), true, here))
            @if let Some(to) = paid { a.button href=(to) { (lang.t("② 결제 열고 취소하기", "② Open the payment, cancel the rest")) } }
        },
        4 => go(
            "/admin/dead-letters",
            lang.t("데드레터 보기", "To the dead letters"),
        ),
        5 => html! {
            (button("portone-up", lang.t("① 포트원 켜기", "① Switch PortOne on"), true, here))
            @match happened.letter {
                Some(id) => a.button href=(format!("/admin/dead-letters/{id}")) { (lang.t("② 데드레터 열기", "② Open the dead letter")) },
                None => a.button href="/admin/dead-letters" { (lang.t("② 데드레터 보기", "② To the dead letters")) },
            }
        },
        _ => html! {
            (button("night", lang.t("밤이 오게 하기", "Let the night come"), true, here))
            a.button href="/admin/settlements" { (lang.t("정산 보기", "To the settlements")) }
        },
    }
}

fn done(happened: &Happened, here: &str, lang: Lang) -> Markup {
    let day = happened
        .settled
        .map(|day| format!("/admin/settlements/days/{day}"));
    html! {
        aside.tour #tour aria-labelledby="tour-title" data-step="done" {
            div.line {
                h2.grow #tour-title { (lang.t("다 보셨습니다", "That was all of it")) }
                span.step { (STEPS) "/" (STEPS) }
            }
            progress max=(STEPS) value=(STEPS) aria-label=(lang.t("둘러보기 진행", "The tour's progress")) {}
            p { (lang.t(
                "결제 하나가 취소와 실패, 재처리를 거쳐 정산까지 갔습니다. 이제 마음대로 눌러 보세요. 샌드박스에서는 다른 장애도 일으킬 수 있습니다.",
                "One payment went through cancel, failure and replay to its settlement. Try whatever you like now: the sandbox can break in other ways, too.",
            )) }
            div.acts {
                @if let Some(day) = day { a.button.primary href=(day) { (lang.t("정산된 날 보기", "See the settled day")) } }
                (button("start", lang.t("처음부터 다시", "Once more"), false, here))
                (button("aside", lang.t("닫기", "Close"), false, here))
            }
        }
    }
}

fn button(act: &str, text: &str, primary: bool, here: &str) -> Markup {
    html! {
        form method="post" action={ "/tour/" (act) } data-once {
            input type="hidden" name="next" value=(here);
            button.primary[primary] { (text) }
        }
    }
}

/// What the sandbox is told.
#[derive(Clone, Copy)]
enum Tell {
    Down,
    Up,
    Night,
}

/// `POST /tour/{act}`
async fn act(
    State(web): State<Web>,
    look: Look,
    headers: axum::http::HeaderMap,
    Path(act): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let here = own_path(field(&form, "next"));
    look.answer(do_act(&web, &headers, &act, here).await)
}

async fn do_act(
    web: &Web,
    headers: &axum::http::HeaderMap,
    act: &str,
    here: &str,
) -> Result<Response, Problem> {
    let now = began(web, headers);
    let to = |to: &str, began: Began| {
        let cookie = Cookie::Tour.set(&web.site, &began.to_string(), REMEMBERED);
        Ok(see_other(to, Some(cookie)))
    };
    let afresh = || -> Result<Began, Problem> {
        Ok(Began {
            event: web.ctx.store.read(tour::newest_event)?,
            day: KstDay::of(web.ctx.store.now()),
            aside: false,
        })
    };
    match (act, now) {
        ("start", _) => to("/payment", afresh()?),
        ("resume", Some(began)) => to(
            here,
            Began {
                aside: false,
                ..began
            },
        ),
        ("resume", None) => to("/payment", afresh()?),
        ("aside", Some(began)) => to(
            here,
            Began {
                aside: true,
                ..began
            },
        ),
        ("aside", None) => to(
            here,
            Began {
                aside: true,
                ..afresh()?
            },
        ),
        ("portone-down", _) => {
            tell(web, Tell::Down).await?;
            let paid = match now {
                Some(began) => {
                    let store = &web.ctx.store;
                    store
                        .read(|conn| tour::since(conn, began.event, began.day))?
                        .paid
                }
                None => None,
            };
            let next = paid.map_or_else(|| here.to_owned(), |imp_uid| payment_path(&imp_uid));
            Ok(see_other(&next, None))
        }
        ("portone-up", _) => {
            tell(web, Tell::Up).await?;
            let letter = match now {
                Some(began) => {
                    let store = &web.ctx.store;
                    store
                        .read(|conn| tour::since(conn, began.event, began.day))?
                        .letter
                }
                None => None,
            };
            let next = letter.map_or_else(
                || "/admin/dead-letters".to_owned(),
                |id| format!("/admin/dead-letters/{id}"),
            );
            Ok(see_other(&next, None))
        }
        ("night", _) => {
            tell(web, Tell::Night).await?;
            Ok(see_other("/admin/settlements", None))
        }
        _ => Err(Problem::not_found(act)),
    }
}

/// Tells the sandbox, as its own page's forms do.
async fn tell(web: &Web, what: Tell) -> Result<(), Problem> {
    let Some(tour) = &web.site.tour else {
        return Err(Problem::not_found("tour"));
    };
    let (path, form) = match what {
        Tell::Down => (
            "/sandbox/scenarios/portone-down",
            vec![("set", "on".to_owned())],
        ),
        Tell::Up => ("/sandbox/clear", Vec::new()),
        Tell::Night => {
            let ahead = until_night(web.ctx.store.now());
            ("/sandbox/clock", vec![("ahead", ahead.to_string())])
        }
    };
    let unreachable = |why: String| {
        tracing::warn!(%why, "the sandbox was not told");
        Problem::new(
            StatusCode::BAD_GATEWAY,
            "sandbox",
            "샌드박스가 답하지 않습니다. 체험판을 다시 시작해 보세요.",
            "The sandbox does not answer. Start the demo again.",
        )
    };
    let url = tour
        .sandbox
        .join(path)
        .map_err(|why| unreachable(why.to_string()))?;
    let answer = tour
        .http
        .post(url)
        .form(&form)
        .send()
        .await
        .map_err(|why| unreachable(why.to_string()))?;
    let status = answer.status();
    if status.is_success() || status.is_redirection() {
        Ok(())
    } else {
        Err(unreachable(status.to_string()))
    }
}

/// Seconds until the night has settled this day: a moment past one tomorrow in Seoul. Soon after midnight
/// the next one o'clock would only settle yesterday, of which whoever looks has seen nothing.
fn until_night(now: Timestamp) -> i64 {
    KstDay::of(now).end().as_second() + 3_602 - now.as_second()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn happened(steps: usize) -> Happened {
        let imp = |n: usize| (steps >= n).then(|| "imp_<1>".to_owned());
        Happened {
            paid: imp(1),
            cancelled: imp(2),
            failed: imp(3),
            dead: imp(4),
            letter: (steps == 4).then_some(7),
            replayed: imp(5),
            settled: (steps >= 6).then(|| "2026-08-06".parse().unwrap()),
        }
    }

    #[test]
    fn each_step_says_what_to_do_and_leads_there() {
        for (steps, leads) in [
            (0, "href=\"/payment\""),
            (1, "href=\"/payment/imp_%3C1%3E\""),
            (2, "action=\"/tour/portone-down\""),
            (3, "href=\"/admin/dead-letters\""),
            (4, "href=\"/admin/dead-letters/7\""),
            (5, "action=\"/tour/night\""),
            (6, "href=\"/admin/settlements/days/2026-08-06\""),
        ] {
            for lang in [Lang::Ko, Lang::En] {
                let text = card(&Standing::On(happened(steps)), "/payment", lang).into_string();
                assert!(text.contains(leads), "{steps}: {text}");
                let shown = format!("{}/6", (steps + 1).min(6));
                assert!(text.contains(&shown), "{steps}: {text}");
                assert!(text.contains("/tour/aside"));
            }
        }
    }

    #[test]
    fn a_later_step_does_not_count_before_the_one_before_it() {
        let mut of = happened(6);
        of.cancelled = None;
        assert_eq!(Standing::step(&of), 2);
        assert_eq!(Standing::step(&Happened::default()), 1);
        assert_eq!(Standing::step(&happened(6)), 7);
    }

    #[test]
    fn what_the_browser_keeps_reads_back_and_nothing_else_does() {
        let began = Began {
            event: 17,
            day: "2026-08-06".parse().unwrap(),
            aside: true,
        };
        assert_eq!(began.to_string().parse(), Ok(began));
        for wrong in ["", "x", "1", "1.x", "-1.2026-08-06.on", "1.2026-13-06"] {
            assert_eq!(wrong.parse::<Began>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn the_night_settles_the_day_on_which_it_is_asked_for() {
        for time in [
            "00:00:00", "00:12:00", "00:59:59", "01:00:01", "09:00:00", "23:59:59",
        ] {
            let now: Timestamp = format!("2026-11-27T{time}+09:00").parse().unwrap();
            let then = now + SignedDuration::from_secs(until_night(now));
            let expected: Timestamp = "2026-11-28T01:00:02+09:00".parse().unwrap();
            assert_eq!(then, expected, "{time}");
        }
    }
}
