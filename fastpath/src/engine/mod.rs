//! The data plane without its sockets: sessions, peers and routes; packets go in, messages come out, and the reverse.
//!
//! It does what wgnode/protocol/transport.py does in the common case: the peer's current session sends, a confirmed
//! session opens. Everything else is handed over, and what the protocol then decides is set here before the next packet.

pub mod access;
pub mod activity;
pub mod counters;
pub mod endpoint;
pub mod fitting;
pub mod handover;
mod incoming;
#[cfg(all(test, loom))]
mod interleavings;
mod outgoing;
pub mod paths;
pub mod peer;
pub mod report;
pub mod session;
pub mod table;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use access::Access;
use activity::Activity;
use counters::Counters;
use endpoint::{Destination, Endpoint};
use fitting::{Fitting, Limit};
use handover::{Handed, Handover, Way};
pub use incoming::{Batch, Run};
pub use outgoing::{By, HandingOver, Outgoing, Planned, Sealing, Unsealed};
use paths::Paths;
use peer::{PeerId, Peers};
use report::Report;
use session::Session;

use crate::packet::inner::Address;
use crate::routes::{Network, Routes};

/// Receiver indices are random already.
#[derive(Default)]
pub struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only indices are hashed")
    }

    fn write_u32(&mut self, index: u32) {
        self.0 = u64::from(index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A session by its local index.
pub struct Entry {
    pub session: Arc<Session>,
    pub peer: PeerId,
    /// The protocol has confirmed it, or has retired it without; until then its authentic messages are handed over.
    pub confirmed: bool,
}

#[derive(Default)]
pub struct Engine {
    sessions: HashMap<u32, Entry, BuildHasherDefault<IndexHasher>>,
    pub peers: Peers,
    pub report: Report,
    /// Their owners are places of peers.
    routes: Routes,
    /// Keys of mac1 for each of the device's identities.
    pub mac1_keys: Vec<[u8; 32]>,
    /// Bytes of inner packet, ascending, the device's own last: padding ends at the first that a packet fits in.
    pub mtus: Arc<[usize]>,
    pub paths: Paths,
    pub counters: Counters,
    pub handover: Handover,
    pub fitting: Fitting,
    pub access: Access,
    /// There is a socket for fragments of our own.
    pub cutting: bool,
    /// Somebody has moved, and the protocol should know soon.
    pub roamed: bool,
    scratch: Vec<u8>,
}

impl Engine {
    /// How large packets to the peer may be.
    pub fn set_limit(&mut self, id: PeerId, limit: Limit) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.set_limit(limit);
        }
    }

    /// Tunnel addresses, ours and the peer's: echo replies from that to this one are kept for the protocol.
    pub fn set_echo(&mut self, id: PeerId, addresses: Option<(Address, Address)>) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.set_echo(addresses);
        }
    }

    /// A session that the protocol has made; `confirmed` unless it waits for the initiator's first message.
    pub fn add_session(&mut self, session: Arc<Session>, peer: PeerId, confirmed: bool) {
        self.sessions.insert(
            session.local,
            Entry {
                session,
                peer,
                confirmed,
            },
        );
    }

    /// A first message of the session has nothing to decide any more: it opens here from now on.
    pub fn confirm_session(&mut self, local: u32) {
        if let Some(entry) = self.sessions.get_mut(&local) {
            entry.confirmed = true;
        }
    }

    /// The session is gone: with the last reference its keys are erased.
    pub fn remove_session(&mut self, local: u32) {
        self.sessions.remove(&local);
    }

    /// Which session of the peer sends, None for none. It is confirmed by that.
    pub fn set_current(&mut self, id: PeerId, local: Option<u32>) {
        let entry = local.and_then(|local| self.sessions.get_mut(&local));
        let current = entry.map(|entry| {
            entry.confirmed = true;
            entry.session.clone()
        });
        if let Some(peer) = self.peers.get_mut(id) {
            peer.current = current;
        }
    }

    /// Where the peer is for the protocol, and how to send there.
    pub fn set_endpoint(
        &mut self,
        id: PeerId,
        endpoint: Option<Endpoint>,
        destination: Destination,
    ) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.endpoint = endpoint;
            peer.destination = destination;
        }
    }

    /// Routing has changed: how to send to anybody has to be worked out again.
    pub fn forget_destinations(&mut self) {
        self.paths.forget();
        for peer in self.peers.iter_mut() {
            if peer.destination != Destination::Unknown {
                peer.destination = Destination::Unresolved;
            }
        }
    }

    pub fn remove_peer(&mut self, id: PeerId) {
        self.remove_routes(id);
        self.sessions.retain(|_, entry| entry.peer != id);
        self.access.forget(id);
        self.peers.remove(id);
    }

    /// What the protocol has to deal with: some of it, oldest first. To be followed by `settle`.
    pub fn take_handed(&mut self) -> Vec<Handed> {
        self.handover.take()
    }

    /// The protocol has dealt with what was taken, and has sent and delivered what came of it.
    pub fn settle(&mut self) {
        for (id, way) in self.handover.done() {
            if let Some(peer) = self.peers.get_mut(id) {
                match way {
                    Way::Out => peer.owed_out -= 1,
                    Way::In => peer.owed_in -= 1,
                }
            }
        }
    }

    /// What each peer did since the last time, and where it is if it has roamed.
    pub fn take_activity(&mut self) -> Vec<(PeerId, Activity, Option<Endpoint>)> {
        self.roamed = false;
        self.report.taken();
        self.peers.take_activity()
    }

    /// It is time to take it. True once.
    #[inline]
    pub fn report_due(&mut self, now: f64) -> bool {
        self.report.due(self.peers.active_count(), now)
    }

    /// What has been handed over may decide how the next packet goes.
    #[inline]
    pub fn waits_for_protocol(&self) -> bool {
        self.roamed || !self.handover.is_empty() || self.fitting.has_news()
    }

    /// Gives a network to a peer that is there.
    pub fn add_route(&mut self, network: Network, id: PeerId) {
        if self.peers.get_mut(id).is_some() {
            self.routes.insert(network, id.slot);
            self.judge_again();
        }
    }

    /// Nothing happens unless the peer holds exactly this network.
    pub fn remove_route(&mut self, network: Network, id: PeerId) {
        if self.peers.get_mut(id).is_some() {
            self.routes.remove(network, id.slot);
            self.judge_again();
        }
    }

    pub fn remove_routes(&mut self, id: PeerId) {
        if self.peers.get_mut(id).is_some() {
            self.routes.remove_owner(id.slot);
            self.judge_again();
        }
    }

    /// A peer's networks in the order they were added.
    pub fn routes(&mut self, id: PeerId) -> Vec<Network> {
        let there = self.peers.get_mut(id).is_some();
        let networks = self.routes.networks(id.slot);
        networks.filter(|_| there).collect()
    }

    /// Networks of all peers.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// Whose an inner address is.
    #[inline]
    pub fn lookup(&self, address: Address) -> Option<PeerId> {
        self.peers.at(self.routes.lookup(address)?)
    }

    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }
}
