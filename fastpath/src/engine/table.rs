//! The engine behind its lock, for the threads that move packets and for whoever commands it.

use super::Engine;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, lock, yield_now};

#[derive(Default)]
pub struct Table {
    engine: Mutex<Engine>,
    /// How many wait for the lock to command something.
    wanted: AtomicUsize,
}

impl Table {
    /// For a command, which does not wait for longer than one step of a thread's. An engine whose thread has panicked is
    /// given as it was left: its end is told.
    pub fn command(&self) -> MutexGuard<'_, Engine> {
        self.wanted.fetch_add(1, Ordering::AcqRel);
        let engine = lock(&self.engine);
        self.wanted.fetch_sub(1, Ordering::AcqRel);
        engine
    }

    /// For one step of a thread that moves packets: some microseconds. Commands go first, since a mutex is not fair and
    /// busy threads would keep it among themselves.
    pub fn step(&self) -> MutexGuard<'_, Engine> {
        while self.wanted.load(Ordering::Acquire) > 0 {
            yield_now();
        }
        lock(&self.engine)
    }
}
