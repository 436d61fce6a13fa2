//! Packets and frames for tests, made the plain way: one packet at a time, checksums by the letter of RFC 1071.

use super::fields::{TCP, UDP};
use super::vnet::{Gso, NEEDS_CSUM, VnetHeader};
use proptest::prelude::*;

/// Big-endian words with the carry added at once; the value that goes into the packet.
pub fn naive_checksum(parts: &[&[u8]]) -> u16 {
    let data = parts.concat();
    let mut total: u32 = 0;
    for pair in data.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

/// One packet of a flow, or the headers of a train.
#[derive(Clone, Debug)]
pub struct Sample {
    pub six: bool,
    pub protocol: u8,
    /// Last byte of both addresses, so that few flows meet often.
    pub host: u8,
    pub tos: u8,
    pub ttl: u8,
    pub identification: u16,
    pub dont_fragment: bool,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    /// TCP options, a multiple of four bytes.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Sample {
    pub fn transport(&self) -> usize {
        if self.six { 40 } else { 20 }
    }

    pub fn headers(&self) -> usize {
        self.transport()
            + if self.protocol == TCP {
                20 + self.options.len()
            } else {
                8
            }
    }

    fn addresses(&self) -> Vec<u8> {
        let (a, b) = (self.host, self.host ^ 0xff);
        if self.six {
            [
                &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, a][..],
                &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, b],
            ]
            .concat()
        } else {
            vec![10, 0, 1, a, 10, 0, 2, b]
        }
    }

    fn pseudo_header(&self, length: usize) -> Vec<u8> {
        let mut pseudo = self.addresses();
        pseudo.extend((length as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, self.protocol]);
        pseudo
    }

    fn network(&self, length: usize) -> Vec<u8> {
        if self.six {
            let mut header = vec![0x60 | self.tos >> 4, self.tos << 4 | 3, 0x21, 0x43];
            header.extend(((self.transport() + length - 40) as u16).to_be_bytes());
            header.extend([self.protocol, self.ttl]);
            header.extend(self.addresses());
            return header;
        }
        let mut header = vec![0x45, self.tos];
        header.extend(((20 + length) as u16).to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header.extend([
            if self.dont_fragment { 0x40 } else { 0 },
            0,
            self.ttl,
            self.protocol,
            0,
            0,
        ]);
        header.extend(self.addresses());
        let check = naive_checksum(&[&header]);
        header[10..12].copy_from_slice(&check.to_be_bytes());
        header
    }

    /// The transport header, its checksum field zero.
    fn transport_header(&self, length: usize) -> Vec<u8> {
        let mut header = vec![0x30, self.host, 0x01, 0xbb];
        if self.protocol == UDP {
            header.extend((length as u16).to_be_bytes());
            header.extend([0, 0]);
            return header;
        }
        header.extend(self.sequence.to_be_bytes());
        header.extend(self.acknowledgment.to_be_bytes());
        header.extend([
            ((5 + self.options.len() / 4) << 4) as u8,
            self.flags,
            0x12,
            0x34,
            0,
            0,
            0,
            0,
        ]);
        header.extend(&self.options);
        header
    }

    fn checksum_at(&self) -> usize {
        self.transport() + if self.protocol == TCP { 16 } else { 6 }
    }

    /// The complete IP packet.
    pub fn packet(&self) -> Vec<u8> {
        let length = self.headers() - self.transport() + self.payload.len();
        let header = self.transport_header(length);
        let mut check = naive_checksum(&[&self.pseudo_header(length), &header, &self.payload]);
        if check == 0 && self.protocol == UDP {
            check = 0xffff;
        }
        let mut packet = [self.network(length), header, self.payload.clone()].concat();
        let at = self.checksum_at();
        packet[at..at + 2].copy_from_slice(&check.to_be_bytes());
        packet
    }

    fn gso(&self) -> Gso {
        match (self.protocol, self.six) {
            (UDP, _) => Gso::UdpL4,
            (_, false) => Gso::TcpV4,
            _ => Gso::TcpV6,
        }
    }

    /// The frame as a TUN gives it: one packet or a train, with the checksum left to us.
    pub fn frame(&self, segment: Option<u16>) -> Vec<u8> {
        let mut packet = self.packet();
        let length = packet.len() - self.transport();
        let partial = !naive_checksum(&[&self.pseudo_header(length)]);
        let at = self.checksum_at();
        packet[at..at + 2].copy_from_slice(&partial.to_be_bytes());
        let header = VnetHeader {
            flags: NEEDS_CSUM,
            gso: if segment.is_some() {
                self.gso()
            } else {
                Gso::None
            },
            ecn: segment.is_some() && self.flags & 0x80 != 0,
            header_length: self.headers() as u16,
            segment: segment.unwrap_or(0),
            checksum_start: self.transport() as u16,
            checksum_offset: (at - self.transport()) as u16,
        };
        [&header.to_bytes()[..], &packet].concat()
    }

    /// The packets of a train, each built on its own.
    pub fn train(&self, segment: u16) -> Vec<Vec<u8>> {
        let chunks: Vec<&[u8]> = match self.payload.len() {
            0 => vec![&[]],
            _ => self.payload.chunks(segment.into()).collect(),
        };
        let last = chunks.len() - 1;
        let one = |(index, chunk): (usize, &&[u8])| {
            let mut sample = Sample {
                payload: chunk.to_vec(),
                ..self.clone()
            };
            sample.identification = self.identification.wrapping_add(index as u16);
            sample.sequence = self
                .sequence
                .wrapping_add((index * usize::from(segment)) as u32);
            sample.flags &= if index == last { 0xff } else { !0x09 };
            sample.flags &= if index == 0 { 0xff } else { !0x80 };
            sample.packet()
        };
        chunks.iter().enumerate().map(one).collect()
    }
}

pub fn payloads(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..most),
        1 => (any::<u8>(), 0..most).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

/// Any plain TCP or UDP packet with up to `most` bytes of payload.
pub fn samples(most: usize) -> impl Strategy<Value = Sample> {
    let network = (
        any::<bool>(),
        any::<bool>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u16>(),
        any::<bool>(),
    );
    let options =
        (0usize..11).prop_flat_map(|words| proptest::collection::vec(any::<u8>(), words * 4));
    let transport = (any::<u32>(), any::<u32>(), any::<u8>(), options);
    (network, transport, payloads(most)).prop_map(|(network, transport, payload)| {
        let (six, tcp, host, tos, ttl, identification, dont_fragment) = network;
        let (sequence, acknowledgment, flags, options) = transport;
        let protocol = if tcp { TCP } else { UDP };
        let options = if tcp { options } else { Vec::new() };
        Sample {
            six,
            protocol,
            host,
            tos,
            ttl,
            identification,
            dont_fragment,
            sequence,
            acknowledgment,
            flags,
            options,
            payload,
        }
    })
}

/// Bytes that get past the first checks: the right version, a known kind of train, offsets near the truth.
pub fn hostile_frames() -> impl Strategy<Value = Vec<u8>> {
    let spoilt = (
        samples(300),
        any::<Option<u16>>(),
        proptest::collection::vec((0usize..120, any::<u8>()), 0..6),
        any::<u16>(),
    )
        .prop_map(|(sample, segment, changes, cut)| {
            let mut frame = sample.frame(segment);
            for (at, byte) in changes {
                let at = at % frame.len();
                frame[at] = byte;
            }
            frame.truncate(if cut % 4 == 0 {
                usize::from(cut / 4)
            } else {
                usize::MAX
            });
            frame
        });
    prop_oneof![3 => spoilt, 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}
