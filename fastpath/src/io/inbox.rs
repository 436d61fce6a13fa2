//! Datagrams on their way in: several a system call, each perhaps a train that the kernel has joined (UDP_GRO).

use super::address::{SOCKET_ADDRESS, SocketAddress};
use super::codel::Codel;
use super::control::{CONTROL, Control, read};
use super::{Socket, errno};
use crate::clock;
use crate::engine::Batch;

/// Datagrams or trains in one system call.
pub const AT_ONCE: usize = 4;
pub const LARGEST: usize = 1 << 16;

/// Of the IPv4 socket's queue and of the IPv6 socket's.
#[derive(Default)]
pub struct Inbox([Codel; 2]);

impl Inbox {
    /// What waits at the socket, at most AT_ONCE trains: see `receive_batches`.
    pub fn receive(
        &mut self,
        socket: Socket,
        buffer: &mut [u8],
        batches: &mut [Option<Batch>; AT_ONCE],
        now: f64,
    ) -> Result<(usize, u64), i32> {
        let codel = &mut self.0[usize::from(socket.v6)];
        let received = receive_batches(socket.fd, buffer, batches, codel, now);
        if matches!(received, Err(libc::EAGAIN | libc::EINTR)) {
            codel.emptied();
        }
        received
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
    let full = count == AT_ONCE;
    if !full {
        codel.emptied();
    }
    let wall = if full { clock::wall() } else { 0.0 };
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
                .is_some_and(|arrived| full && codel.marks(wall - arrived, now)),
        });
    }
    Ok((count, cut_off))
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
