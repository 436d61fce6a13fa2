//! Datagrams on their way in: whose session they are for, whether they are authentic, new and allowed.

use std::ops::Range;
use std::sync::Arc;

use blake2::Blake2sMac;
use blake2::digest::Mac;
use blake2::digest::consts::U16;

use super::counters::Drop;
use super::endpoint::{Destination, Endpoint};
use super::peer::PeerId;
use super::session::Session;
use super::{Engine, Entry};
use crate::crypto::{MAX_TRAIN, Opened};
use crate::message::{
    COOKIE_REPLY, HEADER, MAC, OVERHEAD, REJECT_AFTER_MESSAGES, TAG, TRANSPORT, counter,
    handshake_length, receiver,
};
use crate::packet::{ecn, inner};

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

impl Batch {
    /// Where each message lies in the buffer.
    #[inline]
    fn messages(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (start, end, segment) = (self.start, self.start + self.length, self.segment);
        (start..end)
            .step_by(segment)
            .map(move |at| at..end.min(at + segment))
    }

    /// The outer ECN bits that count for a message.
    #[inline]
    fn ecn_of(&self, number: usize) -> u8 {
        if self.congested && number == 0 {
            ecn::CE
        } else {
            self.ecn
        }
    }
}

/// Messages that were opened at once.
struct Train {
    peer: PeerId,
    session: Arc<Session>,
    opened: Opened,
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
        let whole = batch.start..batch.start + batch.length;
        if let Some(train) = self.open_whole(&mut buffer[whole], batch.segment, now) {
            return self.receive_opened(buffer, batch, &train, now, deliver);
        }
        let mut last_source = None;
        for (number, range) in batch.messages().enumerate() {
            let message = &mut buffer[range.clone()];
            if message.len() < OVERHEAD || message[..4] != TRANSPORT {
                self.other_message(message, batch.from);
                continue;
            }
            if let Some(peer) = self.open_one(message, batch.from, now) {
                let outer = batch.ecn_of(number);
                self.pass_on(buffer, range, peer, outer, &mut last_source, deliver);
            }
        }
    }

    /// What is the same for all messages of a train is done once: the session's window is locked, the peer is noted.
    fn receive_opened(
        &mut self,
        buffer: &mut [u8],
        batch: Batch,
        train: &Train,
        now: f64,
        deliver: &mut impl FnMut(&[u8], usize, usize),
    ) {
        let (peer, mut window) = (train.peer, train.session.window());
        let (mut bytes, mut messages, mut data) = (0, 0, 0);
        let mut last_source = None;
        for (number, range) in batch.messages().enumerate() {
            let counter = counter(&buffer[range.clone()]);
            let why = if counter >= REJECT_AFTER_MESSAGES {
                Drop::Expired
            } else if !train.opened.get(number) {
                Drop::BadTransport
            } else if !window.accept(counter) {
                Drop::Replayed
            } else {
                bytes += range.len();
                messages += 1;
                data += usize::from(range.len() > OVERHEAD);
                let outer = batch.ecn_of(number);
                self.pass_on(buffer, range, peer, outer, &mut last_source, deliver);
                continue;
            };
            self.counters.drop(why);
        }
        if messages > 0 {
            self.note_received(peer, (bytes, data), batch.from, now);
        }
    }

    /// The inner packet of a message that is authentic and new, if the peer may send it.
    #[inline]
    fn pass_on(
        &mut self,
        buffer: &mut [u8],
        range: Range<usize>,
        peer: PeerId,
        outer: u8,
        last_source: &mut Option<(inner::Address, PeerId)>,
        deliver: &mut impl FnMut(&[u8], usize, usize),
    ) {
        if range.len() == OVERHEAD {
            return;
        }
        let plain = range.start + HEADER..range.end - TAG;
        let Some(packet) = self.check_inner(&buffer[plain.clone()], peer, last_source) else {
            return;
        };
        if !ecn::decapsulate(&mut buffer[plain.start..plain.start + packet], outer) {
            return self.counters.drop(Drop::NotEcnCapable);
        }
        deliver(buffer, plain.start, packet);
    }

    /// A train that is all one confirmed session's is opened at once. None: message by message.
    fn open_whole(&self, train: &mut [u8], segment: usize, now: f64) -> Option<Train> {
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
        let here = entry.confirmed && !self.owes(entry.peer) && !entry.session.expired(now);
        here.then(|| Train {
            peer: entry.peer,
            opened: entry.session.receive.open_train(train, segment),
            session: entry.session.clone(),
        })
    }

    /// The peer of an authentic, new message, noted as active.
    #[inline]
    fn open_one(&mut self, message: &mut [u8], from: Endpoint, now: f64) -> Option<PeerId> {
        let counter = counter(message);
        let Some(entry) = self.entry(message) else {
            self.counters.drop(Drop::UnknownIndex);
            return None;
        };
        let (peer, session, confirmed) = (entry.peer, &entry.session, entry.confirmed);
        if session.expired(now) || counter >= REJECT_AFTER_MESSAGES {
            self.counters.drop(Drop::Expired);
            return None;
        }
        if !confirmed || self.owes(peer) {
            // The protocol opens it itself; it need not be bothered with what anybody can forge.
            if session.receive.open(&mut message.to_vec()) {
                self.hand_transport(peer, message, from);
            } else {
                self.counters.drop(Drop::BadTransport);
            }
            return None;
        }
        if !session.receive.open(message) {
            self.counters.drop(Drop::BadTransport);
            return None;
        }
        if !session.accept(counter) {
            self.counters.drop(Drop::Replayed);
            return None;
        }
        let data = usize::from(message.len() > OVERHEAD);
        self.note_received(peer, (message.len(), data), from, now);
        Some(peer)
    }

    /// The protocol has messages of this peer, which later ones must not overtake.
    fn owes(&self, id: PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.owed_in > 0)
    }

    fn hand_transport(&mut self, id: PeerId, message: &[u8], from: Endpoint) {
        if !self.handover.transport(id, message, from) {
            return self.counters.drop(Drop::Overload);
        }
        if let Some(peer) = self.peers.get_mut(id) {
            peer.owed_in += 1;
        }
    }

    /// `heard`: bytes of all messages, and how many of these are no keepalives.
    fn note_received(&mut self, id: PeerId, heard: (usize, usize), from: Endpoint, now: f64) {
        let Some(peer) = self.peers.active(id) else {
            return;
        };
        peer.activity.received(heard.0, heard.1, now);
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
            if self.routes.lookup(source) != Some(peer.slot) {
                self.counters.drop(Drop::SourceNotAllowed);
                return None;
            }
            *last = Some((source, peer));
        }
        Some(length)
    }

    /// Handshake messages for us go to the protocol; everything else is nothing that we know.
    fn other_message(&mut self, message: &[u8], from: Endpoint) {
        let kind = message.first_chunk().copied().unwrap_or_default();
        if handshake_length(kind) != Some(message.len()) {
            return self.counters.drop(Drop::Malformed);
        }
        if kind != COOKIE_REPLY && !self.knows_us(message) {
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
        self.sessions.get(&receiver(message))
    }
}

#[cfg(test)]
mod tests;
