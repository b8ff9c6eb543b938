//! What one address may do to the open endpoint, and how much is worked on at once.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    trusted_proxies: Vec<IpAddr>,
    /// PortOne's own addresses: never limited.
    exempt: Vec<IpAddr>,
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl Limits {
    pub fn new(
        rate: u32,
        unknown_ids: u32,
        in_flight: usize,
        api_rate: u32,
        api_address_rate: u32,
        trusted_proxies: Vec<IpAddr>,
        exempt: Vec<IpAddr>,
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
            exempt,
        }
    }

    /// Whose request it is: the peer, or whom a trusted proxy names as the last before itself.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        // A socket for both families names an IPv4 peer `::ffff:1.2.3.4`.
        let peer = peer.to_canonical();
        if !self.trusted_proxies.contains(&peer) {
            return peer;
        }
        headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(|part| part.trim().parse::<IpAddr>().ok())
            .map(|address| address.to_canonical())
            .rfind(|address| !self.trusted_proxies.contains(address))
            .unwrap_or(peer)
    }

    /// Whether the address may send a message now; else the seconds to wait.
    pub fn admit(&self, address: IpAddr) -> Result<(), u64> {
        if self.exempt.contains(&address) {
            return Ok(());
        }
        let mut penalties = self
            .penalties
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = penalties.get(&address) {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(left.as_secs().max(1));
            }
            penalties.remove(&address);
        }
        drop(penalties);
        self.messages.check_key(&address).map_err(|_| 1)
    }

    /// The address asked for an id that PortOne does not know.
    pub fn unknown_id(&self, address: IpAddr) {
        if self.exempt.contains(&address) || self.unknown.check_key(&address).is_ok() {
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
        penalties.insert(address, Instant::now() + PENALTY);
    }

    /// Whether the address may try to sign in.
    pub fn may_sign_in(&self, address: IpAddr) -> bool {
        self.sign_ins.check_key(&address).is_ok()
    }

    /// Whether the address may have another sample order written down: each stays for good.
    pub fn may_order(&self, address: IpAddr) -> bool {
        self.orders.check_key(&address).is_ok()
    }

    /// Whether an address may ask the API now, whoever it is; else the seconds to wait.
    pub fn admit_to_api(&self, address: IpAddr) -> Result<(), u64> {
        // Within a second there is room for one more: the rate is at least one a second.
        self.api_addresses.check_key(&address).map_err(|_| 1)
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

    #[test]
    fn a_forwarded_address_is_believed_of_trusted_proxies_only() {
        let limits = Limits::new(10, 10, 1, 1, 1, vec![ip("10.0.0.1")], vec![]);
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
    fn too_many_unknown_ids_keep_an_address_out_and_no_other() {
        let limits = Limits::new(1_000, 3, 1, 1, 1, vec![], vec![ip("52.78.5.241")]);
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
        let limits = Limits::new(1, 1, 1, 3, 5, vec![], vec![]);
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
    fn places_run_out_and_come_back() {
        let limits = Limits::new(1, 1, 1, 1, 1, vec![], vec![]);
        let place = limits.place();
        assert!(place.is_some() && limits.place().is_none());
        drop(place);
        assert!(limits.place().is_some());
    }
}
