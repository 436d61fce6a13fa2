//! What the ways to destinations take. The kernel refuses trains whose messages are longer than the path's MTU (EINVAL
//! before Linux 6.14, EMSGSIZE since), each of which then costs many system calls: so it is asked once.

use std::collections::HashMap;
use std::net::IpAddr;

/// Seconds after which a refused size is tried again, as Linux does with a path's MTU (mtu_expires).
pub const REMEMBERED: f64 = 600.0;
/// Bytes of IP packet that one kind of path or other ends at, descending. Which it is the kernel does not say: after a
/// refusal the next smaller one is tried.
const MTUS: [usize; 20] = [
    9000, 4352, 1500, 1492, 1480, 1472, 1460, 1450, 1440, 1420, 1400, 1380, 1360, 1340, 1320, 1300,
    1280, 1220, 1006, 576,
];
const IPV4_AND_UDP: usize = 28;
pub const IPV6_AND_UDP: usize = 48;

#[derive(Default)]
pub struct Paths {
    refused: HashMap<IpAddr, Limit>,
}

struct Limit {
    /// Bytes of the longest message in a train that is worth a try; 0: no train at all is taken.
    longest: usize,
    until: f64,
}

impl Paths {
    /// Bytes that a message may have in a train to this address; 0: no trains go there.
    #[inline]
    pub fn longest(&self, to: IpAddr, now: f64) -> usize {
        if self.refused.is_empty() {
            return usize::MAX;
        }
        self.refused
            .get(&to)
            .filter(|limit| now < limit.until)
            .map_or(usize::MAX, |limit| limit.longest)
    }

    /// Bytes that messages to this address had better have, where their size can be chosen.
    #[inline]
    pub fn worth_aiming_at(&self, to: IpAddr, now: f64) -> usize {
        match self.longest(to, now) {
            0 => usize::MAX,
            longest => longest,
        }
    }

    /// A train of messages of `stride` bytes was refused, and its messages alone were not.
    pub fn refuse(&mut self, to: IpAddr, stride: usize, now: f64) {
        let headers = if to.is_ipv6() {
            IPV6_AND_UDP
        } else {
            IPV4_AND_UDP
        };
        let smaller = MTUS.iter().map(|mtu| mtu - headers);
        let longest = smaller.into_iter().find(|size| *size < stride).unwrap_or(0);
        self.refused.retain(|_, limit| now < limit.until);
        let until = now + REMEMBERED;
        self.refused.insert(to, Limit { longest, until });
    }

    /// Routing has changed: everything may be otherwise.
    pub fn forget(&mut self) {
        self.refused.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const SIX: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn after_a_refusal_the_next_smaller_size_is_tried() {
        let mut paths = Paths::default();
        assert_eq!(paths.longest(FOUR, 0.0), usize::MAX);
        for (to, headers) in [(FOUR, 28), (SIX, 48)] {
            paths.refuse(to, 1452, 0.0);
            let mut seen = vec![paths.longest(to, 0.0)];
            while seen[seen.len() - 1] > 1300 - headers {
                paths.refuse(to, seen[seen.len() - 1], 0.0);
                seen.push(paths.longest(to, 0.0));
            }
            assert!(seen[0] < 1452);
            assert_eq!(seen.last(), Some(&(1300 - headers)));
        }
    }

    #[test]
    fn a_refusal_is_remembered_of_its_destination_for_ten_minutes() {
        let mut paths = Paths::default();
        paths.refuse(FOUR, 1453, 5.0);
        assert_eq!(paths.longest(FOUR, 604.9), 1452);
        assert_eq!(paths.longest(SIX, 5.0), usize::MAX);
        assert_eq!(paths.longest(FOUR, 605.0), usize::MAX);
        paths.refuse(SIX, 1453, 605.0);
        assert_eq!(paths.refused.len(), 1);
        paths.forget();
        assert_eq!(paths.longest(SIX, 605.0), usize::MAX);
    }

    #[test]
    fn where_the_smallest_train_is_refused_too_messages_keep_their_size() {
        let mut paths = Paths::default();
        paths.refuse(FOUR, 576 - 28, 0.0);
        assert_eq!(paths.longest(FOUR, 0.0), 0);
        assert_eq!(paths.worth_aiming_at(FOUR, 0.0), usize::MAX);
    }
}
