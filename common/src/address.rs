//! Which addresses a worker may call by name.
//!
//! Responsible for telling public addresses from those of the machine, of its network and of
//! nobody, and for the exceptions that a kind's `allow` makes. Resolving names and connecting are
//! the worker's. Guards against a name that leads to where only the inside may call: whoever
//! answers for a name in the DNS must not choose an address of ours, and whatever is not known to
//! be public is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Whom an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anybody's on the internet.
    Public,
    /// This machine's own.
    Loopback,
    /// One of a private network, shared address space included.
    Private,
    /// What clouds answer their machines under, with credentials among it.
    Metadata,
    /// Link-local, multicast, reserved, or for documentation.
    Special,
}

/// What a kind may call although its name does not lead to a public address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allowed {
    /// Every address of this network; one address is a network, too.
    Network(IpNet),
    /// This name, in lowercase, at whatever loopback or private address it has.
    Name(String),
}

/// A name that leads to an address that must not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} resolves to {address}, {reach}; {mend}", mend = self.mend())]
pub struct Refused {
    /// The name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Whose it is.
    pub reach: Reach,
}

/// Networks that are public by their numbers and serve metadata, or private and do.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

/// What the registries of special addresses hold beside private and loopback ones.
const SPECIAL_V4: [Ipv4Net; 11] = [
    v4([0, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];
const PRIVATE_V4: [Ipv4Net; 4] = [
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
];
/// Global unicast; everything else that is not named below is nobody's yet.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const SPECIAL_V6: [Ipv6Net; 3] = [
    // Protocol assignments, Teredo among them.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];
const PRIVATE_V6: Ipv6Net = v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7);
/// NAT64: the last four bytes are the address that is called in the end.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
/// 6to4: the address of the relay stands after the first two bytes.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

const fn v4(address: [u8; 4], bits: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(address: [u16; 8], bits: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = address;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits)
}

impl Reach {
    /// Tells whom an address belongs to; one that carries another one inside is judged by that.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let within = |nets: &[Ipv4Net]| nets.iter().any(|net| net.contains(&address));
        if address.is_loopback() {
            Self::Loopback
        } else if within(&PRIVATE_V4) {
            Self::Private
        } else if within(&SPECIAL_V4) {
            Self::Special
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [_, first, second, .., last_but_one, last] = address.segments();
        let inner = |high: u16, low: u16| {
            let bits = (u32::from(high) << 16) | u32::from(low);
            Self::of(IpAddr::V4(Ipv4Addr::from_bits(bits)))
        };
        if address.is_loopback() {
            Self::Loopback
        } else if NAT64.contains(&address) {
            inner(last_but_one, last)
        } else if SIX_TO_FOUR.contains(&address) {
            inner(first, second)
        } else if PRIVATE_V6.contains(&address) {
            Self::Private
        } else if !GLOBAL_V6.contains(&address)
            || SPECIAL_V6.iter().any(|net| net.contains(&address))
        {
            Self::Special
        } else {
            Self::Public
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "an address of this machine",
            Self::Private => "a private address",
            Self::Metadata => "an address under which clouds give out credentials",
            Self::Special => "an address that is nobody's on the internet",
        })
    }
}

impl Allowed {
    fn covers(&self, name: &str, address: IpAddr, reach: Reach) -> bool {
        match self {
            Self::Network(network) => {
                network.contains(&address) || network.contains(&address.to_canonical())
            }
            // Whoever answers for the name must not lead us to the machine's credentials.
            Self::Name(allowed) => {
                allowed == name && matches!(reach, Reach::Loopback | Reach::Private)
            }
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(formatter),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

impl FromStr for Allowed {
    type Err = String;

    /// Reads an address, a network or a name.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        if text.contains('/') {
            let network = text.parse::<IpNet>();
            return network
                .map(Self::Network)
                .map_err(|_| "it is no network such as 10.0.0.0/8 or fd00::/8".to_owned());
        }
        let name = plain(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let is_name = name.len() <= 253
            && name.split('.').all(is_label)
            // `10.1` is a mistyped address far sooner than a name.
            && name.bytes().any(|byte| byte.is_ascii_alphabetic());
        if is_name {
            Ok(Self::Name(name))
        } else {
            Err("it is no address, network or name".to_owned())
        }
    }
}

impl Refused {
    fn mend(&self) -> String {
        let Self { name, address, reach } = self;
        let address = format!("allow = [\"{}\"]", address.to_canonical());
        match reach {
            Reach::Loopback | Reach::Private => {
                format!("if it may be called, write allow = [\"{name}\"], or {address}")
            }
            Reach::Public | Reach::Metadata | Reach::Special => {
                format!("if it may be called, write {address}")
            }
        }
    }
}

/// Tells whether `address`, to which `name` resolves, may be called.
///
/// Public addresses may, those of this machine under the name `localhost`, and whatever is allowed.
///
/// # Errors
/// [`Refused`], which says what would have to be allowed.
pub fn check(name: &str, address: IpAddr, allowed: &[Allowed]) -> Result<(), Refused> {
    let (name, reach) = (plain(name), Reach::of(address));
    let is_own = reach == Reach::Loopback && (name == "localhost" || name.ends_with(".localhost"));
    let is_allowed = || allowed.iter().any(|allowed| allowed.covers(&name, address, reach));
    if reach == Reach::Public || is_own || is_allowed() {
        return Ok(());
    }
    Err(Refused { name, address, reach })
}

/// Returns a host's name as names are compared.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str) -> Reach {
        Reach::of(address.parse().unwrap())
    }

    fn allowed(texts: &[&str]) -> Vec<Allowed> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn may(name: &str, address: &str, texts: &[&str]) -> bool {
        check(name, address.parse().unwrap(), &allowed(texts)).is_ok()
    }

    #[test]
    fn every_sort_of_address_is_told_apart() {
        for (sort, addresses) in [
            (Reach::Public, "93.184.216.34 1.1.1.1 172.32.0.1 2606:4700::1111 2a00:1450:4001::1"),
            (
                Reach::Loopback,
                "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::",
            ),
            (
                Reach::Private,
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 fd12::1 fc00::1 \
                 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::",
            ),
            (
                Reach::Metadata,
                "169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192 \
                 fd00:ec2::254 fd20:ce::254 fd00:ec2::23 fd00:42::42 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe",
            ),
            (
                Reach::Special,
                "0.0.0.0 0.1.2.3 169.254.1.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 \
                 239.1.1.1 240.0.0.1 255.255.255.255 :: fe80::1 fec0::1 ff02::1 2001::1 2001:db8::1 \
                 100::1 64:ff9b:1::1 ::127.0.0.1 3fff::1 5f00::1 4000::1",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(reach(address), sort, "{address}");
            }
        }
    }

    #[test]
    fn a_name_may_lead_to_public_addresses_only_unless_something_is_allowed() {
        assert!(may("hooks.example", "93.184.216.34", &[]));
        for inside in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1"] {
            assert!(!may("hooks.example", inside, &[]), "{inside}");
        }
        assert!(may("hooks.example", "10.0.0.1", &["10.0.0.0/8"]));
        assert!(may("hooks.example", "::ffff:10.0.0.1", &["10.0.0.0/8"]));
        assert!(may("hooks.example", "10.0.0.1", &["10.0.0.1"]));
        assert!(!may("hooks.example", "10.0.0.2", &["10.0.0.1", "fd00::/8"]));
        assert!(may("metadata", "169.254.169.254", &["169.254.169.254"]));
    }

    #[test]
    fn an_allowed_name_may_be_inside_and_never_where_credentials_are() {
        assert!(may("Hooks.Internal.", "10.0.0.1", &["hooks.internal"]));
        assert!(may("hooks.internal", "127.0.0.1", &["Hooks.internal."]));
        assert!(!may("other.internal", "10.0.0.1", &["hooks.internal"]));
        for address in ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "fe80::1"]
        {
            assert!(!may("hooks.internal", address, &["hooks.internal"]), "{address}");
        }
    }

    #[test]
    fn localhost_is_this_machine_and_nothing_else() {
        assert!(may("localhost", "127.0.0.1", &[]) && may("app.localhost", "::1", &[]));
        assert!(!may("localhost", "10.0.0.1", &[]));
        assert!(!may("notlocalhost", "127.0.0.1", &[]));
    }

    #[test]
    fn a_refusal_says_what_to_allow() {
        let told =
            |address: &str| check("app", address.parse().unwrap(), &[]).unwrap_err().to_string();
        assert_eq!(
            told("172.18.0.5"),
            "app resolves to 172.18.0.5, a private address; if it may be called, write \
             allow = [\"app\"], or allow = [\"172.18.0.5\"]"
        );
        let metadata = told("169.254.169.254");
        assert!(metadata.ends_with("write allow = [\"169.254.169.254\"]"), "{metadata}");
    }

    #[test]
    fn what_is_no_address_network_or_name_is_refused() {
        for text in ["", "10.0.0.0/33", "10.1", "a b", "a..b", "/8", "http://a", "a:80", "*"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "::1", "hooks.internal", "my_app", "192.168.1.7"] {
            text.parse::<Allowed>().unwrap();
        }
    }
}
