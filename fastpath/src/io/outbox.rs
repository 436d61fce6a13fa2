//! Messages on their way out: sealed in trains, sent by UDP_SEGMENT, several trains a system call.

mod train;

use std::collections::VecDeque;

use super::address::SocketAddress;
use super::control::Control;
use super::cutting::{Pieces, identification};
use super::{Sockets, errno};
use crate::engine::paths::Paths;
use crate::engine::table::Table;
use crate::engine::{By, Sealing, Unsealed};
use train::{LARGEST_DATAGRAM, MOST_SEGMENTS, Train};

/// Bytes that a frame may become: a TCP super-packet of the smallest segments that Linux makes.
pub const LARGEST: usize = 1 << 20;
/// Bytes that there is room for from the beginning. More is made when it is needed.
const ROOM: usize = 256 << 10;
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

pub struct Outbox {
    buffer: Vec<u8>,
    used: usize,
    sealed: usize,
    trains: VecDeque<Train>,
    pieces: Pieces,
}

impl Outbox {
    pub fn new() -> Outbox {
        Outbox {
            buffer: vec![0; ROOM],
            used: 0,
            sealed: 0,
            trains: VecDeque::new(),
            pieces: Pieces::default(),
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

    /// The messages of a frame, as planned with it.
    #[inline]
    pub fn put(&mut self, sealing: Sealing, frame: &[u8], mtus: &[usize]) {
        let room = self.room(sealing.total());
        let unsealed = sealing.split(frame, room, mtus);
        self.push(unsealed.expect("it was planned with this frame"));
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
                by: new.by,
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
        if self.trains.iter().any(|train| train.messages() > 1) {
            self.part(sockets, &table.step().paths, now);
        }
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
            let takes = sockets.gso
                && !matches!(train.by, By::Cutting(_)) // nobody cuts trains
                && train.stride <= paths.longest(train.to.address, now);
            train.apart |= train.messages() > 1 && !takes;
        }
    }

    /// One system call. False when the socket takes no more for now.
    fn send_some(&mut self, sockets: &mut Sockets, table: &Table, now: f64) -> bool {
        let alone = self.trains.len() == 1;
        let first = &mut self.trains[0];
        if matches!(first.by, By::Cutting(_)) && first.to.source.is_none() {
            first.by = By::Fragmenting; // what we cut has our address in its checksum
        }
        let way = first.way();
        let Some(fd) = sockets.of(way.0, way.1) else {
            return self.refused(libc::EAFNOSUPPORT, table);
        };
        let sent = match (way.1, sockets.sending.cutting) {
            (By::Cutting(wire), Some((_, port))) => self.send_cut(fd, port, wire),
            // No room for others has to be made ready.
            _ if alone && !first.apart => self.send_at_once::<1>(fd, way),
            _ => self.send_at_once::<AT_ONCE>(fd, way),
        };
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
            libc::EAGAIN => {
                sockets.full = Some(fd);
                false
            }
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
            // Longer than the link takes: what was known of the way is wrong, which is no reason to lose it.
            libc::EMSGSIZE
                if first.by == By::Whole && sockets.of(way.0, By::Fragmenting) != Some(fd) =>
            {
                let mut engine = table.step();
                engine.fitting.refused(&first.to, first.stride);
                (first.by, first.apart, first.refused) = (By::Fragmenting, false, false);
                self.part(sockets, &engine.paths, now);
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

    /// What sendmmsg says of the first trains, MOST at most, of one socket, and of the messages of those that go apart.
    fn send_at_once<const MOST: usize>(&mut self, fd: i32, way: (bool, By)) -> i32 {
        let mut addresses = [SocketAddress::EMPTY; MOST];
        let mut controls = [Control::EMPTY; MOST];
        let mut parts = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; MOST];
        // SAFETY: all zeros is a valid mmsghdr.
        let mut headers: [libc::mmsghdr; MOST] = unsafe { std::mem::zeroed() };
        let mut count = 0;
        let sendings = self
            .trains
            .iter()
            .take_while(|train| train.way() == way)
            .flat_map(Train::sendings);
        for (train, range) in sendings.take(MOST) {
            let (address, length) = SocketAddress::of(&train.to);
            addresses[count] = address;
            let segment = (range.len() > train.stride).then_some(train.stride as u16);
            let used = controls[count].write(segment, train.to.source, train.ecn, way.0);
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

    /// The same of messages of the first train, which go apart, in pieces of IP packets of so many bytes.
    fn send_cut(&mut self, fd: i32, port: u16, wire: usize) -> i32 {
        let first = &self.trains[0];
        let Some(flow) = first.flow(port, wire) else {
            return 0;
        };
        self.pieces.clear();
        for (_, range) in first.sendings().take(flow.at_once(first.stride)) {
            self.pieces
                .add(&self.buffer[range], &flow, identification());
        }
        self.pieces.send(fd, &flow)
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
