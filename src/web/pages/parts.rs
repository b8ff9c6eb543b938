//! What pages are put together from: states, money, dates, empty lists, questions, filters, figures.
//!
//! Each looks the same wherever it stands; `assets/app.css` has a section for it. They take values and
//! give markup. Links and forms in them work without scripts.

#![allow(
    dead_code,
    reason = "a set that belongs together, of which pages use what they need"
)]

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    flash::Flash,
    icons::{Icon, icon},
    words,
};
use crate::{
    domain::{calendar::KstDay, money::Won},
    web::lang::Lang,
};

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

/// A state: colour, sign and words, and its code for programs.
pub fn badge(tone: Tone, sign: &str, text: &str, code: &str) -> Markup {
    words::tag(tone.as_str(), sign, text, code)
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

/// A Korean day, for people and for programs.
pub fn day(day: KstDay) -> Markup {
    html! { time datetime=(day) { (day) } }
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

/// Stands where something is still being fetched.
pub fn loading(lang: Lang) -> Markup {
    html! {
        div.skeleton role="status" { span.hidden { (lang.t("불러오는 중", "Loading")) } i {} i {} i {} }
    }
}

/// A sentence over a page: what was done, what waits, what is wrong.
pub fn message(tone: Tone, text: &str) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { p class={ "message " (tone.as_str()) } role=(role) { (text) } }
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

/// A field with its label, a hint under it, and what is wrong with what was typed.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub name: &'a str,
    pub label: &'a str,
    /// `text`, `date`, `email`, `password`…
    pub kind: &'a str,
    pub value: &'a str,
    pub hint: &'a str,
    pub wrong: Option<&'a str>,
    pub required: bool,
    pub autocomplete: &'a str,
    pub most: u32,
}

impl Default for Input<'_> {
    fn default() -> Self {
        Input {
            name: "",
            label: "",
            kind: "text",
            value: "",
            hint: "",
            wrong: None,
            required: false,
            autocomplete: "off",
            most: 200,
        }
    }
}

pub fn input(of: &Input<'_>) -> Markup {
    let id = format!("in-{}", of.name);
    let hint = (!of.hint.is_empty()).then(|| format!("{id}-hint"));
    let wrong = of.wrong.map(|_| format!("{id}-wrong"));
    let described: Vec<&str> = [wrong.as_deref(), hint.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    let described = (!described.is_empty()).then(|| described.join(" "));
    html! {
        div.field {
            label for=(id) { (of.label) }
            input id=(id) name=(of.name) type=(of.kind) value=(of.value) required[of.required] autocomplete=(of.autocomplete)
                maxlength=(of.most) aria-describedby=[described] aria-invalid=[of.wrong.map(|_| "true")];
            @if let (Some(id), Some(text)) = (&wrong, of.wrong) { span.wrong id=(id) { (text) } }
            @if let Some(id) = &hint { span.hint id=(id) { (of.hint) } }
        }
    }
}

/// One of several views of a list.
#[derive(Clone, Debug)]
pub struct Tab {
    pub href: String,
    pub text: String,
    pub count: Option<i64>,
    pub current: bool,
}

pub fn tabs(label: &str, tabs: &[Tab]) -> Markup {
    html! {
        nav.chips aria-label=(label) {
            @for tab in tabs {
                a href=(tab.href) aria-current=[tab.current.then_some("page")] {
                    (tab.text) @if let Some(count) = tab.count { " " span.soft { (count) } }
                }
            }
        }
    }
}

/// A figure with its name, and where it leads.
pub struct Stat<'a> {
    pub label: &'a str,
    pub value: Markup,
    pub note: Markup,
    pub tone: Tone,
    pub href: Option<&'a str>,
}

pub fn stats(all: &[Stat<'_>]) -> Markup {
    html! {
        div.stats {
            @for stat in all {
                div.stat.(stat.tone.as_str()) {
                    p.label { @if let Some(href) = stat.href { a.cover href=(href) { (stat.label) } } @else { (stat.label) } }
                    p.value { (stat.value) }
                    p.note { (stat.note) }
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

/// The way back to the list that a page belongs to.
pub fn crumb(href: &str, text: &str) -> Markup {
    html! { p.crumb { a href=(href) { "← " (text) } } }
}

/// A page's heading: what it is, a sentence about it, and what can be done.
pub fn heading(title: &str, about: &str, ways: Markup) -> Markup {
    html! {
        div.head {
            h1 { (title) }
            @if !about.is_empty() { p.soft { (about) } }
            div.ways { (ways) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "\"><script>x</script>";

    #[test]
    fn no_words_break_out_of_a_part() {
        let flash = Flash {
            tone: Tone::Good,
            text: EVIL.into(),
        };
        let tab = Tab {
            href: EVIL.into(),
            text: EVIL.into(),
            count: Some(3),
            current: true,
        };
        let stat = Stat {
            label: EVIL,
            value: html! { (EVIL) },
            note: html! { (EVIL) },
            tone: Tone::Bad,
            href: Some(EVIL),
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
        let field = Input {
            name: EVIL,
            label: EVIL,
            value: EVIL,
            hint: EVIL,
            wrong: Some(EVIL),
            ..Input::default()
        };
        for part in [
            toast(&flash),
            tabs(EVIL, &[tab]),
            stats(&[stat]),
            sure(&of, Lang::Ko),
            input(&field),
            nothing_fits(EVIL, EVIL, Lang::En),
            message(Tone::Bad, EVIL),
            crumb(EVIL, EVIL),
            heading(EVIL, EVIL, html! { (EVIL) }),
            pager(Lang::Ko, Some(EVIL), Some(EVIL)),
            badge(Tone::Plain, EVIL, EVIL, EVIL),
        ] {
            let text = part.into_string();
            assert!(
                !text.contains("<script") && !text.contains("style="),
                "{text}"
            );
        }
    }

    #[test]
    fn a_field_names_what_is_wrong_with_it() {
        let plain = input(&Input {
            name: "note",
            label: "이유",
            ..Input::default()
        });
        let plain = plain.into_string();
        assert!(
            plain.contains("for=\"in-note\"") && !plain.contains("aria-"),
            "{plain}"
        );
        let wrong = input(&Input {
            name: "note",
            hint: "짧게",
            wrong: Some("비어 있습니다."),
            required: true,
            ..Input::default()
        });
        let wrong = wrong.into_string();
        assert!(
            wrong.contains("aria-describedby=\"in-note-wrong in-note-hint\""),
            "{wrong}"
        );
        assert!(wrong.contains("aria-invalid=\"true\"") && wrong.contains(" required "));
    }

    #[test]
    fn what_went_wrong_interrupts_and_all_else_waits_its_turn() {
        for tone in Tone::ALL {
            let text = message(tone, "x").into_string();
            assert_eq!(text.contains("role=\"alert\""), tone == Tone::Bad, "{text}");
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
        assert!(loading(Lang::En).into_string().contains("Loading"));
        let at = "2026-08-06T15:30:00Z".parse().unwrap();
        assert!(
            date_cell("t", at)
                .into_string()
                .contains(">2026-08-07 00:30<")
        );
    }
}
