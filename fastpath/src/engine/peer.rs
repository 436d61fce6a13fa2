//! What the engine knows of a peer.

use std::sync::Arc;

use super::activity::Activity;
use super::endpoint::{Destination, Endpoint};
use super::session::Session;

pub type PeerId = u32;

/// Packets of one peer: twice what the protocol keeps until there is a session.
const HANDED_A_SECOND: usize = 256;

#[derive(Default)]
pub struct Peer {
    /// The session that sends.
    pub current: Option<Arc<Session>>,
    /// The protocol's view of where the peer is, compared with where its messages come from.
    pub endpoint: Option<Endpoint>,
    pub destination: Destination,
    pub activity: Activity,
    /// In the list of those that have something to report.
    pub listed: bool,
    handed: Handed,
}

/// Packets handed over within this second.
#[derive(Default)]
struct Handed {
    since: f64,
    packets: usize,
}

impl Peer {
    /// Whether the protocol should still be bothered with a packet that can't be sent. It keeps 128 of a peer, and a
    /// flood to a peer that does not answer must not take the time that the others need.
    pub fn may_hand_over(&mut self, now: f64) -> bool {
        if now - self.handed.since >= 1.0 {
            self.handed = Handed {
                since: now,
                packets: 0,
            };
        }
        self.handed.packets += 1;
        self.handed.packets <= HANDED_A_SECOND
    }
}

/// Peers by identifier; identifiers of those that are gone are used again.
#[derive(Default)]
pub struct Peers {
    slots: Vec<Option<Peer>>,
    free: Vec<PeerId>,
    active: Vec<PeerId>,
}

impl Peers {
    pub fn add(&mut self) -> PeerId {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(Peer::default());
            return id;
        }
        self.slots.push(Some(Peer::default()));
        (self.slots.len() - 1) as PeerId
    }

    pub fn remove(&mut self, id: PeerId) {
        if self
            .slots
            .get_mut(id as usize)
            .and_then(Option::take)
            .is_some()
        {
            self.active.retain(|active| *active != id);
            self.free.push(id);
        }
    }

    #[inline]
    pub fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.slots.iter_mut().flatten()
    }

    /// The peer, which will have something to report.
    #[inline]
    pub fn active(&mut self, id: PeerId) -> Option<&mut Peer> {
        let peer = self.slots.get_mut(id as usize)?.as_mut()?;
        if !peer.listed {
            peer.listed = true;
            self.active.push(id);
        }
        Some(peer)
    }

    pub fn any_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// What each peer did since the last time, and where it is if it has roamed.
    pub fn take_activity(&mut self) -> Vec<(PeerId, Activity, Option<Endpoint>)> {
        let active = std::mem::take(&mut self.active);
        let report = |id: PeerId| {
            let peer = self.slots[id as usize].as_mut()?;
            peer.listed = false;
            let activity = std::mem::take(&mut peer.activity);
            Some((id, activity, peer.endpoint.filter(|_| activity.roamed)))
        };
        active.into_iter().filter_map(report).collect()
    }
}
