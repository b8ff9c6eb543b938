//! Where our own requests may go: to the public internet, and not into the network that we stand in.
//!
//! A URL out of a setting is a request that somebody else can aim. Only https, without a user name,
//! and never to an address that is not public. The address is looked at **when the connection is made**,
//! in the look-up whose answer is then connected to, so a name that means another address a moment
//! later gains nothing. Redirects are not followed, and no proxy out of the environment is used: what
//! a proxy connects to could not be seen from here.
//!
//! For URLs that the operator alone writes and that may well be local there is [`Reach::Anywhere`].

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How far a client's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, over TLS.
    Public,
    /// Also this machine and its network, also in the clear.
    Anywhere,
}

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it cannot be read as a URL")]
    Unreadable,
    #[error("it must begin with https://")]
    NotHttps,
    #[error("it must hold no user name and no password")]
    UserInfo,
    #[error("it must name a host")]
    NoHost,
    #[error("its address is not a public one")]
    NotPublic,
}

/// Whether anybody on the internet could mean the same by this address. Ranges as IANA's registries
/// of special addresses have them; in IPv6 nothing but global unicast counts.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127, ..] => true,
        [100, 64..=127, ..] => true, // carrier-grade NAT
        [169, 254, ..] => true,      // link-local: the clouds' metadata servers, too
        [172, 16..=31, ..] => true,
        [192, 0, 0 | 2, _] => true, // protocol assignments, documentation
        [192, 88, 99, _] => true,   // relays of 6to4, given up
        [192, 168, ..] => true,
        [198, 18 | 19, ..] => true,                   // benchmarks
        [198, 51, 100, _] | [203, 0, 113, _] => true, // documentation
        [224..=255, ..] => true,                      // multicast, reserved, broadcast
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // `::ffff:10.0.0.1` is 10.0.0.1.
        [0, 0, 0, 0, 0, 0xffff, high, low] => is_public_v4(embedded(high, low)),
        // So is what a network without IPv4 makes of it (NAT64).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        // Teredo, ORCHID and other protocols; documentation; 6to4, which holds an IPv4 address.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether a URL may be called at all; what its name means is looked at when it is connected to.
pub fn check(url: &Url, reach: Reach) -> Result<(), Refused> {
    let host = url.host().ok_or(Refused::NoHost)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::UserInfo);
    }
    let in_the_clear = reach == Reach::Anywhere && url.scheme() == "http";
    if url.scheme() != "https" && !in_the_clear {
        return Err(Refused::NotHttps);
    }
    // Whatever way an address is written (hexadecimal, octal, one number), `url` has made it one.
    let public = match host {
        Host::Domain(_) => true,
        Host::Ipv4(v4) => is_public_v4(v4),
        Host::Ipv6(v6) => is_public_v6(v6),
    };
    match reach {
        Reach::Public if !public => Err(Refused::NotPublic),
        Reach::Public | Reach::Anywhere => Ok(()),
    }
}

/// [`check`] of a text.
pub fn check_text(text: &str, reach: Reach) -> Result<Url, Refused> {
    let url = Url::parse(text).map_err(|_| Refused::Unreadable)?;
    check(&url, reach)?;
    Ok(url)
}

/// Asks what addresses a name has.
pub type LookUp = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's own look-up.
fn system() -> LookUp {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|at| at.ip()).collect())
        })
    })
}

/// A look-up that gives public addresses only. One that is not spoils the whole answer: an honest
/// name has none.
struct PublicOnly(LookUp);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let look_up = self.0(name.as_str().to_owned());
        Box::pin(async move {
            let found = look_up.await?;
            if !found.iter().copied().all(is_public) {
                return Err(Refused::NotPublic.into());
            }
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// A client's beginnings: as far as it may reach, and never where a redirect leads.
pub fn client(reach: Reach) -> reqwest::ClientBuilder {
    client_with(reach, system())
}

/// The same with another look-up of names.
pub fn client_with(reach: Reach, look_up: LookUp) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("jeongsan/", env!("CARGO_PKG_VERSION")));
    match reach {
        Reach::Public => builder
            .no_proxy()
            .https_only(true)
            .dns_resolver(Arc::new(PublicOnly(look_up))),
        Reach::Anywhere => builder,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    /// Addresses of which none may be reached.
    const INSIDE: [&str; 36] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.254",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
    ];

    #[test]
    fn what_is_not_public_is_told_from_what_is() {
        for text in INSIDE {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "2002:7f00:1::",
            "2001::1",
            "2001:20::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "52.78.5.241",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.0.1",
            "172.32.0.1",
            "191.255.255.255",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2400:cb00::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_address_is_known_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "１２７.０.０.１",
            "127。0。0。1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[fe80::1]",
            "0",
            "0xA9FEA9FE",
            "169.254.169.254",
            "%31%32%37.0.0.1",
        ] {
            let url = format!("https://{host}:8443/x");
            assert_eq!(
                check_text(&url, Reach::Public),
                Err(Refused::NotPublic),
                "{url}"
            );
        }
        for (url, why) in [
            ("http://hooks.slack.com/x", Refused::NotHttps),
            ("ftp://hooks.slack.com/x", Refused::NotHttps),
            ("gopher://hooks.slack.com/x", Refused::NotHttps),
            ("file:///etc/passwd", Refused::NoHost),
            ("https://user@hooks.slack.com/x", Refused::UserInfo),
            ("https://:pw@hooks.slack.com/x", Refused::UserInfo),
            ("https://hooks.slack.com@127.0.0.1/x", Refused::UserInfo),
            ("https://127.0.0.1\\@hooks.slack.com/x", Refused::NotPublic),
            ("https://", Refused::Unreadable),
            ("https://[fe80::1%25eth0]/", Refused::Unreadable),
            ("hooks.slack.com", Refused::Unreadable),
            ("", Refused::Unreadable),
        ] {
            assert_eq!(check_text(url, Reach::Public), Err(why), "{url}");
        }
        assert!(check_text("https://hooks.slack.com/services/T/B/x", Reach::Public).is_ok());
        assert!(check_text("http://127.0.0.1:8080/x", Reach::Anywhere).is_ok());
        assert!(check_text("http://user@127.0.0.1/x", Reach::Anywhere).is_err());
    }

    /// Counts who connects, on an address that none of these clients may reach.
    async fn canary() -> (u16, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let seen = count.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        (port, count)
    }

    fn names(answers: &[&[&str]]) -> LookUp {
        let answers: Vec<Vec<IpAddr>> = answers
            .iter()
            .map(|all| all.iter().map(|text| text.parse().unwrap()).collect())
            .collect();
        let asked = AtomicUsize::new(0);
        Arc::new(move |_| {
            let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let answer = answers[turn].clone();
            Box::pin(async move { Ok(answer) })
        })
    }

    async fn call(client: &reqwest::Client, url: &str) -> Result<(), String> {
        let sent = client.get(url).send().await;
        sent.map(|_| ()).map_err(|error| format!("{error:?}"))
    }

    #[tokio::test]
    async fn a_name_that_means_an_address_inside_is_not_connected_to() {
        let (port, connections) = canary().await;
        let url = format!("https://inside.example:{port}/");
        for text in INSIDE {
            let client = client_with(Reach::Public, names(&[&[text]]))
                .build()
                .unwrap();
            let error = call(&client, &url).await.unwrap_err();
            assert!(error.contains("NotPublic"), "{text}: {error}");
        }
        // One among others is enough.
        let client = client_with(Reach::Public, names(&[&["1.1.1.1", "127.0.0.1"]]))
            .build()
            .unwrap();
        assert!(call(&client, &url).await.unwrap_err().contains("NotPublic"));
        assert_eq!(connections.load(Ordering::SeqCst), 0);
        // The same canary counts whoever may reach it.
        let client = client_with(Reach::Anywhere, system()).build().unwrap();
        assert!(
            call(&client, &format!("https://localhost:{port}/"))
                .await
                .is_err()
        );
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_name_that_changes_after_it_was_looked_at_gains_nothing() {
        let (port, connections) = canary().await;
        // 240.0.0.0/4 leads nowhere, so the first try fails fast; a public answer comes first.
        let look_up = names(&[&["2606:4700::1111"], &["127.0.0.1"], &["::1"]]);
        let client = client_with(Reach::Public, look_up)
            .connect_timeout(Duration::from_millis(200))
            .build()
            .unwrap();
        let url = format!("https://turning.example:{port}/");
        for turn in 0..6 {
            let error = call(&client, &url).await.unwrap_err();
            assert_eq!(error.contains("NotPublic"), turn > 0, "{turn}: {error}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn nothing_travels_in_the_clear_and_no_redirect_is_followed() {
        let (port, connections) = canary().await;
        let client = client(Reach::Public).build().unwrap();
        for url in [
            format!("http://127.0.0.1:{port}/"),
            format!("http://localhost:{port}/"),
        ] {
            assert!(call(&client, &url).await.is_err(), "{url}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }
}
