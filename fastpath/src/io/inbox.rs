//! Datagrams on their way in: several a system call, each perhaps a train that the kernel has joined (UDP_GRO).

use std::io::IoSlice;

use super::address::{SOCKET_ADDRESS, SocketAddress};
use super::codel::Codel;
use super::control::{CONTROL, Control, read};
use super::{Tun, errno};
use crate::clock;
use crate::engine::counters::Counters;
use crate::engine::{Batch, Engine};
use crate::packet::coalesce::{Coalescer, Offloads};

/// Datagrams or trains in one system call.
const AT_ONCE: usize = 4;
const LARGEST: usize = 1 << 16;

pub struct Inbox {
    buffer: Vec<u8>,
    coalescer: Coalescer,
    /// Of the IPv4 socket's queue and of the IPv6 socket's.
    codel: [Codel; 2],
}

/// A socket's descriptor, not owned, and its family.
#[derive(Clone, Copy)]
pub struct Socket {
    pub fd: i32,
    pub v6: bool,
}

/// What a turn of receiving came to.
#[derive(PartialEq, Eq, Debug)]
pub enum Turn {
    /// The socket may have more.
    More,
    Empty,
    TunGone,
}

impl Inbox {
    pub fn new(offloads: Offloads) -> Inbox {
        Inbox {
            buffer: vec![0; AT_ONCE * LARGEST],
            coalescer: Coalescer::new(offloads),
            codel: Default::default(),
        }
    }

    /// What waits at the socket, at most AT_ONCE trains, through the engine and into the TUN.
    pub fn receive(
        &mut self,
        socket: Socket,
        tun: Option<&Tun>,
        engine: &mut Engine,
        now: f64,
    ) -> Turn {
        let mut batches = [None; AT_ONCE];
        let codel = &mut self.codel[usize::from(socket.v6)];
        let count = match receive_batches(socket.fd, &mut self.buffer, &mut batches, codel, now) {
            Ok(count) => count,
            Err(libc::EAGAIN | libc::EINTR) => {
                codel.emptied();
                return Turn::Empty;
            }
            Err(error) => {
                engine.counters.refuse("udp", error, 1);
                return Turn::More;
            }
        };
        let Inbox {
            buffer, coalescer, ..
        } = self;
        for batch in batches[..count].iter().flatten() {
            engine.receive(buffer, *batch, now, |buffer, offset, length| {
                coalescer.push(buffer, offset, length)
            });
        }
        let mut gone = false;
        coalescer.drain(buffer, |parts| {
            if let Some(tun) = tun {
                gone |= !tun.write(parts, &mut engine.counters);
            }
        });
        match (gone, count == AT_ONCE) {
            (true, _) => Turn::TunGone,
            (_, true) => Turn::More,
            _ => Turn::Empty,
        }
    }
}

/// Fills `batches` by one recvmmsg; their number, or errno.
fn receive_batches(
    fd: i32,
    buffer: &mut [u8],
    batches: &mut [Option<Batch>; AT_ONCE],
    codel: &mut Codel,
    now: f64,
) -> Result<usize, i32> {
    let mut addresses = [SocketAddress::EMPTY; AT_ONCE];
    let mut controls = [Control::EMPTY; AT_ONCE];
    let mut parts = [libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }; AT_ONCE];
    // SAFETY: all zeros is a valid mmsghdr.
    let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { std::mem::zeroed() };
    for (number, room) in buffer.chunks_exact_mut(LARGEST).take(AT_ONCE).enumerate() {
        parts[number] = libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        };
        let header = &mut headers[number].msg_hdr;
        header.msg_name = (&raw mut addresses[number]).cast();
        header.msg_namelen = SOCKET_ADDRESS;
        header.msg_iov = &raw mut parts[number];
        header.msg_iovlen = 1;
        header.msg_control = controls[number].0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL as _;
    }
    // SAFETY: the headers point into `addresses`, `controls`, `parts` and the buffer, all alive here.
    let got = unsafe {
        libc::recvmmsg(
            fd,
            headers.as_mut_ptr(),
            AT_ONCE as u32,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let Ok(count) = usize::try_from(got) else {
        return Err(errno());
    };
    if count < AT_ONCE {
        codel.emptied();
    }
    let wall = clock::wall();
    for (number, header) in headers[..count].iter().enumerate() {
        let length = header.msg_len as usize;
        // SAFETY: recvmmsg has filled in this header.
        let beside = unsafe { read(&header.msg_hdr) };
        batches[number] = addresses[number].endpoint(beside.local).map(|from| Batch {
            start: number * LARGEST,
            length,
            segment: beside.segment.unwrap_or(length),
            from,
            ecn: beside.ecn,
            congested: beside
                .arrived
                .is_some_and(|arrived| count == AT_ONCE && codel.marks(wall - arrived, now)),
        });
    }
    Ok(count)
}

impl Tun {
    /// One frame, its virtio-net header first. False when the interface is gone; another refusal is counted.
    fn write(&self, parts: &[IoSlice<'_>], counters: &mut Counters) -> bool {
        let parts = if self.vnet_header { parts } else { &parts[1..] };
        // SAFETY: an IoSlice has the layout of an iovec, as its documentation promises; what they point to is borrowed.
        if unsafe { libc::writev(self.fd, parts.as_ptr().cast(), parts.len() as i32) } >= 0 {
            return true;
        }
        let error = errno();
        if error != libc::EBADFD {
            counters.refuse("tun", error, 1);
        }
        error != libc::EBADFD
    }
}
