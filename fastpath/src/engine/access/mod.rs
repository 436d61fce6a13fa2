//! Verdicts of the access policy on packets from devices and to them, once per flow: the same as
//! `wgnode/dataplane/flows.py`. A device is a peer that has a class; nothing else is judged.

mod commands;
pub mod denials;
mod fragments;

use super::peer::{PeerId, Peers};
use crate::packet::inner::Address;
use crate::packet::tuple::{Subject, Tuple, subject, tcp_flags};
use crate::policy::Policy;
use crate::policy::flows::{Flow, FlowId, Flows, Traffic};
use crate::routes::Routes;
use denials::{Denials, Reason};
use fragments::Fragments;

/// Packets of one flow, from a device or to it: as a train where they are more than one.
#[derive(Clone, Copy)]
pub struct Crossing<'a> {
    pub device: PeerId,
    pub outgoing: bool,
    pub packet: &'a [u8],
    pub packets: u64,
    pub now: f64,
}

/// The flow that was found last, for packets that come in trains.
pub type Last = Option<(Tuple, FlowId)>;

#[derive(Default)]
pub struct Access {
    policy: Option<Policy>,
    /// Flows that were judged in an earlier one are judged again at their next packet.
    epoch: u64,
    pub flows: Flows,
    fragments: Fragments,
    pub denials: Denials,
    /// New flows that found no place.
    pub refused: u64,
}

/// Whose addresses are.
struct Devices<'a> {
    peers: &'a Peers,
    routes: &'a Routes,
}

impl Devices<'_> {
    fn class(&self, peer: PeerId) -> Option<u32> {
        self.peers.get(peer)?.class
    }

    fn holder(&self, address: Address) -> Option<PeerId> {
        self.peers.at(self.routes.lookup(address)?)
    }

    /// The device that has this address, and its class.
    fn at(&self, address: Address) -> Option<(PeerId, u32)> {
        let peer = self.holder(address)?;
        Some((peer, self.class(peer)?))
    }
}

impl Access {
    /// It is no peer any more.
    pub fn forget(&mut self, peer: PeerId) {
        self.flows.end_of(peer);
        self.denials.forget(peer);
    }

    /// Whether it may go on. `last` is None, or what this wrote there while nothing else was asked of the engine.
    #[inline]
    fn passes(&mut self, of: &Crossing<'_>, devices: &Devices<'_>, last: &mut Last) -> bool {
        let subject = subject(of.packet);
        if let (Subject::Whole(tuple), Some((before, flow))) = (subject, *last)
            && tuple == before
            && self.note(flow, &tuple, of)
        {
            return true;
        }
        let verdict = match subject {
            Subject::Whole(tuple) => self.judge(&tuple, of, devices).map(|flow| {
                *last = Some((tuple, flow));
            }),
            Subject::First(tuple, datagram) => self.judge(&tuple, of, devices).map(|flow| {
                self.fragments.keep(datagram, flow, of.now);
            }),
            Subject::Later(datagram) => self
                .fragments
                .get(&datagram, of.now)
                .filter(|flow| self.stands(*flow, of.now, devices))
                .map_or(Err(Reason::Fragment), |_| Ok(())),
            Subject::Error(cited) => cited
                .and_then(|tuple| self.flows.find(&tuple))
                .filter(|flow| self.stands(*flow, of.now, devices))
                .filter(|flow| self.flows.get(*flow).is_some_and(|it| it.is_of(of.device)))
                .map_or(Err(Reason::Icmp), |_| Ok(())),
            Subject::Unreadable => Err(Reason::Unreadable),
        };
        verdict
            .inspect_err(|why| self.denials.count(of, *why))
            .is_ok()
    }

    /// False: the flow has ended.
    #[inline]
    fn note(&mut self, flow: FlowId, tuple: &Tuple, of: &Crossing<'_>) -> bool {
        let Some(flow) = self.flows.get(flow) else {
            return false;
        };
        flow.seen = of.now;
        // What one device sends to another was counted when it came.
        if of.outgoing || flow.other.is_none() {
            let (packets, bytes) = (of.packets, of.packet.len() as u64);
            let flags = tcp_flags(of.packet, tuple.protocol);
            let turned = *tuple != flow.opened;
            flow.note(Traffic { packets, bytes }, flags, turned);
        }
        true
    }

    /// The flow that the packet belongs to, or begins.
    #[inline]
    fn judge(
        &mut self,
        tuple: &Tuple,
        of: &Crossing<'_>,
        devices: &Devices<'_>,
    ) -> Result<FlowId, Reason> {
        let mut found = self.flows.find(tuple);
        if let Some(id) = found
            && !self.stands(id, of.now, devices)
        {
            let over = self.flows.get(id).is_some_and(|flow| flow.is_over(of.now));
            self.flows.end(id);
            if !over {
                return Err(Reason::NothingAllows);
            }
            found = None;
        }
        let id = match found {
            Some(id) => id,
            None => self.open(tuple, of, devices)?,
        };
        self.note(id, tuple, of);
        Ok(id)
    }

    /// Whether a flow is not over, and is allowed as things are now.
    #[inline]
    fn stands(&mut self, id: FlowId, now: f64, devices: &Devices<'_>) -> bool {
        let (epoch, policy) = (self.epoch, &self.policy);
        let Some(flow) = self.flows.get(id).filter(|flow| !flow.is_over(now)) else {
            return false;
        };
        if flow.epoch != epoch {
            let verdict = verdict(policy, devices, flow.owner, &flow.opened, flow.outgoing);
            let own = if flow.outgoing {
                flow.opened.source
            } else {
                flow.opened.destination
            };
            if verdict != Ok(flow.other) || devices.holder(own) != Some(flow.owner) {
                return false;
            }
            flow.epoch = epoch;
        }
        true
    }

    #[cold]
    fn open(
        &mut self,
        tuple: &Tuple,
        of: &Crossing<'_>,
        devices: &Devices<'_>,
    ) -> Result<FlowId, Reason> {
        let other = verdict(&self.policy, devices, of.device, tuple, of.outgoing)?;
        let flow = Flow::new(*tuple, (of.device, other), of.outgoing, self.epoch);
        self.flows.open(flow, of.now).map_err(|_| {
            self.refused += 1;
            Reason::Full
        })
    }
}

/// The device at the other end, if one is there, of a flow that is allowed.
fn verdict(
    policy: &Option<Policy>,
    devices: &Devices<'_>,
    device: PeerId,
    tuple: &Tuple,
    outgoing: bool,
) -> Result<Option<PeerId>, Reason> {
    let address = if outgoing {
        tuple.destination
    } else {
        tuple.source
    };
    let other = devices.at(address);
    if other.is_some() && !outgoing {
        return Err(Reason::Spoofed);
    }
    let (peer, class) = other.unzip();
    let own = devices.class(device).zip(policy.as_ref());
    let allowed = own.is_some_and(|(own, policy)| policy.allows(own, tuple, class, outgoing));
    allowed.then_some(peer).ok_or(Reason::NothingAllows)
}

#[cfg(test)]
mod tests;
