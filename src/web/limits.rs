//! What one address may do to the open endpoint, and how much is worked on at once.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::addresses::Addresses;

/// Addresses that asked for too many unknown ids are kept out for this long.
const PENALTY: Duration = Duration::from_secs(60);
/// Penalties remembered at most; beyond it all of them are forgiven.
const REMEMBERED: usize = 50_000;

pub struct Limits {
    messages: DefaultKeyedRateLimiter<IpAddr>,
    unknown: DefaultKeyedRateLimiter<IpAddr>,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    orders: DefaultKeyedRateLimiter<IpAddr>,
    /// Requests of the API, by who sends them and from where.
    api_callers: DefaultKeyedRateLimiter<&'static str>,
    api_addresses: DefaultKeyedRateLimiter<IpAddr>,
    penalties: Mutex<HashMap<IpAddr, Instant>>,
    in_flight: Arc<Semaphore>,
    trusted_proxies: Addresses,
    /// PortOne's own addresses: never limited.
    sources: Addresses,
    /// Whether webhooks are taken from those alone.
    only_sources: bool,
}

/// By what an address is counted: one machine has 2⁶⁴ of IPv6, its whole /64.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(whole) => {
            let [a, b, c, d, ..] = whole.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// One part of X-Forwarded-For. Some proxies write the port behind it.
fn forwarded(part: &str) -> Option<IpAddr> {
    let part = part.trim();
    let bare = part
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare.unwrap_or(part).parse() {
        Ok(address) => address,
        Err(_) => part.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

impl Limits {
    pub fn new(
        rate: u32,
        unknown_ids: u32,
        in_flight: usize,
        api_rate: u32,
        api_address_rate: u32,
        trusted_proxies: Addresses,
        sources: Addresses,
    ) -> Limits {
        Limits {
            messages: RateLimiter::keyed(Quota::per_second(at_least_one(rate))),
            unknown: RateLimiter::keyed(Quota::per_minute(at_least_one(unknown_ids))),
            sign_ins: RateLimiter::keyed(Quota::per_minute(at_least_one(15))),
            orders: RateLimiter::keyed(Quota::per_minute(at_least_one(20))),
            api_callers: RateLimiter::keyed(Quota::per_second(at_least_one(api_rate))),
            api_addresses: RateLimiter::keyed(Quota::per_second(at_least_one(api_address_rate))),
            penalties: Mutex::new(HashMap::new()),
            in_flight: Arc::new(Semaphore::new(in_flight)),
            trusted_proxies,
            sources,
            only_sources: false,
        }
    }

    /// Takes webhooks from PortOne's own addresses alone, if `only`.
    pub fn only_sources(mut self, only: bool) -> Limits {
        self.only_sources = only;
        self
    }

    /// Whether a webhook from this address is taken. Where the addresses are not a filter, any is.
    pub fn may_tell(&self, address: IpAddr) -> bool {
        !self.only_sources || self.sources.contains(address)
    }

    /// Whose request it is: the peer, or whom a trusted proxy names as the last before itself.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        // A socket for both families names an IPv4 peer `::ffff:1.2.3.4`.
        let peer = peer.to_canonical();
        if !self.trusted_proxies.contains(peer) {
            return peer;
        }
        // Read from the end: each part was written by whoever the next part names. At the first that
        // is no address nothing before it can be believed either.
        let lines: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
            .collect();
        for part in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            match forwarded(part) {
                Some(address) if self.trusted_proxies.contains(address) => {}
                Some(address) => return address,
                None => break,
            }
        }
        peer
    }

    /// Whether the address may send a message now; else the seconds to wait.
    pub fn admit(&self, address: IpAddr) -> Result<(), u64> {
        if self.sources.contains(address) {
            return Ok(());
        }
        let mut penalties = self
            .penalties
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = penalties.get(&neighbourhood(address)) {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(left.as_secs().max(1));
            }
            penalties.remove(&neighbourhood(address));
        }
        drop(penalties);
        self.messages
            .check_key(&neighbourhood(address))
            .map_err(|_| 1)
    }

    /// The address asked for an id that PortOne does not know.
    pub fn unknown_id(&self, address: IpAddr) {
        if self.sources.contains(address) || self.unknown.check_key(&neighbourhood(address)).is_ok()
        {
            return;
        }
        tracing::warn!(%address, "an address is kept out for a minute: too many unknown payment ids");
        let mut penalties = self
            .penalties
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if penalties.len() >= REMEMBERED {
            penalties.clear();
        }
        penalties.insert(neighbourhood(address), Instant::now() + PENALTY);
    }

    /// Whether the address may try to sign in.
    pub fn may_sign_in(&self, address: IpAddr) -> bool {
        self.sign_ins.check_key(&neighbourhood(address)).is_ok()
    }

    /// Whether the address may have another sample order written down: each stays for good.
    pub fn may_order(&self, address: IpAddr) -> bool {
        self.orders.check_key(&neighbourhood(address)).is_ok()
    }

    /// Whether an address may ask the API now, whoever it is; else the seconds to wait.
    pub fn admit_to_api(&self, address: IpAddr) -> Result<(), u64> {
        // Within a second there is room for one more: the rate is at least one a second.
        self.api_addresses
            .check_key(&neighbourhood(address))
            .map_err(|_| 1)
    }

    /// Whether a program may ask the API now, by the name of its key; else the seconds to wait.
    pub fn admit_key(&self, by: &'static str) -> Result<(), u64> {
        self.api_callers.check_key(&by).map_err(|_| 1)
    }

    /// A place among what is worked on at once, if one is free.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.in_flight.clone().try_acquire_owned().ok()
    }

    /// Forgets addresses that have been quiet. To be called now and then.
    pub fn tidy(&self) {
        self.messages.retain_recent();
        self.unknown.retain_recent();
        self.sign_ins.retain_recent();
        self.orders.retain_recent();
        self.api_callers.retain_recent();
        self.api_addresses.retain_recent();
        let now = Instant::now();
        let mut penalties = self
            .penalties
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        penalties.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(text: &str) -> Addresses {
        Addresses::parse(text).unwrap()
    }

    fn forwarded_for(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_forwarded_address_is_believed_of_trusted_proxies_only() {
        let limits = Limits::new(10, 10, 1, 1, 1, list("10.0.0.1"), list(""));
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            "1.1.1.1, 2.2.2.2, 10.0.0.1".parse().unwrap(),
        );
        assert_eq!(limits.client(ip("9.9.9.9"), &headers), ip("9.9.9.9"));
        assert_eq!(limits.client(ip("10.0.0.1"), &headers), ip("2.2.2.2"));
        assert_eq!(
            limits.client(ip("10.0.0.1"), &HeaderMap::new()),
            ip("10.0.0.1")
        );
        // As a socket for both families names them.
        assert_eq!(
            limits.client(ip("::ffff:10.0.0.1"), &headers),
            ip("2.2.2.2")
        );
        assert_eq!(limits.client(ip("::ffff:9.9.9.9"), &headers), ip("9.9.9.9"));
    }

    #[test]
    fn nobody_hides_behind_a_forged_forwarded_address() {
        let limits = Limits::new(
            10,
            10,
            1,
            1,
            1,
            list("10.0.0.0/8, 127.0.0.1, fd00::/8"),
            list(""),
        );
        let proxy = ip("10.7.7.7");
        for (lines, client) in [
            // The proxy wrote the last part; what stands before it came with the request.
            (&["52.78.5.241, 6.6.6.6"][..], "6.6.6.6"),
            (&["127.0.0.1, 6.6.6.6"], "6.6.6.6"),
            (&["52.78.5.241", "6.6.6.6"], "6.6.6.6"),
            // Through two proxies of ours.
            (&["1.2.3.4, 6.6.6.6, 10.1.1.1"], "6.6.6.6"),
            (&["6.6.6.6, 10.1.1.1", "10.2.2.2"], "6.6.6.6"),
            (&["6.6.6.6:1234"], "6.6.6.6"),
            (&["[2400:cb00::1]:80"], "2400:cb00::1"),
            (&["[2400:cb00::1]"], "2400:cb00::1"),
            (&["::ffff:6.6.6.6"], "6.6.6.6"),
            (&["6.6.6.6, fd00::7"], "6.6.6.6"),
            // Behind what cannot be read nothing is believed.
            (&["52.78.5.241, unknown"], "10.7.7.7"),
            (&["52.78.5.241, _hidden, 10.1.1.1"], "10.7.7.7"),
            (&["52.78.5.241,"], "10.7.7.7"),
            (&["52.78.5.241, 6.6.6.6; for=1.1.1.1"], "10.7.7.7"),
            (&["52.78.5.241, 6.6.6.6 7.7.7.7"], "10.7.7.7"),
            (&["0x06060606"], "10.7.7.7"),
            (&["10.1.1.1, 10.2.2.2"], "10.7.7.7"),
            (&[""], "10.7.7.7"),
            (&[], "10.7.7.7"),
        ] {
            assert_eq!(
                limits.client(proxy, &forwarded_for(lines)),
                ip(client),
                "{lines:?}"
            );
            // Of anybody else nothing is believed at all.
            let stranger = ip("6.6.6.6");
            assert_eq!(
                limits.client(stranger, &forwarded_for(lines)),
                stranger,
                "{lines:?}"
            );
        }
        let mut other = HeaderMap::new();
        for name in [
            "forwarded",
            "x-real-ip",
            "cf-connecting-ip",
            "true-client-ip",
        ] {
            other.insert(name, "52.78.5.241".parse().unwrap());
        }
        assert_eq!(limits.client(proxy, &other), proxy);
    }

    #[test]
    fn where_the_sources_are_a_filter_nobody_else_tells() {
        let limits = |only| {
            Limits::new(1, 1, 1, 1, 1, list(""), list("52.78.5.0/24,::1")).only_sources(only)
        };
        for (text, may) in [
            ("52.78.5.241", true),
            ("::ffff:52.78.5.241", true),
            ("::1", true),
            ("52.78.6.1", false),
        ] {
            assert_eq!(limits(true).may_tell(ip(text)), may, "{text}");
            assert!(limits(false).may_tell(ip(text)), "{text}");
        }
    }

    #[test]
    fn too_many_unknown_ids_keep_an_address_out_and_no_other() {
        let limits = Limits::new(1_000, 3, 1, 1, 1, list(""), list("52.78.5.241"));
        for _ in 0..4 {
            limits.unknown_id(ip("6.6.6.6"));
            limits.unknown_id(ip("52.78.5.241"));
        }
        assert!(limits.admit(ip("6.6.6.6")).is_err());
        assert!(limits.admit(ip("7.7.7.7")).is_ok());
        assert!(limits.admit(ip("52.78.5.241")).is_ok());
    }

    #[test]
    fn each_key_and_each_address_has_its_own_rate() {
        let limits = Limits::new(1, 1, 1, 3, 5, list(""), list(""));
        let passed = |n: usize, admit: &dyn Fn() -> Result<(), u64>| {
            (0..n).filter(|_| admit().is_ok()).count()
        };
        assert_eq!(passed(9, &|| limits.admit_key("key:a")), 3);
        assert_eq!(passed(9, &|| limits.admit_key("key:b")), 3);
        assert_eq!(passed(9, &|| limits.admit_to_api(ip("6.6.6.6"))), 5);
        assert_eq!(limits.admit_to_api(ip("6.6.6.6")), Err(1));
        assert_eq!(passed(9, &|| limits.admit_to_api(ip("7.7.7.7"))), 5);
    }

    #[test]
    fn a_machine_with_very_many_addresses_is_one() {
        let limits = Limits::new(1, 1, 1, 1, 2, list(""), list(""));
        let passed = |texts: [&str; 4]| {
            let admitted = texts.map(|text| limits.admit_to_api(ip(text)).is_ok());
            admitted.into_iter().filter(|admitted| *admitted).count()
        };
        assert_eq!(
            passed([
                "2400:1:2:3::1",
                "2400:1:2:3::2",
                "2400:1:2:3:9::1",
                "2400:1:2:3::4"
            ]),
            2
        );
        assert_eq!(
            passed(["2400:1:2:4::1", "2400:1:2:5::1", "6.6.6.6", "6.6.6.7"]),
            4
        );
    }

    #[test]
    fn places_run_out_and_come_back() {
        let limits = Limits::new(1, 1, 1, 1, 1, list(""), list(""));
        let place = limits.place();
        assert!(place.is_some() && limits.place().is_none());
        drop(place);
        assert!(limits.place().is_some());
    }
}
