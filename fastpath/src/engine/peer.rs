//! What the engine knows of a peer.

use std::sync::Arc;

use super::activity::Activity;
use super::endpoint::{Destination, Endpoint};
use super::fitting::{Limit, Watched};
use super::session::Session;
use crate::packet::inner::Address;

/// A peer, and never another one: whoever gets its place later has another generation. So what is told of a peer that has
/// been removed meanwhile can't be taken for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerId {
    /// Its place, which routes name it by: these go with the peer.
    pub slot: u32,
    generation: u32,
}

impl From<PeerId> for u64 {
    fn from(id: PeerId) -> u64 {
        u64::from(id.generation) << 32 | u64::from(id.slot)
    }
}

impl From<u64> for PeerId {
    fn from(number: u64) -> PeerId {
        PeerId {
            slot: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

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
    /// How large packets to it may be.
    pub limit: Limit,
    /// What is looked for in its packets; None: nothing.
    pub watched: Option<Watched>,
    /// Of a device, by which its packets are judged: see `Access`. None: they are not.
    pub class: Option<u32>,
    /// Packets of either way that the protocol has still to deal with. Later ones of the same way follow them: here
    /// they would overtake them.
    pub owed_out: u32,
    pub owed_in: u32,
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

impl Handed {
    /// How many more there may be in this second.
    #[inline]
    fn room(&self, now: f64) -> usize {
        let used = if now - self.since >= 1.0 {
            0
        } else {
            self.packets
        };
        HANDED_A_SECOND - used
    }
}

impl Peer {
    pub fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
        self.set_echo(self.watched.and_then(|watched| watched.echo));
    }

    /// Tunnel addresses, ours and the peer's: echo replies from that to this one are kept for the protocol.
    pub fn set_echo(&mut self, echo: Option<(Address, Address)>) {
        let limit = self.limit.inner;
        let any = self.limit != Limit::NONE || echo.is_some();
        self.watched = any.then_some(Watched { limit, echo });
    }

    /// With how many of so many packets that can't be sent the protocol should still be bothered. It keeps 128 of a peer,
    /// and a flood to a peer that does not answer must not take the time that the others need.
    pub fn may_hand_over(&mut self, packets: usize, now: f64) -> usize {
        let room = self.handed.room(now);
        if room == HANDED_A_SECOND {
            self.handed = Handed {
                since: now,
                packets: 0,
            };
        }
        let packets = packets.min(room);
        self.handed.packets += packets;
        packets
    }
}

/// A place for a peer.
#[derive(Default)]
struct Slot {
    /// Of the peer that is or was here last.
    generation: u32,
    peer: Option<Peer>,
}

/// Peers by identifier; places of those that are gone are used again.
#[derive(Default)]
pub struct Peers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    active: Vec<PeerId>,
}

impl Peers {
    pub fn add(&mut self) -> PeerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        place.peer = Some(Peer::default());
        PeerId {
            slot,
            generation: place.generation,
        }
    }

    /// Its identifier is never given again: a place that has had all generations stays empty.
    pub fn remove(&mut self, id: PeerId) {
        if self.get_mut(id).is_none() {
            return;
        }
        self.active.retain(|active| *active != id);
        let place = &mut self.slots[id.slot as usize];
        place.peer = None;
        if let Some(next) = place.generation.checked_add(1) {
            place.generation = next;
            self.free.push(id.slot);
        }
    }

    #[inline]
    pub fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        let place = self.slots.get_mut(id.slot as usize)?;
        place
            .peer
            .as_mut()
            .filter(|_| place.generation == id.generation)
    }

    #[inline]
    pub fn get(&self, id: PeerId) -> Option<&Peer> {
        let place = self.slots.get(id.slot as usize)?;
        let there = place.generation == id.generation;
        place.peer.as_ref().filter(|_| there)
    }

    /// Who is at a place.
    #[inline]
    pub fn at(&self, slot: u32) -> Option<PeerId> {
        let place = self.slots.get(slot as usize)?;
        place.peer.as_ref().map(|_| PeerId {
            slot,
            generation: place.generation,
        })
    }

    /// Of all that are here.
    pub fn ids(&self) -> impl Iterator<Item = PeerId> {
        (0..self.slots.len() as u32).filter_map(|slot| self.at(slot))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.slots
            .iter_mut()
            .filter_map(|place| place.peer.as_mut())
    }

    /// The peer, which will have something to report.
    #[inline]
    pub fn active(&mut self, id: PeerId) -> Option<&mut Peer> {
        let place = self.slots.get_mut(id.slot as usize)?;
        let peer = place
            .peer
            .as_mut()
            .filter(|_| place.generation == id.generation)?;
        if !peer.listed {
            peer.listed = true;
            self.active.push(id);
        }
        Some(peer)
    }

    /// How many have something to report.
    pub fn active_count(&self) -> usize {
        self.active.len()
    }

    /// What each peer did since the last time, and where it is if it has roamed.
    pub fn take_activity(&mut self) -> Vec<(PeerId, Activity, Option<Endpoint>)> {
        let active = std::mem::take(&mut self.active);
        let report = |id: PeerId| {
            let peer = self.slots[id.slot as usize].peer.as_mut()?;
            peer.listed = false;
            let activity = std::mem::take(&mut peer.activity);
            Some((id, activity, peer.endpoint.filter(|_| activity.roamed)))
        };
        active.into_iter().filter_map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_removed_peer_is_never_anothers() {
        let mut peers = Peers::default();
        let gone = peers.add();
        peers.active(gone).unwrap().activity.sent(100, 100, 1, 1.0);
        let told = peers.take_activity();
        peers.remove(gone);
        let ids: Vec<_> = (0..100)
            .map(|_| {
                let id = peers.add();
                assert!(peers.active(id).is_some());
                peers.remove(id);
                id
            })
            .collect();
        assert_eq!(told[0].0, gone);
        assert!(!ids.contains(&gone));
        assert!(peers.get_mut(gone).is_none() && peers.active(gone).is_none());
        assert!(peers.take_activity().is_empty());
        assert_eq!(peers.slots.len(), 1, "places are used again");
    }

    #[test]
    fn a_number_names_the_same_peer() {
        let mut peers = Peers::default();
        let first = peers.add();
        peers.remove(first);
        let second = peers.add();
        assert_ne!(u64::from(first), u64::from(second));
        assert_eq!(PeerId::from(u64::from(second)), second);
    }

    #[test]
    fn a_place_is_given_up_with_its_last_generation() {
        let mut peers = Peers::default();
        let id = peers.add();
        peers.slots[0].generation = u32::MAX;
        peers.remove(PeerId {
            generation: u32::MAX,
            ..id
        });
        assert_eq!(peers.add().slot, 1);
    }
}
