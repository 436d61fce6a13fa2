//! A train in the making: which packet may come next, and what headers it has in the end.

use super::{LONGEST, MOST_PACKETS, NONE};
use crate::packet::checksum::{fold, pseudo, store, sum_portable};
use crate::packet::fields::*;
use crate::packet::flow::{Segment, checksums_hold, same_headers};
use crate::packet::vnet::{Gso, NEEDS_CSUM, VnetHeader};

/// Packets that leave as one frame.
pub(super) struct Group {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) packets: usize,
    /// Bytes of the IP packet that it makes.
    pub(super) total: u32,
    /// Of the first packet; None when it is of no flow.
    pub(super) segment: Option<Segment>,
    pub(super) next_sequence: u32,
    /// More may join.
    pub(super) open: bool,
    /// The first packet's checksums hold: asked once a second one comes.
    pub(super) verified: bool,
    /// The last packet had PSH.
    pub(super) push: bool,
    /// The group before it in its bucket.
    pub(super) before: u32,
}

/// What becomes of a packet that is offered to its flow's group.
pub(super) enum Offer {
    Taken,
    /// The next frame begins with it.
    Refused,
    /// Its checksum is wrong: it goes alone, so that the kernel sees that.
    Corrupt,
    /// As `Refused`, and its checksums hold.
    Sound,
}

impl Group {
    #[inline]
    pub(super) fn alone(index: u32, packet: &[u8]) -> Group {
        Group {
            first: index,
            last: index,
            packets: 1,
            total: packet.len() as u32,
            segment: None,
            next_sequence: 0,
            open: false,
            verified: false,
            push: false,
            before: NONE,
        }
    }

    #[inline]
    pub(super) fn offer(&mut self, first: &[u8], packet: &[u8], segment: &Segment) -> Offer {
        if !self.fits(first, packet, segment) {
            return Offer::Refused;
        }
        if !checksums_hold(segment, packet) {
            return Offer::Corrupt;
        }
        self.verified = self.verified || checksums_hold(segment, first);
        if self.verified {
            Offer::Taken
        } else {
            Offer::Sound
        }
    }

    /// Whether a packet of the same flow is what would come next in this train.
    #[inline]
    fn fits(&self, first: &[u8], packet: &[u8], segment: &Segment) -> bool {
        let Some(of) = &self.segment else {
            return false;
        };
        self.open
            && segment.joins
            && segment.headers == of.headers
            && segment.payload <= of.payload
            && self.packets < MOST_PACKETS
            && self.total + segment.payload <= LONGEST
            && (segment.protocol == UDP || self.follows(packet, segment))
            && same_headers(of, first, packet, self.packets)
    }

    #[inline]
    fn follows(&self, packet: &[u8], segment: &Segment) -> bool {
        read_u32(packet, usize::from(segment.transport) + tcp::SEQUENCE) == self.next_sequence
    }

    #[inline]
    pub(super) fn take(&mut self, index: u32, segment: &Segment) {
        self.last = index;
        self.packets += 1;
        self.total += segment.payload;
        self.next_sequence = self.next_sequence.wrapping_add(segment.payload);
        self.push = segment.ends;
        // A shorter packet is the last of its train.
        self.open = !segment.ends && self.segment.is_some_and(|of| of.payload == segment.payload);
    }

    /// Makes the first packet's headers those of the train; the checksum is left to the kernel.
    pub(super) fn finish(&self, segment: &Segment, packet: &mut [u8]) -> VnetHeader {
        let (transport, total) = (usize::from(segment.transport), self.total as usize);
        let length = total - transport;
        let gso = finish_network(segment, packet, total);
        let header = &mut packet[transport..];
        let checksum_offset = if segment.protocol == TCP {
            header[tcp::FLAGS] |= if self.push { tcp::PSH } else { 0 };
            tcp::CHECKSUM
        } else {
            write_u16(header, udp::LENGTH, length as u16);
            udp::CHECKSUM
        };
        let partial = fold(pseudo(packet, length, segment.protocol));
        store(packet, transport + checksum_offset, partial);
        VnetHeader {
            flags: NEEDS_CSUM,
            gso,
            ecn: false,
            header_length: segment.headers.into(),
            segment: segment.payload as u16,
            checksum_start: segment.transport.into(),
            checksum_offset: checksum_offset as u16,
        }
    }
}

/// The IP header of a train of `total` bytes.
fn finish_network(segment: &Segment, packet: &mut [u8], total: usize) -> Gso {
    if segment.version == 4 {
        write_u16(packet, ipv4::TOTAL_LENGTH, total as u16);
        store(packet, ipv4::CHECKSUM, 0);
        let check = !fold(sum_portable(&packet[..IPV4_HEADER]));
        store(packet, ipv4::CHECKSUM, check);
    } else {
        write_u16(packet, ipv6::PAYLOAD_LENGTH, (total - IPV6_HEADER) as u16);
    }
    match (segment.protocol, segment.version) {
        (UDP, _) => Gso::UdpL4,
        (_, 4) => Gso::TcpV4,
        _ => Gso::TcpV6,
    }
}
