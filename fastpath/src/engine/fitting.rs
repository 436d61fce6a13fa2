//! What a limit does to packets: to those that are too long for the way to a peer, and to those that come from it. The
//! same as `wgnode/dataplane/fitting.py`; read it beside `Limit` in wgnode/protocol/plane.py.

use super::endpoint::Endpoint;
use super::peer::PeerId;
use crate::message::OVERHEAD;
use crate::packet::clamp::{clamp, may_be_syn};
use crate::packet::echo::is_reply;
use crate::packet::fragment::{UNIT, for_each_fragment};
use crate::packet::headers::{self, Headers};
use crate::packet::inner::{self, Address};
use crate::packet::padding::Bounds;
use crate::packet::toobig::{smallest, too_big};
use crate::rate::ErrorRate;

/// Replies that wait for the protocol; more are delivered as others' are.
const ECHOES: usize = 256;
/// Destinations of refused messages that wait for it.
const REFUSALS: usize = 256;

/// How large a packet to a peer may be, and what of its message is one datagram: bytes of inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub inner: usize,
    pub whole: usize,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit::NONE
    }
}

impl Limit {
    pub const NONE: Limit = Limit {
        inner: usize::MAX,
        whole: usize::MAX,
    };

    /// Where padding may end, with the device's MTUs.
    #[inline]
    pub fn bounds<'a>(&self, mtus: &'a [usize]) -> Bounds<'a> {
        let own = [self.inner, self.whole];
        Bounds { mtus, own }
    }

    /// A size was found, and no datagram that is longer is to go anyhow.
    pub fn is_found(&self) -> bool {
        self.inner == self.whole
    }

    /// Bytes of the longest message of a packet that may go as it is.
    #[inline]
    pub fn message(&self) -> usize {
        self.inner.saturating_add(OVERHEAD)
    }

    /// Whether a message of so many bytes may need fragments.
    #[inline]
    pub fn is_long(&self, message: usize) -> bool {
        message > self.whole.saturating_add(OVERHEAD)
    }
}

/// What was done about sizes: see `Fit` in wgnode/protocol/plane.py.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Told,
    Untold,
    Inside,
    Outside,
    Clamped,
}

const NAMES: [&str; 5] = [
    "too_big_told",
    "too_big_untold",
    "fragmented_inside",
    "fragmented_outside",
    "mss_clamped",
];

/// A reply that may be a probe's.
pub struct Echo {
    pub peer: PeerId,
    pub packet: Vec<u8>,
}

/// What is looked for in a peer's packets.
#[derive(Clone, Copy)]
pub struct Watched {
    /// Bytes of inner packet that the way to it carries.
    pub limit: usize,
    /// Tunnel addresses, ours and the peer's: echo replies from that to this one.
    pub echo: Option<(Address, Address)>,
}

impl Watched {
    #[inline]
    pub fn may_be_probes(&self, packet: &[u8]) -> bool {
        let between = self.echo;
        between.is_some_and(|(ours, theirs)| is_reply(packet, ours, theirs))
    }
}

/// What a limit does to a packet.
enum Fate {
    /// So many bytes of it, which are all that it claims, go as they are.
    Fits(usize),
    /// In fragments of its own.
    Inside,
    Told {
        sender: Address,
        error: Vec<u8>,
    },
    /// As it is, in a message that may need fragments.
    Outside,
}

fn fate(packet: &[u8], limit: usize) -> Fate {
    if packet.len() <= limit {
        return Fate::Fits(packet.len());
    }
    let Some(read) = headers::read(packet) else {
        return Fate::Fits(packet.len());
    };
    if read.length <= limit {
        return Fate::Fits(read.length);
    }
    if !read.dont && limit >= read.upper + UNIT {
        return Fate::Inside;
    }
    match told(packet, &read, limit) {
        Some((sender, error)) => Fate::Told { sender, error },
        None => Fate::Outside,
    }
}

/// Who is told, and what; None where nobody may be.
fn told(packet: &[u8], read: &Headers, limit: usize) -> Option<(Address, Vec<u8>)> {
    if read.length <= smallest(read.version) {
        return None;
    }
    let error = too_big(packet, limit, inner::destination(packet)?)?;
    Some((inner::source(packet)?, error))
}

/// Whether a packet is too long, and has to go for all that as it is.
pub fn goes_outside(packet: &[u8], limit: usize) -> bool {
    matches!(fate(packet, limit), Fate::Outside)
}

#[derive(Default)]
pub struct Fitting {
    counts: [u64; NAMES.len()],
    rate: ErrorRate,
    /// For the TUN.
    told: Vec<Vec<u8>>,
    echoes: Vec<Echo>,
    /// Where to, and how many bytes: messages that were too long for the link.
    refused: Vec<(Endpoint, usize)>,
    scratch: Vec<u8>,
}

impl Fitting {
    /// (name, packets) of what is not zero.
    pub fn fitted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = NAMES.into_iter().zip(self.counts);
        all.filter(|(_, count)| *count > 0)
    }

    fn count(&mut self, what: Fit) {
        self.counts[what as usize] += 1;
    }

    /// Calls `each` with what goes of a packet to a peer. What its sender is told is in `take_told` then.
    pub fn fit(&mut self, packet: &[u8], limit: usize, now: f64, mut each: impl FnMut(&[u8])) {
        match fate(packet, limit) {
            Fate::Fits(length) => each(&packet[..length]),
            Fate::Inside => {
                self.count(Fit::Inside);
                let done = for_each_fragment(packet, limit, &mut self.scratch, each);
                done.expect("it has no DF, and there is room");
            }
            Fate::Told { sender, error } => self.tell(sender, error, now),
            Fate::Outside => {
                self.count(Fit::Outside);
                each(packet);
            }
        }
    }

    /// Whether one more may go to this address, whoever sends it: there is one rate for all that the node tells.
    pub fn may_tell(&mut self, sender: Address, now: f64) -> bool {
        self.rate.allow(sender, now)
    }

    fn tell(&mut self, sender: Address, error: Vec<u8>, now: f64) {
        if self.may_tell(sender, now) {
            self.told.push(error);
            self.count(Fit::Told);
        } else {
            self.count(Fit::Untold);
        }
    }

    /// A reply that may be a probe's. False: there are enough.
    pub fn keep(&mut self, packet: &[u8], peer: PeerId) -> bool {
        let room = self.echoes.len() < ECHOES;
        if room {
            let packet = packet.to_vec();
            self.echoes.push(Echo { peer, packet });
        }
        room
    }

    /// A packet that came from a peer, if it is a SYN. Of nearly all packets a byte or two are looked at.
    #[inline]
    pub fn clamp(&mut self, packet: &mut [u8], limit: usize) {
        if may_be_syn(packet) && clamp(packet, limit, false) {
            self.count(Fit::Clamped);
        }
    }

    /// What senders are told, for the TUN, once.
    #[inline]
    pub fn take_told(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.told)
    }

    /// Once.
    pub fn take_echoes(&mut self) -> Vec<Echo> {
        std::mem::take(&mut self.echoes)
    }

    /// A message of so many bytes was too long for the link: the protocol is told, as far as it keeps count.
    pub fn refused(&mut self, to: &Endpoint, message: usize) {
        let same = |(at, _): &(Endpoint, usize)| (at.address, at.port) == (to.address, to.port);
        if self.refused.len() < REFUSALS && !self.refused.iter().any(same) {
            self.refused.push((*to, message));
        }
    }

    /// Where to, and how long, once.
    pub fn take_refused(&mut self) -> Vec<(Endpoint, usize)> {
        std::mem::take(&mut self.refused)
    }

    #[inline]
    pub fn has_news(&self) -> bool {
        !self.echoes.is_empty() || !self.refused.is_empty()
    }
}
