//! From opened inner packets to frames for the TUN: what a network card does for LRO, with what GRO demands of it.

use super::checksum::{fold, pseudo, store, sum_portable};
use super::fields::*;
use super::flow::{Segment, Shape, checksums_hold, same_flow, same_headers, shape};
use super::vnet::{Gso, NEEDS_CSUM, VnetHeader};
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

/// Packets that leave as one frame.
struct Group {
    first: u32,
    last: u32,
    packets: usize,
    /// Bytes of the IP packet that it makes.
    total: u32,
    /// Of the first packet; None when it is of no flow.
    segment: Option<Segment>,
    next_sequence: u32,
    /// More may join.
    open: bool,
    /// The first packet's checksums hold: asked once a second one comes.
    verified: bool,
    /// The last packet had PSH.
    push: bool,
    /// The group before it in its bucket.
    before: u32,
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

/// What becomes of a packet that is offered to its flow's group.
enum Offer {
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
    fn alone(index: u32, packet: &[u8]) -> Group {
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
    fn offer(&mut self, first: &[u8], packet: &[u8], segment: &Segment) -> Offer {
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
    fn take(&mut self, index: u32, segment: &Segment) {
        self.last = index;
        self.packets += 1;
        self.total += segment.payload;
        self.next_sequence = self.next_sequence.wrapping_add(segment.payload);
        self.push = segment.ends;
        // A shorter packet is the last of its train.
        self.open = !segment.ends && self.segment.is_some_and(|of| of.payload == segment.payload);
    }

    /// Makes the first packet's headers those of the train; the checksum is left to the kernel.
    fn finish(&self, segment: &Segment, packet: &mut [u8]) -> VnetHeader {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::samples::{Sample, samples};
    use crate::packet::split::for_each_packet;
    use crate::packet::vnet::VNET_HEADER;
    use proptest::prelude::*;

    /// Frames of a batch that lies with gaps in one buffer.
    fn coalesce_with(coalescer: &mut Coalescer, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut buf = vec![0xa5; 16];
        let mut places = Vec::new();
        for packet in packets {
            places.push((buf.len(), packet.len()));
            buf.extend(packet);
            buf.extend([0xa5; 33]);
        }
        for (offset, length) in places {
            coalescer.push(&buf, offset, length);
        }
        let mut frames = Vec::new();
        coalescer.drain(&mut buf, |parts| {
            frames.push(parts.iter().flat_map(|part| part.to_vec()).collect())
        });
        assert!(coalescer.is_empty());
        frames
    }

    fn coalesce(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        coalesce_with(&mut Coalescer::new(Offloads::ALL), packets)
    }

    /// How many packets each frame carries.
    fn sizes(packets: &[Vec<u8>]) -> Vec<usize> {
        let frames = coalesce(packets);
        frames.iter().map(|frame| packets_of(frame).len()).collect()
    }

    fn packets_of(frame: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        if for_each_packet(frame, &mut Vec::new(), |packet| {
            packets.push(packet.to_vec())
        })
        .is_err()
        {
            packets.push(frame[VNET_HEADER..].to_vec());
        }
        packets
    }

    fn sample() -> Sample {
        Sample {
            six: false,
            protocol: TCP,
            host: 1,
            tos: 0,
            ttl: 64,
            identification: 100,
            dont_fragment: true,
            sequence: 0xffff_ff00,
            acknowledgment: 5,
            flags: tcp::ACK,
            options: vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
            payload: vec![7; 100],
        }
    }

    fn kinds() -> [Sample; 4] {
        let six = Sample {
            six: true,
            ..sample()
        };
        let udp = Sample {
            protocol: UDP,
            options: vec![],
            ..sample()
        };
        [
            sample(),
            six.clone(),
            udp.clone(),
            Sample { six: true, ..udp },
        ]
    }

    /// The packets of one train of `count` times 100 bytes.
    fn train(sample: &Sample, count: usize) -> Vec<Vec<u8>> {
        Sample {
            payload: vec![7; 100 * count],
            ..sample.clone()
        }
        .train(100)
    }

    /// A fault or peculiarity of one packet of a batch.
    #[derive(Clone, Copy, Debug)]
    enum Twist {
        None,
        Push,
        Flags(u8),
        Ttl,
        Tos,
        Gap,
        Short,
        Long,
        Empty,
        Acknowledges,
        Identification,
        MayFragment,
        Corrupt(u16),
        Fragment,
        Options,
    }

    fn twists() -> impl Strategy<Value = Twist> {
        use Twist::*;
        prop_oneof![
            12 => Just(None), 2 => Just(Push), 1 => any::<u8>().prop_map(Flags), 1 => Just(Ttl), 1 => Just(Tos),
            1 => Just(Gap), 2 => Just(Short), 1 => Just(Long), 1 => Just(Empty), 1 => Just(Acknowledges),
            1 => Just(Identification), 1 => Just(MayFragment), 2 => any::<u16>().prop_map(Corrupt),
            1 => Just(Fragment), 1 => Just(Options),
        ]
    }

    /// The next packet of a flow, whose state moves on.
    fn next_packet(flow: &mut Sample, twist: Twist) -> Vec<u8> {
        let size = match twist {
            Twist::Short => 60,
            Twist::Long => 150,
            Twist::Empty => 0,
            _ => 100,
        };
        match twist {
            Twist::Ttl => flow.ttl ^= 1,
            Twist::Tos => flow.tos ^= 3,
            Twist::Gap => flow.sequence = flow.sequence.wrapping_add(1),
            Twist::Acknowledges => flow.acknowledgment += 1,
            Twist::Identification => flow.identification ^= 0x5555,
            Twist::MayFragment => flow.dont_fragment ^= true,
            Twist::Options if flow.protocol == TCP => flow.options.reverse(),
            _ => {}
        }
        flow.flags = match twist {
            Twist::Push => tcp::ACK | tcp::PSH,
            Twist::Flags(flags) => flags,
            _ => tcp::ACK,
        };
        flow.payload = (0..size).map(|at| (at ^ flow.sequence) as u8).collect();
        let mut packet = flow.packet();
        flow.sequence = flow.sequence.wrapping_add(size);
        flow.identification = flow.identification.wrapping_add(1);
        match twist {
            Twist::Corrupt(at) => {
                // Neither what makes it of another flow, nor what makes it another kind of packet.
                let from = flow.transport() + 4;
                let at = from + usize::from(at) % (packet.len() - from);
                packet[at] ^= 0x10;
            }
            Twist::Fragment if !flow.six => packet[6] |= 0x20,
            _ => {}
        }
        packet
    }

    /// What of a packet must come out. The identification has no meaning with DF.
    fn meaning(packet: &[u8]) -> Vec<u8> {
        let mut packet = packet.to_vec();
        if packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
            packet[4..6].fill(0);
            packet[10..12].fill(0);
        }
        packet
    }

    fn of_flow(packets: &[Vec<u8>], flow: &Sample) -> Vec<Vec<u8>> {
        let model = flow.packet();
        let (at, to) = (flow.transport(), flow.transport() + 4);
        let same = |packet: &&Vec<u8>| {
            packet[0] == model[0]
                && packet[at..to] == model[at..to]
                && packet[if flow.six { 6 } else { 9 }] == flow.protocol
        };
        packets
            .iter()
            .filter(same)
            .map(|packet| meaning(packet))
            .collect()
    }

    proptest! {
        #[test]
        fn a_split_train_becomes_the_same_frame(
            sample in samples(6000), segment in 100u16..1500, push: bool, dont_fragment: bool,
        ) {
            let flags = if push { tcp::ACK | tcp::PSH } else { tcp::ACK };
            let sample = Sample { flags, dont_fragment, ..sample };
            let packets = sample.train(segment);
            prop_assume!(packets.len() > 1);
            prop_assert_eq!(coalesce(&packets), vec![sample.frame(Some(segment))]);
        }

        #[test]
        fn every_flow_keeps_its_packets_and_their_order(
            flows in proptest::collection::vec(0usize..4, 2..4),
            steps in proptest::collection::vec((0usize..4, twists()), 1..150),
        ) {
            let mut flows: Vec<Sample> = flows.iter().enumerate()
                .map(|(host, kind)| Sample { host: host as u8, ..kinds()[*kind].clone() }).collect();
            let count = flows.len();
            let packets: Vec<_> =
                steps.iter().map(|(flow, twist)| next_packet(&mut flows[flow % count], *twist)).collect();
            let mut coalescer = Coalescer::new(Offloads::ALL);
            let frames = coalesce_with(&mut coalescer, &packets);
            let out: Vec<_> = frames.iter().flat_map(|frame| packets_of(frame)).collect();
            prop_assert_eq!(out.len(), packets.len());
            prop_assert_eq!(frames.len() as u64, packets.len() as u64 - coalescer.merged);
            for flow in &flows {
                prop_assert_eq!(of_flow(&out, flow), of_flow(&packets, flow));
            }
        }

        #[test]
        fn nothing_panics_on_any_bytes(
            batch in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..100),
                    (samples(60), any::<u16>(), any::<u8>()).prop_map(|(sample, at, byte)| {
                        let mut packet = Sample { host: sample.host % 2, ..sample }.packet();
                        let at = usize::from(at) % packet.len();
                        packet[at] = byte;
                        packet
                    }),
                ],
                0..40,
            ),
        ) {
            let frames = coalesce(&batch);
            let bytes: usize = frames.iter().map(|frame| frame.len() - VNET_HEADER).sum();
            prop_assert!(bytes <= batch.iter().map(Vec::len).sum());
        }
    }

    #[test]
    fn a_train_of_every_kind_joins() {
        for sample in kinds() {
            assert_eq!(sizes(&train(&sample, 5)), [5], "{sample:?}");
        }
    }

    #[test]
    fn interleaved_flows_each_join() {
        let flows: Vec<_> = kinds().iter().map(|sample| train(sample, 3)).collect();
        let packets: Vec<_> = (0..3)
            .flat_map(|index| flows.iter().map(move |flow| flow[index].clone()))
            .collect();
        assert_eq!(sizes(&packets), [3, 3, 3, 3]);
    }

    #[test]
    fn a_kind_whose_offload_is_off_stays_apart() {
        let off = [
            Offloads {
                tso4: false,
                ..Offloads::ALL
            },
            Offloads {
                tso6: false,
                ..Offloads::ALL
            },
            Offloads {
                uso: false,
                ..Offloads::ALL
            },
            Offloads {
                checksum: false,
                ..Offloads::ALL
            },
        ];
        let frames = [[3, 1, 1, 1], [1, 3, 1, 1], [1, 1, 3, 3], [3, 3, 3, 3]];
        for (offloads, frames) in off.into_iter().zip(frames) {
            for (sample, frames) in kinds().iter().zip(frames) {
                let packets = train(sample, 3);
                let out = coalesce_with(&mut Coalescer::new(offloads), &packets);
                assert_eq!(out.len(), frames, "{offloads:?} {sample:?}");
            }
        }
    }

    #[test]
    fn a_bad_checksum_goes_alone_as_it_came() {
        for sample in kinds() {
            for bad in 0..3 {
                let mut packets = train(&sample, 5);
                let at = packets[bad].len() - 1;
                packets[bad][at] ^= 1;
                let expected = [vec![1, 4], vec![1, 1, 3], vec![2, 1, 2]];
                let frames = coalesce(&packets);
                assert_eq!(sizes(&packets), expected[bad], "{sample:?}");
                assert_eq!(
                    frames[usize::from(bad > 0)][..VNET_HEADER],
                    [0; VNET_HEADER]
                );
                assert_eq!(frames[usize::from(bad > 0)][VNET_HEADER..], packets[bad]);
            }
        }
    }

    #[test]
    fn a_bad_ipv4_header_checksum_counts_as_well() {
        let mut packets = train(&sample(), 3);
        packets[1][10] ^= 1;
        assert_eq!(sizes(&packets), [1, 1, 1]);
    }

    #[test]
    fn flags_other_than_ack_and_psh_never_join() {
        for flag in [0x01, 0x02, 0x04, 0x20, 0x40, 0x80] {
            let odd = Sample {
                flags: tcp::ACK | flag,
                ..sample()
            };
            assert_eq!(
                sizes(&[odd.packet(), next(&odd, 100).packet()]),
                [1, 1],
                "{flag:#x}"
            );
            let behind = Sample {
                flags: tcp::ACK | flag,
                ..next(&sample(), 100)
            };
            assert_eq!(
                sizes(&[sample().packet(), behind.packet()]),
                [1, 1],
                "{flag:#x}"
            );
        }
        let mut reserved = train(&sample(), 2);
        for packet in &mut reserved {
            packet[32] |= 1;
            // The sum stays what it was.
            packet[34] -= 1;
        }
        assert_eq!(sizes(&reserved), [1, 1]);
        let without = Sample {
            flags: 0,
            ..sample()
        };
        assert_eq!(
            sizes(&[without.packet(), next(&without, 100).packet()]),
            [1, 1]
        );
    }

    fn next(sample: &Sample, size: u32) -> Sample {
        let sequence = sample.sequence.wrapping_add(size);
        Sample {
            sequence,
            identification: sample.identification + 1,
            ..sample.clone()
        }
    }

    #[test]
    fn psh_ends_a_train() {
        let mut packets = train(&sample(), 2);
        packets.push(
            Sample {
                flags: tcp::ACK | tcp::PSH,
                ..next(&next(&sample(), 100), 100)
            }
            .packet(),
        );
        packets.push(next(&next(&next(&sample(), 100), 100), 100).packet());
        assert_eq!(sizes(&packets), [3, 1]);
        assert_eq!(coalesce(&packets)[0][VNET_HEADER + 33], tcp::ACK | tcp::PSH);
    }

    #[test]
    fn headers_must_be_the_same() {
        let behind = next(&sample(), 100);
        let others = [
            Sample {
                ttl: 63,
                ..behind.clone()
            },
            Sample {
                tos: 3,
                ..behind.clone()
            },
            Sample {
                dont_fragment: false,
                ..behind.clone()
            },
            Sample {
                sequence: behind.sequence + 1,
                ..behind.clone()
            },
            Sample {
                acknowledgment: 6,
                ..behind.clone()
            },
            Sample {
                options: vec![1; 12],
                ..behind.clone()
            },
            Sample {
                options: vec![],
                ..behind.clone()
            },
            Sample {
                payload: vec![7; 101],
                ..behind.clone()
            },
            Sample {
                payload: vec![],
                ..behind.clone()
            },
        ];
        assert_eq!(sizes(&[sample().packet(), behind.packet()]), [2]);
        for other in others {
            assert_eq!(
                sizes(&[sample().packet(), other.packet()]),
                [1, 1],
                "{other:?}"
            );
        }
        let six = Sample {
            six: true,
            ..sample()
        };
        for other in [
            Sample {
                ttl: 63,
                ..next(&six, 100)
            },
            Sample {
                tos: 3,
                ..next(&six, 100)
            },
        ] {
            assert_eq!(sizes(&[six.packet(), other.packet()]), [1, 1], "{other:?}");
        }
    }

    #[test]
    fn identifications_count_up_unless_fragments_are_forbidden() {
        for (dont_fragment, expected) in [(true, vec![2]), (false, vec![1, 1])] {
            let first = Sample {
                dont_fragment,
                ..sample()
            };
            let second = Sample {
                identification: 7,
                ..next(&first, 100)
            };
            assert_eq!(sizes(&[first.packet(), second.packet()]), expected);
            assert_eq!(sizes(&[first.packet(), next(&first, 100).packet()]), [2]);
        }
    }

    #[test]
    fn udp_without_a_checksum_never_joins() {
        let udp = Sample {
            protocol: UDP,
            options: vec![],
            ..sample()
        };
        let mut packets = train(&udp, 3);
        packets.iter_mut().for_each(|packet| packet[26..28].fill(0));
        assert_eq!(sizes(&packets), [1, 1, 1]);
    }

    #[test]
    fn a_shorter_packet_is_the_last_of_its_train() {
        for sample in kinds() {
            let mut packets = Sample {
                payload: vec![7; 250],
                ..sample.clone()
            }
            .train(100);
            let behind = Sample {
                payload: vec![7; 50],
                ..next(&sample, 250)
            };
            packets.push(
                Sample {
                    identification: sample.identification + 3,
                    ..behind
                }
                .packet(),
            );
            assert_eq!(sizes(&packets), [3, 1], "{sample:?}");
        }
    }

    #[test]
    fn a_train_ends_at_64_packets_and_at_64_kib() {
        for sample in kinds() {
            assert_eq!(sizes(&train(&sample, 65)), [64, 1]);
            let bytes = |total: usize| Sample {
                payload: vec![7; total - sample.headers()],
                ..sample.clone()
            };
            let fitting = bytes(65535).train(1300);
            assert_eq!(sizes(&fitting), [fitting.len()], "{sample:?}");
            assert_eq!(
                sizes(&bytes(65536).train(1300)),
                [fitting.len() - 1, 1],
                "{sample:?}"
            );
        }
    }

    #[test]
    fn what_may_be_of_any_flow_ends_all_trains() {
        for sample in kinds() {
            let mut packets = train(&sample, 4);
            let mut hidden = packets[0].clone();
            if sample.six {
                hidden[6] = 44;
            } else {
                hidden[6] |= 0x20;
            }
            packets.insert(2, hidden);
            assert_eq!(coalesce(&packets).len(), 3, "{sample:?}");
        }
    }

    #[test]
    fn a_ping_ends_no_train() {
        let mut packets = train(&sample(), 4);
        let mut ping = vec![0; 28];
        (ping[0], ping[3], ping[9]) = (0x45, 28, 1);
        packets.insert(2, ping);
        assert_eq!(sizes(&packets), [4, 1]);
    }

    #[test]
    fn more_flows_than_buckets_stay_in_order() {
        let flow = |host: u32| Sample {
            acknowledgment: 1,
            host: host as u8,
            six: host >= 256,
            ..sample()
        };
        let flows: Vec<_> = (0..512).map(|host| train(&flow(host), 2)).collect();
        let packets: Vec<_> = (0..2)
            .flat_map(|index| flows.iter().map(move |flow| flow[index].clone()))
            .collect();
        let frames = coalesce(&packets);
        assert_eq!(
            frames
                .iter()
                .map(|frame| packets_of(frame).len())
                .sum::<usize>(),
            1024
        );
        assert_eq!(frames.len(), 512);
    }

    #[test]
    fn a_batch_leaves_nothing_behind_for_the_next() {
        let mut coalescer = Coalescer::new(Offloads::ALL);
        for _ in 0..2 {
            assert_eq!(coalesce_with(&mut coalescer, &train(&sample(), 3)).len(), 1);
        }
        assert_eq!(coalescer.merged, 4);
    }
}
