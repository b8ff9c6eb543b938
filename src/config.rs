//! Every setting: where it comes from, what it must be, and what it means. Read once, checked once.
//!
//! [`SETTINGS`] is the one place that documents them; `jeongsan serve --help` prints it. A setting
//! comes from `JEONGSAN_…` in the environment (`portone.imp_key` is `JEONGSAN_PORTONE_IMP_KEY`), else
//! from the TOML file, else from its default. A secret may also stand in a file that
//! `JEONGSAN_…_FILE` names. All that is wrong is reported at once.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use crate::{
    adapters::{
        outbound::{self, Reach, Refused},
        portone::PortoneConfig,
    },
    domain::{
        addresses::Addresses, episode::Pace, payment::UnknownOrders, retry::Backoff, rules::Started,
    },
    flow::Policy,
};

/// One setting as people know it.
pub struct Setting {
    pub key: &'static str,
    /// `None`: must be set, unless `optional`.
    pub default: Option<&'static str>,
    pub optional: bool,
    pub secret: bool,
    /// What it must be.
    pub expects: &'static str,
    pub doc: &'static str,
}

const fn setting(
    key: &'static str,
    default: &'static str,
    expects: &'static str,
    doc: &'static str,
) -> Setting {
    Setting {
        key,
        default: Some(default),
        optional: false,
        secret: false,
        expects,
        doc,
    }
}

const fn optional(key: &'static str, expects: &'static str, doc: &'static str) -> Setting {
    Setting {
        key,
        default: None,
        optional: true,
        secret: false,
        expects,
        doc,
    }
}

const fn secret(
    key: &'static str,
    optional: bool,
    expects: &'static str,
    doc: &'static str,
) -> Setting {
    Setting {
        key,
        default: None,
        optional,
        secret: true,
        expects,
        doc,
    }
}

/// Where a setting comes from that nobody set.
const DEFAULT: &str = "the default";

const DURATION: &str = "a time such as 250ms, 10s, 5m, 1h or 14d";
/// The longest time that a setting may say.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
const COUNT: &str = "a whole number";
const ADDRESSES: &str = "addresses or ranges such as 10.0.0.0/8, parted by commas";
const YES_OR_NO: &str = "`true` or `false`";

/// All settings, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    setting(
        "server.listen",
        "127.0.0.1:8080",
        "an address and port",
        "Where the server listens. Loopback unless you say otherwise: put a proxy with TLS in front.",
    ),
    optional(
        "server.public_url",
        "a URL such as https://pay.example.kr",
        "How people reach the server: in links, redirects and cookies. Default: http:// and server.listen.",
    ),
    setting(
        "server.trusted_proxies",
        "",
        ADDRESSES,
        "Proxies whose X-Forwarded-For is believed.",
    ),
    optional(
        "pages.notice",
        "a few words",
        "Shown on top of every page, so that nobody takes a test system for the real one.",
    ),
    optional("pages.notice_url", "a URL", "Where those words lead."),
    setting(
        "data.dir",
        "./data",
        "a directory",
        "Where the database lies. Only its owner can enter.",
    ),
    setting(
        "portone.mode",
        "test",
        "`live` or `test`",
        "Whether payments are expected through live or test channels. The other kind is held.",
    ),
    secret(
        "portone.imp_key",
        false,
        "the REST API key of PortOne's console",
        "REST API key (REST API Key).",
    ),
    secret(
        "portone.imp_secret",
        false,
        "the REST API secret of PortOne's console",
        "REST API secret (REST API Secret).",
    ),
    optional(
        "portone.merchant_code",
        "a code such as imp00000000",
        "Merchant code (고객사 식별코드): the pay page needs it.",
    ),
    optional(
        "portone.channel_key",
        "a channel key of PortOne's console",
        "Channel that the pay page opens.",
    ),
    optional(
        "portone.pg",
        "a PG code such as html5_inicis.MOIxxxx",
        "PG that the pay page opens, where no channel key is used.",
    ),
    optional(
        "portone.tier",
        "a tier code",
        "Sub-merchant (하위 상점) on whose behalf calls are made.",
    ),
    setting(
        "portone.base_url",
        "https://api.iamport.kr",
        "a URL",
        "PortOne's REST API.",
    ),
    setting(
        "portone.sdk_url",
        "https://cdn.iamport.kr/v1/iamport.js",
        "a URL",
        "PortOne's browser SDK, loaded by the pay page.",
    ),
    setting(
        "portone.connect_timeout",
        "3s",
        DURATION,
        "How long connecting to PortOne may take.",
    ),
    setting(
        "portone.read_timeout",
        "60s",
        DURATION,
        "How long an answer may take. PortOne advises 60 s or more.",
    ),
    setting(
        "portone.webhook_sources",
        "52.78.100.19,52.78.48.223,52.78.5.241",
        ADDRESSES,
        "PortOne's own addresses: no rate limit applies to them.",
    ),
    setting(
        "intake.only_sources",
        "false",
        YES_OR_NO,
        "With `true` webhooks are taken from portone.webhook_sources alone; a buyer's browser may still report an order that is registered.",
    ),
    setting(
        "intake.budget",
        "5s",
        DURATION,
        "How long a webhook or callback waits for PortOne before it is answered 202.",
    ),
    setting(
        "intake.max_body",
        "65536",
        "a number of bytes",
        "Larger messages are answered 413.",
    ),
    setting(
        "intake.rate",
        "100",
        COUNT,
        "Messages that one address may send per second.",
    ),
    setting(
        "intake.unknown_ids",
        "30",
        COUNT,
        "Ids unknown to PortOne that one address may send per minute.",
    ),
    setting(
        "intake.in_flight",
        "512",
        COUNT,
        "Messages worked on at once; more are answered 503.",
    ),
    setting(
        "api.rate",
        "50",
        COUNT,
        "Requests of the API that one key may send per second.",
    ),
    setting(
        "api.address_rate",
        "100",
        COUNT,
        "Requests of the API that one address may send per second, whoever it is.",
    ),
    setting(
        "orders.unknown",
        "accept",
        "`accept` or `hold`",
        "What to do with a payment whose order nobody registered.",
    ),
    setting(
        "orders.default_partner",
        "house",
        "a partner's id",
        "To whom payments are owed whose order names nobody.",
    ),
    setting(
        "cancel.direct_attempts",
        "2",
        "1 to 10",
        "Calls to PortOne while the caller of a cancel waits.",
    ),
    setting(
        "cancel.budget",
        "10s",
        DURATION,
        "How long the caller of a cancel waits before it is answered 202.",
    ),
    setting(
        "cancel.queued_attempts",
        "1",
        "1 to 50",
        "Runs of the queued retry before the dead letter.",
    ),
    setting(
        "cancel.direct_backoff",
        "1s",
        DURATION,
        "Longest wait between two direct attempts.",
    ),
    setting(
        "cancel.backoff",
        "10s",
        DURATION,
        "Longest wait before the first queued retry; doubles with each.",
    ),
    setting(
        "cancel.backoff_max",
        "6h",
        DURATION,
        "The longest wait that the doubling reaches.",
    ),
    Setting {
        key: "broker.url",
        default: Some("embedded"),
        optional: false,
        secret: true, // it may hold a password
        expects: "`embedded`, or a URL such as amqp://guest:guest@127.0.0.1:5672/%2f",
        doc: "Who hands jobs to the workers: the program itself, or a RabbitMQ.",
    },
    setting(
        "broker.prefix",
        "jeongsan",
        "1 to 40 letters, digits, `-`, `_` or `.`",
        "With what the names of exchanges and queues in RabbitMQ begin.",
    ),
    setting(
        "jobs.workers",
        "true",
        "`true` or `false`",
        "Whether `serve` runs jobs itself; with `false` it leaves them to `jeongsan work`.",
    ),
    setting(
        "jobs.attempts",
        "20",
        "1 to 100",
        "Runs of a job that asks PortOne before it is a dead letter.",
    ),
    setting(
        "jobs.backoff",
        "5s",
        DURATION,
        "Longest wait before a job's second run; doubles with each.",
    ),
    setting(
        "jobs.backoff_max",
        "1h",
        DURATION,
        "The longest wait that the doubling reaches.",
    ),
    setting(
        "jobs.concurrency",
        "8",
        "1 to 256",
        "Jobs of one queue that a process runs at once, of those that call PortOne.",
    ),
    setting(
        "jobs.keep",
        "14d",
        DURATION,
        "How long finished jobs are kept. Dead letters stay.",
    ),
    setting(
        "jobs.shutdown",
        "20s",
        DURATION,
        "How long running jobs may go on when the server stops.",
    ),
    setting(
        "inbox.keep",
        "90d",
        DURATION,
        "How long webhook messages are kept.",
    ),
    optional(
        "privacy.keep",
        "a time of 1y to 10y, such as 5y or 1826d",
        "How long after a payment its buyer's name, phone, mail and deposit account are kept; then a night takes them out. Default: for ever.",
    ),
    setting(
        "sweep.cron",
        "*/10 * * * *",
        "a cron of five fields, in Seoul time",
        "When PortOne is asked for what no webhook told.",
    ),
    setting(
        "sweep.overlap",
        "1h",
        DURATION,
        "How far a sweep looks back beyond the last one's end.",
    ),
    setting(
        "sweep.first",
        "24h",
        DURATION,
        "How far the very first sweep looks back.",
    ),
    setting(
        "settle.cron",
        "0 1 * * *",
        "a cron of five fields, in Seoul time",
        "When the days that are over are settled. Days missed while the server was down are caught up.",
    ),
    setting(
        "prune.cron",
        "30 4 * * *",
        "a cron of five fields, in Seoul time",
        "When old jobs and messages are removed.",
    ),
    setting(
        "alerts.first_summary",
        "5m",
        DURATION,
        "How long after a first alert the first summary of more of the same comes.",
    ),
    setting(
        "alerts.second_summary",
        "30m",
        DURATION,
        "How long after the first summary the second one comes.",
    ),
    setting(
        "alerts.later_summary",
        "1h",
        DURATION,
        "How long after each later summary the next one comes.",
    ),
    setting(
        "alerts.quiet",
        "10m",
        DURATION,
        "When nothing more of the same has come for so long, a last message says that it is over.",
    ),
    setting(
        "digest.cron",
        "0 9 * * *",
        "a cron of five fields, in Seoul time",
        "When what is still stuck is told, with its age. Nothing stuck, no message.",
    ),
    secret(
        "slack.webhook_url",
        true,
        "an incoming-webhook URL",
        "Where alerts are sent: over https, to a public address. Without it they go to the log and the alerts page.",
    ),
    setting(
        "slack.private_addresses",
        "false",
        YES_OR_NO,
        "With `true` alerts may go to an address of the own network too, also by http, and by a proxy of the environment.",
    ),
    secret(
        "admin.token",
        true,
        "at least 32 characters",
        "A key of the JSON API with every right, for programs that start with the server. People sign in with accounts.",
    ),
    setting(
        "admin.session",
        "12h",
        DURATION,
        "How long a browser stays signed in at most.",
    ),
    setting(
        "admin.idle",
        "30m",
        DURATION,
        "After how long without a request a browser is signed out.",
    ),
    secret(
        "buyers.secret",
        true,
        "at least 32 characters",
        "Shared with the shop: it signs tokens with it by which its customers see their own payments.",
    ),
    setting(
        "log.format",
        "text",
        "`text` or `json`",
        "How log lines look.",
    ),
    setting(
        "log.level",
        "info",
        "a filter such as info or jeongsan=debug",
        "Which log lines are written.",
    ),
];

/// Everything the server needs to know, checked.
#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub public_url: Url,
    pub trusted_proxies: Addresses,
    /// Words on top of every page, and where they lead.
    pub notice: Option<(String, Option<Url>)>,
    pub data_dir: PathBuf,
    pub portone: PortoneConfig,
    pub pay: PayPage,
    pub webhook_sources: Addresses,
    /// Whether webhooks are taken from those addresses alone.
    pub only_sources: bool,
    pub max_body: usize,
    pub rate: u32,
    pub unknown_ids: u32,
    pub api_rate: u32,
    pub api_address_rate: u32,
    pub in_flight: usize,
    pub policy: Policy,
    pub broker: BrokerChoice,
    /// With what the names of exchanges and queues begin.
    pub broker_prefix: String,
    /// Whether a server runs jobs itself.
    pub workers: bool,
    pub shutdown: Duration,
    pub slack: Option<SecretString>,
    /// Whether alerts may go to an address that is not public.
    pub slack_inside: bool,
    pub admin_token: Option<SecretString>,
    /// How long a browser stays signed in: in all, and without a request.
    pub session: Duration,
    pub idle: Duration,
    /// With what the shop signs its customers' tokens.
    pub buyers_secret: Option<SecretString>,
    pub log_json: bool,
    pub log_level: String,
    /// Every setting as it was read, secrets masked.
    pub shown: Vec<Started>,
}

/// Who hands jobs to the workers.
#[derive(Clone, Debug)]
pub enum BrokerChoice {
    Embedded,
    /// A RabbitMQ, by its URL.
    Amqp(SecretString),
}

/// What the pay page tells PortOne's browser SDK.
#[derive(Clone, Debug)]
pub struct PayPage {
    pub sdk_url: Url,
    pub merchant_code: Option<String>,
    pub channel_key: Option<String>,
    pub pg: Option<String>,
}

/// All that is wrong with the settings, a sentence each.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "{count} setting{} cannot be used:",
            if count == 1 { "" } else { "s" }
        )?;
        for problem in &self.0 {
            writeln!(f, "  - {problem}")?;
        }
        write!(f, "`jeongsan serve --help` lists every setting")
    }
}

impl std::error::Error for ConfigErrors {}

/// The environment variable of a setting.
pub fn variable(key: &str) -> String {
    format!("JEONGSAN_{}", key.replace('.', "_").to_uppercase())
}

/// The text behind `--help`: every setting with its default.
pub fn help() -> String {
    let mut out = String::from(
        "Settings, from the TOML file (--config) or the environment; the environment wins.\n\n",
    );
    for setting in SETTINGS {
        let default = match (setting.default, setting.optional) {
            (Some(""), _) | (None, true) => "not set".to_owned(),
            (Some(default), _) => default.to_owned(),
            (None, false) => "must be set".to_owned(),
        };
        out.push_str(&format!(
            "  {} ({})\n      {} Expects {}. [{default}]\n",
            setting.key,
            variable(setting.key),
            setting.doc,
            setting.expects,
        ));
    }
    out.push_str("\nA secret may stand in a file instead: JEONGSAN_PORTONE_IMP_SECRET_FILE=/run/secrets/imp_secret\n");
    out
}

struct Reader {
    values: BTreeMap<&'static str, (String, String)>,
    problems: Vec<String>,
}

impl Reader {
    /// The setting's text and where it came from.
    fn text(&self, key: &str) -> Option<&(String, String)> {
        self.values
            .get(key)
            .filter(|(text, _)| !text.trim().is_empty())
    }

    fn get<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
        let Some((text, source)) = self.text(key).cloned() else {
            if setting.default == Some("") {
                return parse("");
            }
            if !setting.optional {
                self.problems.push(format!(
                    "{key} is not set: expected {} (in the TOML file, or {})",
                    setting.expects,
                    variable(key)
                ));
            }
            return None;
        };
        let parsed = parse(text.trim());
        if parsed.is_none() {
            let shown = if setting.secret {
                "***".to_owned()
            } else {
                format!("`{text}`")
            };
            self.problems.push(format!(
                "{key} is {shown} (from {source}): expected {}",
                setting.expects
            ));
        }
        parsed
    }

    fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.get(key, |text| {
            humantime::parse_duration(text)
                .ok()
                .filter(|d| *d <= LONGEST)
        })
    }

    fn within(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        self.get(key, |text| {
            text.parse().ok().filter(|n| (least..=most).contains(n))
        })
    }

    fn addresses(&mut self, key: &'static str) -> Option<Addresses> {
        self.get(key, Addresses::parse)
    }

    fn yes(&mut self, key: &'static str) -> Option<bool> {
        self.get(key, |text| text.parse().ok())
    }

    fn url(&mut self, key: &'static str) -> Option<Url> {
        self.get(key, |text| {
            Url::parse(text)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        })
    }

    /// A secret as a whole, so that what is wrong is told without it.
    fn slack(&mut self, inside: bool) -> Option<SecretString> {
        let reach = if inside {
            Reach::Anywhere
        } else {
            Reach::Public
        };
        let (text, source) = self.text("slack.webhook_url").cloned()?;
        match outbound::check_text(text.trim(), reach) {
            Ok(_) => Some(text.trim().to_owned().into()),
            Err(why) => {
                let way_out = match why {
                    Refused::NotHttps | Refused::NotPublic if !inside => {
                        "; slack.private_addresses = true lets it go there all the same"
                    }
                    _ => "",
                };
                self.problems.push(format!(
                    "slack.webhook_url is *** (from {source}): {why}{way_out}"
                ));
                None
            }
        }
    }

    fn cron(&mut self, key: &'static str) -> Option<String> {
        self.get(key, |text| {
            let now = jiff::Timestamp::UNIX_EPOCH;
            let fields = text.split_whitespace().count();
            let fits = fields == 5 && crate::flow::run_schedules::slots(text, now, now, 1).is_ok();
            fits.then(|| text.to_owned())
        })
    }

    fn secret(&mut self, key: &'static str, least: usize) -> Option<SecretString> {
        self.get(key, |text| {
            (text.chars().count() >= least).then(|| text.to_owned().into())
        })
    }
}

impl Config {
    /// Reads file and environment. `set` overrides both, for the demo and tests.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        set: &[(&'static str, String)],
    ) -> Result<Config, ConfigErrors> {
        let mut problems = Vec::new();
        let mut values: BTreeMap<&'static str, (String, String)> = SETTINGS
            .iter()
            .filter_map(|s| Some((s.key, (s.default?.to_owned(), DEFAULT.to_owned()))))
            .collect();
        if let Some(path) = file {
            read_file(path, &mut values, &mut problems);
        }
        read_environment(environment, &mut values, &mut problems);
        for (key, text) in set {
            values.insert(key, (text.clone(), "the command line".into()));
        }
        build(Reader { values, problems })
    }
}

fn read_file(
    path: &Path,
    values: &mut BTreeMap<&'static str, (String, String)>,
    problems: &mut Vec<String>,
) {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) => return problems.push(format!("the file `{shown}` cannot be read: {why}")),
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        // The message quotes a line, and a line may hold a secret: only its place is told.
        Err(why) => {
            let line = why
                .span()
                .map_or(0, |span| text[..span.start].lines().count());
            let why = why.message();
            return problems.push(format!(
                "the file `{shown}` is not TOML: {why} (line {line})"
            ));
        }
    };
    for (section, entries) in table {
        let toml::Value::Table(entries) = entries else {
            problems.push(format!(
                "`{section}` in `{shown}` is outside of a section such as [server]"
            ));
            continue;
        };
        for (name, value) in entries {
            let key = format!("{section}.{name}");
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
                problems.push(unknown(&key, &format!("`{shown}`")));
                continue;
            };
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                toml::Value::Array(list) => list
                    .iter()
                    .map(|item| {
                        item.as_str()
                            .map_or_else(|| item.to_string(), str::to_owned)
                    })
                    .collect::<Vec<_>>()
                    .join(","),
                _ => {
                    problems.push(format!("{key} in `{shown}`: expected {}", setting.expects));
                    continue;
                }
            };
            values.insert(setting.key, (text, format!("`{shown}`")));
        }
    }
}

fn read_environment(
    environment: impl IntoIterator<Item = (String, String)>,
    values: &mut BTreeMap<&'static str, (String, String)>,
    problems: &mut Vec<String>,
) {
    for (name, text) in environment {
        if !name.starts_with("JEONGSAN_") || name == "JEONGSAN_CONFIG" {
            continue;
        }
        if let Some(setting) = SETTINGS
            .iter()
            .find(|setting| variable(setting.key) == name)
        {
            values.insert(setting.key, (text, name));
            continue;
        }
        let of_file = SETTINGS
            .iter()
            .find(|setting| setting.secret && format!("{}_FILE", variable(setting.key)) == name);
        match of_file {
            Some(setting) => match std::fs::read_to_string(&text) {
                Ok(secret) => {
                    values.insert(setting.key, (secret.trim().to_owned(), name));
                }
                Err(why) => problems.push(format!(
                    "{name} names `{text}`, which cannot be read: {why}"
                )),
            },
            None => problems.push(unknown(&name, "the environment")),
        }
    }
}

/// An unknown setting, with the one that may have been meant.
fn unknown(name: &str, place: &str) -> String {
    let wanted = name
        .to_lowercase()
        .replace("jeongsan_", "")
        .replace('_', ".");
    let near = SETTINGS
        .iter()
        .map(|setting| {
            (
                strsim::jaro_winkler(&wanted, &setting.key.replace('_', ".")),
                setting,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((score, setting)) if score > 0.85 => {
            format!(
                "{place} sets `{name}`, which is no setting: did you mean {}?",
                setting.key
            )
        }
        _ => format!("{place} sets `{name}`, which is no setting"),
    }
}

/// What was read, for people: of a secret only that it is there.
fn shown(r: &Reader) -> Vec<Started> {
    SETTINGS
        .iter()
        .map(|setting| {
            let found = r.text(setting.key);
            let secret = setting.secret && found.is_some_and(|(_, source)| source != DEFAULT);
            Started {
                key: setting.key,
                value: found.map(|(text, _)| match secret {
                    true => "***".to_owned(),
                    false => text.trim().to_owned(),
                }),
                source: found
                    .map(|(_, source)| source.clone())
                    .filter(|source| source != DEFAULT),
            }
        })
        .collect()
}

fn build(mut r: Reader) -> Result<Config, ConfigErrors> {
    let shown = shown(&r);
    let listen: Option<SocketAddr> = r.get("server.listen", |text| text.parse().ok());
    let public_url = match r.text("server.public_url") {
        Some(_) => r.url("server.public_url"),
        None => listen.and_then(|at| Url::parse(&format!("http://{at}")).ok()),
    };
    let trusted_proxies = r.addresses("server.trusted_proxies");
    let notice = r.get("pages.notice", |text| Some(text.to_owned()));
    let notice_url = r.url("pages.notice_url");
    let data_dir = r.get("data.dir", |text| Some(PathBuf::from(text)));
    let test = r.get("portone.mode", |text| match text {
        "live" => Some(false),
        "test" => Some(true),
        _ => None,
    });
    let imp_key = r.secret("portone.imp_key", 1);
    let imp_secret = r.secret("portone.imp_secret", 1);
    let words = |text: &str| Some(text.to_owned());
    let merchant_code = r.get("portone.merchant_code", words);
    let channel_key = r.get("portone.channel_key", words);
    let pg = r.get("portone.pg", words);
    let tier = r.get("portone.tier", |text| {
        text.bytes()
            .all(|b| b.is_ascii_graphic())
            .then(|| text.to_owned())
    });
    let base_url = r.url("portone.base_url");
    let sdk_url = r.url("portone.sdk_url");
    let connect_timeout = r.duration("portone.connect_timeout");
    let read_timeout = r.duration("portone.read_timeout");
    let webhook_sources = r.addresses("portone.webhook_sources");
    let only_sources = r.yes("intake.only_sources");
    let intake_budget = r.duration("intake.budget");
    let max_body = r.within("intake.max_body", 256, 16 << 20);
    let rate = r.within("intake.rate", 1, 1_000_000);
    let unknown_ids = r.within("intake.unknown_ids", 1, 1_000_000);
    let in_flight = r.within("intake.in_flight", 1, 100_000);
    let api_rate = r.within("api.rate", 1, 1_000_000);
    let api_address_rate = r.within("api.address_rate", 1, 1_000_000);
    let unknown_orders = r.get("orders.unknown", |text| match text {
        "accept" => Some(UnknownOrders::Accept),
        "hold" => Some(UnknownOrders::Hold),
        _ => None,
    });
    let default_partner = r.get("orders.default_partner", |text| {
        crate::domain::ids::PartnerId::new(text)
            .ok()
            .map(String::from)
    });
    let direct_attempts = r.within("cancel.direct_attempts", 1, 10);
    let cancel_budget = r.duration("cancel.budget");
    let queued_attempts = r.within("cancel.queued_attempts", 1, 50);
    let direct_backoff = r.duration("cancel.direct_backoff");
    let cancel_base = r.duration("cancel.backoff");
    let cancel_most = r.duration("cancel.backoff_max");
    let broker = r.get("broker.url", |text| match text {
        "embedded" => Some(BrokerChoice::Embedded),
        url => {
            let parsed = Url::parse(url).ok()?;
            let speaks = matches!(parsed.scheme(), "amqp" | "amqps") && parsed.has_host();
            speaks.then(|| BrokerChoice::Amqp(url.to_owned().into()))
        }
    });
    let broker_prefix = r.get("broker.prefix", |text| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (text.len() <= 40 && !text.is_empty() && text.bytes().all(plain)).then(|| text.to_owned())
    });
    let workers = r.yes("jobs.workers");
    let job_attempts = r.within("jobs.attempts", 1, 100);
    let job_base = r.duration("jobs.backoff");
    let job_most = r.duration("jobs.backoff_max");
    let concurrency = r.within("jobs.concurrency", 1, 256);
    let keep_finished_jobs = r.duration("jobs.keep");
    let shutdown = r.duration("jobs.shutdown");
    let keep_messages = r.duration("inbox.keep");
    let keep_buyers = r.get("privacy.keep", |text| {
        let least = Duration::from_secs(365 * 86_400);
        humantime::parse_duration(text)
            .ok()
            .filter(|keep| (least..=LONGEST).contains(keep))
    });
    let sweep_cron = r.cron("sweep.cron");
    let sweep_overlap = r.duration("sweep.overlap");
    let sweep_first = r.duration("sweep.first");
    let prune_cron = r.cron("prune.cron");
    let settle_cron = r.cron("settle.cron");
    let first_summary = r.duration("alerts.first_summary");
    let second_summary = r.duration("alerts.second_summary");
    let later_summary = r.duration("alerts.later_summary");
    let quiet = r.duration("alerts.quiet");
    let digest_cron = r.cron("digest.cron");
    let slack_inside = r.yes("slack.private_addresses");
    let slack = r.slack(slack_inside.unwrap_or_default());
    let admin_token = r.secret("admin.token", 32);
    let session = r.duration("admin.session");
    let idle = r.duration("admin.idle");
    let buyers_secret = r.secret("buyers.secret", 32);
    let log_json = r.get("log.format", |text| match text {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    });
    let log_level = r.get("log.level", |text| {
        text.parse::<tracing_subscriber::filter::EnvFilter>()
            .ok()
            .map(|_| text.to_owned())
    });
    if let (Some(url), Some(false)) = (&base_url, test)
        && url.scheme() == "http"
        && !is_loopback(url)
    {
        r.problems.push(format!(
            "portone.base_url is `{url}`: live keys are sent over https only, except to this machine"
        ));
    }

    let built = (|| {
        let public_url = public_url?;
        Some(Config {
            listen: listen?,
            trusted_proxies: trusted_proxies?,
            notice: notice.map(|words| (words, notice_url)),
            data_dir: data_dir?,
            portone: PortoneConfig {
                base_url: base_url?,
                imp_key: imp_key?,
                imp_secret: imp_secret?,
                test: test?,
                connect_timeout: connect_timeout?,
                read_timeout: read_timeout?,
                tier,
            },
            pay: PayPage {
                sdk_url: sdk_url?,
                merchant_code,
                channel_key,
                pg,
            },
            webhook_sources: webhook_sources?,
            only_sources: only_sources?,
            max_body: max_body? as usize,
            rate: rate?,
            unknown_ids: unknown_ids?,
            in_flight: in_flight? as usize,
            api_rate: api_rate?,
            api_address_rate: api_address_rate?,
            policy: Policy {
                test: test?,
                unknown_orders: unknown_orders?,
                default_partner: default_partner?,
                intake_budget: intake_budget?,
                direct_attempts: direct_attempts?,
                cancel_budget: cancel_budget?,
                queued_attempts: queued_attempts?,
                cancel_backoff: Backoff {
                    base: cancel_base?,
                    most: cancel_most?,
                },
                direct_backoff: Backoff {
                    base: direct_backoff?,
                    most: direct_backoff?,
                },
                job_attempts: job_attempts?,
                job_backoff: Backoff {
                    base: job_base?,
                    most: job_most?,
                },
                call_timeout: connect_timeout? + read_timeout?,
                sweep_overlap: sweep_overlap?,
                sweep_first: sweep_first?,
                sweep_cron: sweep_cron?,
                prune_cron: prune_cron?,
                settle_cron: settle_cron?,
                keep_finished_jobs: keep_finished_jobs?,
                keep_messages: keep_messages?,
                keep_buyers,
                public_url: public_url.as_str().trim_end_matches('/').to_owned(),
                concurrency: concurrency? as usize,
                alert_pace: Pace {
                    first: first_summary?,
                    second: second_summary?,
                    later: later_summary?,
                    quiet: quiet?,
                },
                digest_cron: digest_cron?,
            },
            public_url,
            broker: broker?,
            broker_prefix: broker_prefix?,
            workers: workers?,
            shutdown: shutdown?,
            slack,
            slack_inside: slack_inside?,
            admin_token,
            session: session?,
            idle: idle?,
            buyers_secret,
            log_json: log_json?,
            log_level: log_level?,
            shown,
        })
    })();
    match built {
        Some(config) if r.problems.is_empty() => Ok(config),
        _ => Err(ConfigErrors(r.problems)),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(at)) => at.is_loopback(),
        Some(url::Host::Ipv6(at)) => at.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<(&'static str, String)> {
        vec![
            ("portone.imp_key", "key".into()),
            ("portone.imp_secret", "canary-secret".into()),
        ]
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn two_keys_are_enough_and_secrets_stay_hidden() {
        let config = Config::load(None, [], &keys()).unwrap();
        assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8080/");
        assert_eq!(config.policy.direct_attempts, 2);
        assert_eq!(config.policy.queued_attempts, 1);
        assert!(!format!("{config:?}").contains("canary-secret"));
    }

    #[test]
    fn everything_wrong_is_named_at_once_with_what_was_expected() {
        let wrong = env(&[
            ("JEONGSAN_SERVER_LISTEN", "nowhere"),
            ("JEONGSAN_PORTONE_MODE", "maybe"),
            ("JEONGSAN_SWEEP_CRON", "sometimes"),
            ("JEONGSAN_CANCEL_DIRECT_ATTEMPTS", "0"),
            ("JEONGSAN_ADMIN_TOKEN", "short-canary"),
            ("JEONGSAN_SERVER_LISTN", "x"),
            ("JEONGSAN_PORTONE_READ_TIMEOUT", "fast"),
        ]);
        let ConfigErrors(problems) = Config::load(None, wrong, &[]).unwrap_err();
        for (n, part) in [
            "server.listen is `nowhere` (from JEONGSAN_SERVER_LISTEN): expected an address",
            "portone.mode is `maybe`",
            "sweep.cron is `sometimes`",
            "cancel.direct_attempts is `0` (from JEONGSAN_CANCEL_DIRECT_ATTEMPTS): expected 1 to 10",
            "admin.token is ***",
            "did you mean server.listen?",
            "portone.imp_key is not set",
            "portone.imp_secret is not set",
            "portone.read_timeout is `fast`",
        ]
        .iter()
        .enumerate()
        {
            assert!(problems.iter().any(|p| p.contains(part)), "{n}: {part} in {problems:#?}");
        }
        assert!(!problems.join("\n").contains("short-canary"));
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jeongsan.toml");
        std::fs::write(&file, "[cancel]\ndirect_attempts = 3\nbudget = \"2s\"\n[server]\ntrusted_proxies = [\"10.0.0.1\", \"10.0.0.2\"]\n").unwrap();
        let env = env(&[("JEONGSAN_CANCEL_BUDGET", "4s")]);
        let config = Config::load(Some(&file), env, &keys()).unwrap();
        assert_eq!(config.policy.direct_attempts, 3);
        assert_eq!(config.policy.cancel_budget.as_secs(), 4);
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.policy.intake_budget.as_secs(), 5);
    }

    #[test]
    fn a_broken_file_tells_the_line_and_not_what_stands_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jeongsan.toml");
        std::fs::write(&file, "[portone]\nimp_secret = \"canary-in-file\nmode=1").unwrap();
        let errors = Config::load(Some(&file), [], &keys())
            .unwrap_err()
            .to_string();
        assert!(
            errors.contains("is not TOML") && errors.contains("line 2"),
            "{errors}"
        );
        assert!(!errors.contains("canary-in-file"), "{errors}");
    }

    #[test]
    fn a_secret_can_stand_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "from-a-file\n").unwrap();
        let env = env(&[
            ("JEONGSAN_PORTONE_IMP_KEY", "k"),
            ("JEONGSAN_PORTONE_IMP_SECRET_FILE", file.to_str().unwrap()),
        ]);
        assert!(Config::load(None, env, &[]).is_ok());
    }

    #[test]
    fn live_keys_do_not_travel_in_the_clear() {
        let env = env(&[
            ("JEONGSAN_PORTONE_MODE", "live"),
            ("JEONGSAN_PORTONE_BASE_URL", "http://api.example.kr"),
        ]);
        let errors = Config::load(None, env, &keys()).unwrap_err().to_string();
        assert!(errors.contains("https only"), "{errors}");
    }

    #[test]
    fn alerts_do_not_go_inside_unless_that_is_said() {
        let with = |url: &str, inside: &str| {
            let env = env(&[
                ("JEONGSAN_SLACK_WEBHOOK_URL", url),
                ("JEONGSAN_SLACK_PRIVATE_ADDRESSES", inside),
            ]);
            Config::load(None, env, &keys()).map_err(|errors| errors.to_string())
        };
        for url in [
            "http://hooks.slack.com/canary",
            "https://127.0.0.1/canary",
            "https://0x7f000001/canary",
            "https://[::ffff:10.0.0.1]/canary",
            "https://169.254.169.254/canary",
            "http://localhost:9000/canary",
        ] {
            let error = with(url, "false").unwrap_err();
            assert!(
                error.contains("slack.private_addresses = true") && !error.contains("canary"),
                "{url}: {error}"
            );
            assert!(with(url, "true").unwrap().slack.is_some(), "{url}");
        }
        for url in [
            "https://u:p@hooks.slack.com/canary",
            "ftp://x/canary",
            "canary",
        ] {
            let error = with(url, "true").unwrap_err();
            assert!(
                !error.contains("canary") && !error.contains("= true"),
                "{error}"
            );
        }
        assert!(with("https://hooks.slack.com/services/x", "false").is_ok());
    }

    #[test]
    fn every_setting_is_documented() {
        let help = help();
        for setting in SETTINGS {
            assert!(help.contains(&variable(setting.key)), "{}", setting.key);
            assert!(
                setting.doc.ends_with('.') && !setting.expects.is_empty(),
                "{}",
                setting.key
            );
        }
    }
}
