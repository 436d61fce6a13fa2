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
        let received = receive_batches(socket.fd, &mut self.buffer, &mut batches, codel, now);
        let count = match received {
            Ok((count, cut_off)) => {
                engine.counters.cut_off += cut_off;
                count
            }
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

/// Fills `batches` by one recvmmsg; their number and how many had control messages cut off, or errno.
fn receive_batches(
    fd: i32,
    buffer: &mut [u8],
    batches: &mut [Option<Batch>; AT_ONCE],
    codel: &mut Codel,
    now: f64,
) -> Result<(usize, u64), i32> {
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
    let mut cut_off = 0;
    for (number, header) in headers[..count].iter().enumerate() {
        let length = header.msg_len as usize;
        // SAFETY: recvmmsg has filled in this header.
        let beside = unsafe { read(&header.msg_hdr) };
        cut_off += u64::from(beside.cut_off);
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
    Ok((count, cut_off))
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

#[cfg(all(test, not(miri)))] // which has no sockets
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    /// Beside the local address, the ECN bits and the time of arrival: more than CONTROL bytes of them.
    const TOO_MUCH: [i32; 2] = [libc::IP_RECVTTL, libc::IP_RECVORIGDSTADDR];

    /// What comes of a datagram to 127.0.0.2 at a socket that tells as much as ours do, and of these options more.
    fn received(more: &[i32]) -> (Vec<Batch>, u64) {
        let near = UdpSocket::bind("0.0.0.0:0").unwrap();
        let fd = near.as_raw_fd();
        set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
        for option in [libc::IP_PKTINFO, libc::IP_RECVTOS].iter().chain(more) {
            set(fd, libc::IPPROTO_IP, *option);
        }
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = near.local_addr().unwrap().port();
        far.send_to(&[7; 48], ("127.0.0.2", port)).unwrap();
        let mut buffer = vec![0; AT_ONCE * LARGEST];
        let mut batches = [None; AT_ONCE];
        let mut codel = Codel::default();
        let (count, cut_off) =
            receive_batches(fd, &mut buffer, &mut batches, &mut codel, 0.0).unwrap();
        assert_eq!(buffer[..48], [7; 48]);
        (
            batches[..count].iter().flatten().copied().collect(),
            cut_off,
        )
    }

    fn set(fd: i32, level: i32, option: i32) {
        let on = 1i32;
        // SAFETY: an option of four bytes, at a valid descriptor.
        let done = unsafe {
            libc::setsockopt(
                fd,
                level,
                option,
                (&raw const on).cast(),
                size_of::<i32>() as _,
            )
        };
        assert_eq!(done, 0);
    }

    #[test]
    fn a_datagram_comes_with_the_address_that_it_was_sent_to() {
        for more in [&[], &TOO_MUCH[..1]] {
            let (batches, cut_off) = received(more);
            assert_eq!((batches.len(), batches[0].length, cut_off), (1, 48, 0));
            assert_eq!(batches[0].from.source, Some("127.0.0.2".parse().unwrap()));
        }
    }

    #[test]
    fn where_it_was_sent_to_is_not_known_when_control_messages_are_cut_off() {
        let (batches, cut_off) = received(&TOO_MUCH);
        assert_eq!((batches.len(), batches[0].length, cut_off), (1, 48, 1));
        assert_eq!(batches[0].from.source, None);
        assert_eq!((batches[0].segment, batches[0].ecn), (48, 0));
    }
}
