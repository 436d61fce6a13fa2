//! What there is for the program, which is rung for by whichever thread finds it.

use std::io::Result;

use super::bell::Bell;
use super::gate::{Gate, Inside};
use crate::engine::report::AFTER;
use crate::engine::table::Table;
use crate::sync::atomic::{AtomicU64, Ordering};

pub struct Teller {
    pub bell: Bell,
    /// When somebody has to `tell`, an `f64`'s bits: the engine's report, as whoever looked at that last has found it.
    at: AtomicU64,
}

impl Teller {
    pub fn new() -> Result<Teller> {
        Ok(Teller {
            bell: Bell::new()?,
            at: AtomicU64::new(f64::INFINITY.to_bits()),
        })
    }

    /// What a thread does inside the gate; true from it: the TUN is gone. It leaves once what there is to tell is told.
    pub fn inside<E>(
        &self,
        inside: Inside<'_>,
        table: &Table,
        now: f64,
        work: impl FnOnce() -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        let gone = work()?;
        self.tell(table, gone, now);
        drop(inside);
        Ok(())
    }

    /// Rings for the program when there is something for it.
    pub fn tell(&self, table: &Table, gone: bool, now: f64) {
        let mut engine = table.step();
        let due = engine.report_due(now);
        // Under the engine's lock, so that what is found last is noted last.
        self.at
            .store(engine.report.at().to_bits(), Ordering::Relaxed);
        if gone || due || engine.waits_for_protocol() {
            drop(engine);
            self.bell.ring();
        }
    }

    /// Seconds after which somebody has to `tell`. What those inside do is to be told as well: so they are looked for
    /// first, since whoever has left by then has noted here what there is to tell.
    pub fn patience(&self, gate: &Gate, now: f64) -> f64 {
        let busy = gate.inside() > 0;
        let patience = f64::from_bits(self.at.load(Ordering::Relaxed)) - now;
        if busy { patience.min(AFTER) } else { patience }
    }
}
