//! Where one can go: one table, from which the side bar, the phone's tabs, its menu and the keys are
//! made. A new page is one line of it.

use maud::{Markup, html};
use url::form_urlencoded;

use super::{
    icons::{Icon, icon},
    layout::{Look, Part},
    theme,
};
use crate::{
    domain::account::Right,
    web::{auth::home_of, buyers::LIST, lang::Lang},
};

/// Under which heading an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Payments,
    Settlement,
    Operations,
    People,
}

impl Group {
    const ALL: [Group; 4] = [
        Group::Payments,
        Group::Settlement,
        Group::Operations,
        Group::People,
    ];

    fn words(self, lang: Lang) -> &'static str {
        match self {
            Group::Payments => lang.t("결제", "Payments"),
            Group::Settlement => lang.t("정산", "Settlement"),
            Group::Operations => lang.t("운영", "Operations"),
            Group::People => lang.t("사람", "People"),
        }
    }
}

/// A way to a part of the console.
struct Entry {
    part: Part,
    /// What whoever follows it must be allowed to.
    need: Option<Right>,
    href: &'static str,
    ko: &'static str,
    en: &'static str,
    icon: Icon,
    /// The letter that leads there behind `g`.
    key: char,
    group: Group,
    /// Whether a phone has it at hand, and not in its menu only. There is room for four.
    tab: bool,
}

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    Entry { part: Part::Home, need: Some(Right::PaymentsRead), href: "/admin", ko: "홈", en: "Home", icon: Icon::Home, key: 'h', group: Group::Payments, tab: true },
    Entry { part: Part::Own, need: Some(Right::OwnSettlements), href: "/partner", ko: "내 정산", en: "My settlements", icon: Icon::Coins, key: 'm', group: Group::Settlement, tab: true },
    Entry { part: Part::Statements, need: Some(Right::OwnSettlements), href: "/partner/statements", ko: "정산내역서", en: "Statements", icon: Icon::Log, key: 't', group: Group::Settlement, tab: true },
    Entry { part: Part::Payments, need: Some(Right::PaymentsRead), href: "/payment/mypage", ko: "결제 내역", en: "Payments", icon: Icon::Card, key: 'p', group: Group::Payments, tab: true },
    Entry { part: Part::Pay, need: None, href: "/payment", ko: "결제창", en: "Pay page", icon: Icon::Cart, key: 'w', group: Group::Payments, tab: false },
    Entry { part: Part::Settlements, need: Some(Right::SettlementsRead), href: "/admin/settlements", ko: "정산", en: "Settlements", icon: Icon::Coins, key: 's', group: Group::Settlement, tab: true },
    Entry { part: Part::Payouts, need: Some(Right::SettlementsRead), href: "/admin/payouts", ko: "지급", en: "Payouts", icon: Icon::Send, key: 'o', group: Group::Settlement, tab: false },
    Entry { part: Part::Approvals, need: Some(Right::SettlementsRead), href: "/admin/approvals", ko: "승인", en: "Approvals", icon: Icon::Check, key: 'v', group: Group::Settlement, tab: false },
    Entry { part: Part::Partners, need: Some(Right::PartnersRead), href: "/admin/partners", ko: "파트너사", en: "Partners", icon: Icon::Shop, key: 'r', group: Group::Settlement, tab: false },
    Entry { part: Part::DeadLetters, need: Some(Right::JobsRead), href: "/admin/dead-letters", ko: "데드레터", en: "Dead letters", icon: Icon::Warning, key: 'd', group: Group::Operations, tab: true },
    Entry { part: Part::Jobs, need: Some(Right::JobsRead), href: "/admin/jobs", ko: "작업", en: "Jobs", icon: Icon::Queue, key: 'j', group: Group::Operations, tab: false },
    Entry { part: Part::Alerts, need: Some(Right::JobsRead), href: "/admin/alerts", ko: "알림", en: "Alerts", icon: Icon::Bell, key: 'a', group: Group::Operations, tab: false },
    Entry { part: Part::Inbox, need: Some(Right::JobsRead), href: "/admin/inbox", ko: "수신함", en: "Inbox", icon: Icon::Inbox, key: 'i', group: Group::Operations, tab: false },
    Entry { part: Part::Account, need: None, href: "/account", ko: "내 계정", en: "My account", icon: Icon::Person, key: 'c', group: Group::People, tab: false },
    Entry { part: Part::People, need: Some(Right::Manage), href: "/admin/users", ko: "사용자", en: "Users", icon: Icon::People, key: 'u', group: Group::People, tab: false },
    Entry { part: Part::Keys, need: Some(Right::Manage), href: "/admin/keys", ko: "API 키", en: "API keys", icon: Icon::Key, key: 'k', group: Group::People, tab: false },
    Entry { part: Part::Audit, need: Some(Right::AuditRead), href: "/admin/audit", ko: "감사 로그", en: "Audit log", icon: Icon::Log, key: 'l', group: Group::People, tab: false },
    Entry { part: Part::Settings, need: Some(Right::Manage), href: "/admin/settings", ko: "설정", en: "Settings", icon: Icon::Gear, key: 'e', group: Group::Operations, tab: false },
];

impl Entry {
    fn words(&self, lang: Lang) -> &'static str {
        lang.t(self.ko, self.en)
    }

    /// How much waits there.
    fn count(&self, look: &Look) -> i64 {
        match self.part {
            Part::DeadLetters => look.dead,
            Part::Approvals => look.approvals,
            _ => 0,
        }
    }
}

/// All entries, for the search: where, for whom, and their names in both languages.
pub fn all() -> impl Iterator<Item = (&'static str, Option<Right>, &'static str, &'static str)> {
    let entries = ENTRIES.iter();
    entries.map(|entry| (entry.href, entry.need, entry.ko, entry.en))
}

/// The entries that this person may follow.
fn open_to(look: &Look) -> impl Iterator<Item = &'static Entry> {
    // A partner's people have come for their own, and sell nothing here.
    let partner = look.may(Right::OwnSettlements);
    let open = move |entry: &&Entry| {
        entry.need.is_none_or(|right| look.may(right)) && !(partner && entry.part == Part::Pay)
    };
    ENTRIES.iter().filter(open)
}

/// Whether a heading has anything below it.
fn has_any(look: &Look, group: Group) -> bool {
    open_to(look).any(|entry| entry.group == group)
}

fn entry(entry: &Entry, look: &Look, part: Part, key: bool) -> Markup {
    let count = entry.count(look);
    html! {
        a href=(entry.href) aria-current=[(entry.part == part).then_some("page")] data-go=[key.then_some(entry.key)] {
            (icon(entry.icon)) span.word { (entry.words(look.lang)) }
            @if count > 0 { span.count { (count) span.hidden { (look.lang.t("건 대기", " waiting")) } } }
        }
    }
}

/// The shop's name, which leads home.
pub fn name(look: &Look) -> Markup {
    let home = match &look.buyer {
        Some(_) => LIST,
        None => home_of(look.actor.as_ref().filter(|_| look.signed_in)),
    };
    html! { a.name href=(home) { span.mark aria-hidden="true" { "₩" } "정산" small { "jeongsan" } } }
}

/// Language, colours, and the way out.
pub fn tools(look: &Look) -> Markup {
    let lang = look.lang;
    html! {
        div.tools {
            (theme::switch(look))
            a.tool hreflang=(lang.other().code()) lang=(lang.other().code()) href=(lang_link(look)) {
                (icon(Icon::Globe)) span.word { (lang.t("English", "한국어")) }
            }
            @if look.signed_in {
                button.tool type="button" data-keys hidden { (icon(Icon::Keyboard)) span.word { (lang.t("단축키", "Keys")) } }
                form.leave method="post" action="/sign-out" {
                    button.tool { (icon(Icon::Leave)) span.word { (lang.t("로그아웃", "Sign out")) } }
                }
            } @else if look.buyer.is_some() {
                form method="post" action="/payment/mine/leave" {
                    button.tool { (icon(Icon::Leave)) span.word { (lang.t("나가기", "Leave")) } }
                }
            }
        }
    }
}

/// Beside every page where there is room: name, all entries, tools.
pub fn side(look: &Look, part: Part) -> Markup {
    let lang = look.lang;
    html! {
        header.side {
            (name(look))
            nav.parts aria-label=(lang.t("주 메뉴", "Main")) {
                @for group in Group::ALL.into_iter().filter(|group| has_any(look, *group)) {
                    p.group { (group.words(lang)) }
                    @for of in open_to(look).filter(|entry| entry.group == group) { (entry(of, look, part, true)) }
                }
            }
            (tools(look))
        }
    }
}

/// Under a thumb on phones: what is used most, and a menu of everything.
pub fn tabs(look: &Look, part: Part) -> Markup {
    let lang = look.lang;
    let elsewhere = !open_to(look).any(|entry| entry.tab && entry.part == part);
    html! {
        nav.tabs aria-label=(lang.t("빠른 메뉴", "Shortcuts")) {
            @for of in open_to(look).filter(|entry| entry.tab) { (entry(of, look, part, false)) }
            details.more {
                summary.here[elsewhere && part != Part::None] { (icon(Icon::More)) span.word { (lang.t("더보기", "More")) } }
                div.sheet-up {
                    @for group in Group::ALL.into_iter().filter(|group| has_any(look, *group)) {
                        p.group { (group.words(lang)) }
                        div.entries {
                            @for of in open_to(look).filter(|entry| entry.group == group) { (entry(of, look, part, false)) }
                        }
                    }
                    (tools(look))
                }
            }
        }
    }
}

/// Which keys there are. `app.js` opens it; without scripts there are no keys, and it stays shut.
pub fn keys(look: &Look) -> Markup {
    let lang = look.lang;
    html! {
        dialog.keys #keys aria-labelledby="keys-title" {
            form.line method="dialog" {
                h2.grow #keys-title { (lang.t("키보드 단축키", "Keyboard shortcuts")) }
                button.tool { (icon(Icon::Close)) span.hidden { (lang.t("닫기", "Close")) } }
            }
            dl {
                dt { kbd { "/" } } dd { (lang.t("검색", "Search")) }
                dt { kbd { "j" } " " kbd { "k" } } dd { (lang.t("목록에서 아래로, 위로", "Down and up in a list")) }
                dt { kbd { "Enter" } } dd { (lang.t("열기", "Open")) }
                @for of in open_to(look) { dt { kbd { "g" } " " kbd { (of.key) } } dd { (of.words(lang)) } }
                dt { kbd { "?" } } dd { (lang.t("이 도움말", "This help")) }
            }
            label.check { input #keys-on type="checkbox" checked; span { (lang.t("단축키 사용", "Use shortcuts")) } }
            p.soft.small { (lang.t("글을 쓰는 동안에는 듣지 않습니다.", "They rest while you type.")) }
        }
    }
}

fn lang_link(look: &Look) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("to", look.lang.other().code())
        .append_pair("next", &look.here)
        .finish();
    format!("/lang?{query}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        domain::account::Rights,
        web::auth::{Actor, Who},
    };

    fn signed_in(lang: Lang) -> Look {
        with_rights(lang, Rights::ALL_BUT_OWN)
    }

    fn with_rights(lang: Lang, rights: Rights) -> Look {
        Look {
            lang,
            actor: Some(Actor {
                by: "@minji",
                rights,
                who: Who::Token,
            }),
            signed_in: true,
            dead: 7,
            ..Look::default()
        }
    }

    #[test]
    fn every_part_is_reached_by_a_link_and_a_letter_of_its_own() {
        let keys: BTreeSet<char> = ENTRIES.iter().map(|entry| entry.key).collect();
        let hrefs: BTreeSet<&str> = ENTRIES.iter().map(|entry| entry.href).collect();
        assert_eq!((keys.len(), hrefs.len()), (ENTRIES.len(), ENTRIES.len()));
        assert!(!keys.contains(&'g') && keys.iter().all(char::is_ascii_lowercase));
        // A phone shows four and the menu.
        let own = |entry: &&Entry| entry.need == Some(Right::OwnSettlements);
        let shops = || ENTRIES.iter().filter(|entry| !own(entry));
        assert!(shops().filter(|entry| entry.tab).count() <= 4);
        for lang in [Lang::Ko, Lang::En] {
            let (side, tabs) = (
                side(&signed_in(lang), Part::Jobs).into_string(),
                tabs(&signed_in(lang), Part::Jobs).into_string(),
            );
            for entry in shops() {
                let link = format!("href=\"{}\"", entry.href);
                assert!(side.contains(&link) && tabs.contains(&link), "{link}");
                assert!(side.contains(entry.words(lang)) && tabs.contains(entry.words(lang)));
            }
        }
    }

    #[test]
    fn where_one_is_is_marked_once_and_what_waits_is_counted() {
        let look = signed_in(Lang::En);
        let side = side(&look, Part::DeadLetters).into_string();
        assert_eq!(side.matches("aria-current=\"page\"").count(), 1);
        assert!(side.contains("<span class=\"count\">7<span class=\"hidden\"> waiting"));
        // What is in the menu only is marked on the way to it.
        assert!(
            tabs(&look, Part::Jobs)
                .into_string()
                .contains("<summary class=\"here\">")
        );
        for part in [Part::DeadLetters, Part::None] {
            assert!(!tabs(&look, part).into_string().contains("class=\"here\""));
        }
    }

    #[test]
    fn nobody_is_shown_a_way_that_is_closed_to_them() {
        let look = with_rights(Lang::Ko, Rights::of(&[Right::SettlementsRead]));
        for text in [
            side(&look, Part::None),
            tabs(&look, Part::None),
            keys(&look),
        ] {
            let text = text.into_string();
            assert!(text.contains("정산") && text.contains("결제창"));
            for closed in ["결제 내역", "데드레터", "운영", "파트너사"] {
                assert!(!text.contains(closed), "{closed}");
            }
        }
    }

    #[test]
    fn a_partners_people_are_shown_their_own_and_nothing_of_the_shop() {
        let look = with_rights(Lang::En, Rights::of(&[Right::OwnSettlements]));
        let text = side(&look, Part::Own).into_string();
        let hrefs: Vec<&str> = text
            .split("<nav")
            .nth(1)
            .unwrap()
            .split("</nav>")
            .next()
            .unwrap()
            .split("href=\"")
            .skip(1)
            .map(|part| part.split('"').next().unwrap())
            .collect();
        assert_eq!(hrefs, ["/partner", "/partner/statements", "/account"]);
        assert!(text.contains("class=\"name\" href=\"/partner\""), "{text}");
    }

    #[test]
    fn the_help_names_every_key() {
        let text = keys(&signed_in(Lang::Ko)).into_string();
        let open = |entry: &&Entry| entry.need != Some(Right::OwnSettlements);
        for entry in ENTRIES.iter().filter(open) {
            assert!(
                text.contains(&format!("<kbd>{}</kbd>", entry.key)),
                "{}",
                entry.ko
            );
        }
    }
}
