//! What a peer's sessions did since it was last asked: enough for the timers of wgnode/protocol/timers.py.

/// Times are seconds of the engine's clock. See `Activity` in wgnode/protocol/plane.py.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    pub tx_bytes: u64,
    /// Messages that are no keepalives, as `rx_packets`.
    pub tx_packets: u64,
    /// Bytes of the largest message sent.
    pub longest: usize,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub sent_at: Option<f64>,
    pub received_at: Option<f64>,
    pub waiting_since: Option<f64>,
    pub owing_since: Option<f64>,
    pub owing_more: bool,
    pub roamed: bool,
}

impl Activity {
    /// Messages of `bytes` together, and of `longest` at most, were sent, `data` of which are no keepalives.
    #[inline]
    pub fn sent(&mut self, bytes: usize, longest: usize, data: usize, now: f64) {
        self.tx_bytes += bytes as u64;
        self.tx_packets += data as u64;
        self.longest = self.longest.max(longest);
        self.sent_at = Some(now);
        self.owing_since = None;
        self.owing_more = false;
        if data > 0 {
            self.waiting_since.get_or_insert(now);
        }
    }

    /// Authentic messages of `bytes` together were received, `data` of which are no keepalives.
    #[inline]
    pub fn received(&mut self, bytes: usize, data: usize, now: f64) {
        self.rx_bytes += bytes as u64;
        self.rx_packets += data as u64;
        self.received_at = Some(now);
        self.waiting_since = None;
        if data > 0 {
            self.owing_more |= self.owing_since.is_some() || data > 1;
            self.owing_since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_from_the_first_data_after_the_last_answer() {
        let mut activity = Activity::default();
        activity.sent(100, 100, 1, 1.0);
        activity.received(32, 0, 2.0);
        assert_eq!(activity.waiting_since, None);
        activity.sent(32, 32, 0, 3.0);
        assert_eq!(activity.waiting_since, None);
        activity.sent(100, 100, 1, 4.0);
        activity.sent(100, 100, 1, 5.0);
        assert_eq!(activity.waiting_since, Some(4.0));
        assert_eq!((activity.tx_bytes, activity.rx_bytes), (332, 32));
        assert_eq!((activity.tx_packets, activity.rx_packets), (3, 0));
        assert_eq!(
            (activity.sent_at, activity.received_at),
            (Some(5.0), Some(2.0))
        );
    }

    #[test]
    fn owes_from_the_first_data_after_the_last_message_sent() {
        let mut activity = Activity::default();
        activity.received(32, 0, 1.0);
        assert_eq!(activity.owing_since, None);
        activity.received(100, 1, 2.0);
        assert!(!activity.owing_more);
        activity.received(100, 1, 3.0);
        assert_eq!(
            (activity.owing_since, activity.owing_more),
            (Some(2.0), true)
        );
        activity.sent(32, 32, 0, 4.0);
        assert_eq!((activity.owing_since, activity.owing_more), (None, false));
    }

    #[test]
    fn of_two_at_once_the_second_is_owed_too() {
        let mut activity = Activity::default();
        activity.received(200, 2, 1.0);
        assert_eq!(
            (activity.owing_since, activity.owing_more),
            (Some(1.0), true)
        );
        assert_eq!((activity.rx_bytes, activity.rx_packets), (200, 2));
    }
}
