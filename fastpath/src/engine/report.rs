//! When what peers did is told to the program.

/// Seconds after which it is told: a search of path MTUs wants to notice silence.
pub const AFTER: f64 = 0.25;
/// Where more peers than this did something, telling takes a while, and ...
const MANY: usize = 256;
/// ... it is told after so many seconds, so that peers' timers, of 10 s at least, run on time.
const AFTER_MANY: f64 = 1.0;

/// Some time after the first of it.
pub struct Report {
    /// Infinite where nothing is to be told, or all was told of.
    at: f64,
    /// When it has to be told however many they are; None: nobody has done anything since it was taken.
    latest: Option<f64>,
}

impl Default for Report {
    fn default() -> Report {
        Report {
            at: f64::INFINITY,
            latest: None,
        }
    }
}

impl Report {
    /// What peers did was taken, and nothing is left to be told.
    pub fn taken(&mut self) {
        *self = Report::default();
    }

    /// True, once, when it is time to tell of so many peers.
    #[inline]
    pub fn due(&mut self, peers: usize, now: f64) -> bool {
        if peers == 0 {
            self.taken(); // those who did something may have been removed
            return false;
        }
        let latest = *self.latest.get_or_insert_with(|| {
            self.at = now + AFTER;
            now + AFTER_MANY
        });
        if now < self.at {
            return false;
        }
        let many = peers > MANY && now < latest;
        self.at = if many { latest } else { f64::INFINITY };
        !many
    }

    /// When it is to be asked again: at once where that has passed.
    pub fn at(&self) -> f64 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    fn busy(peers: usize) -> Engine {
        let mut engine = Engine::default();
        for _ in 0..peers {
            let id = engine.peers.add();
            let peer = engine.peers.active(id).unwrap();
            peer.activity.received(32, 0, 0.0);
        }
        engine
    }

    /// When it is told, of questions each hundredth of a second.
    fn told(engine: &mut Engine) -> Vec<i32> {
        let due = |at: &i32| engine.report_due(f64::from(*at) / 100.0);
        (0..200).filter(due).collect()
    }

    #[test]
    fn a_few_are_told_of_soon_and_many_later_once_each() {
        assert!(told(&mut busy(0)).is_empty());
        assert_eq!(told(&mut busy(1)), [25]);
        assert_eq!(told(&mut busy(MANY)), [25]);
        assert_eq!(told(&mut busy(MANY + 1)), [100]);
    }

    #[test]
    fn what_comes_once_it_was_taken_is_told_as_well() {
        let mut engine = busy(1);
        assert_eq!(told(&mut engine), [25]);
        let (peer, ..) = engine.take_activity()[0];
        assert!(told(&mut engine).is_empty());
        let peer = engine.peers.active(peer).unwrap();
        peer.activity.received(32, 0, 0.0);
        assert_eq!(told(&mut engine), [25]);
    }

    #[test]
    fn nobody_waits_to_tell_of_a_peer_that_was_removed() {
        let mut engine = busy(1);
        assert!(!engine.report_due(0.0) && engine.report.at() == AFTER);
        let peer = engine.peers.at(0).unwrap();
        engine.remove_peer(peer);
        assert!(!engine.report_due(AFTER) && engine.report.at() == f64::INFINITY);
    }
}
