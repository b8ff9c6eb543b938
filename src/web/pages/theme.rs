//! Light, dark, or whatever the system says: a cookie, a switch that is a form, and what the page says.
//!
//! The page carries the choice from its first byte (`data-theme`), so nothing flashes, and the style
//! sheet needs no script to follow it.

use axum::{extract::State, http::HeaderMap, response::Response};
use maud::{Markup, html};

use super::{
    icons::{Icon, icon},
    layout::{Fields, Look, field, see_other},
};
use crate::web::{
    Web,
    auth::own_path,
    extract::{F, Q},
    lang::{Lang, cookie},
    preferences,
};

/// What the pages are drawn in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::Light, Theme::Auto, Theme::Dark];

    pub fn code(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The choice that was made by the switch, if one was.
    pub fn of(headers: &HeaderMap) -> Theme {
        cookie(headers, "theme").map_or(Theme::Auto, Theme::named)
    }

    pub fn named(text: &str) -> Theme {
        let mut all = Theme::ALL.into_iter();
        all.rfind(|theme| theme.code() == text).unwrap_or_default()
    }

    /// What `<html data-theme>` says; nothing where the system decides.
    pub fn attribute(self) -> Option<&'static str> {
        (self != Theme::Auto).then_some(self.code())
    }

    /// What browsers draw their own parts in: fields, bars, the page before its style sheet is there.
    pub fn scheme(self) -> &'static str {
        match self {
            Theme::Auto => "light dark",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn words(self, lang: Lang) -> &'static str {
        match self {
            Theme::Auto => lang.t("시스템 설정", "System"),
            Theme::Light => lang.t("밝게", "Light"),
            Theme::Dark => lang.t("어둡게", "Dark"),
        }
    }

    fn icon(self) -> Icon {
        match self {
            Theme::Auto => Icon::Screen,
            Theme::Light => Icon::Sun,
            Theme::Dark => Icon::Moon,
        }
    }
}

/// Three buttons of which one is pressed.
pub fn switch(look: &Look) -> Markup {
    let lang = look.lang;
    html! {
        form.colours method="post" action="/theme" {
            input type="hidden" name="next" value=(look.here);
            div.switch role="group" aria-label=(lang.t("화면 색", "Colours")) {
                @for theme in Theme::ALL {
                    button name="to" value=(theme.code()) title=(theme.words(lang)) aria-pressed=(theme == look.theme) {
                        (icon(theme.icon())) span.hidden { (theme.words(lang)) }
                    }
                }
            }
        }
    }
}

/// `GET /theme?to=dark&next=/path`: the same as a link.
pub async fn link(State(web): State<Web>, look: Look, Q(query): Q<Fields>) -> Response {
    choose(&web, &look, &query).await
}

/// `POST /theme`
pub async fn form(State(web): State<Web>, look: Look, F(form): F<Fields>) -> Response {
    choose(&web, &look, &form).await
}

async fn choose(web: &Web, look: &Look, fields: &Fields) -> Response {
    let to = Theme::named(field(fields, "to").unwrap_or_default());
    let kept = preferences::remember(web, look.actor.as_ref(), None, Some(to.code())).await;
    if let Err(error) = kept {
        return look.problem(&error.into());
    }
    let cookie = preferences::line(&web.site, "theme", to.code());
    // A path of our own, and the start for whoever has none.
    let next = field(fields, "next").map_or("/", |next| own_path(Some(next)));
    see_other(next, Some(cookie))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::layout::{Page, layout};

    #[test]
    fn only_our_themes_are_themes_and_the_system_is_the_default() {
        for theme in Theme::ALL {
            assert_eq!(Theme::named(theme.code()), theme);
        }
        for other in ["", "DARK", "dark\" onload=\"x", "light dark"] {
            assert_eq!(Theme::named(other), Theme::Auto, "{other}");
        }
    }

    #[test]
    fn a_page_says_its_theme_from_its_first_byte() {
        for (theme, html, scheme) in [
            (Theme::Auto, "<html lang=\"ko\">", "content=\"light dark\""),
            (Theme::Light, "data-theme=\"light\"", "content=\"light\""),
            (Theme::Dark, "data-theme=\"dark\"", "content=\"dark\""),
        ] {
            let look = Look {
                theme,
                ..Look::default()
            };
            let text = layout(&look, Page::default(), html! {}).into_string();
            assert!(text.contains(html) && text.contains(scheme), "{text}");
            let pressed = format!("value=\"{}\" title=", theme.code());
            let after = text.split(&pressed).nth(1).unwrap();
            let button = after.split("</button>").next().unwrap();
            assert!(button.contains("aria-pressed=\"true\""), "{button}");
            assert_eq!(text.matches("aria-pressed=\"true\"").count(), 1);
        }
    }
}
