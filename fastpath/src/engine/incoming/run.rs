//! Consecutive messages that have the same fate.

use std::ops::Range;
use std::sync::Arc;

use crate::crypto::{MAX_TRAIN, Opened};
use crate::engine::endpoint::Endpoint;
use crate::engine::peer::PeerId;
use crate::engine::session::Session;
use crate::message::{OVERHEAD, TRANSPORT};
use crate::packet::ecn;

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

/// Type and receiver's index: what is the same of all messages of a session.
pub(super) type Head = [u8; 8];

/// Of a transport message; None of another one.
#[inline]
fn head(message: &[u8]) -> Option<Head> {
    let head = *message.first_chunk()?;
    (message.len() >= OVERHEAD && message[..4] == TRANSPORT).then_some(head)
}

impl Batch {
    /// Where they all lie in the buffer.
    #[inline]
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.length
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.length.div_ceil(self.segment)
    }

    /// Where each message lies in the buffer.
    #[inline]
    pub(super) fn messages(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (Range { start, end }, segment) = (self.range(), self.segment);
        (start..end)
            .step_by(segment)
            .map(move |at| at..end.min(at + segment))
    }

    /// The outer ECN bits that count for a message.
    #[inline]
    pub(super) fn ecn_of(&self, number: usize) -> u8 {
        if self.congested && number == 0 {
            ecn::CE
        } else {
            self.ecn
        }
    }

    /// The messages at the beginning that are all of one session, or all of none; and the rest.
    #[inline]
    pub(super) fn first_run(self, buffer: &[u8]) -> (Batch, Option<Head>, Option<Batch>) {
        let mut messages = buffer[self.range()].chunks(self.segment);
        let kind = messages.next().and_then(head);
        let more = messages
            .take(MAX_TRAIN - 1)
            .take_while(|message| head(message) == kind);
        let length = self.length.min((1 + more.count()) * self.segment);
        let rest = (length < self.length).then_some(Batch {
            start: self.start + length,
            length: self.length - length,
            congested: false,
            ..self
        });
        (Batch { length, ..self }, kind, rest)
    }
}

/// At most MAX_TRAIN messages.
pub struct Run {
    pub(super) messages: Batch,
    pub(super) verdict: Verdict,
}

pub(super) enum Verdict {
    Open {
        peer: PeerId,
        session: Arc<Session>,
        opened: Opened,
    },
    /// To the protocol, which opens it itself. The peer is owed each of them.
    HandOver {
        peer: PeerId,
        session: Arc<Session>,
        opened: Opened,
    },
    /// No transport messages.
    Other,
}

impl Verdict {
    pub(super) fn open(peer: PeerId, session: Arc<Session>) -> Verdict {
        let opened = Opened::none();
        Verdict::Open {
            peer,
            session,
            opened,
        }
    }

    pub(super) fn hand_over(peer: PeerId, session: Arc<Session>) -> Verdict {
        let opened = Opened::none();
        Verdict::HandOver {
            peer,
            session,
            opened,
        }
    }
}

impl Run {
    /// It stays here, all of it.
    #[inline]
    pub fn is_opened_here(&self) -> bool {
        matches!(self.verdict, Verdict::Open { .. })
    }

    /// Opens its messages in place, but those that are for the protocol: of these it only asks whether they are
    /// authentic, since the protocol need not be bothered with what anybody can forge.
    pub fn open(&mut self, buffer: &mut [u8]) {
        let messages = &mut buffer[self.messages.range()];
        let segment = self.messages.segment;
        match &mut self.verdict {
            Verdict::Open {
                session, opened, ..
            } => *opened = session.receive.open_train(messages, segment),
            Verdict::HandOver {
                session, opened, ..
            } => *opened = session.receive.open_train(&mut messages.to_vec(), segment),
            Verdict::Other => {}
        }
    }
}
