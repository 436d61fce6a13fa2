//! Messages that are the protocol's: handshakes, and transport messages that need a decision.

use blake2::Blake2sMac;
use blake2::digest::Mac;
use blake2::digest::consts::U16;

use super::run::{Batch, Run, Verdict};
use crate::crypto::Opened;
use crate::engine::Engine;
use crate::engine::counters::Drop;
use crate::engine::endpoint::Endpoint;
use crate::engine::peer::PeerId;
use crate::message::{COOKIE_REPLY, MAC, REJECT_AFTER_MESSAGES, counter, handshake_length};

impl Engine {
    /// What of a run is for the protocol, now that everything before it is delivered.
    pub fn hand_over_run(&mut self, buffer: &[u8], run: &Run) {
        match &run.verdict {
            Verdict::Open { .. } => {}
            Verdict::HandOver { peer, opened, .. } => {
                self.hand_transport(*peer, buffer, run.messages, opened);
            }
            Verdict::Other => {
                for range in run.messages.messages() {
                    self.other_message(&buffer[range], run.messages.from);
                }
            }
        }
    }

    /// Each of them has been counted as owed: what the protocol does not get is so no more.
    fn hand_transport(&mut self, id: PeerId, buffer: &[u8], messages: Batch, opened: &Opened) {
        for (number, range) in messages.messages().enumerate() {
            let message = &buffer[range];
            let why = if counter(message) >= REJECT_AFTER_MESSAGES {
                Drop::Expired
            } else if !opened.get(number) {
                Drop::BadTransport
            } else if !self.handover.transport(id, message, messages.from) {
                Drop::Overload
            } else {
                continue;
            };
            self.counters.drop(why);
            if let Some(peer) = self.peers.get_mut(id) {
                peer.owed_in -= 1;
            }
        }
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
}
