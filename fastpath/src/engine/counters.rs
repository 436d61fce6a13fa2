//! What was dropped, by kind: the names of wgnode/protocol/errors.py, and those of errno for the kernel's refusals.

use std::collections::BTreeMap;

macro_rules! drops {
    ($($name:ident => $text:literal),* $(,)?) => {
        /// Why something was dropped; see `Drop` in wgnode/protocol/errors.py.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Drop { $($name),* }

        const NAMES: &[&str] = &[$($text),*];
    };
}

drops! {
    Malformed => "malformed",
    BadMac1 => "bad_mac1",
    Overload => "overload",
    UnknownIndex => "unknown_index",
    Expired => "expired",
    BadTransport => "bad_transport",
    Replayed => "replayed",
    BadInner => "bad_inner",
    SourceNotAllowed => "source_not_allowed",
    BadOutgoing => "bad_outgoing",
    NoPeer => "no_peer",
    NoEndpoint => "no_endpoint",
    Staged => "staged",
    NotEcnCapable => "not_ecn_capable",
    Denied => "denied",
}

/// Counts since the engine was made.
#[derive(Default)]
pub struct Counters {
    drops: [u64; NAMES.len()],
    refused: BTreeMap<(&'static str, i32), u64>,
    /// Datagrams whose control messages had no room, so where they were sent to is not known.
    pub cut_off: u64,
}

impl Counters {
    #[inline]
    pub fn drop(&mut self, why: Drop) {
        self.drops[why as usize] += 1;
    }

    #[inline]
    pub fn drop_many(&mut self, why: Drop, count: usize) {
        self.drops[why as usize] += count as u64;
    }

    /// The kernel did not take `count` packets: `whose` is "tun" or "udp", `errno` why.
    pub fn refuse(&mut self, whose: &'static str, errno: i32, count: usize) {
        *self.refused.entry((whose, errno)).or_default() += count as u64;
    }

    /// (name, count) of the protocol's kinds that are not zero.
    pub fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES
            .iter()
            .copied()
            .zip(self.drops)
            .filter(|(_, count)| *count > 0)
    }

    /// ("tun" or "udp", errno, count).
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, i32, u64)> {
        self.refused
            .iter()
            .map(|((whose, errno), count)| (*whose, *errno, *count))
    }
}
