//! Who may move packets: any number of threads at once, or none while somebody changes what they use.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait_while};

/// Nobody enters.
const SHUT: usize = 1 << (usize::BITS - 1);

#[derive(Default)]
pub struct Gate {
    /// Threads that are moving packets, and SHUT or not: whoever goes in and out while it is open needs nothing else.
    inside: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many have it closed, or wait for that.
    closers: usize,
    /// Somebody has it closed at the moment.
    closed: bool,
    paused: bool,
    ending: bool,
}

impl State {
    fn shut(&self) -> bool {
        self.closers > 0 || self.paused || self.ending
    }
}

/// A thread is moving packets for as long as it has this.
pub struct Inside<'a>(&'a Gate);

/// Nobody moves packets for as long as somebody has this.
pub struct Closed<'a>(&'a Gate);

impl Gate {
    /// Waits while it is closed or paused. None: it is time to end.
    pub fn enter(&self) -> Option<Inside<'_>> {
        let one_more = |inside| (inside & SHUT == 0).then_some(inside + 1);
        while self
            .inside
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_err()
        {
            if self.wait(|state| state.shut() && !state.ending).ending {
                return None;
            }
        }
        Some(Inside(self))
    }

    /// Threads that are moving packets.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Acquire) & !SHUT
    }

    /// From now on nobody enters, and when this returns all who were inside have left: what they had read is written.
    pub fn close(&self) -> Closed<'_> {
        self.change(|state| state.closers += 1);
        self.wait(|state| self.inside() > 0 || state.closed).closed = true;
        Closed(self)
    }

    /// As `close`, until `resume`.
    pub fn pause(&self) {
        self.change(|state| state.paused = true);
        drop(self.wait(|_| self.inside() > 0));
    }

    pub fn resume(&self) {
        self.change(|state| state.paused = false);
    }

    /// Nobody enters any more, until `begin`.
    pub fn end(&self) {
        self.change(|state| state.ending = true);
    }

    pub fn begin(&self) {
        self.change(|state| state.ending = false);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if state.shut() {
            self.inside.fetch_or(SHUT, Ordering::AcqRel);
        } else {
            self.inside.fetch_and(!SHUT, Ordering::AcqRel);
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wait(&self, until_not: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        wait_while(&self.changed, self.lock(), until_not)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.inside.fetch_sub(1, Ordering::AcqRel) == SHUT + 1 {
            // Whoever waits for this one to leave has either seen it leave, or waits by now.
            drop(self.0.lock());
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.closers -= 1;
            state.closed = false;
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Threads that go in and out until this returns.
    fn while_others_pass(work: impl FnOnce(&Gate, &AtomicUsize)) {
        let (gate, inside, ending) = (Gate::default(), AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !ending.load(Ordering::Relaxed) {
                        let Some(_guard) = gate.enter() else { return };
                        inside.fetch_add(1, Ordering::Relaxed);
                        inside.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
            // Also where it panics: then a test fails, instead of waiting for good for threads that nobody ends.
            let done = catch_unwind(AssertUnwindSafe(|| work(&gate, &inside)));
            ending.store(true, Ordering::Relaxed);
            gate.end();
            done.unwrap_or_else(|panic| resume_unwind(panic));
        });
    }

    #[test]
    fn whoever_has_it_closed_is_alone() {
        while_others_pass(|gate, inside| {
            for _ in 0..200 {
                let _alone = gate.close();
                assert_eq!((gate.inside(), inside.load(Ordering::Relaxed)), (0, 0));
            }
        });
    }

    #[test]
    fn while_it_is_paused_nobody_enters_and_others_may_close_it() {
        while_others_pass(|gate, inside| {
            gate.pause();
            drop(gate.close());
            thread::sleep(Duration::from_millis(2));
            assert_eq!((gate.inside(), inside.load(Ordering::Relaxed)), (0, 0));
            gate.resume();
            while gate.inside() == 0 {}
        });
    }

    #[test]
    fn who_waits_when_it_ends_does_not_enter() {
        let gate = Gate::default();
        gate.pause();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter().is_none());
            gate.end();
            assert!(waiting.join().unwrap());
        });
        gate.resume();
        gate.begin();
        assert!(gate.enter().is_some());
    }
}
