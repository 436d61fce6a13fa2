//! Opened messages: whether they are new, and whether their peer may send what is in them.

use std::ops::Range;

use super::run::{Run, Verdict};
use crate::engine::access::Last;
use crate::engine::counters::Drop;
use crate::engine::endpoint::Endpoint;
use crate::engine::fitting::Watched;
use crate::engine::peer::PeerId;
use crate::engine::{Engine, Entry};
use crate::message::{HEADER, OVERHEAD, REJECT_AFTER_MESSAGES, TAG, counter, receiver};
use crate::packet::{ecn, inner};

/// Whom messages are from, and the ECN bits of the outer packet of each.
struct Sender {
    peer: PeerId,
    outer: u8,
    watched: Option<Watched>,
    /// It has a class, by which its packets are judged.
    judged: bool,
    now: f64,
}

/// What was found of the packet before, which the next one mostly has as well.
#[derive(Default)]
struct Before {
    source: Option<inner::Address>,
    flow: Last,
}

impl Engine {
    /// Of a run that was opened here, `deliver(buffer, offset, length)` gets each inner packet that is to go to the TUN.
    /// What is the same for all messages is done once: the session's window is locked, the peer is noted.
    pub fn admit(
        &mut self,
        buffer: &mut [u8],
        run: &Run,
        now: f64,
        deliver: &mut impl FnMut(&[u8], usize, usize),
    ) {
        let Verdict::Open {
            peer,
            session,
            opened,
        } = &run.verdict
        else {
            return;
        };
        let Some(known) = self.peers.get(*peer) else {
            let lost = run.messages.count(); // removed while they were opened
            return self.counters.drop_many(Drop::UnknownIndex, lost);
        };
        let mut sender = Sender {
            peer: *peer,
            outer: ecn::NOT_ECT,
            watched: known.watched,
            judged: known.class.is_some(),
            now,
        };
        let mut window = session.window();
        let (mut bytes, mut messages, mut data) = (0, 0, 0);
        let mut before = Before::default();
        for (number, range) in run.messages.messages().enumerate() {
            let counter = counter(&buffer[range.clone()]);
            let why = if counter >= REJECT_AFTER_MESSAGES {
                Drop::Expired
            } else if !opened.get(number) {
                Drop::BadTransport
            } else if !window.accept(counter) {
                Drop::Replayed
            } else {
                bytes += range.len();
                messages += 1;
                data += usize::from(range.len() > OVERHEAD);
                sender.outer = run.messages.ecn_of(number);
                self.pass_on(buffer, range, &sender, &mut before, deliver);
                continue;
            };
            self.counters.drop(why);
        }
        if messages > 0 {
            self.note_received(*peer, (bytes, data), run.messages.from, now);
        }
    }

    /// The inner packet of a message that is authentic and new, if the peer may send it.
    #[inline]
    fn pass_on(
        &mut self,
        buffer: &mut [u8],
        range: Range<usize>,
        from: &Sender,
        before: &mut Before,
        deliver: &mut impl FnMut(&[u8], usize, usize),
    ) {
        if range.len() == OVERHEAD {
            return;
        }
        let plain = range.start + HEADER..range.end - TAG;
        let Some(length) = self.check_inner(&buffer[plain.clone()], from.peer, &mut before.source)
        else {
            return;
        };
        let packet = &mut buffer[plain.start..plain.start + length];
        if !ecn::decapsulate(packet, from.outer) {
            return self.counters.drop(Drop::NotEcnCapable);
        }
        if let Some(watched) = &from.watched
            && watched.may_be_probes(packet)
            && self.keeps(packet, from)
        {
            return;
        }
        if from.judged && !self.lets_out(packet, from.peer, from.now, &mut before.flow) {
            return self.counters.drop(Drop::Denied);
        }
        if let Some(watched) = &from.watched {
            self.fitting.clamp(packet, watched.limit);
        }
        deliver(buffer, plain.start, length);
    }

    /// The length of the inner packet, without padding, if it is one that this peer may send.
    #[inline]
    fn check_inner(
        &mut self,
        plain: &[u8],
        peer: PeerId,
        last: &mut Option<inner::Address>,
    ) -> Option<usize> {
        let Some((length, source)) = inner::length(plain).zip(inner::source(plain)) else {
            self.counters.drop(Drop::BadInner);
            return None;
        };
        if *last != Some(source) {
            if self.routes.lookup(source) != Some(peer.slot) {
                self.counters.drop(Drop::SourceNotAllowed);
                return None;
            }
            *last = Some(source);
        }
        Some(length)
    }

    /// A reply that may be a probe's is kept as long as the protocol may still be bothered; else it goes its way.
    #[cold]
    fn keeps(&mut self, packet: &[u8], from: &Sender) -> bool {
        let peer = self.peers.get_mut(from.peer);
        peer.is_some_and(|peer| peer.may_hand_over(1, from.now) > 0)
            && self.fitting.keep(packet, from.peer)
    }

    /// `heard`: bytes of all messages, and how many of these are no keepalives.
    fn note_received(&mut self, id: PeerId, heard: (usize, usize), from: Endpoint, now: f64) {
        let Some(peer) = self.peers.active(id) else {
            return;
        };
        peer.activity.received(heard.0, heard.1, now);
        if peer.endpoint != Some(from) {
            peer.endpoint = Some(from);
            peer.destination = peer.destination.roamed(from);
            peer.activity.roamed = true;
            self.roamed = true;
        }
    }

    #[inline]
    pub(super) fn entry(&self, message: &[u8]) -> Option<&Entry> {
        self.sessions.get(&receiver(message))
    }
}
