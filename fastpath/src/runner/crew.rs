//! The threads that move packets: equal ones, of which one at a time waits and reads.
//!
//! Whoever leads waits for descriptors, reads from the one that is ready, and lets the next one lead when that is worth
//! waking it for: when what was read takes time, and there is more. Else it does all by itself, so that a lone packet
//! wakes one thread. Nobody has a direction of its own: under load both ways there is a thread for each, and under load
//! one way all work for that one.

use std::any::Any;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::bell::Bell;
use super::teller::Teller;
use crate::clock;
use crate::io::{Io, block_signals};
use crate::sequence::Found;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};

/// Bytes to seal or open that take longer than waking a thread, which is some 10 µs.
const WORTH_WAKING: usize = 32 << 10;
/// In tests the next one leads each time, so that small packets too are many threads' work.
const ALWAYS_HAND_ON: bool = cfg!(test);

type Errno = i32;

/// What the threads and their owner have in common.
pub struct Crew {
    pub shared: Arc<Shared>,
    pub io: Io,
    pub teller: Teller,
    /// Rung for the threads, to end.
    end: Bell,
    ending: AtomicBool,
    died: Mutex<Option<String>>,
    /// Descriptors that were found ready, and how many times each has been read in this turn. Who has it leads.
    lead: Mutex<VecDeque<(RawFd, usize)>>,
}

type Lead<'a> = MutexGuard<'a, VecDeque<(RawFd, usize)>>;

impl Crew {
    /// For so many threads.
    pub fn new(shared: Arc<Shared>, threads: usize) -> std::io::Result<Crew> {
        let end = Bell::new()?;
        Ok(Crew {
            shared,
            io: Io::new(end.fd(), threads).map_err(std::io::Error::from_raw_os_error)?,
            teller: Teller::new()?,
            end,
            ending: AtomicBool::new(false),
            died: Mutex::default(),
            lead: Mutex::default(),
        })
    }

    /// What one of the threads does. Whatever ends it ends all of them, and is told unless it was asked for.
    pub fn run(&self) {
        self.watch(|| {
            block_signals();
            while !self.ends() {
                self.lead(lock(&self.lead))?;
            }
            Ok(())
        });
    }

    pub fn watch(&self, work: impl FnOnce() -> Result<(), Errno>) {
        let why = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => return,
            Ok(Err(errno)) => std::io::Error::from_raw_os_error(errno).to_string(),
            Err(panic) => reason(panic.as_ref()),
        };
        lock(&self.died).get_or_insert(why);
        self.end();
        self.teller.bell.ring();
    }

    /// All threads end as soon as they can.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.end.ring();
        self.shared.gate.end();
        self.io.close();
    }

    /// Why the threads have ended by themselves, if they have.
    pub fn died(&self) -> Option<String> {
        lock(&self.died).clone()
    }

    fn ends(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Until another one leads.
    fn lead(&self, mut lead: Lead<'_>) -> Result<(), Errno> {
        let mut now = clock::now();
        while !self.ends() {
            let Some((fd, times)) = lead.pop_front() else {
                self.wait(&mut lead, now)?;
                continue;
            };
            let Some(inside) = self.shared.gate.enter() else {
                break;
            };
            let mut leading = Some(lead);
            now = clock::now();
            let table = &self.shared.table;
            self.teller.inside(inside, table, now, || {
                let read = |found| self.hand_on(&mut leading, (fd, times + 1), found);
                self.io.handle(table, fd, now, read)
            })?;
            match leading {
                Some(still) => lead = still,
                None => break,
            }
        }
        Ok(())
    }

    /// `now`: a moment ago.
    fn wait(&self, lead: &mut Lead<'_>, now: f64) -> Result<(), Errno> {
        let patience = self.teller.patience(&self.shared.gate, now);
        let events = self.io.poller().wait(patience)?;
        lead.extend(events.fds().map(|fd| (fd, 0)));
        if events.is_empty() {
            let table = &self.shared.table;
            self.teller.tell(table, false, clock::now());
        }
        Ok(())
    }

    /// This was read, so many times by now: the next one may lead, if that is worth it.
    fn hand_on(&self, leading: &mut Option<Lead<'_>>, (fd, times): (RawFd, usize), found: Found) {
        let (Some(lead), Found::Some { bytes, more }) = (leading.as_mut(), found) else {
            return;
        };
        if more && times < self.io.turns(fd) {
            lead.push_front((fd, times));
        }
        if bytes >= WORTH_WAKING && (more || !lead.is_empty()) || ALWAYS_HAND_ON {
            *leading = None;
        }
    }
}

/// Of a panic, as `panic!` gives it.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "panicked: {}",
        text.unwrap_or("for no reason that it tells")
    )
}
