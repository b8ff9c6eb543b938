//! In which language and colours a person sees the pages: cookies of the browser, and kept with the
//! account, so that they come along to the next browser.

use super::{Site, Web, auth::Actor};
use crate::{
    flow::manage_users,
    store::{StoreError, accounts},
};

/// What a browser keeps: a year, and readable by nobody but us.
const YEAR: u32 = 31_536_000;

pub const LANGS: [&str; 2] = ["ko", "en"];
pub const THEMES: [&str; 3] = ["auto", "light", "dark"];

/// The one of these that the text names.
pub fn known<const N: usize>(all: [&'static str; N], text: &str) -> Option<&'static str> {
    all.into_iter().find(|code| *code == text)
}

/// The line that sets the cookie `lang` or `theme`.
pub fn line(site: &Site, name: &str, value: &str) -> String {
    let secure = if site.secure_cookies() {
        "; Secure"
    } else {
        ""
    };
    format!("{name}={value}; Path=/; SameSite=Lax; Max-Age={YEAR}{secure}")
}

/// Keeps with the account what its person chose just now. Nobody's choice is the browser's alone.
pub async fn remember(
    web: &Web,
    actor: Option<&Actor>,
    lang: Option<&'static str>,
    theme: Option<&'static str>,
) -> Result<(), StoreError> {
    match actor.and_then(Actor::person) {
        Some(session) => manage_users::set_look(&web.ctx.store, session.user, lang, theme).await,
        None => Ok(()),
    }
}

/// The cookies by which a browser sees the pages as its person chose elsewhere.
pub fn lines_of(web: &Web, user: i64) -> Result<Vec<String>, StoreError> {
    let Some(user) = web.ctx.store.read(|conn| accounts::by_id(conn, user))? else {
        return Ok(Vec::new());
    };
    let chosen = [("lang", user.lang), ("theme", user.theme)];
    Ok(chosen
        .into_iter()
        .filter_map(|(name, value)| Some(line(&web.site, name, &value?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_have_can_be_chosen() {
        assert_eq!(known(LANGS, "en"), Some("en"));
        for other in ["fr", "", "en\"><script>"] {
            assert_eq!(
                (known(LANGS, other), known(THEMES, other)),
                (None, None),
                "{other}"
            );
        }
    }
}
