//! A list of internet addresses, single ones and whole ranges: proxies, senders. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and ranges, as a setting lists them: `10.0.0.1, 192.168.0.0/24`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(Vec<IpNet>);

impl Addresses {
    /// Reads a list whose parts are parted by commas. `None`: one of them is neither.
    pub fn parse(text: &str) -> Option<Addresses> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(range)
            .collect::<Option<Vec<_>>>()
            .map(Addresses)
    }

    /// Whether an address is one of them. `::ffff:10.0.0.1` is 10.0.0.1.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn range(text: &str) -> Option<IpNet> {
    match text.contains('/') {
        true => text.parse::<IpNet>().ok().map(|range| range.trunc()),
        false => text
            .parse::<IpAddr>()
            .ok()
            .map(|one| IpNet::from(one.to_canonical())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ranges_stand_side_by_side() {
        let list = Addresses::parse(" 10.0.0.1, 192.168.7.0/24,fd00::/8 ,::ffff:1.2.3.4,").unwrap();
        assert_eq!(list.len(), 4);
        for (text, within) in [
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("::ffff:10.0.0.1", true),
            ("192.168.7.0", true),
            ("192.168.7.255", true),
            ("192.168.8.0", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("1.2.3.4", true),
        ] {
            assert_eq!(list.contains(text.parse().unwrap()), within, "{text}");
        }
        // What stands behind the prefix does not count.
        let host = Addresses::parse("10.1.2.3/8").unwrap();
        assert!(host.contains("10.200.0.1".parse().unwrap()));
        assert!(Addresses::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_neither_is_no_list() {
        for text in [
            "10.0.0",
            "10.0.0.1/33",
            "10.0.0.1/",
            "localhost",
            "1.1.1.1 2.2.2.2",
            "/8",
            "*",
        ] {
            assert_eq!(Addresses::parse(text), None, "{text}");
        }
    }
}
