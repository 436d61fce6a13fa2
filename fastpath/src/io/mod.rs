//! TUN to UDP and back for established sessions, by as many threads as there are, until the protocol is needed.

mod address;
mod codel;
mod control;
mod cutting;
mod inbox;
mod outbox;
mod poller;
mod tun;
pub mod way_in;
pub mod way_out;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::By;
use crate::engine::table::Table;
use crate::packet::coalesce::Offloads;
use crate::sequence::{Found, Lane, Sequence, pass};
use inbox::Inbox;
pub use inbox::{AT_ONCE, LARGEST};
pub use poller::{Events, Poller, block_signals};
pub use tun::Tun;
use way_in::{Delivery, WayIn};
use way_out::WayOut;

/// More of them at once bring more answers for the TUN, which are then sent together.
const RECEIVES_A_TURN: usize = 4;

/// Of the last system call in this thread.
fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Sockets that only send, where the others' datagrams are not fragmented.
#[derive(Clone, Copy, Default)]
pub struct Sending {
    pub fragmenting_v4: Option<i32>,
    pub fragmenting_v6: Option<i32>,
    /// A raw one for fragments of our own over IPv6, and the port that they say they are from.
    pub cutting: Option<(i32, u16)>,
}

impl Sending {
    pub fn of(fragmenting: (Option<i32>, Option<i32>), cutting: Option<(i32, u16)>) -> Sending {
        Sending {
            fragmenting_v4: fragmenting.0,
            fragmenting_v6: fragmenting.1,
            cutting,
        }
    }
}

/// The outer sockets' descriptors, not owned.
#[derive(Clone, Copy, Default)]
pub struct Sockets {
    v4: Option<i32>,
    v6: Option<i32>,
    sending: Sending,
    /// UDP_SEGMENT works as far as we know.
    gso: bool,
    /// It took no more.
    full: Option<i32>,
}

impl Sockets {
    /// Of IPv4 and of IPv6, each.
    pub fn new((v4, v6): (Option<i32>, Option<i32>), sending: Sending, gso: bool) -> Sockets {
        Sockets {
            v4,
            v6,
            sending,
            gso,
            full: None,
        }
    }

    /// The one for messages of a family.
    fn of(&self, v6: bool, by: By) -> Option<i32> {
        let own = match by {
            By::Whole => None,
            By::Cutting(_) => self.sending.cutting.map(|(fd, _)| fd),
            By::Fragmenting if v6 => self.sending.fragmenting_v6,
            By::Fragmenting => self.sending.fragmenting_v4,
        };
        own.or(if v6 { self.v6 } else { self.v4 })
    }

    /// Those that receive.
    fn each(&self) -> impl Iterator<Item = i32> {
        [self.v4, self.v6].into_iter().flatten()
    }
}

/// A socket's descriptor, not owned, and its family.
#[derive(Clone, Copy)]
pub struct Socket {
    pub fd: i32,
    pub v6: bool,
}

/// What packets are moved between. TUN and sockets are set while nobody moves packets.
#[derive(Clone, Copy, Default)]
struct Ends {
    tun: Option<Tun>,
    sockets: Sockets,
    /// The socket that takes nothing for now, so the TUN is not watched: its senders feel it.
    awaited: Option<i32>,
}

/// What packets are moved between, and what is on its way.
pub struct Io {
    poller: Poller,
    ends: Mutex<Ends>,
    /// The same for whoever writes to them, who may find that they take no trains.
    sending: Mutex<Sockets>,
    out: Sequence<way_out::Job>,
    into: Sequence<way_in::Job>,
    inbox: Mutex<Inbox>,
    delivery: Mutex<Delivery>,
    /// The TUN was deleted.
    tun_gone: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Io {
    /// For so many threads. `other` is a descriptor that ends the waiting when it is readable. Err: errno.
    pub fn new(other: i32, threads: usize) -> Result<Io, i32> {
        // One thread ends one job before it begins the next. Several need some to begin while a slow one's is awaited.
        let jobs = if threads == 1 { 1 } else { 2 * threads };
        let io = Io {
            poller: Poller::new()?,
            ends: Mutex::default(),
            sending: Mutex::default(),
            out: Sequence::of(jobs),
            into: Sequence::of(jobs),
            inbox: Mutex::default(),
            delivery: Mutex::new(Delivery::new(Offloads::default())),
            tun_gone: AtomicBool::new(false),
        };
        io.poller.watch(other, libc::EPOLLIN)?;
        Ok(io)
    }

    /// The TUN to read and write, with the offloads that it takes; None to leave it alone. While nobody moves packets.
    pub fn set_tun(&self, tun: Option<Tun>, offloads: Offloads) -> Result<(), i32> {
        *lock(&self.delivery) = Delivery::new(offloads);
        *lock(&self.inbox) = Inbox::default();
        let mut ends = lock(&self.ends);
        if let Some(old) = ends.tun.take() {
            self.poller.unwatch(old.fd);
        }
        self.tun_gone.store(false, Ordering::Release);
        ends.tun = tun;
        tun.map_or(Ok(()), |tun| {
            let awaited = ends.awaited.is_some();
            self.poller
                .watch(tun.fd, if awaited { 0 } else { libc::EPOLLIN })
        })
    }

    /// The sockets to use from now on. What waited for the old ones is lost. While nobody moves packets.
    pub fn set_sockets(&self, sockets: Sockets, table: &Table) -> Result<(), i32> {
        self.lose_waiting(table);
        self.heed_sockets()?;
        let old = std::mem::replace(&mut lock(&self.ends).sockets, sockets);
        for fd in old.each() {
            self.poller.unwatch(fd);
        }
        table.step().cutting = sockets.sending.cutting.is_some();
        *lock(&self.sending) = sockets;
        sockets
            .each()
            .try_for_each(|fd| self.poller.watch(fd, libc::EPOLLIN))
    }

    /// What could not be sent is lost, and what comes after it is for the protocol as before.
    pub fn lose_waiting(&self, table: &Table) {
        self.out.release();
        self.out.write(|job| {
            job.clear();
            job.send(&mut Sockets::default(), table, 0.0)
        });
    }

    /// The TUN was deleted, and is left alone.
    pub fn tun_gone(&self) -> bool {
        self.tun_gone.load(Ordering::Acquire)
    }

    pub fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Nothing is read any more, by those who wait to do so either.
    pub fn close(&self) {
        self.out.close();
        self.into.close();
    }

    /// How many times a descriptor is read, while it has more, before others are.
    pub fn turns(&self, fd: i32) -> usize {
        match lock(&self.ends).tun {
            Some(tun) if tun.fd == fd => 1,
            _ => RECEIVES_A_TURN,
        }
    }

    /// Moves what there is at a descriptor, for one turn; `read` as for `pass`. What is not ours (any more) is left alone.
    /// True: the TUN was found to be gone.
    pub fn handle(
        &self,
        table: &Table,
        fd: i32,
        now: f64,
        read: impl FnOnce(Found),
    ) -> Result<bool, i32> {
        let ends = *lock(&self.ends);
        let tun = ends.tun.filter(|_| !self.tun_gone());
        let gone = || self.leave_tun();
        let out = WayOut {
            tun,
            sockets: &self.sending,
            table,
            now,
            gone: &gone,
        };
        if tun.is_some_and(|tun| tun.fd == fd) {
            if !pass(&out, &self.out, read) {
                self.heed_sockets()?;
            }
            return Ok(self.tun_gone());
        }
        if ends.awaited == Some(fd) {
            self.out.release();
            self.out.write(|job| out.write(job));
            self.heed_sockets()?;
        }
        if ends.sockets.each().any(|socket| socket == fd) {
            let v6 = ends.sockets.v6 == Some(fd);
            let into = WayIn {
                socket: Socket { fd, v6 },
                tun,
                inbox: &self.inbox,
                delivery: &self.delivery,
                table,
                now,
                gone: &gone,
            };
            pass(&into, &self.into, read);
        }
        Ok(tun.is_some() && self.tun_gone())
    }

    /// A TUN that is gone would be readable for good.
    fn leave_tun(&self) {
        let ends = lock(&self.ends); // so nobody watches it meanwhile
        if !self.tun_gone.swap(true, Ordering::AcqRel)
            && let Some(tun) = ends.tun
        {
            self.poller.unwatch(tun.fd);
        }
    }

    /// Watches the socket that took no more to become writable, and not the TUN meanwhile. Not the others: these are
    /// writable all the time.
    fn heed_sockets(&self) -> Result<(), i32> {
        let mut ends = lock(&self.ends);
        let full = lock(&self.sending).full.filter(|_| self.out.held());
        if ends.awaited == full {
            return Ok(());
        }
        for (fd, writable) in [(ends.awaited, 0), (full, libc::EPOLLOUT)] {
            let Some(fd) = fd else { continue };
            if ends.sockets.each().any(|receiving| receiving == fd) {
                self.poller.change(fd, libc::EPOLLIN | writable)?;
            } else if writable != 0 {
                self.poller.watch(fd, writable)?;
            } else {
                self.poller.unwatch(fd);
            }
        }
        ends.awaited = full;
        let readable = if full.is_some() { 0 } else { libc::EPOLLIN };
        match ends.tun {
            Some(tun) if !self.tun_gone() => self.poller.change(tun.fd, readable),
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, not(miri)))] // which has no sockets
mod tests;
