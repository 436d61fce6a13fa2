//! The window of transport counters that were accepted (wp 5.4.6; the ring of RFC 6479).
//! The same answers as `wgnode/protocol/replay.py`.

use crate::message::REJECT_AFTER_MESSAGES;

const WORDS: u64 = 128;
const WORD_BITS: u64 = 64;

/// Counters behind the newest that may still come: one word of the ring is always being refilled.
pub const WINDOW: u64 = (WORDS - 1) * WORD_BITS;

/// Which of the latest counters have come. Ask only after the message authenticated: a forged counter must not move
/// the window.
#[derive(Clone, Debug)]
pub struct ReplayFilter {
    /// One above the newest counter; 0 before the first.
    next: u64,
    ring: [u64; WORDS as usize],
}

impl Default for ReplayFilter {
    fn default() -> Self {
        ReplayFilter::new()
    }
}

impl ReplayFilter {
    pub const fn new() -> ReplayFilter {
        ReplayFilter {
            next: 0,
            ring: [0; WORDS as usize],
        }
    }

    /// True, once, for a counter that is new and not behind the window; it is marked as seen.
    #[inline]
    pub fn accept(&mut self, counter: u64) -> bool {
        if counter >= REJECT_AFTER_MESSAGES {
            return false;
        }
        if counter >= self.next {
            self.advance(counter);
        } else if self.next - 1 - counter > WINDOW {
            return false;
        }
        let word = &mut self.ring[(counter / WORD_BITS % WORDS) as usize];
        let bit = 1 << (counter % WORD_BITS);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Clears the words after the newest counter's, up to that of `counter`, which becomes the newest.
    #[inline]
    fn advance(&mut self, counter: u64) {
        let word = counter / WORD_BITS;
        // Before the first counter the word of 0 is as clear as the others.
        let newest = self.next.saturating_sub(1) / WORD_BITS;
        let distance = (word - newest).min(WORDS);
        for clear in 0..distance {
            self.ring[((word - clear) % WORDS) as usize] = 0;
        }
        self.next = counter + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Every counter that ever came, remembered.
    #[derive(Default)]
    struct Naive {
        seen: HashSet<u64>,
        newest: Option<u64>,
    }

    impl Naive {
        fn accept(&mut self, counter: u64) -> bool {
            let behind = self.newest.is_some_and(|newest| counter + WINDOW < newest);
            if counter >= REJECT_AFTER_MESSAGES || behind {
                return false;
            }
            self.newest = Some(self.newest.map_or(counter, |newest| newest.max(counter)));
            self.seen.insert(counter)
        }
    }

    /// Steps from the newest counter: small ones, ones around a word and around the window, and leaps.
    fn steps() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![
            -3i64..4,
            -130i64..131,
            -(WINDOW as i64) - 3..-(WINDOW as i64) + 4,
            -9000i64..9001,
            8000i64..40000,
            Just(1i64 << 40),
        ];
        proptest::collection::vec(step, 1..400)
    }

    proptest! {
        #[test]
        fn it_answers_as_a_set_does(start in prop_oneof![Just(0u64), 0u64..20000, Just(1u64 << 63)], steps in steps()) {
            let (mut filter, mut naive) = (ReplayFilter::new(), Naive::default());
            let mut newest = start;
            for step in steps {
                let counter = newest.saturating_add_signed(step);
                prop_assert_eq!(filter.accept(counter), naive.accept(counter), "counter {}", counter);
                newest = newest.max(counter);
            }
        }
    }

    #[test]
    fn the_window_ends_8128_behind_the_newest() {
        let mut filter = ReplayFilter::new();
        assert!(filter.accept(10_000));
        assert!(!filter.accept(10_000));
        assert!(!filter.accept(10_000 - WINDOW - 1));
        assert!(filter.accept(10_000 - WINDOW));
        assert!(!filter.accept(10_000 - WINDOW));
        assert_eq!(WINDOW, 8128);
    }

    #[test]
    fn zero_is_accepted_once() {
        let mut filter = ReplayFilter::new();
        assert!(filter.accept(0));
        assert!(!filter.accept(0));
        assert!(filter.accept(1));
    }

    #[test]
    fn no_counter_is_accepted_from_the_limit_on() {
        let mut filter = ReplayFilter::new();
        assert!(!filter.accept(u64::MAX));
        assert!(!filter.accept(REJECT_AFTER_MESSAGES));
        assert!(filter.accept(REJECT_AFTER_MESSAGES - 1));
        assert!(filter.accept(REJECT_AFTER_MESSAGES - 2));
    }
}
