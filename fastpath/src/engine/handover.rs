//! What the compiled plane leaves to the protocol: handshake messages, and traffic that needs a decision.

use std::collections::VecDeque;

use super::endpoint::Endpoint;
use super::peer::PeerId;

/// Handshake messages given at once: computing these takes a few milliseconds, in which no traffic moves.
pub const HANDSHAKES_AT_ONCE: usize = 16;
/// Handshake messages that wait, as in the kernel's queue.
pub const HANDSHAKE_QUEUE: usize = 1024;
/// Transport messages and inner packets that wait.
pub const TRAFFIC_QUEUE: usize = 1024;

pub enum Handed {
    /// A UDP payload and where it came from: for `Device.receive_datagram`.
    Datagram(Vec<u8>, Endpoint),
    /// An inner packet: for `Device.send_packet`.
    Packet(Vec<u8>),
}

/// Which way traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Out,
    In,
}

#[derive(Default)]
pub struct Handover {
    handshakes: VecDeque<Handed>,
    /// Of which peer, which way.
    traffic: VecDeque<(PeerId, Way, Handed)>,
    /// Traffic that was taken and is not done with.
    taken: Vec<(PeerId, Way)>,
}

impl Handover {
    /// False when the queue is full: the message is lost.
    pub fn handshake(&mut self, message: &[u8], from: Endpoint) -> bool {
        let room = self.handshakes.len() < HANDSHAKE_QUEUE;
        if room {
            self.handshakes
                .push_back(Handed::Datagram(message.to_vec(), from));
        }
        room
    }

    /// False when the queue is full: the message is lost.
    pub fn transport(&mut self, peer: PeerId, message: &[u8], from: Endpoint) -> bool {
        self.traffic(peer, Way::In, || Handed::Datagram(message.to_vec(), from))
    }

    /// False when the queue is full: the packet is lost.
    pub fn packet(&mut self, peer: PeerId, packet: &[u8]) -> bool {
        self.traffic(peer, Way::Out, || Handed::Packet(packet.to_vec()))
    }

    fn traffic(&mut self, peer: PeerId, way: Way, handed: impl FnOnce() -> Handed) -> bool {
        let room = self.traffic.len() < TRAFFIC_QUEUE;
        if room {
            self.traffic.push_back((peer, way, handed()));
        }
        room
    }

    pub fn is_empty(&self) -> bool {
        self.handshakes.is_empty() && self.traffic.is_empty()
    }

    /// All waiting traffic and some handshake messages, oldest first of each.
    pub fn take(&mut self) -> Vec<Handed> {
        let Handover {
            handshakes,
            traffic,
            taken,
        } = self;
        let some = handshakes.len().min(HANDSHAKES_AT_ONCE);
        let traffic = traffic.drain(..).map(|(peer, way, handed)| {
            taken.push((peer, way));
            handed
        });
        traffic.chain(handshakes.drain(..some)).collect()
    }

    /// The traffic that was taken is done with: whose it was, each time.
    pub fn done(&mut self) -> Vec<(PeerId, Way)> {
        std::mem::take(&mut self.taken)
    }
}
