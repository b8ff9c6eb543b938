//! How an endpoint is put into words.

/// A parameter behind `?`: its name, its type, and what it means in Korean and English.
#[derive(Clone, Copy, Debug)]
pub struct P(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub &'static str,
);

impl P {
    /// Its type, as JSON calls it.
    pub fn kind(&self) -> &'static str {
        match self.1 {
            "limit" | "year" => "integer",
            kind => kind,
        }
    }
}

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// A CSV or XLSX file as it is.
    File,
}

/// What an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// Server-sent events.
    Events,
    File,
    /// The OpenAPI document itself.
    Document,
    Page,
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub tag: &'static str,
    pub ko: &'static str,
    pub en: &'static str,
    pub about: Option<(&'static str, &'static str)>,
    pub takes: &'static [&'static [P]],
    pub asks: Asks,
    pub gives: &'static [(u16, Gives)],
    /// Statuses that say no, with the kinds of problems that do.
    pub no: &'static [(u16, &'static str)],
}

impl Op {
    pub const fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        tag: &'static str,
        ko: &'static str,
        en: &'static str,
    ) -> Op {
        Op {
            method,
            path,
            id,
            tag,
            ko,
            en,
            about: None,
            takes: &[],
            asks: Asks::Nothing,
            gives: &[],
            no: &[],
        }
    }

    pub const fn about(mut self, ko: &'static str, en: &'static str) -> Op {
        self.about = Some((ko, en));
        self
    }

    pub const fn takes(mut self, takes: &'static [&'static [P]]) -> Op {
        self.takes = takes;
        self
    }

    pub const fn asks(mut self, asks: Asks) -> Op {
        self.asks = asks;
        self
    }

    pub const fn gives(mut self, gives: &'static [(u16, Gives)]) -> Op {
        self.gives = gives;
        self
    }

    pub const fn no(mut self, no: &'static [(u16, &'static str)]) -> Op {
        self.no = no;
        self
    }

    pub fn parameters(&self) -> impl Iterator<Item = &'static P> {
        self.takes.iter().flat_map(|some| some.iter())
    }
}
