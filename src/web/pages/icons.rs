//! Small pictures for navigation and states, drawn in place. They say nothing by themselves: whoever
//! shows one writes the words beside it.

use maud::{Markup, html};

/// A picture by what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Home,
    Card,
    Cart,
    Coins,
    Send,
    Shop,
    Queue,
    Warning,
    Bell,
    Inbox,
    Check,
    Log,
    Person,
    People,
    Key,
    Gear,
    Sun,
    Moon,
    Screen,
    Globe,
    Leave,
    More,
    Search,
    Keyboard,
    Close,
}

impl Icon {
    /// Lines on a field of 24 by 24.
    fn path(self) -> &'static str {
        match self {
            Icon::Home => "M4 11l8-7 8 7v8a1 1 0 0 1-1 1h-4v-6H9v6H5a1 1 0 0 1-1-1z",
            Icon::Card => {
                "M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM3 10h18M7 15h4"
            }
            Icon::Cart => "M3 4h2.5l2 11h10l2-8H6.5M9.5 19.5h.01M16.5 19.5h.01",
            Icon::Coins => {
                "M7 3h10a1 1 0 0 1 1 1v17l-3-2-3 2-3-2-3 2V4a1 1 0 0 1 1-1zM9 8h6M9 12h6"
            }
            Icon::Send => "M4 12h14M13 6l6 6-6 6M4 6v12",
            Icon::Shop => {
                "M4 9l1.5-5h13L20 9M4 9v1a2.7 2.7 0 0 0 5.3 0 2.7 2.7 0 0 0 5.4 0 2.7 2.7 0 0 0 5.3 0V9zM5.5 12.5V20h13v-7.5M10 20v-4h4v4"
            }
            Icon::Queue => "M4 6h16M4 12h16M4 18h10M18 16l3 2-3 2z",
            Icon::Warning => "M12 4l9 16H3zM12 10v4.5M12 17.2h.01",
            Icon::Bell => "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4",
            Icon::Inbox => {
                "M3 13l3-8h12l3 8v6a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1zM3 13h5l1.5 3h5l1.5-3h5"
            }
            Icon::Check => {
                "M12 3l8 3v6c0 4.5-3.2 7.7-8 9-4.8-1.3-8-4.5-8-9V6zM8.5 12l2.5 2.5 4.5-5"
            }
            Icon::Log => {
                "M6 3h9l4 4v13a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM14 3v5h5M8.5 12.5h7M8.5 16.5h5"
            }
            Icon::Person => {
                "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-3.7 3.9-5.5 7.5-5.5s6.5 1.8 7.5 5.5"
            }
            Icon::People => {
                "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 19.5c.8-3.3 3.3-5 6.5-5s5.7 1.7 6.5 5M15.5 4.4a3.5 3.5 0 0 1 0 6.2M18 14.9c1.9.8 3.1 2.3 3.5 4.6"
            }
            Icon::Key => "M8 20a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM11 13l9-9M16 8l3 3",
            Icon::Gear => "M4 7h10M18 7h2M16 5v4M4 17h2M10 17h10M8 15v4M4 12h6M14 12h6M12 10v4",
            Icon::Sun => {
                "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4"
            }
            Icon::Moon => "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
            Icon::Screen => {
                "M4 4.5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1zM8.5 20h7M12 16.5V20"
            }
            Icon::Globe => {
                "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c2.7 2.6 4 5.6 4 9s-1.3 6.4-4 9c-2.7-2.6-4-5.6-4-9s1.3-6.4 4-9z"
            }
            Icon::Leave => "M14 4H5a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h9M10 12h11M17 8l4 4-4 4",
            Icon::More => "M4 7h16M4 12h16M4 17h16",
            Icon::Search => "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
            Icon::Keyboard => "M3 6.5h18v11H3zM7 10h.01M11 10h.01M15 10h.01M17.5 10h.01M8 14h8",
            Icon::Close => "M6 6l12 12M18 6L6 18",
        }
    }
}

/// A picture, unseen by whoever has the page read out.
pub fn icon(icon: Icon) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" { path d=(icon.path()) {} }
    }
}
