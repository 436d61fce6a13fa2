//! How often something may be done: for each address and for all together. Time is an argument, in seconds. The same
//! answers as `wgnode/protocol/ratelimit.py` and `TooBigRate` of `wgnode/pathmtu/toobig.py`.

use std::collections::HashMap;

use crate::packet::inner::Address;

const SECOND: i64 = 1_000_000_000;
const PACKETS_PER_SECOND: i64 = 20;
const PACKETS_BURST: i64 = 5;
const COST: i64 = SECOND / PACKETS_PER_SECOND;
const CAPACITY: i64 = COST * PACKETS_BURST;
const MAX_SOURCES: usize = 16_384;
/// For all hosts together; Linux's icmp_msgs_per_sec.
const ERRORS_PER_SECOND: f64 = 1000.0;

/// An IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<Address> for Source {
    fn from(address: Address) -> Source {
        match address {
            Address::V4(octets) => Source::V4(octets),
            Address::V6(octets) => Source::V6(*octets.first_chunk().expect("it has 16")),
        }
    }
}

struct Bucket {
    tokens: i64,
    updated: i64,
}

impl Bucket {
    fn age(&self, now: i64) -> i64 {
        now - self.updated
    }
}

/// 20 a second and bursts of 5 for each source, in bounded memory.
#[derive(Default)]
struct RateLimiter {
    buckets: HashMap<Source, Bucket>,
    swept: i64,
}

impl RateLimiter {
    /// A full table refuses sources that it does not know.
    fn allow(&mut self, source: Source, now: f64) -> bool {
        let now = (now * SECOND as f64).round() as i64;
        let full = self.buckets.len() >= MAX_SOURCES && !self.buckets.contains_key(&source);
        if full && !self.sweep(now) {
            return false;
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket {
            tokens: CAPACITY,
            updated: now,
        });
        let tokens = CAPACITY.min(bucket.tokens + bucket.age(now).max(0));
        let allowed = tokens >= COST;
        bucket.tokens = if allowed { tokens - COST } else { tokens };
        bucket.updated = now;
        allowed
    }

    /// Drops sources idle for a second, whose buckets are full again; at most once a second. Is there room?
    fn sweep(&mut self, now: i64) -> bool {
        if (0..SECOND).contains(&(now - self.swept)) {
            return false;
        }
        self.swept = now;
        self.buckets
            .retain(|_, bucket| (0..SECOND).contains(&bucket.age(now)));
        self.buckets.len() < MAX_SOURCES
    }
}

/// So much work a second for all together, and a tenth of that at once.
struct Budget {
    per_second: f64,
    left: f64,
    updated: f64,
}

impl Budget {
    fn new(per_second: f64) -> Budget {
        Budget {
            per_second,
            left: per_second / 10.0,
            updated: f64::NEG_INFINITY,
        }
    }

    /// Is there enough for one more? A clock that jumps back neither fills nor blocks it.
    fn spend(&mut self, now: f64) -> bool {
        let earned = (now - self.updated).max(0.0) * self.per_second;
        self.updated = now;
        self.left = (self.left + earned).min(self.per_second / 10.0);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

/// How often errors are sent: 20 a second and bursts of 5 for each host (IPv6: each /64), and a bound for all.
pub struct ErrorRate {
    each: RateLimiter,
    all: Budget,
}

impl Default for ErrorRate {
    fn default() -> ErrorRate {
        ErrorRate {
            each: RateLimiter::default(),
            all: Budget::new(ERRORS_PER_SECOND),
        }
    }
}

impl ErrorRate {
    /// May another one go to this address?
    pub fn allow(&mut self, destination: Address, now: f64) -> bool {
        self.each.allow(destination.into(), now) && self.all.spend(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four(number: u32) -> Address {
        Address::V4(number.to_be_bytes())
    }

    #[test]
    fn five_at_once_and_twenty_a_second_for_each_host() {
        let mut rate = ErrorRate::default();
        let at_once = (0..9).filter(|_| rate.allow(four(1), 7.0)).count();
        assert_eq!(at_once, 5);
        assert!(!rate.allow(four(1), 7.049) && rate.allow(four(1), 7.051));
        let later = (0..1000).filter(|tick| rate.allow(four(1), 8.0 + f64::from(*tick) / 1000.0));
        assert_eq!(later.count(), 24);
        assert!(rate.allow(four(2), 7.0));
    }

    #[test]
    fn hosts_of_one_ipv6_network_share() {
        let mut rate = ErrorRate::default();
        let six = |host| Address::V6((u128::from(host) | 0xfd << 120).to_be_bytes());
        assert_eq!(
            (0..9u64).filter(|host| rate.allow(six(*host), 1.0)).count(),
            5
        );
        assert!(rate.allow(Address::V6([9; 16]), 1.0));
    }

    #[test]
    fn a_thousand_a_second_for_all() {
        let mut rate = ErrorRate::default();
        assert_eq!(
            (0..5000)
                .filter(|host| rate.allow(four(*host), 1.0))
                .count(),
            100
        );
        let later = (5000..15_000)
            .filter(|host| rate.allow(four(*host), 2.0 + f64::from(host - 5000) / 10_000.0));
        assert!((1090..=1100).contains(&later.count()));
    }

    #[test]
    fn many_hosts_take_bounded_memory() {
        let mut rate = ErrorRate::default();
        for host in 0..50_000 {
            rate.allow(four(host), 1.0);
        }
        assert_eq!(rate.each.buckets.len(), MAX_SOURCES);
        rate.allow(four(70_000), 3.0);
        assert_eq!(rate.each.buckets.len(), 1);
    }

    #[test]
    fn a_clock_that_jumps_back_neither_fills_nor_blocks() {
        let mut rate = ErrorRate::default();
        assert_eq!((0..9).filter(|_| rate.allow(four(1), 100.0)).count(), 5);
        assert!(!rate.allow(four(1), 1.0));
        assert!(rate.allow(four(1), 2.0));
    }
}
