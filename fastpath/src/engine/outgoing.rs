//! Inner packets on their way out: whose they are, and which session seals them.

use std::sync::Arc;

use super::Engine;
use super::counters::Drop;
use super::endpoint::{Destination, Endpoint};
use super::peer::PeerId;
use super::session::Session;
use crate::packet::nested::is_tunnel_datagram;
use crate::packet::split::{Aim, Plan, Template, Train, for_each_packet};
use crate::packet::vnet::VNET_HEADER;
use crate::packet::{ecn, inner};

/// Messages that lie unsealed in the caller's buffer.
pub struct Unsealed {
    pub session: Arc<Session>,
    pub to: Endpoint,
    pub peer: PeerId,
    pub train: Train,
    /// ECN bits of the inner packet, which the outer one takes over (RFC 6040, 4.1).
    pub ecn: u8,
}

pub enum Outgoing {
    Unsealed(Unsealed),
    HandedOver,
    Dropped,
}

impl Engine {
    /// One frame of the TUN (virtio-net header and IP packet), as unsealed messages at the start of `out`.
    ///
    /// What has no session or no way yet is handed over packet by packet; what nobody takes is counted.
    #[inline]
    pub fn send(&mut self, frame: &[u8], out: &mut [u8], now: f64) -> Outgoing {
        let Some(packet) = frame.get(VNET_HEADER..) else {
            return self.dropped(Drop::BadOutgoing);
        };
        let Some(destination) = inner::destination(packet) else {
            return self.dropped(Drop::BadOutgoing);
        };
        let Some(id) = self.lookup(destination) else {
            return self.dropped(Drop::NoPeer);
        };
        let Some(peer) = self.peers.get_mut(id) else {
            return self.dropped(Drop::NoPeer);
        };
        let (to, nested) = match peer.destination {
            Destination::Unknown => return self.dropped(Drop::NoEndpoint),
            Destination::Unresolved => return self.hand_over(id, frame, now),
            Destination::Resolved { to, nested } => (to, nested),
        };
        if peer.owed_out > 0 {
            return self.hand_over(id, frame, now);
        }
        let Some(session) = peer
            .current
            .as_ref()
            .filter(|session| !session.expired(now))
        else {
            return self.hand_over(id, frame, now);
        };
        if nested && is_tunnel_datagram(packet) {
            return self.hand_over(id, frame, now);
        }
        let aim = Aim {
            longest: self.paths.worth_aiming_at(to.address, now),
            mtus: &self.mtus,
        };
        let Ok(plan) = Plan::new(frame, &aim) else {
            return self.dropped(Drop::BadOutgoing);
        };
        let reserved = plan.messages() as u64;
        let Some(first) = session.reserve(reserved) else {
            return self.hand_over(id, frame, now);
        };
        let template = Template {
            receiver: session.remote,
            counter: first,
            mtus: &self.mtus,
        };
        let Ok(train) = plan.split(out, &template) else {
            session.give_back(first, reserved);
            return self.dropped(Drop::BadOutgoing);
        };
        let session = session.clone();
        if let Some(peer) = self.peers.active(id) {
            peer.activity.sent(train.total(), true, now);
        }
        Outgoing::Unsealed(Unsealed {
            session,
            to,
            peer: id,
            train,
            ecn: ecn::encapsulate(packet),
        })
    }

    fn dropped(&mut self, why: Drop) -> Outgoing {
        self.counters.drop(why);
        Outgoing::Dropped
    }

    fn hand_over(&mut self, id: PeerId, frame: &[u8], now: f64) -> Outgoing {
        let Engine {
            handover,
            counters,
            peers,
            scratch,
            ..
        } = self;
        let Some(peer) = peers.get_mut(id) else {
            return self.dropped(Drop::NoPeer);
        };
        let split = for_each_packet(frame, scratch, |packet| {
            if peer.may_hand_over(now) && handover.packet(id, packet) {
                peer.owed_out += 1;
            } else {
                counters.drop(Drop::Staged);
            }
        });
        if split.is_err() {
            counters.drop(Drop::BadOutgoing);
        }
        Outgoing::HandedOver
    }
}

#[cfg(test)]
mod tests;
