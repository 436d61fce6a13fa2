//! Order: what is read in turn is worked on by several threads at once, and written in the order of reading.
//!
//! A job is begun while nobody else reads; any thread may finish it, at any time. Whoever finishes one writes all that
//! may be written, and nobody else does meanwhile: what others finish until then is written by it as well. So no thread
//! waits for another's turn, and what waits for a slow one is as much as there are jobs.

use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait_while};

pub struct Sequence<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    /// Begun and not written yet, oldest first; None is being worked on.
    begun: VecDeque<Option<Box<J>>>,
    /// The number of the first of them.
    first: u64,
    free: Vec<Box<J>>,
    /// How many wait for a free one.
    waiting: usize,
    /// Somebody is writing the first one.
    writing: bool,
    /// Nothing can be written for now.
    held: bool,
    closed: bool,
}

impl<J> State<J> {
    /// The first one, if it is ready and nobody is writing. Nobody else gets one until it is written.
    fn claim(&mut self) -> Option<Box<J>> {
        if self.writing || self.held {
            return None;
        }
        let first = self.begun.front_mut()?.take();
        self.writing = first.is_some();
        first
    }

    /// The one that was claimed; or it could not be.
    fn wrote(&mut self, job: Box<J>, written: bool) {
        self.writing = false;
        if written {
            self.begun.pop_front();
            self.first += 1;
            self.free.push(job);
        } else {
            self.begun[0] = Some(job);
            self.held = true;
        }
    }
}

/// A job's place.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

impl<J: Default> Sequence<J> {
    /// So many jobs may be on their way.
    pub fn of(jobs: usize) -> Sequence<J> {
        let jobs = (0..jobs).map(|_| Box::default());
        Sequence {
            state: Mutex::new(State {
                begun: VecDeque::new(),
                first: 0,
                free: jobs.collect(),
                waiting: 0,
                writing: false,
                held: false,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<J> Sequence<J> {
    /// A job to read into, and its place behind all that was read before. To be called in the order of reading. Where all
    /// jobs are in use it waits for one that is being worked on. None: nothing is to be read while what there is can't be
    /// written, or ever more.
    pub fn begin(&self) -> Option<(Ticket, Box<J>)> {
        let wait = |state: &State<J>| state.free.is_empty() && !state.held && !state.closed;
        let mut state = self.lock();
        state.waiting += 1;
        let mut state = wait_while(&self.changed, state, wait);
        state.waiting -= 1;
        if state.held || state.closed {
            return None;
        }
        let job = state.free.pop()?;
        state.begun.push_back(None);
        Some((Ticket(state.first + state.begun.len() as u64 - 1), job))
    }

    /// There was nothing to read into the job that was begun last, so it has no place.
    pub fn give_back(&self, job: Box<J>) {
        let mut state = self.lock();
        state.begun.pop_back();
        state.free.push(job);
    }

    /// It is ready to be written: what is ready is, as by `write`.
    pub fn finish(&self, ticket: Ticket, job: Box<J>, write: impl FnMut(&mut J) -> bool) -> bool {
        let mut state = self.lock();
        let at = (ticket.0 - state.first) as usize;
        state.begun[at] = Some(job);
        let first = state.claim();
        drop(state);
        self.write_from(first, write)
    }

    /// Gives `write` what is ready, in order, as long as there is; false from it: this can't be written for now. Then
    /// nothing is until `release`, and this returns false. Where another thread is at it already, that one goes on to what
    /// is ready now.
    pub fn write(&self, write: impl FnMut(&mut J) -> bool) -> bool {
        let first = self.lock().claim();
        self.write_from(first, write)
    }

    fn write_from(&self, mut next: Option<Box<J>>, mut write: impl FnMut(&mut J) -> bool) -> bool {
        while let Some(mut job) = next {
            let written = write(&mut job);
            let mut state = self.lock();
            state.wrote(job, written);
            if state.waiting > 0 {
                self.changed.notify_all();
            }
            if !written {
                return false;
            }
            next = state.claim();
        }
        true
    }

    /// What could not be written may be tried again.
    pub fn release(&self) {
        self.lock().held = false;
    }

    /// Something could not be written.
    pub fn held(&self) -> bool {
        self.lock().held
    }

    /// Nothing is read any more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        lock(&self.state)
    }
}

/// One direction.
pub trait Lane {
    type Job;

    /// Fills a job with what there is. Nobody else reads meanwhile.
    fn read(&self, job: &mut Self::Job) -> Found;

    /// All that can be done to a job whatever becomes of others.
    fn work(&self, job: &mut Self::Job);

    /// Jobs come in the order of reading, one at a time. False: not all could be written, try this one again.
    fn write(&self, job: &mut Self::Job) -> bool;
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// Bytes, and whether there may be more where they came from.
    Some {
        bytes: usize,
        more: bool,
    },
}

/// Moves what there is in one direction. `read` is told what was found when it is, and lets another thread read then if
/// that is worth it. False: something can't be written for now.
pub fn pass<L: Lane>(lane: &L, sequence: &Sequence<L::Job>, read: impl FnOnce(Found)) -> bool {
    let Some((ticket, mut job)) = sequence.begin() else {
        return false;
    };
    let found = lane.read(&mut job);
    if found == Found::Nothing {
        sequence.give_back(job);
        return true;
    }
    read(found);
    lane.work(&mut job);
    sequence.finish(ticket, job, |job| lane.write(job))
}

#[cfg(all(test, loom))]
mod interleavings;
#[cfg(all(test, not(loom)))]
mod tests;
