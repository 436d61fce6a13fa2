//! When what peers did is told to the program.

use crate::engine::Engine;

/// Seconds after which it is told, so that peers' timers, of 10 s at least, run on time.
pub const AFTER: f64 = 1.0;

/// Some time after the first of it.
#[derive(Default)]
pub struct Report {
    at: Option<f64>,
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
        if !peers.any_active() {
            return false;
        }
        let at = *self.at.get_or_insert(now + AFTER);
        if now < at {
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
