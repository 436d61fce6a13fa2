//! Locks and atomics of what threads share: the standard library's, or loom's, which tries every order of their steps
//! (`make test-loom`).

#[cfg(loom)]
pub use loom::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread::yield_now,
};
#[cfg(not(loom))]
pub use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread::yield_now,
};

use std::sync::PoisonError;

/// The lock, also after a thread has panicked that had it: its end is told, and the others leave what it left.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a change for as long as `condition` holds.
pub fn wait_while<'a, T>(
    changed: &Condvar,
    mut guard: MutexGuard<'a, T>,
    mut condition: impl FnMut(&T) -> bool,
) -> MutexGuard<'a, T> {
    while condition(&guard) {
        guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    guard
}

/// Every order of the steps of a model's threads in which each is interrupted three times at most where it need not wait.
#[cfg(all(test, loom))]
pub fn in_every_order(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
