//! The loop for established sessions: TUN to UDP and back, until the protocol is needed.

mod address;
mod codel;
mod control;
mod inbox;
mod outbox;
mod poller;

use std::sync::Arc;

use crate::engine::{Engine, Outgoing};
use crate::packet::coalesce::Offloads;
use crate::packet::vnet::VNET_HEADER;
use inbox::{Inbox, Socket, Turn};
use outbox::Outbox;
pub use poller::{Poller, block_signals};

const LARGEST_FRAME: usize = VNET_HEADER + 65_535;
/// Frames and system calls for one direction before it is the other one's turn.
const FRAMES_A_TURN: usize = 64;
const RECEIVES_A_TURN: usize = 4;
/// Seconds after which what peers did is reported, so that their timers, of 10 s at least, run on time.
pub const REPORT_AFTER: f64 = 1.0;

/// Of the last system call in this thread.
fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// A TUN's descriptor, not owned.
#[derive(Clone, Copy)]
pub struct Tun {
    pub fd: i32,
    /// Frames begin with a virtio-net header (IFF_VNET_HDR).
    pub vnet_header: bool,
}

/// The outer sockets' descriptors, not owned.
#[derive(Clone, Copy, Default)]
pub struct Sockets {
    pub v4: Option<i32>,
    pub v6: Option<i32>,
    /// UDP_SEGMENT works as far as we know.
    pub gso: bool,
}

impl Sockets {
    fn of(&self, v6: bool) -> Option<i32> {
        if v6 { self.v6 } else { self.v4 }
    }

    fn each(&self) -> impl Iterator<Item = i32> {
        [self.v4, self.v6].into_iter().flatten()
    }
}

pub struct Io {
    poller: Arc<Poller>,
    tun: Option<Tun>,
    sockets: Sockets,
    frame: Vec<u8>,
    outbox: Outbox,
    inbox: Inbox,
    /// The sockets take nothing for now, so the TUN is not read: its senders feel it.
    blocked: bool,
    /// The TUN was deleted.
    pub tun_gone: bool,
}

impl Io {
    /// `other` is a descriptor that ends the waiting when it is readable. Err: errno.
    pub fn new(other: i32) -> Result<Io, i32> {
        let io = Io {
            poller: Arc::new(Poller::new()?),
            tun: None,
            sockets: Sockets::default(),
            frame: vec![0; LARGEST_FRAME],
            outbox: Outbox::new(),
            inbox: Inbox::new(Offloads::default()),
            blocked: false,
            tun_gone: false,
        };
        io.poller.watch(other, libc::EPOLLIN)?;
        Ok(io)
    }

    /// The TUN to read and write, with the offloads that it takes; None to leave it alone.
    pub fn set_tun(&mut self, tun: Option<Tun>, offloads: Offloads) -> Result<(), i32> {
        if let Some(old) = self.tun.take() {
            self.poller.unwatch(old.fd);
        }
        self.inbox = Inbox::new(offloads);
        self.tun_gone = false;
        self.tun = tun;
        tun.map_or(Ok(()), |tun| {
            let events = if self.blocked { 0 } else { libc::EPOLLIN };
            self.poller.watch(tun.fd, events)
        })
    }

    /// The sockets to use from now on. What waited for the old ones is lost.
    pub fn set_sockets(&mut self, sockets: Sockets) -> Result<(), i32> {
        for fd in std::mem::take(&mut self.sockets).each() {
            self.poller.unwatch(fd);
        }
        self.outbox = Outbox::new();
        self.set_blocked(false)?;
        self.sockets = sockets;
        sockets
            .each()
            .try_for_each(|fd| self.poller.watch(fd, libc::EPOLLIN))
    }

    pub fn gso(&self) -> bool {
        self.sockets.gso
    }

    /// For who waits without having this.
    pub fn poller(&self) -> Arc<Poller> {
        self.poller.clone()
    }

    /// A TUN that is gone would be readable for good. True when it is left alone since now; `tun_gone` stays.
    pub fn drop_tun_if_gone(&mut self) -> bool {
        let gone = self.tun.take_if(|_| self.tun_gone);
        if let Some(tun) = gone {
            self.poller.unwatch(tun.fd);
        }
        gone.is_some()
    }

    /// Moves what there is at a descriptor, for one turn. What is not ours (any more) is left alone.
    pub fn handle(&mut self, engine: &mut Engine, fd: i32, now: f64) -> Result<(), i32> {
        if self.tun.is_some_and(|tun| tun.fd == fd) {
            self.send(engine, now)?;
        } else if self.sockets.each().any(|socket| socket == fd) {
            if self.blocked && self.flush(engine, now) {
                self.set_blocked(false)?;
            }
            self.receive(engine, fd, now);
        }
        Ok(())
    }

    fn receive(&mut self, engine: &mut Engine, fd: i32, now: f64) {
        let socket = Socket {
            fd,
            v6: self.sockets.v6 == Some(fd),
        };
        for _ in 0..RECEIVES_A_TURN {
            match self.inbox.receive(socket, self.tun.as_ref(), engine, now) {
                Turn::More => {}
                Turn::Empty => return,
                Turn::TunGone => {
                    self.tun_gone = true;
                    return;
                }
            }
        }
    }

    fn send(&mut self, engine: &mut Engine, now: f64) -> Result<(), i32> {
        let Some(tun) = self.tun else { return Ok(()) };
        for _ in 0..FRAMES_A_TURN {
            let Some(length) = self.read_frame(tun) else {
                break;
            };
            if let Outgoing::Unsealed(messages) =
                engine.send(&self.frame[..length], self.outbox.room(), now)
            {
                self.outbox.push(messages);
            }
            if self.outbox.full() || engine.waits_for_protocol() {
                break;
            }
        }
        if !self.flush(engine, now) {
            self.set_blocked(true)?;
        }
        Ok(())
    }

    /// False when a socket takes no more for now.
    fn flush(&mut self, engine: &mut Engine, now: f64) -> bool {
        let Engine {
            paths, counters, ..
        } = engine;
        self.outbox.flush(&mut self.sockets, paths, counters, now)
    }

    /// Bytes of the next frame, with a virtio-net header in any case; None when there is none.
    fn read_frame(&mut self, tun: Tun) -> Option<usize> {
        let skip = if tun.vnet_header { 0 } else { VNET_HEADER };
        self.frame[..skip].fill(0);
        let room = &mut self.frame[skip..];
        // SAFETY: `room` is valid for writes of its length.
        let got = unsafe { libc::read(tun.fd, room.as_mut_ptr().cast(), room.len()) };
        match usize::try_from(got) {
            Ok(length) => Some(skip + length),
            Err(_) => {
                // EIO: the link is down.
                self.tun_gone |= ![libc::EAGAIN, libc::EIO, libc::EINTR].contains(&errno());
                None
            }
        }
    }

    fn set_blocked(&mut self, blocked: bool) -> Result<(), i32> {
        if self.blocked == blocked {
            return Ok(());
        }
        self.blocked = blocked;
        let writable = if blocked { libc::EPOLLOUT } else { 0 };
        for fd in self.sockets.each() {
            self.poller.change(fd, libc::EPOLLIN | writable)?;
        }
        let readable = if blocked { 0 } else { libc::EPOLLIN };
        self.tun
            .map_or(Ok(()), |tun| self.poller.change(tun.fd, readable))
    }
}
