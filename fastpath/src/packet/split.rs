//! From a TUN's frame to the messages that carry it: what a network card does for TSO and USO.

use super::checksum::{fold, store, sum};
use super::fields::{IPV4_HEADER, IPV6_HEADER, may_be_fragmented, udp, version};
use super::padding::Bounds;
use super::train::{TrainHeader, transmitted};
use super::vnet::{Gso, VNET_HEADER, VnetHeader};
use crate::message::{HEADER, OVERHEAD, PADDING_MULTIPLE, write_header};

/// No IP packet is longer than its length field can say.
const LONGEST_IPV4: usize = 0xffff;
const LONGEST_IPV6: usize = 0xffff + IPV6_HEADER;

/// What is written into message headers. `counter` is of the first message and counts up.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    pub receiver: u32,
    pub counter: u64,
    pub bounds: Bounds<'a>,
}

/// Consecutive messages, `stride` bytes each but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    pub messages: usize,
    pub stride: usize,
    pub last: usize,
}

impl Train {
    /// Bytes of all messages.
    pub fn total(&self) -> usize {
        (self.messages - 1) * self.stride + self.last
    }
}

/// Why a frame was not split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// No packet that a TUN could give.
    Malformed,
    /// The messages would not fit into the room for them.
    TooLong,
}

/// Writes the messages of a frame (virtio-net header and IP packet, as read from a TUN) into `out`: see `Plan::split`.
#[inline]
pub fn split(frame: &[u8], out: &mut [u8], template: &Template<'_>) -> Result<Train, SplitError> {
    Plan::new(frame, &Aim::ANY)?.split(out, template)
}

/// Calls `each` with every packet of a frame, in order: what `split` makes, without headers and padding.
/// `scratch` is overwritten.
pub fn for_each_packet(
    frame: &[u8],
    scratch: &mut Vec<u8>,
    each: impl FnMut(&[u8]),
) -> Result<(), SplitError> {
    Plan::new(frame, &Aim::ANY)?.for_each_packet(scratch, each);
    Ok(())
}

/// How long the messages of a train had better be.
#[derive(Clone, Copy, Debug)]
pub struct Aim<'a> {
    /// Bytes of a message.
    pub longest: usize,
    pub bounds: Bounds<'a>,
}

impl Aim<'_> {
    /// As they come.
    pub const ANY: Aim<'static> = Aim {
        longest: usize::MAX,
        bounds: Bounds::of(&[]),
    };

    /// Bytes of payload in each packet with `headers` bytes of headers: `wanted` where such messages are short enough,
    /// or where none with a payload would be.
    #[inline]
    fn segment(&self, wanted: usize, headers: usize) -> usize {
        let room = self.longest.saturating_sub(OVERHEAD);
        if self.bounds.padded(headers + wanted) <= room {
            return wanted;
        }
        let packet = if self.bounds.padded(room) == room {
            room
        } else {
            room / PADDING_MULTIPLE * PADDING_MULTIPLE
        };
        let fitting = packet.checked_sub(headers).filter(|payload| *payload > 0);
        fitting.unwrap_or(wanted)
    }
}

/// How a frame becomes packets.
pub struct Plan<'a> {
    /// The IP packet.
    ip: &'a [u8],
    packets: usize,
    /// IP and transport header together.
    headers: usize,
    /// Most bytes of payload in each packet.
    segment: usize,
    kind: Kind,
}

/// What is to be done to each packet.
enum Kind {
    /// It is as it should be.
    Complete,
    /// The checksum at `at` is of everything from `start` on.
    Checksum {
        start: usize,
        at: usize,
    },
    Train(TrainHeader),
}

impl<'a> Plan<'a> {
    /// Messages of a TCP train are to be as short as `aim` says where that changes nothing else: its packets get
    /// smaller and more, which a stream doesn't mind, unless they may be fragmented (their identifications have to
    /// differ then, and its sender counted on fewer).
    #[inline]
    pub fn new(frame: &'a [u8], aim: &Aim<'_>) -> Result<Plan<'a>, SplitError> {
        Plan::parse(frame, aim).ok_or(SplitError::Malformed)
    }

    /// Messages that `split` makes: as many counters must be reserved first, or nonces would repeat.
    #[inline]
    pub fn messages(&self) -> usize {
        self.packets
    }

    /// What `split` makes.
    #[inline]
    pub fn train(&self, bounds: &Bounds<'_>) -> Train {
        let size = |packet: usize| bounds.padded(packet) + OVERHEAD;
        let last = size(self.length(self.packets - 1));
        let stride = if self.packets == 1 {
            last
        } else {
            size(self.length(0))
        };
        Train {
            messages: self.packets,
            stride,
            last,
        }
    }

    /// Bytes of the longest of its packets.
    #[inline]
    pub fn longest(&self) -> usize {
        self.length(0)
    }

    /// Calls `each` with every packet, in order. `scratch` is overwritten.
    pub fn for_each_packet(&self, scratch: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
        for index in 0..self.packets {
            scratch.resize(self.length(index), 0);
            self.write(index, scratch);
            each(scratch);
        }
    }

    /// Writes the messages: header, padded plaintext and room for the tag each, still to be sealed. Checksums are
    /// complete.
    #[inline]
    pub fn split(&self, out: &mut [u8], template: &Template<'_>) -> Result<Train, SplitError> {
        let train = self.train(&template.bounds);
        let room = out.get_mut(..train.total()).ok_or(SplitError::TooLong)?;
        for (index, message) in room.chunks_mut(train.stride).enumerate() {
            let (header, rest) = message.split_at_mut(HEADER);
            let counter = template.counter.wrapping_add(index as u64);
            write_header(header, template.receiver, counter);
            let (packet, padding) = rest.split_at_mut(self.length(index));
            self.write(index, packet);
            padding.fill(0);
        }
        Ok(train)
    }

    #[inline]
    fn parse(frame: &'a [u8], aim: &Aim<'_>) -> Option<Plan<'a>> {
        let header = VnetHeader::parse(frame)?;
        let ip = &frame[VNET_HEADER..];
        let longest = match version(ip) {
            4 if ip.len() >= IPV4_HEADER => LONGEST_IPV4,
            6 if ip.len() >= IPV6_HEADER => LONGEST_IPV6,
            _ => return None,
        };
        let plan = match header.gso {
            Gso::None => Plan::of_one(ip, &header)?,
            _ => Plan::of_train(ip, &header, aim)?,
        };
        (plan.length(0) <= longest).then_some(plan)
    }

    #[inline]
    fn of_one(ip: &'a [u8], header: &VnetHeader) -> Option<Plan<'a>> {
        let kind = if header.needs_checksum() {
            let start = usize::from(header.checksum_start);
            let at = start + usize::from(header.checksum_offset);
            if at + 2 > ip.len() {
                return None;
            }
            Kind::Checksum { start, at }
        } else {
            Kind::Complete
        };
        Some(Plan {
            ip,
            packets: 1,
            headers: ip.len(),
            segment: 0,
            kind,
        })
    }

    #[inline]
    fn of_train(ip: &'a [u8], header: &VnetHeader, aim: &Aim<'_>) -> Option<Plan<'a>> {
        let mut segment = usize::from(header.segment);
        if segment == 0 {
            return None;
        }
        let train = TrainHeader::parse(ip, header)?;
        if header.gso != Gso::UdpL4 && !may_be_fragmented(ip) {
            segment = aim.segment(segment, train.size);
        }
        let (headers, payload) = (train.size, ip.len() - train.size);
        let packets = payload.div_ceil(segment).max(1);
        Some(Plan {
            ip,
            packets,
            headers,
            segment,
            kind: Kind::Train(train),
        })
    }

    /// Bytes of a packet.
    #[inline]
    fn length(&self, index: usize) -> usize {
        let payload = self.ip.len() - self.headers;
        self.headers + (payload - index * self.segment).min(self.segment)
    }

    /// Writes a packet into exactly its length.
    #[inline]
    fn write(&self, index: usize, packet: &mut [u8]) {
        match &self.kind {
            Kind::Complete => packet.copy_from_slice(self.ip),
            Kind::Checksum { start, at } => {
                packet.copy_from_slice(self.ip);
                let check = !fold(sum(&packet[*start..]));
                store(packet, *at, transmitted(check, at - start == udp::CHECKSUM));
            }
            Kind::Train(train) => self.write_of_train(train, index, packet),
        }
    }

    #[inline]
    fn write_of_train(&self, train: &TrainHeader, index: usize, packet: &mut [u8]) {
        let before = index * self.segment;
        let from = self.headers + before;
        let payload = &self.ip[from..from + packet.len() - self.headers];
        packet[..self.headers].copy_from_slice(&self.ip[..self.headers]);
        packet[self.headers..].copy_from_slice(payload);
        train.complete(
            packet,
            index,
            before,
            index == self.packets - 1,
            sum(payload),
        );
    }
}

#[cfg(test)]
mod tests;
