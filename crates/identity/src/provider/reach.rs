//! Which URLs and which addresses keys may be fetched from.
//!
//! A provider's documents name URLs. Without these rules they could point us at the metadata
//! service of the cloud, at a neighbour inside the network, or at plain http.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The rules of one issuer.
#[derive(Clone)]
pub(crate) struct Reach {
    /// Whether the issuer itself is on this machine, as in a demo or a test.
    loopback: bool,
    /// Whether it is, and over plain http.
    plain: bool,
    allowed_hosts: Arc<[String]>,
}

impl Reach {
    pub(crate) fn new(issuer: &str, allowed_hosts: &[String]) -> Reach {
        let issuer = Url::parse(issuer).ok().filter(is_loopback);
        Reach {
            plain: issuer.as_ref().is_some_and(|url| url.scheme() == "http"),
            loopback: issuer.is_some(),
            allowed_hosts: allowed_hosts.iter().map(|host| bare(host)).collect(),
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Parses a URL that may be fetched; the error says what to change.
    pub(crate) fn url(&self, text: &str) -> Result<Url, &'static str> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err("the URL has characters that do not belong in one; encode them");
        }
        let url = Url::parse(text).map_err(|_| "it is not an absolute URL; use https://…")?;
        match url.scheme() {
            "https" => {}
            "http" if self.loopback && is_loopback(&url) => {}
            "http" => return Err("plain http is for loopback issuers only; use https://…"),
            _ => return Err("it is not a web address; use https://…"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds credentials; remove what stands before the `@`");
        }
        if url.fragment().is_some() {
            return Err("the URL has a fragment; remove what follows the `#`");
        }
        // Connections to literal addresses never pass the resolver.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err("the URL has no host; use https://…"),
        };
        let host = url.host_str().unwrap_or_default();
        if address.is_some_and(|address| !self.permits(host, address)) {
            return Err(INSIDE);
        }
        Ok(url)
    }

    /// Whether the operator listed the host of `url`.
    pub(super) fn lists(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| self.allowed_hosts.contains(&bare(host)))
    }

    fn permits(&self, host: &str, address: IpAddr) -> bool {
        is_public(address)
            || (self.loopback && address.is_loopback())
            || self.allowed_hosts.contains(&bare(host))
    }
}

const INSIDE: &str = "the host has a loopback, link-local or private address; \
                      if that is right, list it in identity.danger_allowed_hosts";

/// Resolves names and looks at every address before a connection is made, so that a name that
/// changes its address between check and use gains nothing.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            if found.iter().any(|address| !reach.permits(host, address.ip())) {
                return Err(INSIDE.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A host for comparison: lower case, without the brackets of IPv6 and the dot of the root.
fn bare(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether a URL leads to this machine, where nobody stands in between: the one place for plain http.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Leaves out the special-purpose blocks of the IANA registry (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

/// Takes global unicast (2000::/3) without documentation, Teredo and 6to4, which can carry a
/// private IPv4 address, and NAT64 (RFC 6052) and mapped addresses by the IPv4 address inside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
        }
        [0x2001, 0 | 0x0db8, ..] | [0x2002, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_told_from_public_ones() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.192",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_inside_is_refused_unless_listed() {
        let resolve = async |issuer: &str, allowed: &[String]| {
            let name: Name = "localhost".parse().unwrap();
            Reach::new(issuer, allowed).resolve(name).await.map(Iterator::count)
        };
        assert!(resolve("https://idp.example", &[]).await.is_err(), "K12, 8725-8");
        assert!(resolve("https://idp.example", &["LOCALHOST".to_owned()]).await.is_ok());
        assert!(resolve("http://localhost:1", &[]).await.is_ok());
    }
}
