//! What the engine is told of the access policy, and where it asks for verdicts.

use std::collections::HashMap;

use super::denials::Denial;
use super::{Crossing, Devices, Last};
use crate::engine::Engine;
use crate::engine::counters::Drop;
use crate::engine::peer::PeerId;
use crate::packet::split::{Aim, Plan};
use crate::packet::vnet::VNET_HEADER;
use crate::policy::Policy;

impl Engine {
    /// Whether a packet from a device may go on, by its class. `last` is of the one before, or None.
    #[inline]
    pub fn lets_out(&mut self, packet: &[u8], device: PeerId, now: f64, last: &mut Last) -> bool {
        let of = Crossing {
            device,
            outgoing: true,
            packet,
            packets: 1,
            now,
        };
        self.passes(&of, last)
    }

    /// Whether packets from a peer, and to it, are judged.
    #[inline]
    pub(in crate::engine) fn is_device(&self, id: PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.class.is_some())
    }

    /// Whether the packets of a frame may go to a device, which are counted as denied else. Of a frame that has none
    /// others find that.
    #[inline]
    pub(in crate::engine) fn lets_in(&mut self, frame: &[u8], device: PeerId, now: f64) -> bool {
        let Ok(plan) = Plan::new(frame, &Aim::ANY) else {
            return true;
        };
        let packets = plan.messages();
        let of = Crossing {
            device,
            outgoing: false,
            packet: &frame[VNET_HEADER..],
            packets: packets as u64,
            now,
        };
        let passes = self.passes(&of, &mut None);
        if !passes {
            self.counters.drop_many(Drop::Denied, packets);
        }
        passes
    }

    #[inline]
    fn passes(&mut self, of: &Crossing<'_>, last: &mut Last) -> bool {
        let (peers, routes) = (&self.peers, &self.routes);
        self.access.passes(of, &Devices { peers, routes }, last)
    }

    /// The policy and all peers' classes at once; who is not named has none. None: nothing is judged.
    pub fn set_policy(&mut self, policy: Option<Policy>, classes: &[(PeerId, u32)]) {
        let classes = if policy.is_some() { classes } else { &[] };
        let named: HashMap<PeerId, u32> = classes.iter().copied().collect();
        let all: Vec<PeerId> = self.peers.ids().collect();
        for id in all {
            self.classify(id, named.get(&id).copied(), false);
        }
        self.access.policy = policy;
        self.judge_again();
    }

    /// One peer's. Where it differs its flows end.
    pub fn set_class(&mut self, id: PeerId, class: Option<u32>) {
        if self.access.policy.is_some() {
            self.classify(id, class, true);
            self.judge_again();
        }
    }

    /// Flows of one that has none any more end; `all`: of one that has another, too.
    fn classify(&mut self, id: PeerId, class: Option<u32>, all: bool) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut peer.class, class);
        if before.is_some() && before != class && (all || class.is_none()) {
            self.access.flows.end_of(id);
        }
    }

    /// Every flow at its next packet: who has an address may have changed.
    pub(in crate::engine) fn judge_again(&mut self) {
        self.access.epoch += 1;
    }

    /// Those that the device has begun, and those that were begun to it.
    pub fn end_flows(&mut self, id: PeerId) {
        self.access.flows.end_of(id);
    }

    pub fn take_denials(&mut self) -> Vec<(Denial, u64)> {
        self.access.denials.take()
    }
}
