//! Messages on their way out: sealed in trains, sent by UDP_SEGMENT, several trains a system call.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::address::SocketAddress;
use super::control::Control;
use super::{Sockets, errno};
use crate::engine::Unsealed;
use crate::engine::endpoint::Endpoint;
use crate::engine::paths::Paths;
use crate::engine::session::Session;
use crate::engine::table::Table;

/// Bytes that a frame may become: a TCP super-packet of the smallest segments that Linux makes.
pub const LARGEST: usize = 1 << 20;
/// Bytes that there is room for from the beginning. More is made when it is needed.
const ROOM: usize = 256 << 10;
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
const TRAIN_REFUSED: [i32; 2] = [libc::EINVAL, libc::EMSGSIZE];

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
    /// Its messages go one by one.
    apart: bool,
    /// The kernel has refused it as one: of its size, if its messages pass.
    refused: bool,
}

impl Train {
    fn messages(&self) -> usize {
        self.length.div_ceil(self.stride)
    }

    /// Where in the buffer lies what is sent as one.
    fn sendings(&self) -> impl Iterator<Item = (&Train, Range<usize>)> {
        let end = self.offset + self.length;
        let step = if self.apart { self.stride } else { self.length };
        (self.offset..end)
            .step_by(step)
            .map(move |at| (self, at..end.min(at + step)))
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
            buffer: vec![0; ROOM],
            used: 0,
            sealed: 0,
            trains: VecDeque::new(),
        }
    }

    /// Where the next frame's messages go, so many bytes; then tell by `push`.
    pub fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.used + bytes;
        if self.buffer.len() < end {
            self.buffer.resize(end.next_multiple_of(ROOM), 0);
        }
        &mut self.buffer[self.used..end]
    }

    /// Messages that `Sealing::split` has put at the start of `room`.
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
                apart: false,
                refused: false,
            });
        }
        self.used += total;
    }

    /// What was put into it since the last time.
    pub fn seal(&mut self) {
        for train in self.trains.iter_mut().skip(self.sealed) {
            train.session.send.seal_train(
                &mut self.buffer[train.offset..train.offset + train.length],
                train.stride,
            );
            train.closed = true;
        }
        self.sealed = self.trains.len();
    }

    /// Sends all that is sealed: true. False when a socket takes no more for now; what is left waits.
    pub fn send(&mut self, sockets: &mut Sockets, table: &Table, now: f64) -> bool {
        self.part(sockets, &table.step().paths, now);
        while !self.trains.is_empty() {
            if !self.send_some(sockets, table, now) {
                return false;
            }
        }
        self.used = 0;
        true
    }

    pub fn is_empty(&self) -> bool {
        self.trains.is_empty()
    }

    /// Trains that wait to be sent.
    pub fn sealed(&self) -> impl Iterator<Item = &[u8]> {
        let trains = self.trains.iter().take(self.sealed);
        trains.map(|train| &self.buffer[train.offset..train.offset + train.length])
    }

    /// What is in it is lost.
    pub fn clear(&mut self) {
        self.trains.clear();
        (self.used, self.sealed) = (0, 0);
    }

    /// Trains that nobody would take as one.
    fn part(&mut self, sockets: &Sockets, paths: &Paths, now: f64) {
        for train in &mut self.trains {
            let takes = sockets.gso && train.stride <= paths.longest(train.to.address, now);
            train.apart |= train.messages() > 1 && !takes;
        }
    }

    /// One system call. False when the socket takes no more for now.
    fn send_some(&mut self, sockets: &mut Sockets, table: &Table, now: f64) -> bool {
        let v6 = self.trains[0].to.address.is_ipv6();
        let Some(fd) = sockets.of(v6) else {
            return self.refused(libc::EAFNOSUPPORT, table);
        };
        let sent = self.send_at_once(fd, v6);
        let first = &mut self.trains[0];
        if sent > 0 {
            if std::mem::take(&mut first.refused) {
                let mut engine = table.step();
                engine.paths.refuse(first.to.address, first.stride, now);
                self.part(sockets, &engine.paths, now);
            }
            self.forget(sent as usize);
            return true;
        }
        match errno() {
            libc::EINTR => true,
            libc::EAGAIN => false,
            // The interface can't finish checksums: see udp_send_skb in the kernel.
            libc::EIO if !first.apart && first.messages() > 1 => {
                sockets.gso = false;
                self.part(sockets, &table.step().paths, now);
                true
            }
            // Before the source is blamed: EINVAL is what Linux before 6.14 says of segments larger than the path's MTU.
            error if !first.apart && first.messages() > 1 && TRAIN_REFUSED.contains(&error) => {
                (first.apart, first.refused) = (true, true);
                true
            }
            error if SOURCE_GONE.contains(&error) && first.to.source.is_some() => {
                first.to.source = None;
                first.apart &= !std::mem::take(&mut first.refused);
                true
            }
            error => self.refused(error, table),
        }
    }

    /// What sendmmsg says of the first trains, of one family, and of the messages of those that go apart.
    fn send_at_once(&mut self, fd: i32, v6: bool) -> i32 {
        let mut addresses = [SocketAddress::EMPTY; AT_ONCE];
        let mut controls = [Control::EMPTY; AT_ONCE];
        let mut parts = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; AT_ONCE];
        // SAFETY: all zeros is a valid mmsghdr.
        let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { std::mem::zeroed() };
        let mut count = 0;
        let family = |train: &&Train| train.to.address.is_ipv6() == v6;
        let sendings = self
            .trains
            .iter()
            .take_while(family)
            .flat_map(Train::sendings);
        for (train, range) in sendings.take(AT_ONCE) {
            let (address, length) = SocketAddress::of(&train.to);
            addresses[count] = address;
            let segment = (range.len() > train.stride).then_some(train.stride as u16);
            let used = controls[count].write(segment, train.to.source, train.ecn, v6);
            let bytes = &mut self.buffer[range];
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

    fn refused(&mut self, error: i32, table: &Table) -> bool {
        let first = &self.trains[0];
        let lost = if first.apart { 1 } else { first.messages() };
        table.step().counters.refuse("udp", error, lost);
        self.forget(1);
        true
    }

    /// The first so many sendings are done.
    fn forget(&mut self, sendings: usize) {
        for _ in 0..sendings {
            let train = &mut self.trains[0];
            let done = if train.apart {
                train.stride.min(train.length)
            } else {
                train.length
            };
            train.offset += done;
            train.length -= done;
            if train.length == 0 {
                self.trains.pop_front();
                self.sealed -= 1;
            }
        }
    }
}

#[cfg(all(test, not(miri)))] // which has no sockets
mod tests;
