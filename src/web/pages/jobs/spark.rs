//! The last hour of one kind, drawn small on the server: how much ran, and how long it took.
//!
//! A picture says what its words say: each has a label that reads the same figures out.

use maud::{Markup, html};

use super::duration;
use crate::{
    domain::calendar::kst,
    store::{
        job_lists::{KindStand, MINUTES},
        job_minutes::Figures,
    },
    web::lang::Lang,
};

/// Units of the drawing; it is stretched to the room there is, and so has no letters in it.
const HEIGHT: f64 = 20.0;

/// `13:05` of a minute since 1970.
fn clock(minute: i64) -> String {
    let at = jiff::Timestamp::from_second(minute.saturating_mul(60)).unwrap_or_default();
    kst(at).get(11..16).unwrap_or_default().to_owned()
}

/// Where a minute stands in the picture.
fn place(minute: i64, until: i64) -> f64 {
    (minute - (until - MINUTES)) as f64
}

/// Runs per minute; what failed lies on top of what did not.
pub fn runs(kind: &KindStand, until: i64, lang: Lang) -> Markup {
    let most = kind.minutes.iter().map(|(_, of)| of.runs()).max();
    let most = most.unwrap_or(0).max(1);
    let all = kind.last_hour.runs();
    let busiest = kind.minutes.iter().max_by_key(|(_, of)| of.runs());
    let label = match busiest {
        None => lang.t(
            "최근 한 시간 동안 실행되지 않음".to_owned(),
            "Nothing ran in the last hour".to_owned(),
        ),
        Some((minute, of)) => {
            let (at, count, failed) = (clock(*minute), of.runs(), failed(&kind.last_hour));
            lang.t(
                format!("최근 한 시간에 {all}번 실행, 그중 실패 {failed}번. 가장 많은 때는 {at}, {count}번"),
                format!("{all} runs in the last hour, {failed} of them failed. Most at {at}: {count}"),
            )
        }
    };
    let tall = |count: i64| HEIGHT * count as f64 / most as f64;
    // All bars in one path, in whole units: an element for each would weigh more than the rest of the page.
    let (mut ran, mut broke) = (String::new(), String::new());
    for (minute, of) in &kind.minutes {
        let x = place(*minute, until);
        let whole = tall(of.runs()).max(1.0).round();
        let bad = tall(failed(of)).round();
        ran.push_str(&format!("M{x} {HEIGHT}v-{whole}h.8v{whole}"));
        if failed(of) > 0 {
            let (top, bad) = (HEIGHT - whole, bad.max(1.0));
            broke.push_str(&format!("M{x} {top}v{bad}h.8v-{bad}"));
        }
    }
    html! {
        svg.spark role="img" viewBox=(format!("0 0 {MINUTES} {HEIGHT}")) preserveAspectRatio="none" {
            title { (label) }
            @if !ran.is_empty() { path.ran d=(ran) {} }
            @if !broke.is_empty() { path.failed d=(broke) {} }
            line.axis x1="0" x2=(MINUTES) y1=(HEIGHT) y2=(HEIGHT) {}
        }
    }
}

fn failed(of: &Figures) -> i64 {
    of.retried + of.dead
}

/// Mean wait and mean run of each minute in which anything ran.
pub fn latency(kind: &KindStand, until: i64, lang: Lang) -> Markup {
    let means: Vec<(f64, f64, f64)> = kind
        .minutes
        .iter()
        .filter_map(|(minute, of)| {
            let (wait, run) = (of.mean_wait_ms()?, of.mean_run_ms()?);
            Some((place(*minute, until), wait, run))
        })
        .collect();
    let most = means.iter().map(|(_, wait, run)| wait.max(*run));
    let most = most.fold(1.0, f64::max);
    // Points behind the first are joined to the one before without a word.
    let line = |of: fn(&(f64, f64, f64)) -> f64| {
        let points = means.iter().map(|mean| {
            let y = HEIGHT - (HEIGHT - 2.0) * of(mean) / most - 1.0;
            format!("{} {y:.1}", mean.0)
        });
        // A point alone has no line: it is drawn as a short one.
        let lone = if means.len() == 1 { "h1" } else { "" };
        format!("M{}{lone}", points.collect::<Vec<_>>().join(" "))
    };
    let label = match (kind.last_hour.mean_wait_ms(), kind.last_hour.mean_run_ms()) {
        (Some(wait), Some(run)) => {
            let (wait, run) = (duration(wait, lang), duration(run, lang));
            let longest = duration(kind.last_hour.ran_most_ms as f64, lang);
            lang.t(
                format!("최근 한 시간 평균: 대기 {wait}, 실행 {run}. 가장 긴 실행 {longest}"),
                format!(
                    "Means of the last hour: wait {wait}, run {run}. The longest run took {longest}"
                ),
            )
        }
        _ => lang.t(
            "최근 한 시간 동안 실행되지 않음".to_owned(),
            "Nothing ran in the last hour".to_owned(),
        ),
    };
    html! {
        svg.spark role="img" viewBox=(format!("0 0 {MINUTES} {HEIGHT}")) preserveAspectRatio="none" {
            title { (label) }
            line.axis x1="0" x2=(MINUTES) y1=(HEIGHT) y2=(HEIGHT) {}
            @if !means.is_empty() {
                path.waited d=(line(|mean| mean.1)) {}
                path.took d=(line(|mean| mean.2)) {}
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::store::jobs::Depth;

    pub fn kind(name: &str, minutes: Vec<(i64, Figures)>) -> KindStand {
        let mut last_hour = Figures::default();
        for (_, of) in &minutes {
            last_hour.done += of.done;
            last_hour.dead += of.dead;
            last_hour.waited_ms += of.waited_ms;
            last_hour.ran_ms += of.ran_ms;
        }
        KindStand {
            depth: Depth {
                kind: name.into(),
                waiting: 3,
                dead: 2,
                oldest_due: "2026-08-06T00:50:00Z".parse().ok(),
                ..Depth::default()
            },
            known: true,
            paused: None,
            today: last_hour,
            last_hour,
            minutes,
        }
    }

    #[test]
    fn a_picture_says_its_figures_in_words_and_stays_inside() {
        let until = 1_000;
        let busy = Figures {
            done: 8,
            dead: 2,
            waited_ms: 100,
            ran_ms: 20_000,
            ..Figures::default()
        };
        let calm = Figures {
            done: 1,
            ..Figures::default()
        };
        let kind = kind("settle", vec![(941, calm), (999, busy)]);
        let text = runs(&kind, until, Lang::En).into_string();
        assert!(
            text.contains("11 runs in the last hour, 2 of them failed"),
            "{text}"
        );
        assert!(
            text.contains("M1 20v-2h.8v2") && text.contains("M59 20v-20h.8v20"),
            "{text}"
        );
        assert!(text.contains("M59 0v4h.8v-4"), "{text}");
        assert!(text.contains("role=\"img\"") && !text.contains("style="));
        let text = latency(&kind, until, Lang::Ko).into_string();
        assert!(text.contains("대기 9ms, 실행 1.8초"), "{text}");
        assert!(!text.contains("NaN") && text.contains("M1 "), "{text}");
    }

    #[test]
    fn an_hour_without_a_run_is_said() {
        let kind = kind("sweep", Vec::new());
        for (lang, words) in [(Lang::Ko, "실행되지 않음"), (Lang::En, "Nothing ran")] {
            for text in [runs(&kind, 9, lang), latency(&kind, 9, lang)] {
                assert!(text.into_string().contains(words));
            }
        }
    }
}
