//! What pages are put together from: states, money, dates, empty lists, questions, filters, figures.
//!
//! Each looks the same wherever it stands; `assets/app.css` has a section for it. They take values and
//! give markup. Links and forms in them work without scripts.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    flash::Flash,
    icons::{Icon, icon},
    words,
};
use crate::{domain::money::Won, web::lang::Lang};

/// What something means for whoever looks: it chooses a colour, which never stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Wait,
    Bad,
    /// Money that goes back.
    Back,
}

impl Tone {
    pub const ALL: [Tone; 5] = [Tone::Plain, Tone::Good, Tone::Wait, Tone::Bad, Tone::Back];

    pub fn as_str(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Wait => "wait",
            Tone::Bad => "bad",
            Tone::Back => "back",
        }
    }

    fn icon(self) -> Icon {
        match self {
            Tone::Good => Icon::Check,
            Tone::Plain | Tone::Back => Icon::Bell,
            Tone::Wait | Tone::Bad => Icon::Warning,
        }
    }
}

/// An amount in a table, in its column. Nothing is a dash.
pub fn money_cell(label: &str, amount: Won) -> Markup {
    html! {
        td.num data-label=(label) { @if amount.is_zero() { span.soft { "–" } } @else { (amount) } }
    }
}

/// An instant in a table, to the minute, in Korean time.
pub fn date_cell(label: &str, at: Timestamp) -> Markup {
    html! { td.when data-label=(label) { (words::short_time(at)) } }
}

/// Says why a list has nothing, and what to do about it.
pub struct Empty<'a> {
    pub icon: Icon,
    pub title: &'a str,
    pub text: &'a str,
    /// A link: where to, and its words.
    pub action: Option<(&'a str, &'a str)>,
}

pub fn empty(of: &Empty<'_>) -> Markup {
    html! {
        section.sheet.centre.empty {
            p.big-sign aria-hidden="true" { (icon(of.icon)) }
            p.big { (of.title) }
            @if !of.text.is_empty() { p.soft { (of.text) } }
            @if let Some((href, words)) = of.action { p.acts { a.button href=(href) { (words) } } }
        }
    }
}

/// A list that has nothing yet.
pub fn none_yet(icon: Icon, title: &str) -> Markup {
    empty(&Empty {
        icon,
        title,
        text: "",
        action: None,
    })
}

/// An empty list where a filter is why.
pub fn nothing_fits(title: &str, all: &str, lang: Lang) -> Markup {
    empty(&Empty {
        icon: Icon::Search,
        title,
        text: lang.t(
            "조건을 바꾸거나 지우고 다시 찾아보세요.",
            "Change the filters, or clear them.",
        ),
        action: Some((all, lang.t("전체 보기", "Show all"))),
    })
}

/// What was just done, in a corner. `app.js` takes it away after a while; what went wrong stays.
pub fn toast(flash: &Flash) -> Markup {
    html! {
        div.toast.(flash.tone.as_str()) role="status" data-tone=(flash.tone.as_str()) {
            (icon(flash.tone.icon())) p { (flash.text) }
        }
    }
}

/// The page between asking and doing: what will happen, and two ways on.
pub struct Sure<'a> {
    pub title: &'a str,
    /// In one sentence, with the amount.
    pub what: &'a str,
    /// What follows from it, one sentence each.
    pub happens: &'a [&'a str],
    /// Where the form goes.
    pub action: &'a str,
    /// Where whoever thinks better of it goes.
    pub back: &'a str,
    pub button: &'a str,
    /// Whether it cannot be undone.
    pub danger: bool,
    /// What the form carries besides `sure`.
    pub fields: &'a [(&'a str, &'a str)],
}

pub fn sure(of: &Sure<'_>, lang: Lang) -> Markup {
    html! {
        section.sheet.narrow {
            h1 { (of.title) }
            p.big { (of.what) }
            @if !of.happens.is_empty() {
                div.happens {
                    h2 { (lang.t("이렇게 됩니다", "What will happen")) }
                    ul { @for sentence in of.happens { li { (sentence) } } }
                }
            }
            form.acts method="post" action=(of.action) data-once {
                input type="hidden" name="sure" value="1";
                @for (name, value) in of.fields { input type="hidden" name=(name) value=(value); }
                a.button href=(of.back) { (lang.t("그만두기", "Leave it")) }
                @if of.danger {
                    button.danger.solid #do-it { (of.button) }
                } @else {
                    button.primary #do-it { (of.button) }
                }
            }
        }
    }
}

/// Leads through a list: back to where it begins, and on.
pub fn pager(lang: Lang, first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pager aria-label=(lang.t("페이지", "Pages")) {
                @if let Some(href) = first { a.button href=(href) { (lang.t("처음으로", "First page")) } }
                @if let Some(href) = next { a.button rel="next" href=(href) { (lang.t("다음", "Next")) " →" } }
            }
        }
    }
}

/// Bytes of rows after which a page ends. Some rows hold whole messages: by number alone, a page of them
/// would be heavier than a phone on the way should have to fetch.
const HEAVY: usize = 48_000;

/// The first of some rows, as many as a page can carry, and one at least. Those left out are on the next page.
pub fn carried(rows: impl IntoIterator<Item = Markup>) -> Vec<Markup> {
    let mut weight = 0;
    rows.into_iter()
        .take_while(|row| {
            let fits = weight == 0 || weight + row.0.len() <= HEAVY;
            weight += row.0.len();
            fits
        })
        .collect()
}

/// Where the next page begins: behind the last row that was carried, or where it was to begin.
pub fn behind<T>(
    rows: &[T],
    carried: usize,
    next: Option<i64>,
    id: impl Fn(&T) -> i64,
) -> Option<i64> {
    match rows.get(carried) {
        Some(_) => rows.get(carried.saturating_sub(1)).map(id),
        None => next,
    }
}

/// The way back to the list that a page belongs to.
pub fn crumb(href: &str, text: &str) -> Markup {
    html! { p.crumb { a href=(href) { "← " (text) } } }
}

#[cfg(test)]
mod tests {
    use maud::PreEscaped;

    use super::*;

    #[test]
    fn a_page_ends_before_it_is_heavy_and_the_next_begins_there() {
        let rows = |sizes: &[usize]| {
            let rows = sizes.iter().map(|size| PreEscaped("x".repeat(*size)));
            carried(rows).len()
        };
        assert_eq!(rows(&[10, 20, 30]), 3);
        assert_eq!(rows(&[30_000, 18_000, 1]), 2);
        assert_eq!(rows(&[90_000, 1]), 1, "one stands there in any case");
        assert_eq!(rows(&[]), 0);
        let ids = [9, 7, 4];
        assert_eq!(behind(&ids, 2, None, |id| *id), Some(7));
        assert_eq!(behind(&ids, 3, Some(4), |id| *id), Some(4));
        assert_eq!(behind(&ids, 3, None, |id| *id), None);
    }

    const EVIL: &str = "\"><script>x</script>";

    #[test]
    fn no_words_break_out_of_a_part() {
        let flash = Flash {
            tone: Tone::Good,
            text: EVIL.into(),
        };
        let of = Sure {
            title: EVIL,
            what: EVIL,
            happens: &[EVIL],
            action: EVIL,
            back: EVIL,
            button: EVIL,
            danger: true,
            fields: &[(EVIL, EVIL)],
        };
        for part in [
            toast(&flash),
            sure(&of, Lang::Ko),
            nothing_fits(EVIL, EVIL, Lang::En),
            crumb(EVIL, EVIL),
            pager(Lang::Ko, Some(EVIL), Some(EVIL)),
        ] {
            let text = part.into_string();
            assert!(
                !text.contains("<script") && !text.contains("style="),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_is_a_dash_and_a_list_of_one_page_has_no_pager() {
        assert!(money_cell("잔액", Won::ZERO).into_string().contains("–"));
        assert!(
            money_cell("잔액", Won::new(-1_000))
                .into_string()
                .contains("-₩1,000")
        );
        assert!(pager(Lang::Ko, None, None).into_string().is_empty());
        let at = "2026-08-06T15:30:00Z".parse().unwrap();
        assert!(
            date_cell("t", at)
                .into_string()
                .contains(">2026-08-07 00:30<")
        );
    }
}
