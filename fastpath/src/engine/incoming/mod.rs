//! Datagrams on their way in: whose session they are for, whether they are authentic, new and allowed.
//!
//! In three steps, so that several threads can do the long one at once. `Engine::sort` decides, in the order in which
//! datagrams are read, whether they are opened here or handed over; `Run::open` opens them, for which it needs no engine;
//! `Engine::admit` asks, in the order of reading again, whether they are new and allowed, and `Engine::hand_over_run`
//! hands over what is not for here, once everything before it is delivered.

mod admit;
mod other;
mod run;

use super::Engine;
use super::counters::Drop;
use super::peer::PeerId;
pub use run::{Batch, Run};
use run::{Head, Verdict};

impl Engine {
    /// Opens a batch in place. `deliver(buffer, offset, length)` gets each inner packet that is to go to the TUN.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        batch: Batch,
        now: f64,
        mut deliver: impl FnMut(&[u8], usize, usize),
    ) {
        let mut rest = self.some(batch);
        while let Some(batch) = rest {
            let (messages, head, after) = batch.first_run(buffer);
            rest = after;
            if let Some(mut run) = self.run(messages, head, now) {
                run.open(buffer);
                self.admit(buffer, &run, now, &mut deliver);
                self.hand_over_run(buffer, &run);
            }
        }
    }

    /// What is to become of each message of a batch. What is nobody's is counted and is in no run.
    pub fn sort(&mut self, buffer: &[u8], batch: Batch, now: f64, runs: &mut Vec<Run>) {
        let mut rest = self.some(batch);
        while let Some(batch) = rest {
            let (messages, head, after) = batch.first_run(buffer);
            rest = after;
            runs.extend(self.run(messages, head, now));
        }
    }

    /// None, counted, of a batch of nothing.
    fn some(&mut self, batch: Batch) -> Option<Batch> {
        let some = batch.length > 0 && batch.segment > 0;
        if !some {
            self.counters.drop(Drop::Malformed);
        }
        some.then_some(batch)
    }

    /// `head`: type and index of transport messages; None of other ones.
    #[inline]
    fn run(&mut self, messages: Batch, head: Option<Head>, now: f64) -> Option<Run> {
        match self.verdict(&messages, head, now) {
            Ok(verdict) => Some(Run { messages, verdict }),
            Err(why) => {
                self.counters.drop_many(why, messages.count());
                None
            }
        }
    }

    #[inline]
    fn verdict(&mut self, messages: &Batch, head: Option<Head>, now: f64) -> Result<Verdict, Drop> {
        let Some(head) = head else {
            return Ok(Verdict::Other);
        };
        let entry = self.entry(&head).ok_or(Drop::UnknownIndex)?;
        if entry.session.expired(now) {
            return Err(Drop::Expired);
        }
        let (peer, session, confirmed) = (entry.peer, entry.session.clone(), entry.confirmed);
        if confirmed && !self.owes(peer) {
            return Ok(Verdict::open(peer, session));
        }
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.owed_in += messages.count() as u32;
        }
        Ok(Verdict::hand_over(peer, session))
    }

    /// The protocol has messages of this peer, which later ones must not overtake.
    fn owes(&self, id: PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.owed_in > 0)
    }
}

#[cfg(test)]
mod tests;
