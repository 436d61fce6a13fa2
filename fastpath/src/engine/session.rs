//! One session's keys, its send counter and its replay window: here once, whoever seals and opens with them.

use crate::crypto::{Key, Suite};
use crate::message::{
    HEADER, OVERHEAD, REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME, counter, write_header,
};
use crate::replay::ReplayFilter;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Why an incoming message was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    BadTransport,
    Replayed,
}

/// Sealing and opening need no exclusive access: counters are taken atomically, the window has its own lock.
pub struct Session {
    pub local: u32,
    pub remote: u32,
    /// Seconds of the engine's clock.
    pub created: f64,
    pub send: Key,
    pub receive: Key,
    counter: AtomicU64,
    replay: Mutex<ReplayFilter>,
}

impl Session {
    pub fn new(
        indices: (u32, u32),
        keys: (&[u8; 32], &[u8; 32]),
        created: f64,
        suite: Suite,
    ) -> Session {
        Session {
            local: indices.0,
            remote: indices.1,
            created,
            send: Key::new(keys.0, suite),
            receive: Key::new(keys.1, suite),
            counter: AtomicU64::new(0),
            replay: Mutex::new(ReplayFilter::new()),
        }
    }

    pub fn expired(&self, now: f64) -> bool {
        now - self.created >= REJECT_AFTER_TIME
    }

    /// The counter of the next message.
    pub fn send_counter(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// Skips counters. One that was used can't come back: false, with nothing changed.
    pub fn skip_to(&self, counter: u64) -> bool {
        self.counter.fetch_max(counter, Ordering::Relaxed) <= counter
    }

    /// The first of `count` counters that nobody else gets; None when the session has none left to give.
    pub fn reserve(&self, count: u64) -> Option<u64> {
        self.counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |first| {
                first
                    .checked_add(count)
                    .filter(|end| *end <= REJECT_AFTER_MESSAGES)
            })
            .ok()
    }

    /// A whole transport message of this padded packet; None beyond REJECT_AFTER_MESSAGES.
    pub fn seal(&self, padded: &[u8]) -> Option<Vec<u8>> {
        let counter = self.reserve(1)?;
        let mut message = vec![0; padded.len() + OVERHEAD];
        write_header(&mut message, self.remote, counter);
        message[HEADER..HEADER + padded.len()].copy_from_slice(padded);
        self.send.seal(&mut message);
        Some(message)
    }

    /// Opens a whole transport message in place and marks its counter as seen.
    pub fn open(&self, message: &mut [u8]) -> Result<(), Refused> {
        let counter = counter(message);
        if !self.receive.open(message) {
            return Err(Refused::BadTransport);
        }
        if self.accept(counter) {
            Ok(())
        } else {
            Err(Refused::Replayed)
        }
    }

    /// For a message that authenticated: true, once, for a counter that is new and not behind the window.
    pub fn accept(&self, counter: u64) -> bool {
        self.window().accept(counter)
    }

    /// Nobody else asks for as long as the caller holds it.
    #[inline]
    pub fn window(&self) -> MutexGuard<'_, ReplayFilter> {
        self.replay.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new((1, 2), (&[1; 32], &[1; 32]), 0.0, Suite::Ring)
    }

    #[test]
    fn reservations_never_overlap() {
        let session = session();
        assert_eq!(session.reserve(3), Some(0));
        assert_eq!(session.reserve(10), Some(3));
        assert_eq!(session.reserve(1), Some(13));
    }

    #[test]
    fn nothing_is_sent_from_reject_after_messages_on() {
        let session = session();
        assert!(session.skip_to(REJECT_AFTER_MESSAGES - 2));
        assert_eq!(session.reserve(3), None);
        assert_eq!(session.reserve(2), Some(REJECT_AFTER_MESSAGES - 2));
        assert_eq!(session.reserve(1), None);
        assert_eq!(session.seal(b""), None);
        assert!(!session.skip_to(5));
        assert_eq!(session.send_counter(), REJECT_AFTER_MESSAGES);
    }

    #[test]
    fn a_message_is_accepted_once_and_a_forged_one_moves_nothing() {
        let session = session();
        let message = session.seal(&[7; 32]).unwrap();
        let mut forged = message.clone();
        forged[40] ^= 1;
        assert_eq!(session.open(&mut forged), Err(Refused::BadTransport));
        let mut first = message.clone();
        assert_eq!(session.open(&mut first), Ok(()));
        assert_eq!(first[16..48], [7; 32]);
        assert_eq!(session.open(&mut message.clone()), Err(Refused::Replayed));
    }

    #[test]
    fn a_session_ends_at_reject_after_time() {
        let session = Session::new((1, 2), (&[1; 32], &[1; 32]), 100.0, Suite::Ring);
        assert!(!session.expired(100.0 + REJECT_AFTER_TIME - 0.001));
        assert!(session.expired(100.0 + REJECT_AFTER_TIME));
    }
}
