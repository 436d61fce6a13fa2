//! Inner packets on their way out: whose they are, and which session seals them.
//!
//! In three steps, so that several threads can do the long one at once. `Engine::plan` decides, in the order in which
//! frames are read, and takes the counters; `Sealing::split` writes the messages, for which it needs no engine; what is
//! to be handed over is so by `Engine::hand_over`, once everything before it is sent.
//!
//! No nonce comes twice: `Session::reserve` gives each counter once, whoever asks, and a plan reserves exactly as many as
//! its frame makes messages. `split` writes these and no others, or none.

mod pieces;

use std::sync::Arc;

use super::Engine;
use super::counters::Drop;
use super::endpoint::{Destination, Endpoint};
use super::fitting::Limit;
use super::paths::IPV6_AND_UDP;
use super::peer::PeerId;
use super::session::Session;
use crate::packet::nested::is_tunnel_datagram;
use crate::packet::split::{Aim, Plan, SplitError, Template, Train, for_each_packet};
use crate::packet::vnet::VNET_HEADER;
use crate::packet::{ecn, inner};

/// Which sockets messages go by (docs/decisions/outer-fragments.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nobody fragments their datagrams.
    Whole,
    /// Kernel and routers may.
    Fragmenting,
    /// We do, to IP packets of so many bytes: of what was found over IPv6 nobody else knows.
    Cutting(usize),
}

/// Messages that lie unsealed in the caller's buffer.
pub struct Unsealed {
    pub session: Arc<Session>,
    pub to: Endpoint,
    pub peer: PeerId,
    pub train: Train,
    /// ECN bits of the inner packet, which the outer one takes over (RFC 6040, 4.1).
    pub ecn: u8,
    pub by: By,
}

pub enum Outgoing {
    Unsealed(Unsealed),
    /// Of a frame with packets too long for the way to the peer: one after the other in the caller's buffer.
    Fitted(Vec<Unsealed>),
    HandedOver,
    Dropped,
}

/// What is to become of a frame.
pub enum Planned {
    Seal(Sealing),
    /// Its packets were too long for the way to the peer: what goes of them, as frames of their own.
    Fitted(Vec<(Vec<u8>, Sealing)>),
    HandOver(HandingOver),
    Dropped,
}

/// Counters of a session for the messages of one frame.
pub struct Sealing {
    unsealed: Unsealed,
    /// The first of as many counters as there are messages.
    first: u64,
    /// Bytes of a message that the train was planned for.
    longest: usize,
    limit: Limit,
}

/// How packets go to a peer at this moment.
struct Way {
    peer: PeerId,
    to: Endpoint,
    limit: Limit,
    /// Bytes that a message had better have.
    longest: usize,
}

impl Way {
    #[inline]
    fn aim<'a>(&self, mtus: &'a [usize]) -> Aim<'a> {
        Aim {
            longest: self.longest,
            bounds: self.limit.bounds(mtus),
        }
    }

    /// Bytes of IP packet that were found, where only the sender fragments.
    fn cut_to(&self) -> Option<usize> {
        let only_we_know = self.to.address.is_ipv6() && self.limit.is_found();
        only_we_know.then(|| self.limit.message() + IPV6_AND_UDP)
    }

    #[inline]
    fn by(&self, message: usize, cutting: bool) -> By {
        if !self.limit.is_long(message) {
            By::Whole
        } else if cutting && let Some(wire) = self.cut_to() {
            By::Cutting(wire)
        } else {
            By::Fragmenting
        }
    }
}

/// So many packets of a frame, the first ones, are the protocol's. They are counted as owed.
pub struct HandingOver {
    peer: PeerId,
    packets: usize,
}

impl Sealing {
    /// Bytes of all messages.
    pub fn total(&self) -> usize {
        self.unsealed.train.total()
    }

    /// Writes the messages at the start of `out`. Frame and `mtus`, the engine's, are those that it was planned with.
    #[inline]
    pub fn split(
        self,
        frame: &[u8],
        out: &mut [u8],
        mtus: &[usize],
    ) -> Result<Unsealed, SplitError> {
        let longest = self.longest;
        let bounds = self.limit.bounds(mtus);
        let plan = Plan::new(frame, &Aim { longest, bounds })?;
        if plan.train(&bounds) != self.unsealed.train {
            return Err(SplitError::Malformed); // not the frame that counters are reserved for
        }
        let template = Template {
            receiver: self.unsealed.session.remote,
            counter: self.first,
            bounds,
        };
        plan.split(out, &template)?;
        Ok(self.unsealed)
    }
}

impl Engine {
    /// One frame of the TUN (virtio-net header and IP packet), as unsealed messages at the start of `out`.
    ///
    /// What has no session or no way yet is handed over packet by packet; what nobody takes is counted.
    #[inline]
    pub fn send(&mut self, frame: &[u8], out: &mut [u8], now: f64) -> Outgoing {
        match self.plan(frame, out.len(), now) {
            Planned::Dropped => Outgoing::Dropped,
            Planned::HandOver(handing) => {
                self.hand_over(&handing, frame);
                Outgoing::HandedOver
            }
            Planned::Seal(sealing) => match sealing.split(frame, out, &self.mtus) {
                Ok(unsealed) => Outgoing::Unsealed(unsealed),
                Err(_) => self.dropped(Drop::BadOutgoing),
            },
            Planned::Fitted(pieces) => self.split_pieces(pieces, out),
        }
    }

    /// What is to become of a frame whose messages may have `room` bytes together.
    #[inline]
    pub fn plan(&mut self, frame: &[u8], room: usize, now: f64) -> Planned {
        self.try_plan(frame, room, now).unwrap_or_else(|why| {
            self.counters.drop(why);
            Planned::Dropped
        })
    }

    #[inline]
    fn try_plan(&mut self, frame: &[u8], room: usize, now: f64) -> Result<Planned, Drop> {
        let packet = frame.get(VNET_HEADER..).ok_or(Drop::BadOutgoing)?;
        let destination = inner::destination(packet).ok_or(Drop::BadOutgoing)?;
        let id = self.lookup(destination).ok_or(Drop::NoPeer)?;
        if self.is_device(id) && !self.lets_in(frame, id, now) {
            return Ok(Planned::Dropped);
        }
        let peer = self.peers.get(id).ok_or(Drop::NoPeer)?;
        let (to, nested) = match peer.destination {
            Destination::Unknown => return Err(Drop::NoEndpoint),
            Destination::Unresolved => return self.plan_to_hand_over(id, frame, now),
            Destination::Resolved { to, nested } => (to, nested),
        };
        let current = peer.current.as_ref();
        let Some(session) = current.filter(|session| !session.expired(now) && peer.owed_out == 0)
        else {
            return self.plan_to_hand_over(id, frame, now);
        };
        if nested && is_tunnel_datagram(packet) {
            return self.plan_to_hand_over(id, frame, now);
        }
        let limit = peer.limit;
        let longest = self.paths.worth_aiming_at(to.address, now);
        let way = Way {
            peer: id,
            to,
            limit,
            longest: longest.min(limit.message()),
        };
        let aim = way.aim(&self.mtus);
        let plan = Plan::new(frame, &aim).map_err(|_| Drop::BadOutgoing)?;
        if plan.longest() > limit.inner {
            return self.plan_pieces(&way, frame, room, now);
        }
        let train = plan.train(&aim.bounds);
        if train.total() > room {
            return Err(Drop::BadOutgoing);
        }
        let Some(first) = session.reserve(train.messages as u64) else {
            return self.plan_to_hand_over(id, frame, now);
        };
        let session = session.clone();
        Ok(Planned::Seal(self.sealing(
            &way,
            session,
            (train, first),
            packet,
            now,
        )))
    }

    /// `train`, whose packets begin like `packet`, with the first of its counters.
    #[inline]
    fn sealing(
        &mut self,
        way: &Way,
        session: Arc<Session>,
        (train, first): (Train, u64),
        packet: &[u8],
        now: f64,
    ) -> Sealing {
        if let Some(peer) = self.peers.active(way.peer) {
            peer.activity
                .sent(train.total(), train.stride, train.messages, now);
        }
        Sealing {
            unsealed: Unsealed {
                session,
                to: way.to,
                peer: way.peer,
                train,
                ecn: ecn::encapsulate(packet),
                by: way.by(train.stride, self.cutting),
            },
            first,
            longest: way.longest,
            limit: way.limit,
        }
    }

    fn dropped(&mut self, why: Drop) -> Outgoing {
        self.counters.drop(why);
        Outgoing::Dropped
    }

    fn plan_to_hand_over(&mut self, id: PeerId, frame: &[u8], now: f64) -> Result<Planned, Drop> {
        let plan = Plan::new(frame, &Aim::ANY).map_err(|_| Drop::BadOutgoing)?;
        let peer = self.peers.get_mut(id).ok_or(Drop::NoPeer)?;
        let packets = peer.may_hand_over(plan.messages(), now);
        peer.owed_out += packets as u32;
        self.counters
            .drop_many(Drop::Staged, plan.messages() - packets);
        Ok(Planned::HandOver(HandingOver { peer: id, packets }))
    }

    /// As planned with this frame, now that everything that was planned before is sent.
    pub fn hand_over(&mut self, handing: &HandingOver, frame: &[u8]) {
        let Engine {
            handover,
            counters,
            peers,
            scratch,
            ..
        } = self;
        let Some(peer) = peers.get_mut(handing.peer) else {
            return counters.drop_many(Drop::NoPeer, handing.packets);
        };
        let mut left = handing.packets;
        let split = for_each_packet(frame, scratch, |packet| {
            if left == 0 {
                return;
            }
            left -= 1;
            if !handover.packet(handing.peer, packet) {
                peer.owed_out -= 1;
                counters.drop(Drop::Staged);
            }
        });
        split.expect("it was planned with this frame");
    }
}

#[cfg(test)]
mod tests;
