//! Which flow fragments belong to, whose ports are in the first one alone. Bounded, and for a short time.

use std::collections::{HashMap, VecDeque};

use crate::packet::tuple::Datagram;
use crate::policy::flows::FlowId;

/// Fragmented packets whose flow is remembered: those that began last.
pub const MOST: usize = 1024;
/// Seconds, as long as Linux waits for the fragments of a packet (net.ipv4.ipfrag_time).
pub const LIVE: f64 = 30.0;

#[derive(Default)]
pub struct Fragments {
    flows: HashMap<Datagram, (FlowId, f64)>,
    /// In the order in which they began.
    order: VecDeque<Datagram>,
}

impl Fragments {
    pub fn keep(&mut self, of: Datagram, flow: FlowId, now: f64) {
        if self.flows.insert(of, (flow, now + LIVE)).is_some() {
            self.order.retain(|each| *each != of);
        }
        self.order.push_back(of);
        if self.order.len() > MOST
            && let Some(first) = self.order.pop_front()
        {
            self.flows.remove(&first);
        }
    }

    pub fn get(&self, of: &Datagram, now: f64) -> Option<FlowId> {
        let (flow, until) = self.flows.get(of)?;
        (now < *until).then_some(*flow)
    }
}
