//! From opened inner packets to frames for the TUN: what a network card does for LRO, with what GRO demands of it.

mod group;

use super::fields::*;
use super::flow::{Segment, Shape, same_flow, shape};
use super::vnet::VnetHeader;
use group::{Group, Offer};
use std::io::IoSlice;
use std::ops::Range;

/// Most packets of a train, as the kernel takes them (UDP_MAX_SEGMENTS was 64 until Linux 6.9).
pub const MOST_PACKETS: usize = 64;
/// Most bytes of an IP packet, train or not.
const LONGEST: u32 = 0xffff;
/// Groups of one bucket that are looked at before a packet is taken for a new flow's.
const MOST_STEPS: usize = 16;
const BUCKETS: usize = 256;
const NONE: u32 = u32::MAX;

/// What the TUN takes (TUNSETOFFLOAD). Without `checksum` nothing is coalesced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    pub checksum: bool,
    pub tso4: bool,
    pub tso6: bool,
    /// Of both families.
    pub uso: bool,
}

impl Offloads {
    pub const ALL: Offloads = Offloads {
        checksum: true,
        tso4: true,
        tso6: true,
        uso: true,
    };

    #[inline]
    fn takes(&self, segment: &Segment) -> bool {
        let kind = match (segment.protocol, segment.version) {
            (UDP, _) => self.uso,
            (_, 4) => self.tso4,
            _ => self.tso6,
        };
        self.checksum && kind
    }
}

/// One packet in the batch's buffer.
struct Packet {
    offset: usize,
    length: usize,
    /// The next one of its group.
    next: u32,
}

impl Packet {
    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.length
    }
}

/// Joins the packets of one batch, each flow in its own order.
pub struct Coalescer {
    offloads: Offloads,
    packets: Vec<Packet>,
    groups: Vec<Group>,
    /// The newest group of each bucket of flows.
    buckets: [u32; BUCKETS],
    /// Groups older than this one take no more, as a packet that may have been of their flow came after them.
    barrier: usize,
    /// Packets that joined others, ever.
    pub merged: u64,
}

impl Coalescer {
    pub fn new(offloads: Offloads) -> Coalescer {
        Coalescer {
            offloads,
            packets: Vec::with_capacity(256),
            groups: Vec::with_capacity(256),
            buckets: [NONE; BUCKETS],
            barrier: 0,
            merged: 0,
        }
    }

    /// Nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Packets that are waiting.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Takes the inner IP packet at `buf[offset..offset + length]`, checked to be of exactly that length. The buffer
    /// must be the same for a whole batch, and packets must not overlap.
    ///
    /// # Panics
    /// When the packet is not within `buf`.
    #[inline]
    pub fn push(&mut self, buf: &[u8], offset: usize, length: usize) {
        let packet = &buf[offset..offset + length];
        let index = self.packets.len() as u32;
        self.packets.push(Packet {
            offset,
            length,
            next: NONE,
        });
        match shape(packet) {
            Shape::Segment(segment) => self.push_segment(buf, packet, index, segment),
            Shape::Other => self.groups.push(Group::alone(index, packet)),
            Shape::Hidden => {
                self.groups.push(Group::alone(index, packet));
                self.barrier = self.groups.len();
            }
        }
    }

    #[inline]
    fn push_segment(&mut self, buf: &[u8], packet: &[u8], index: u32, segment: Segment) {
        let mut open = segment.joins && !segment.ends && self.offloads.takes(&segment);
        let mut verified = false;
        if let Some(group) = self.find(buf, packet, &segment) {
            let group = &mut self.groups[group];
            let first = &buf[self.packets[group.first as usize].range()];
            match group.offer(first, packet, &segment) {
                Offer::Taken => {
                    self.packets[group.last as usize].next = index;
                    group.take(index, &segment);
                    self.merged += 1;
                    return;
                }
                Offer::Refused => {}
                Offer::Corrupt => open = false,
                Offer::Sound => verified = true,
            }
        }
        let bucket = &mut self.buckets[segment.hash as usize % BUCKETS];
        let before = std::mem::replace(bucket, self.groups.len() as u32);
        let next_sequence = if segment.protocol == TCP {
            segment.next_sequence(packet)
        } else {
            0
        };
        self.groups.push(Group {
            segment: Some(segment),
            next_sequence,
            open,
            verified,
            push: segment.ends,
            before,
            ..Group::alone(index, packet)
        });
    }

    /// The newest group of a packet's flow: an older one takes no more, or order would be lost.
    #[inline]
    fn find(&self, buf: &[u8], packet: &[u8], segment: &Segment) -> Option<usize> {
        let mut at = self.buckets[segment.hash as usize % BUCKETS];
        for _ in 0..MOST_STEPS {
            if at == NONE || (at as usize) < self.barrier {
                return None;
            }
            let group = &self.groups[at as usize];
            let first = &buf[self.packets[group.first as usize].range()];
            if group
                .segment
                .is_some_and(|of| same_flow((&of, first), (segment, packet)))
            {
                return Some(at as usize);
            }
            at = group.before;
        }
        None
    }

    /// Calls `write` with the parts of each resulting frame, in order: the virtio-net header, then the IP packet. The
    /// headers of trains are fixed up in `buf`, which must be that of `push`. Nothing is left waiting.
    pub fn drain(&mut self, buf: &mut [u8], mut write: impl FnMut(&[IoSlice<'_>])) {
        for group in &self.groups {
            let first = &self.packets[group.first as usize];
            match group.segment {
                Some(segment) if group.packets > 1 => {
                    let header = group.finish(&segment, &mut buf[first.range()]).to_bytes();
                    self.write_train(&header, group, &segment, buf, &mut write);
                }
                _ => {
                    let header = VnetHeader::PLAIN.to_bytes();
                    write(&[IoSlice::new(&header), IoSlice::new(&buf[first.range()])]);
                }
            }
        }
        self.clear();
    }

    fn write_train(
        &self,
        header: &[u8],
        group: &Group,
        segment: &Segment,
        buf: &[u8],
        write: &mut impl FnMut(&[IoSlice<'_>]),
    ) {
        let mut parts = [IoSlice::new(header); MOST_PACKETS + 1];
        let mut at = &self.packets[group.first as usize];
        parts[1] = IoSlice::new(&buf[at.range()]);
        for part in &mut parts[2..=group.packets] {
            at = &self.packets[at.next as usize];
            *part = IoSlice::new(&buf[at.range()][segment.headers.into()..]);
        }
        write(&parts[..=group.packets]);
    }

    fn clear(&mut self) {
        self.packets.clear();
        self.groups.clear();
        self.buckets = [NONE; BUCKETS];
        self.barrier = 0;
    }
}

#[cfg(test)]
mod tests;
