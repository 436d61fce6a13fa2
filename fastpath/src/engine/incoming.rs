//! Datagrams on their way in: whose session they are for, whether they are authentic, new and allowed.

use blake2::Blake2sMac;
use blake2::digest::Mac;
use blake2::digest::consts::U16;

use super::counters::Drop;
use super::endpoint::{Destination, Endpoint};
use super::peer::PeerId;
use super::session::{TRANSPORT, counter_of};
use super::{Engine, Entry};
use crate::crypto::{HEADER, MAX_TRAIN, OVERHEAD, Opened, TAG};
use crate::packet::{ecn, inner};

const MAC: usize = 16;
const INITIATION: [u8; 4] = [1, 0, 0, 0];
const RESPONSE: [u8; 4] = [2, 0, 0, 0];
const COOKIE_REPLY: [u8; 4] = [3, 0, 0, 0];

/// UDP payloads of `segment` bytes each (the last may be shorter) from one source, as UDP_GRO gives them.
#[derive(Clone, Copy)]
pub struct Batch {
    /// Where they lie in the buffer.
    pub start: usize,
    pub length: usize,
    pub segment: usize,
    pub from: Endpoint,
    /// ECN bits of the outer packets.
    pub ecn: u8,
    /// The first message counts as marked, whatever its ECN bits: it has waited for too long.
    pub congested: bool,
}

impl Engine {
    /// Opens a batch in place. `deliver(buffer, offset, length)` gets each inner packet that is to go to the TUN.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        batch: Batch,
        now: f64,
        mut deliver: impl FnMut(&[u8], usize, usize),
    ) {
        let Batch {
            start,
            length,
            segment,
            ..
        } = batch;
        if length == 0 || segment == 0 {
            return self.counters.drop(Drop::Malformed);
        }
        let chunk = segment * MAX_TRAIN;
        for at in (0..length).step_by(chunk) {
            let part = Batch {
                start: start + at,
                length: chunk.min(length - at),
                congested: batch.congested && at == 0,
                ..batch
            };
            self.receive_train(buffer, part, now, &mut deliver);
        }
    }

    fn receive_train(
        &mut self,
        buffer: &mut [u8],
        batch: Batch,
        now: f64,
        deliver: &mut impl FnMut(&[u8], usize, usize),
    ) {
        let opened = self.open_whole(
            &mut buffer[batch.start..batch.start + batch.length],
            batch.segment,
            now,
        );
        let mut last_source = None;
        for (number, at) in (0..batch.length).step_by(batch.segment).enumerate() {
            let length = batch.segment.min(batch.length - at);
            let offset = batch.start + at;
            let message = &mut buffer[offset..offset + length];
            if length < OVERHEAD || message[..4] != TRANSPORT {
                self.other_message(message, batch.from);
                continue;
            }
            let early = opened.as_ref().map(|opened| opened.get(number));
            let Some(peer) = self.open_one(message, early, batch.from, now) else {
                continue;
            };
            if length == OVERHEAD {
                continue;
            }
            let plain = &mut message[HEADER..length - TAG];
            let Some(packet) = self.check_inner(plain, peer, &mut last_source) else {
                continue;
            };
            let outer = if batch.congested && number == 0 {
                ecn::CE
            } else {
                batch.ecn
            };
            if !ecn::decapsulate(&mut plain[..packet], outer) {
                self.counters.drop(Drop::NotEcnCapable);
                continue;
            }
            deliver(buffer, offset + HEADER, packet);
        }
    }

    /// A train that is all one confirmed session's is opened at once. None: message by message.
    fn open_whole(&self, train: &mut [u8], segment: usize, now: f64) -> Option<Opened> {
        let last = train.len() % segment;
        if train.len() <= segment
            || segment < OVERHEAD
            || (last != 0 && last < OVERHEAD)
            || train[..4] != TRANSPORT
        {
            return None;
        }
        let head: [u8; 8] = train[..8].try_into().expect("eight bytes");
        if !train.chunks(segment).all(|message| message[..8] == head) {
            return None;
        }
        let entry = self.entry(&head)?;
        (entry.confirmed && !entry.session.expired(now))
            .then(|| entry.session.receive.open_train(train, segment))
    }

    /// The peer of an authentic, new message, noted as active. `early`: what `open_whole` said of it.
    #[inline]
    fn open_one(
        &mut self,
        message: &mut [u8],
        early: Option<bool>,
        from: Endpoint,
        now: f64,
    ) -> Option<PeerId> {
        let counter = counter_of(message);
        let Some(entry) = self.entry(message) else {
            self.counters.drop(Drop::UnknownIndex);
            return None;
        };
        let (peer, session, confirmed) = (entry.peer, &entry.session, entry.confirmed);
        if session.expired(now) || counter >= super::session::REJECT_AFTER_MESSAGES {
            self.counters.drop(Drop::Expired);
            return None;
        }
        if !confirmed {
            // The protocol opens it itself; it need not be bothered with what anybody can forge.
            if !session.receive.open(&mut message.to_vec()) {
                self.counters.drop(Drop::BadTransport);
            } else if !self.handover.transport(message, from) {
                self.counters.drop(Drop::Overload);
            }
            return None;
        }
        if !early.unwrap_or_else(|| session.receive.open(message)) {
            self.counters.drop(Drop::BadTransport);
            return None;
        }
        if !session.accept(counter) {
            self.counters.drop(Drop::Replayed);
            return None;
        }
        self.note_received(peer, message.len(), from, now);
        Some(peer)
    }

    fn note_received(&mut self, id: PeerId, bytes: usize, from: Endpoint, now: f64) {
        let Some(peer) = self.peers.active(id) else {
            return;
        };
        peer.activity.received(bytes, bytes > OVERHEAD, now);
        if peer.endpoint != Some(from) {
            peer.endpoint = Some(from);
            peer.destination = Destination::Unresolved;
            peer.activity.roamed = true;
            self.roamed = true;
        }
    }

    /// The length of the inner packet, without padding, if it is one that this peer may send.
    #[inline]
    fn check_inner(
        &mut self,
        plain: &[u8],
        peer: PeerId,
        last: &mut Option<(inner::Address, PeerId)>,
    ) -> Option<usize> {
        let Some((length, source)) = inner::length(plain).zip(inner::source(plain)) else {
            self.counters.drop(Drop::BadInner);
            return None;
        };
        if *last != Some((source, peer)) {
            if self.routes.lookup(source) != Some(peer) {
                self.counters.drop(Drop::SourceNotAllowed);
                return None;
            }
            *last = Some((source, peer));
        }
        Some(length)
    }

    /// Handshake messages for us go to the protocol; everything else is nothing that we know.
    fn other_message(&mut self, message: &[u8], from: Endpoint) {
        let kind = message
            .get(..4)
            .map(|kind| kind.try_into().expect("four bytes"));
        let wanted = match kind {
            Some(INITIATION) => 148,
            Some(RESPONSE) => 92,
            Some(COOKIE_REPLY) => 64,
            _ => return self.counters.drop(Drop::Malformed),
        };
        if message.len() != wanted {
            return self.counters.drop(Drop::Malformed);
        }
        if kind != Some(COOKIE_REPLY) && !self.knows_us(message) {
            return self.counters.drop(Drop::BadMac1);
        }
        if !self.handover.handshake(message, from) {
            self.counters.drop(Drop::Overload);
        }
    }

    /// The sender has one of our public keys (wp 5.4.4). `verify_slice` compares in constant time.
    fn knows_us(&self, message: &[u8]) -> bool {
        let (covered, macs) = message.split_at(message.len() - 2 * MAC);
        self.mac1_keys.iter().any(|key| {
            let mut mac =
                <Blake2sMac<U16> as Mac>::new_from_slice(key).expect("32 bytes are a key");
            mac.update(covered);
            mac.verify_slice(&macs[..MAC]).is_ok()
        })
    }

    #[inline]
    fn entry(&self, message: &[u8]) -> Option<&Entry> {
        self.sessions.get(&u32::from_le_bytes(
            message[4..8].try_into().expect("four bytes"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use super::*;
    use crate::crypto::Suite;
    use crate::engine::session::Session;
    use crate::packet::inner::Address;
    use crate::routes::Network;

    const NOW: f64 = 100.0;
    const PACKET: usize = 20;

    /// An engine with a peer that has 10.0.0.0/8 and a session, and the session's other end.
    fn engine() -> (Engine, Session) {
        let mut engine = Engine::default();
        let peer = engine.peers.add();
        let (one, two) = (&[1; 32], &[2; 32]);
        let session = Arc::new(Session::new((1, 2), (one, two), NOW, Suite::Ring));
        engine
            .routes
            .insert(Network::new(Address::V4([10, 0, 0, 0]), 8).unwrap(), peer);
        engine.add_session(session, peer, true);
        (engine, Session::new((2, 1), (two, one), NOW, Suite::Ring))
    }

    /// A header alone, from 10.0.0.1.
    fn packet(ecn: u8) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[..4].copy_from_slice(&[0x45, ecn, 0, PACKET as u8]);
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet
    }

    /// The ECN fields of what is delivered of a batch of `count` packets with the field `inner`.
    fn delivered(
        engine: &mut Engine,
        far: &Session,
        count: usize,
        inner: u8,
        congested: bool,
    ) -> Vec<u8> {
        let mut buffer: Vec<u8> = (0..count)
            .flat_map(|_| far.seal(&packet(inner)).unwrap())
            .collect();
        let batch = Batch {
            start: 0,
            length: buffer.len(),
            segment: buffer.len() / count,
            from: Endpoint {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 1,
                scope: 0,
                source: None,
            },
            ecn: inner,
            congested,
        };
        let mut fields = vec![];
        engine.receive(&mut buffer, batch, NOW, |buffer, offset, _| {
            fields.push(buffer[offset + 1] & 3)
        });
        fields
    }

    #[test]
    fn of_a_congested_batch_the_first_message_alone_is_marked() {
        let (mut engine, far) = engine();
        let many = MAX_TRAIN + 2;
        let mut expected = vec![ecn::ECT_0; many];
        assert_eq!(
            delivered(&mut engine, &far, many, ecn::ECT_0, false),
            expected
        );
        expected[0] = ecn::CE;
        assert_eq!(
            delivered(&mut engine, &far, many, ecn::ECT_0, true),
            expected
        );
    }

    #[test]
    fn of_a_congested_batch_the_first_message_is_dropped_where_it_can_not_be_marked() {
        let (mut engine, far) = engine();
        let fields = delivered(&mut engine, &far, 3, ecn::NOT_ECT, true);
        assert_eq!(fields, [ecn::NOT_ECT; 2]);
        let dropped: Vec<_> = engine.counters.dropped().collect();
        assert_eq!(dropped, [("not_ecn_capable", 1)]);
    }
}
