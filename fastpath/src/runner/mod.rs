//! The engine's own thread: it moves packets whatever the program that made it is doing.
//!
//! Commands are given under one lock, which the thread holds for one turn of one direction at a time and never while it
//! waits: less than a millisecond. It lets whoever wants the lock have it first. What the program has to know it is rung
//! for, by one bell: it asks for all of it at once. Nothing here knows of Python or of its lock.

mod bell;
#[cfg(all(test, not(miri)))] // which has no sockets
mod tests;

use std::any::Any;
use std::io::Result;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::clock;
use crate::engine::Engine;
use crate::io::{self, Io, Poller, REPORT_AFTER};
use bell::Bell;

/// What the thread works on.
#[derive(Default)]
pub struct Plane {
    pub engine: Engine,
    pub io: Option<Io>,
    /// No packet moves.
    paused: bool,
}

/// The plane, for the thread and for whoever commands it.
#[derive(Default)]
pub struct Shared {
    plane: Mutex<Plane>,
    /// How many wait for the lock who are not the thread.
    wanted: AtomicUsize,
    resumed: Condvar,
}

impl Shared {
    /// For whoever is not the thread. A plane whose thread has panicked is given as it was left: its end is told.
    pub fn lock(&self) -> MutexGuard<'_, Plane> {
        self.wanted.fetch_add(1, Ordering::AcqRel);
        let plane = self.plane.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanted.fetch_sub(1, Ordering::AcqRel);
        plane
    }

    /// Until `resume` no packet moves: all that is commanded meanwhile takes effect as one.
    pub fn pause(&self) {
        self.lock().paused = true;
    }

    pub fn resume(&self) {
        self.lock().paused = false;
        self.resumed.notify_all();
    }

    /// One turn of the thread's.
    fn turn<T>(&self, work: impl FnOnce(&mut Plane) -> T) -> T {
        while self.wanted.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
        let mut plane = self
            .resumed
            .wait_while(
                self.plane.lock().unwrap_or_else(PoisonError::into_inner),
                |plane| plane.paused,
            )
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut plane)
    }
}

/// A thread that runs, or has ended by itself.
pub struct Runner {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    bells: Arc<Bells>,
}

struct Bells {
    /// Rung for the program.
    told: Bell,
    /// Rung for the thread, to end.
    end: Bell,
    ending: AtomicBool,
    died: Mutex<Option<String>>,
}

impl Runner {
    /// From now on packets move as soon as the plane's `Io` has a TUN and sockets. What it had before is gone.
    pub fn start(shared: Arc<Shared>) -> Result<Runner> {
        let bells = Arc::new(Bells {
            told: Bell::new()?,
            end: Bell::new()?,
            ending: AtomicBool::new(false),
            died: Mutex::new(None),
        });
        let io = Io::new(bells.end.fd()).map_err(std::io::Error::from_raw_os_error)?;
        let poller = io.poller();
        shared.lock().io = Some(io);
        let (of_thread, plane) = (bells.clone(), shared.clone());
        let thread = thread::Builder::new()
            .name("wgnode-packets".into())
            .spawn(move || {
                watch(&of_thread, || {
                    io::block_signals();
                    work(&plane, &of_thread, &poller)
                })
            })?;
        Ok(Runner {
            thread: Some(thread),
            shared,
            bells,
        })
    }

    /// Readable when there is something to be told.
    pub fn fd(&self) -> RawFd {
        self.bells.told.fd()
    }

    /// The bell was heard: ask for what there is after this. Why the thread has ended by itself, if it has.
    pub fn answer(&self) -> Option<String> {
        self.bells.told.answer();
        self.bells.died.lock().expect("no holder panics").clone()
    }

    /// There is more to be told than was taken.
    pub fn ring(&self) {
        self.bells.told.ring();
    }

    /// The thread has ended when this returns, and nothing of it uses TUN or sockets any more. It may be called again.
    pub fn stop(&mut self) {
        self.bells.ending.store(true, Ordering::Release);
        self.bells.end.ring();
        self.shared.resume();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it catches what panics");
            self.shared.lock().io = None;
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Does the thread's work to its end, and tells of it unless it was asked for.
fn watch(bells: &Bells, work: impl FnOnce() -> std::result::Result<(), i32>) {
    let why = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(errno)) => std::io::Error::from_raw_os_error(errno).to_string(),
        Err(panic) => reason(panic.as_ref()),
    };
    *bells.died.lock().expect("no holder panics") = Some(why);
    bells.told.ring();
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

fn work(shared: &Shared, bells: &Bells, poller: &Poller) -> std::result::Result<(), i32> {
    let mut report = Report::default();
    while !bells.ending.load(Ordering::Acquire) {
        let events = poller.wait(report.patience(clock::now()))?;
        for fd in events.fds() {
            let tell = shared.turn(|plane| report.turn(plane, fd))?;
            if tell {
                bells.told.ring();
            }
        }
        if events.is_empty() && shared.turn(|plane| report.due(plane, clock::now())) {
            bells.told.ring();
        }
    }
    Ok(())
}

/// When what peers did is to be told: some time after the first of it, since only timers of 10 s and more need it.
#[derive(Default)]
struct Report {
    at: Option<f64>,
    /// Reports that have been taken before.
    taken: u64,
}

impl Report {
    /// Moves what there is at this descriptor. True when the program is to be told something.
    fn turn(&mut self, plane: &mut Plane, fd: RawFd) -> std::result::Result<bool, i32> {
        let now = clock::now();
        let Plane { engine, io, .. } = plane;
        let Some(io) = io else { return Ok(false) };
        io.handle(engine, fd, now)?;
        let gone = io.drop_tun_if_gone();
        let due = self.due(plane, now);
        Ok(gone || due || plane.engine.waits_for_protocol())
    }

    fn due(&mut self, plane: &Plane, now: f64) -> bool {
        let peers = &plane.engine.peers;
        if self.taken != peers.reports() {
            self.taken = peers.reports();
            self.at = None;
        }
        if !peers.any_active() {
            return false;
        }
        let at = *self.at.get_or_insert(now + REPORT_AFTER);
        if now < at {
            return false;
        }
        self.at = Some(f64::INFINITY);
        true
    }

    /// Seconds.
    fn patience(&self, now: f64) -> f64 {
        self.at.map_or(f64::INFINITY, |at| at - now)
    }
}
