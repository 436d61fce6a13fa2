//! The engine's own threads: they move packets whatever the program that made them is doing.
//!
//! Commands are given under the engine's lock, which threads hold for some microseconds at a time and never while they
//! wait. Whoever changes what the threads use closes the gate first: then all that was read is written. What the program
//! has to know it is rung for, by one bell: it asks for all of it at once. Nothing here knows of Python or of its lock.

mod bell;
mod crew;
mod gate;
#[cfg(all(test, loom))]
mod interleavings;
mod teller;
#[cfg(all(test, not(loom), not(miri)))] // which have no sockets
mod tests;

use std::io::Result;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::engine::Engine;
use crate::engine::table::Table;
use crate::io::{Sockets, Tun};
use crate::packet::coalesce::Offloads;
use crate::sync::MutexGuard;
use crew::Crew;
use gate::Gate;

/// What there is whether threads run or not.
#[derive(Default)]
pub struct Shared {
    table: Table,
    gate: Gate,
}

impl Shared {
    /// For whoever is none of the threads.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        self.table.command()
    }

    /// Until `resume` no packet moves, and what had been read is written: all that is commanded meanwhile takes effect as
    /// one.
    pub fn pause(&self) {
        self.gate.pause();
    }

    pub fn resume(&self) {
        self.gate.resume();
    }
}

/// Threads that run, or have ended by themselves.
pub struct Runner {
    threads: Vec<JoinHandle<()>>,
    crew: Arc<Crew>,
}

impl Runner {
    /// From now on packets move as soon as there are a TUN and sockets, on so many threads.
    pub fn start(shared: Arc<Shared>, threads: usize) -> Result<Runner> {
        shared.gate.begin();
        let crew = Arc::new(Crew::new(shared, threads)?);
        let mut runner = Runner {
            threads: Vec::new(),
            crew,
        };
        for _ in 0..threads {
            let crew = runner.crew.clone();
            let thread = thread::Builder::new().name("wgnode-packets".into());
            runner.threads.push(thread.spawn(move || crew.run())?);
        }
        Ok(runner)
    }

    /// The TUN to read and write, with the offloads that it takes; None to leave it alone. Err: errno.
    pub fn set_tun(&self, tun: Option<Tun>, offloads: Offloads) -> std::result::Result<(), i32> {
        let _closed = self.crew.shared.gate.close();
        self.crew.io.set_tun(tun, offloads)
    }

    /// The sockets to use from now on. What waited for the old ones is lost. Err: errno.
    pub fn set_sockets(&self, sockets: Sockets) -> std::result::Result<(), i32> {
        let _closed = self.crew.shared.gate.close();
        self.crew.io.set_sockets(sockets, &self.crew.shared.table)
    }

    /// The TUN was deleted.
    pub fn tun_gone(&self) -> bool {
        self.crew.io.tun_gone()
    }

    /// Readable when there is something to be told.
    pub fn fd(&self) -> RawFd {
        self.crew.teller.bell.fd()
    }

    /// The bell was heard: ask for what there is after this. Why the threads have ended by themselves, if they have.
    pub fn answer(&self) -> Option<String> {
        self.crew.teller.bell.answer();
        self.crew.died()
    }

    /// There is more to be told than was taken.
    pub fn ring(&self) {
        self.crew.teller.bell.ring();
    }

    /// The threads have ended when this returns, and nothing of them uses TUN or sockets any more. It may be called
    /// again.
    pub fn stop(&mut self) {
        self.crew.end();
        self.crew.shared.resume();
        for thread in self.threads.drain(..) {
            thread.join().expect("it catches what panics");
        }
        self.crew.io.lose_waiting(&self.crew.shared.table);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}
