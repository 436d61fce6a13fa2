//! When what peers did is told to the program.

use crate::engine::Engine;

/// Seconds after which it is told: a search of path MTUs wants to notice silence.
pub const AFTER: f64 = 0.25;
/// Where more peers than this did something, telling takes a while, and ...
const MANY: usize = 256;
/// ... it is told after so many seconds, so that peers' timers, of 10 s at least, run on time.
const AFTER_MANY: f64 = 1.0;

/// Some time after the first of it.
#[derive(Default)]
pub struct Report {
    at: Option<f64>,
    /// When it has to be told however many they are.
    latest: f64,
    /// Reports that have been taken before.
    taken: u64,
}

impl Report {
    /// True, once, when it is time.
    pub fn due(&mut self, engine: &Engine, now: f64) -> bool {
        let peers = &engine.peers;
        if self.taken != peers.reports() {
            self.taken = peers.reports();
            self.at = None;
        }
        if peers.active_count() == 0 {
            return false;
        }
        let at = *self.at.get_or_insert_with(|| {
            self.latest = now + AFTER_MANY;
            now + AFTER
        });
        if now < at {
            return false;
        }
        if peers.active_count() > MANY && now < self.latest {
            self.at = Some(self.latest);
            return false;
        }
        self.at = Some(f64::INFINITY);
        true
    }

    /// Seconds until then.
    pub fn patience(&self, now: f64) -> f64 {
        self.at.map_or(f64::INFINITY, |at| at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn told(engine: &Engine) -> Vec<i32> {
        let mut report = Report::default();
        let due = |at: &i32| report.due(engine, f64::from(*at) / 100.0);
        (0..200).filter(due).collect()
    }

    #[test]
    fn a_few_are_told_of_soon_and_many_later_once_each() {
        assert!(told(&busy(0)).is_empty());
        assert_eq!(told(&busy(1)), [25]);
        assert_eq!(told(&busy(MANY)), [25]);
        assert_eq!(told(&busy(MANY + 1)), [100]);
    }
}
