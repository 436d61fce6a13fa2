//! Controlled delay (CoDel, RFC 8289): when to tell senders that what waits at a socket has waited too long.

/// Seconds that a datagram may wait where the queue is only passing a burst on.
const TARGET: f64 = 0.001;
/// Seconds that it may go on for. RFC 8289 takes a long path's round trip, 100 ms; a socket's buffer is full, and the
/// kernel drops whole bursts, long before that (docs/decisions/waiting-time.md).
const INTERVAL: f64 = 0.005;
/// Intervals for which the rate that was found is remembered, as in the pseudocode of RFC 8289 section 5.
const REMEMBERED: f64 = 16.0;

/// Of one queue. It starts with a mark when everything has waited for more than TARGET throughout an INTERVAL, and marks
/// more and more often until something has waited for less.
#[derive(Default)]
pub struct Codel {
    /// When the queue will have been too long for an INTERVAL.
    patience_ends: Option<f64>,
    marking: bool,
    next: f64,
    count: u32,
    count_before: u32,
}

impl Codel {
    /// Whether to mark what leaves the queue at `now`, after it has waited for `waited`, both in seconds, while more
    /// waits behind it. To be asked for as long as there is more, and told by `emptied` that there is not.
    pub fn marks(&mut self, waited: f64, now: f64) -> bool {
        if waited < TARGET {
            self.emptied();
            return false;
        }
        if now < *self.patience_ends.get_or_insert(now + INTERVAL) {
            self.marking = false;
            return false;
        }
        if !self.marking {
            self.begin(now);
        } else if now >= self.next {
            self.count += 1;
            self.next = self.after(self.next);
        } else {
            return false;
        }
        true
    }

    /// Nothing waits any more: what came late came late because the program slept, and was no queue.
    pub fn emptied(&mut self) {
        self.patience_ends = None;
        self.marking = false;
    }

    fn begin(&mut self, now: f64) {
        let marked = self.count - self.count_before;
        let recent = now - self.next < REMEMBERED * INTERVAL;
        self.count = if recent && marked > 1 { marked } else { 1 };
        self.count_before = self.count;
        self.marking = true;
        self.next = self.after(now);
    }

    /// The control law: marks come faster with the square root of their number, which slows a TCP sender down linearly.
    fn after(&self, time: f64) -> f64 {
        time + INTERVAL / f64::from(self.count).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of times in hundredths of INTERVAL, at each of which a datagram leaves that has waited as `waited` says: the
    /// times at which it is marked.
    fn marked(
        codel: &mut Codel,
        times: std::ops::Range<u32>,
        waited: impl Fn(u32) -> f64,
    ) -> Vec<u32> {
        times
            .filter(|time| codel.marks(waited(*time), f64::from(*time) * INTERVAL / 100.0))
            .collect()
    }

    #[test]
    fn a_short_queue_is_never_marked() {
        assert!(marked(&mut Codel::default(), 0..10_000, |_| 0.9 * TARGET).is_empty());
    }

    #[test]
    fn a_burst_that_drains_within_the_interval_is_not_marked() {
        let bursts = |time| if time % 100 == 99 { 0.0 } else { 50.0 * TARGET };
        assert!(marked(&mut Codel::default(), 0..10_000, bursts).is_empty());
    }

    #[test]
    fn a_standing_queue_is_marked_more_and_more_often() {
        let found = marked(&mut Codel::default(), 0..600, |_| 2.0 * TARGET);
        // 100 of patience, then 100 / sqrt(1, 2, 3...) from one to the next (RFC 8289 section 5), rounded up to the
        // next datagram.
        assert_eq!(found, [100, 200, 271, 329, 379, 424, 464, 502, 538, 571]);
    }

    #[test]
    fn what_comes_late_and_alone_is_not_marked() {
        let mut codel = Codel::default();
        for time in 0..1000 {
            assert!(!codel.marks(50.0 * TARGET, f64::from(time)));
            codel.emptied();
        }
    }

    #[test]
    fn it_ends_as_soon_as_something_passes_quickly() {
        let mut codel = Codel::default();
        assert_eq!(marked(&mut codel, 0..150, |_| 2.0 * TARGET), [100]);
        assert!(marked(&mut codel, 150..151, |_| 0.0).is_empty());
        assert_eq!(marked(&mut codel, 151..252, |_| 2.0 * TARGET), [251]);
    }

    #[test]
    fn a_queue_that_comes_back_soon_is_marked_at_the_rate_found_before() {
        let mut codel = Codel::default();
        let before = marked(&mut codel, 0..1000, |_| 2.0 * TARGET).len();
        codel.marks(0.0, 10.0 * INTERVAL);
        let soon = marked(&mut codel, 1001..2001, |_| 2.0 * TARGET);
        assert!(soon.len() > before, "{} after {before}", soon.len());
        codel.marks(0.0, 20.0 * INTERVAL);
        let late = marked(&mut codel, 10_000..11_000, |_| 2.0 * TARGET);
        assert_eq!(late.len(), before);
    }
}
