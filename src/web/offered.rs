//! A page offers nobody what would be refused: forms and links to routes that the person may not reach
//! are taken out where a page leaves the server, by the same table that the gate asks. So no page can
//! forget it, and none has to know of roles.

use std::sync::LazyLock;

use matchit::Router;

use super::{
    access::{self, Row},
    auth::Actor,
    lang::Lang,
};
use crate::domain::account::Rights;

/// Which route a path is, as axum's own router would say.
static ROUTES: LazyLock<Router<&'static str>> = LazyLock::new(|| {
    let mut routes = Router::new();
    for row in access::TABLE {
        // The same path again, by another method: it is there already.
        let _ = routes.insert(row.path, row.path);
    }
    routes
});

/// The row that a request of this method to this address would be held against.
pub fn row(method: &str, address: &str) -> Option<&'static Row> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let route = ROUTES.at(path).ok()?;
    access::find(method, route.value)
}

/// The value of an attribute of a tag of ours. Maud writes them in double quotes.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = tag.split_once(&format!(" {name}=\""))?;
    after.split('"').next()
}

/// The page as this person is to see it.
pub fn only(page: &str, actor: &Actor, lang: Lang) -> String {
    if actor.rights == Rights::ALL_BUT_OWN {
        return page.to_owned();
    }
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    let mut told = false;
    while let Some(at) = next_tag(rest) {
        let Some(end) = rest[at..].find('>').map(|end| at + end + 1) else {
            break;
        };
        let tag = &rest[at..end];
        out.push_str(&rest[..at]);
        let is_form = tag.starts_with("<form");
        let (method, target, close) = if is_form {
            let posted = tag.contains(" method=\"post\"");
            let method = if posted { "POST" } else { "GET" };
            (method, attribute(tag, "action"), "</form>")
        } else {
            ("GET", attribute(tag, "href"), "</a>")
        };
        let refused = target
            .filter(|target| target.starts_with('/'))
            .and_then(|target| row(method, &target.replace("&amp;", "&")))
            .filter(|row| !row.admits(Some(actor)));
        let (Some(row), Some(length)) = (refused, rest[end..].find(close)) else {
            out.push_str(tag);
            rest = &rest[end..];
            continue;
        };
        let inside = &rest[end..end + length];
        rest = &rest[end + length + close.len()..];
        if is_form && !told {
            told = true;
            out.push_str(&needs(row, lang));
        } else if !is_form && !is_button(tag) {
            // A link in a text or a table leaves its words.
            out.push_str(inside);
        }
    }
    out.push_str(rest);
    out
}

fn next_tag(text: &str) -> Option<usize> {
    let (form, link) = (text.find("<form"), text.find("<a "));
    form.into_iter().chain(link).min()
}

/// Whether a link looks like something to press, and is nothing without leading on.
fn is_button(tag: &str) -> bool {
    attribute(tag, "class").is_some_and(|class| class.split(' ').any(|word| word == "button"))
}

/// Why something is not there.
fn needs(row: &Row, lang: Lang) -> String {
    let right = match row.need {
        access::Need::Has(right) => right.as_str(),
        _ => return String::new(),
    };
    lang.t(
        format!("<p class=\"soft small\">이 화면에서 무언가를 바꾸려면 <code>{right}</code> 권한이 필요합니다.</p>"),
        format!("<p class=\"soft small\">To change something here takes the right <code>{right}</code>.</p>"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::account::Role, web::auth::Who};

    fn viewer() -> Actor {
        Actor {
            by: "@viewer",
            rights: Role::Viewer.rights(),
            who: Who::Token,
        }
    }

    #[test]
    fn an_address_is_the_route_that_the_router_would_take() {
        for (method, address, path) in [
            ("GET", "/payment/imp_1?x=1", "/payment/{imp_uid}"),
            ("GET", "/payment/mypage", "/payment/mypage"),
            (
                "POST",
                "/payment/imp_1/cancel#a",
                "/payment/{imp_uid}/cancel",
            ),
        ] {
            assert_eq!(row(method, address).unwrap().path, path);
        }
        assert!(row("GET", "/nowhere/at/all").is_none());
        assert!(row("DELETE", "/payment/mypage").is_none());
    }

    #[test]
    fn what_would_be_refused_is_not_there_and_the_rest_is() {
        let page = "<p>a</p><form class=\"x\" method=\"post\" action=\"/payment/imp_1/cancel\"><input></form>\
            <form method=\"post\" action=\"/payment/imp_2/cancel\"></form>\
            <form method=\"get\" action=\"/payment/mypage\"><input></form>\
            <a class=\"button primary\" href=\"/admin/partners/new\">Add</a>\
            <a href=\"/admin/partners/x/edit\">x</a><a href=\"/admin/partners/x?a=1&amp;b=2\">y</a>\
            <a href=\"#main\">skip</a><abbr>z</abbr>";
        let seen = only(page, &viewer(), Lang::En);
        assert_eq!(
            seen,
            "<p>a</p><p class=\"soft small\">To change something here takes the right <code>payments:cancel</code>.</p>\
            <form method=\"get\" action=\"/payment/mypage\"><input></form>\
            x<a href=\"/admin/partners/x?a=1&amp;b=2\">y</a>\
            <a href=\"#main\">skip</a><abbr>z</abbr>"
        );
        let owner = Actor {
            rights: Role::Owner.rights(),
            ..viewer()
        };
        assert_eq!(only(page, &owner, Lang::En), page);
    }
}
