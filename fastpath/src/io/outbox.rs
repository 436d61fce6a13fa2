//! Messages on their way out: sealed in trains, sent by UDP_SEGMENT, several trains a system call.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::address::SocketAddress;
use super::control::Control;
use super::{Sockets, errno};
use crate::engine::Unsealed;
use crate::engine::counters::Counters;
use crate::engine::endpoint::Endpoint;
use crate::engine::session::Session;

/// Bytes that are sealed and sent together; more waits longer for its turn, fewer cost more system calls.
const FLUSH_AT: usize = 128 << 10;
/// Room for one more frame: a TCP super-packet of the smallest segments that Linux makes.
const LARGEST_FRAME: usize = 1 << 20;
/// Limits of UDP_SEGMENT (UDP_MAX_SEGMENTS of older kernels; the length field of UDP).
const MOST_SEGMENTS: usize = 64;
const LARGEST_DATAGRAM: usize = 65_507;
const AT_ONCE: usize = 32;
/// What sending from an address may bring that sending from any would not.
const SOURCE_GONE: [i32; 5] = [
    libc::EINVAL,
    libc::EADDRNOTAVAIL,
    libc::ENETUNREACH,
    libc::EHOSTUNREACH,
    libc::ENODEV,
];

/// What sending several messages as one may bring that sending them one by one would not.
const TRAIN_REFUSED: [i32; 3] = [libc::EIO, libc::EINVAL, libc::EMSGSIZE];

/// Messages of one session to one place, `stride` bytes each but the last.
struct Train {
    session: Arc<Session>,
    to: Endpoint,
    offset: usize,
    length: usize,
    stride: usize,
    ecn: u8,
    /// Nothing can be appended: the last message is shorter, or the limits are reached.
    closed: bool,
}

impl Train {
    fn messages(&self) -> usize {
        self.length.div_ceil(self.stride)
    }

    fn takes(&self, more: &Unsealed) -> bool {
        let total = more.train.total();
        !self.closed
            && total <= self.stride
            && self.messages() < MOST_SEGMENTS
            && self.length + total <= LARGEST_DATAGRAM
            && self.ecn == more.ecn
            && self.to == more.to
            && Arc::ptr_eq(&self.session, &more.session)
    }
}

pub struct Outbox {
    buffer: Vec<u8>,
    used: usize,
    sealed: usize,
    trains: VecDeque<Train>,
}

impl Outbox {
    pub fn new() -> Outbox {
        Outbox {
            buffer: vec![0; FLUSH_AT + LARGEST_FRAME],
            used: 0,
            sealed: 0,
            trains: VecDeque::new(),
        }
    }

    /// Where the next frame's messages go; then tell by `push`.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..]
    }

    /// There is not to be put more into it before it is sent.
    pub fn full(&self) -> bool {
        self.used >= FLUSH_AT
    }

    /// Messages that `Engine::send` has put at the start of `room`.
    pub fn push(&mut self, new: Unsealed) {
        let total = new.train.total();
        if new.train.messages == 1
            && let Some(last) = self.trains.back_mut()
            && last.takes(&new)
        {
            last.length += total;
            last.closed = total < last.stride;
            self.used += total;
            return;
        }
        let stride = new.train.stride;
        let most = (LARGEST_DATAGRAM / stride).clamp(1, MOST_SEGMENTS) * stride;
        for at in (0..total).step_by(most) {
            self.trains.push_back(Train {
                session: new.session.clone(),
                to: new.to,
                offset: self.used + at,
                length: most.min(total - at),
                stride,
                ecn: new.ecn,
                closed: new.train.messages > 1,
            });
        }
        self.used += total;
    }

    /// Sends all there is: true. False when a socket takes no more for now; what is left waits.
    pub fn flush(&mut self, sockets: &mut Sockets, counters: &mut Counters) -> bool {
        for train in self.trains.iter_mut().skip(self.sealed) {
            train.session.send.seal_train(
                &mut self.buffer[train.offset..train.offset + train.length],
                train.stride,
            );
            train.closed = true;
        }
        self.sealed = self.trains.len();
        while !self.trains.is_empty() {
            if !self.send_some(sockets, counters) {
                return false;
            }
        }
        self.used = 0;
        true
    }

    /// One system call. False when the socket takes no more for now.
    fn send_some(&mut self, sockets: &mut Sockets, counters: &mut Counters) -> bool {
        let v6 = self.trains[0].to.address.is_ipv6();
        let Some(fd) = sockets.of(v6) else {
            return self.refused(libc::EAFNOSUPPORT, counters);
        };
        if !sockets.gso && self.trains[0].messages() > 1 {
            self.send_singly(fd, counters);
            return true;
        }
        let sent = self.send_trains(fd, v6, sockets.gso);
        if sent > 0 {
            self.forget(sent as usize);
            return true;
        }
        match errno() {
            libc::EINTR => true,
            libc::EAGAIN => false,
            // Before the source is blamed: EINVAL is what Linux before 6.14 says of segments larger than the path's MTU.
            error if self.trains[0].messages() > 1 && TRAIN_REFUSED.contains(&error) => {
                if error == libc::EIO {
                    sockets.gso = false; // the interface can't finish checksums: see udp_send_skb in the kernel
                }
                self.send_singly(fd, counters);
                true
            }
            error if SOURCE_GONE.contains(&error) && self.trains[0].to.source.is_some() => {
                self.trains[0].to.source = None;
                true
            }
            error => self.refused(error, counters),
        }
    }

    /// What sendmmsg says of the first trains, of one family.
    fn send_trains(&mut self, fd: i32, v6: bool, gso: bool) -> i32 {
        let mut addresses = [SocketAddress::EMPTY; AT_ONCE];
        let mut controls = [Control::EMPTY; AT_ONCE];
        let mut parts = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; AT_ONCE];
        // SAFETY: all zeros is a valid mmsghdr.
        let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { std::mem::zeroed() };
        let mut count = 0;
        for train in self.trains.iter().take(AT_ONCE) {
            let segments = train.messages() > 1;
            if train.to.address.is_ipv6() != v6 || (segments && !gso) {
                break;
            }
            let (address, length) = SocketAddress::of(&train.to);
            addresses[count] = address;
            let segment = segments.then_some(train.stride as u16);
            let used = controls[count].write(segment, train.to.source, train.ecn, v6);
            let bytes = &mut self.buffer[train.offset..train.offset + train.length];
            parts[count] = libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: bytes.len(),
            };
            let header = &mut headers[count].msg_hdr;
            header.msg_name = (&raw mut addresses[count]).cast();
            header.msg_namelen = length;
            header.msg_iov = &raw mut parts[count];
            header.msg_iovlen = 1;
            if used > 0 {
                header.msg_control = controls[count].0.as_mut_ptr().cast();
                header.msg_controllen = used as _;
            }
            count += 1;
        }
        // SAFETY: the first `count` headers point into `addresses`, `controls`, `parts` and the buffer, all alive here.
        unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count as u32, 0) }
    }

    /// The first train, message by message: the way without segmentation offload. What is refused is counted.
    fn send_singly(&mut self, fd: i32, counters: &mut Counters) {
        let train = self.trains.pop_front().expect("there is a first");
        self.sealed -= 1;
        let (mut address, length) = SocketAddress::of(&train.to);
        let mut source = train.to.source;
        for at in (0..train.length).step_by(train.stride) {
            let size = train.stride.min(train.length - at);
            let bytes = &mut self.buffer[train.offset + at..train.offset + at + size];
            let mut waited = false;
            loop {
                let mut control = Control::EMPTY;
                let used = control.write(None, source, train.ecn, train.to.address.is_ipv6());
                if send_one(fd, bytes, (&mut address, length), (&mut control, used)) {
                    break;
                }
                match errno() {
                    libc::EINTR => continue,
                    libc::EAGAIN if !waited => {
                        wait_writable(fd);
                        waited = true;
                    }
                    error if SOURCE_GONE.contains(&error) && source.is_some() => {
                        source = None::<IpAddr>
                    }
                    error => {
                        counters.refuse("udp", error, 1);
                        break;
                    }
                }
            }
        }
    }

    fn refused(&mut self, error: i32, counters: &mut Counters) -> bool {
        counters.refuse("udp", error, self.trains[0].messages());
        self.forget(1);
        true
    }

    fn forget(&mut self, trains: usize) {
        self.trains.drain(..trains);
        self.sealed -= trains;
    }
}

fn send_one(
    fd: i32,
    bytes: &mut [u8],
    to: (&mut SocketAddress, libc::socklen_t),
    control: (&mut Control, usize),
) -> bool {
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all zeros is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut *to.0).cast();
    header.msg_namelen = to.1;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if control.1 > 0 {
        header.msg_control = control.0.0.as_mut_ptr().cast();
        header.msg_controllen = control.1 as _;
    }
    // SAFETY: the header points to `part`, the address and the control buffer, which outlive the call.
    unsafe { libc::sendmsg(fd, &raw const header, 0) >= 0 }
}

/// At most 5 ms: a device that takes nothing for longer loses packets like any other.
fn wait_writable(fd: i32) {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&raw mut poll, 1, 5) };
}

#[cfg(all(test, not(miri)))] // which has no sockets
mod tests;
