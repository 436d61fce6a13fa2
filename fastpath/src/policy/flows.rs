//! Flows that a policy allows, bounded in all and by device: the same as `wgnode/dataplane/flows.py` and `flow.py`.
//! Time is an argument, in seconds.

use std::collections::{HashMap, HashSet};

use crate::engine::peer::PeerId;
use crate::packet::fields::{ICMP, ICMPV6, TCP, UDP, tcp};
use crate::packet::tuple::Tuple;

/// Seconds that a flow may be silent: RFC 5382 REQ-5, RFC 4787 REQ-5, RFC 5508 REQ-2.
const TCP_ESTABLISHED: f64 = 7440.0;
const TCP_TRANSITORY: f64 = 240.0;
const UDP_IDLE: f64 = 300.0;
const DNS_IDLE: f64 = 120.0;
const ICMP_IDLE: f64 = 60.0;
const OTHER_IDLE: f64 = 300.0;
const DNS: u16 = 53;
/// Seconds between two looks at all flows for those that are over, and where a new one finds no place.
const SWEEP_EVERY: f64 = 60.0;
const SWEEP_FULL_EVERY: f64 = 1.0;

/// How many there may be.
pub struct Limits {
    pub all: usize,
    pub device: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            all: 65_536,
            device: 4_096,
        }
    }
}

/// What passed one way: packets, and bytes of inner packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
}

pub struct Flow {
    /// As it was first seen.
    pub opened: Tuple,
    /// The device whose class allowed it, and that at the other end.
    pub owner: PeerId,
    pub other: Option<PeerId>,
    /// Its owner opened it.
    pub outgoing: bool,
    /// When it was judged last: see `Access`.
    pub epoch: u64,
    pub seen: f64,
    /// Of the opener, and of the other side.
    pub traffic: [Traffic; 2],
    closing: bool,
    serial: u64,
}

impl Flow {
    pub fn new(opened: Tuple, peers: (PeerId, Option<PeerId>), outgoing: bool, epoch: u64) -> Flow {
        Flow {
            opened,
            owner: peers.0,
            other: peers.1,
            outgoing,
            epoch,
            seen: 0.0,
            traffic: Default::default(),
            closing: false,
            serial: 0,
        }
    }

    pub fn is_of(&self, peer: PeerId) -> bool {
        self.owner == peer || self.other == Some(peer)
    }

    #[inline]
    pub fn is_over(&self, now: f64) -> bool {
        now - self.seen >= self.idle()
    }

    /// Packets of either side, and TCP's flags of all of them together.
    #[inline]
    pub fn note(&mut self, passed: Traffic, flags: u8, turned: bool) {
        let traffic = &mut self.traffic[usize::from(turned)];
        traffic.packets += passed.packets;
        traffic.bytes += passed.bytes;
        if flags & (tcp::FIN | tcp::RST) != 0 {
            self.closing = true;
        } else if !turned && flags & tcp::SYN != 0 && flags & tcp::ACK == 0 {
            self.closing = false;
        }
    }

    #[inline]
    fn idle(&self) -> f64 {
        match self.opened.protocol {
            TCP if self.closing || self.traffic.iter().any(|way| way.packets == 0) => {
                TCP_TRANSITORY
            }
            TCP => TCP_ESTABLISHED,
            UDP if self.opened.ports.1 == DNS => DNS_IDLE,
            UDP => UDP_IDLE,
            ICMP | ICMPV6 => ICMP_IDLE,
            _ => OTHER_IDLE,
        }
    }

    fn peers(&self) -> impl Iterator<Item = PeerId> {
        let other = self.other.filter(|other| *other != self.owner);
        std::iter::once(self.owner).chain(other)
    }
}

/// A flow, and no other one that gets its place later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId {
    place: u32,
    serial: u64,
}

/// There is no room for one more, in all or of this device.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

pub struct Flows {
    limits: Limits,
    /// By the tuple that is the same for both directions.
    places: HashMap<Tuple, u32>,
    flows: Vec<Option<Flow>>,
    free: Vec<u32>,
    of_peer: HashMap<PeerId, HashSet<u32>>,
    /// How many each device owns.
    owned: HashMap<PeerId, usize>,
    swept: f64,
    serial: u64,
}

impl Default for Flows {
    fn default() -> Flows {
        Flows::with_limits(Limits::default())
    }
}

impl Flows {
    pub fn with_limits(limits: Limits) -> Flows {
        Flows {
            limits,
            places: HashMap::new(),
            flows: Vec::new(),
            free: Vec::new(),
            of_peer: HashMap::new(),
            owned: HashMap::new(),
            swept: f64::NEG_INFINITY,
            serial: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The flow of a packet of either side, which may be over.
    #[inline]
    pub fn find(&self, tuple: &Tuple) -> Option<FlowId> {
        let place = *self.places.get(&tuple.either_way())?;
        let serial = self.flows[place as usize].as_ref()?.serial;
        Some(FlowId { place, serial })
    }

    /// None of one that has ended.
    #[inline]
    pub fn get(&mut self, id: FlowId) -> Option<&mut Flow> {
        let flow = self.flows.get_mut(id.place as usize)?.as_mut();
        flow.filter(|flow| flow.serial == id.serial)
    }

    /// A flow that is not there begins.
    pub fn open(&mut self, flow: Flow, now: f64) -> Result<FlowId, Full> {
        if !self.has_room(flow.owner, now) {
            return Err(Full);
        }
        self.serial += 1;
        let (serial, seen) = (self.serial, now);
        let place = self.free.pop().unwrap_or_else(|| {
            self.flows.push(None);
            (self.flows.len() - 1) as u32
        });
        self.places.insert(flow.opened.either_way(), place);
        for peer in flow.peers() {
            self.of_peer.entry(peer).or_default().insert(place);
        }
        *self.owned.entry(flow.owner).or_default() += 1;
        self.flows[place as usize] = Some(Flow {
            serial,
            seen,
            ..flow
        });
        Ok(FlowId { place, serial })
    }

    pub fn end(&mut self, id: FlowId) {
        if self.get(id).is_some() {
            self.remove(id.place);
        }
    }

    /// All from and to a device.
    pub fn end_of(&mut self, peer: PeerId) {
        for place in self.of_peer.remove(&peer).unwrap_or_default() {
            self.remove(place);
        }
    }

    fn has_room(&mut self, owner: PeerId, now: f64) -> bool {
        let full = self.is_full(owner);
        let every = if full { SWEEP_FULL_EVERY } else { SWEEP_EVERY };
        if now - self.swept >= every {
            self.swept = now;
            for place in 0..self.flows.len() {
                if self.flows[place].as_ref().is_some_and(|it| it.is_over(now)) {
                    self.remove(place as u32);
                }
            }
        }
        !full || !self.is_full(owner)
    }

    fn is_full(&self, owner: PeerId) -> bool {
        let owned = self.owned.get(&owner).copied().unwrap_or(0);
        self.places.len() >= self.limits.all || owned >= self.limits.device
    }

    fn remove(&mut self, place: u32) {
        let Some(flow) = self.flows[place as usize].take() else {
            return;
        };
        self.places.remove(&flow.opened.either_way());
        for peer in flow.peers() {
            if let Some(places) = self.of_peer.get_mut(&peer) {
                places.remove(&place);
                if places.is_empty() {
                    self.of_peer.remove(&peer);
                }
            }
        }
        if let Some(owned) = self.owned.get_mut(&flow.owner) {
            *owned -= 1;
            if *owned == 0 {
                self.owned.remove(&flow.owner);
            }
        }
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests;
