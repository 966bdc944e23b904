//! Slows down who guesses: failed attempts count, good ones do not.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

/// Failures a minute that one client id may have, from wherever.
const OF_A_CLIENT: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Failures a minute that one address may have, under whatever client ids.
const OF_AN_ADDRESS: NonZeroU32 = NonZeroU32::new(300).unwrap();
/// How long one is kept out.
const PENALTY: Duration = Duration::from_secs(60);
/// How many clients and addresses are kept in mind.
const REMEMBERED: u64 = 100_000;

/// Who failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Suspect {
    /// A client id, as it was sent.
    Client(String),
    /// The other end of the connection. Headers that claim another are not believed.
    Address(IpAddr),
}

impl Suspect {
    /// Whoever is at this address. Of IPv6 the network of 64 bits counts, because one host has all
    /// of its addresses.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

/// Who failed too often in the last minute.
pub(crate) struct FailedAttempts {
    clients: DefaultKeyedRateLimiter<Suspect>,
    addresses: DefaultKeyedRateLimiter<Suspect>,
    kept_out: Cache<Suspect, Instant>,
}

impl std::fmt::Debug for FailedAttempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FailedAttempts").finish_non_exhaustive()
    }
}

impl FailedAttempts {
    pub(crate) fn new() -> Self {
        Self {
            clients: RateLimiter::keyed(Quota::per_minute(OF_A_CLIENT)),
            addresses: RateLimiter::keyed(Quota::per_minute(OF_AN_ADDRESS)),
            kept_out: Cache::builder().max_capacity(REMEMBERED).time_to_live(PENALTY).build(),
        }
    }

    /// The seconds that one of these has still to wait.
    pub(crate) fn wait_seconds(&self, suspects: &[Suspect]) -> Option<u64> {
        let until = suspects.iter().filter_map(|suspect| self.kept_out.get(suspect)).max()?;
        Some(until.saturating_duration_since(Instant::now()).as_secs().max(1))
    }

    /// Counts a failure against each, unless its status says that it is ours: an outage would keep
    /// everybody out for longer.
    pub(crate) fn failed(&self, suspects: Vec<Suspect>, status: u16) {
        if status >= 500 {
            return;
        }
        for suspect in suspects {
            let limiter = match suspect {
                Suspect::Client(_) => &self.clients,
                Suspect::Address(_) => &self.addresses,
            };
            if limiter.check_key(&suspect).is_err() {
                self.kept_out.insert(suspect, Instant::now() + PENALTY);
            }
        }
        if self.clients.len() as u64 > REMEMBERED {
            self.clients.retain_recent();
        }
        if self.addresses.len() as u64 > REMEMBERED {
            self.addresses.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_here_keeps_nobody_out() {
        let attempts = FailedAttempts::new();
        let suspects = vec![Suspect::Client("an agent".into())];
        for (status, is_kept_out) in [(503, false), (401, true)] {
            for _ in 0..=OF_A_CLIENT.get() {
                attempts.failed(suspects.clone(), status);
            }
            assert_eq!(attempts.wait_seconds(&suspects).is_some(), is_kept_out, "{status}");
        }
    }

    #[test]
    fn addresses_of_one_network_are_one_suspect() {
        let at = |address: &str| Suspect::at(address.parse().unwrap());
        assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:1:ffff::2"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
