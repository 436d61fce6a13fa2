//! What decides whether an inner packet may follow another in one train.

use super::checksum::{fold, pseudo, sum, sum_portable};
use super::fields::*;

/// What an inner packet is to a train.
pub enum Shape {
    /// TCP or UDP with all of its headers in plain sight.
    Segment(Segment),
    /// It may belong to any flow: a fragment, or options and extension headers before the ports.
    Hidden,
    /// No part of a flow whose order we could spoil, ICMP for one.
    Other,
}

/// Where things are in a TCP or UDP packet.
#[derive(Clone, Copy)]
pub struct Segment {
    pub version: u8,
    pub protocol: u8,
    /// Where the transport header begins.
    pub transport: u8,
    /// IP and transport header together, in bytes.
    pub headers: u8,
    /// Bytes of payload.
    pub payload: u32,
    /// Of addresses, ports and protocol.
    pub hash: u32,
    /// It may be part of a train at all.
    pub joins: bool,
    /// Nothing may follow it (PSH).
    pub ends: bool,
}

impl Segment {
    /// The sequence number after this packet's; of no use with UDP.
    pub fn next_sequence(&self, packet: &[u8]) -> u32 {
        read_u32(packet, usize::from(self.transport) + tcp::SEQUENCE).wrapping_add(self.payload)
    }
}

/// IPv6 headers that stand between the fixed header and the ports (RFC 8200, 4302, 6275, 7401, 5533).
const EXTENSION_HEADERS: [u8; 9] = [0, 43, 44, 50, 51, 60, 135, 139, 140];
const NO_OPTIONS: u8 = 0x45;

/// Looks at one IP packet of exactly its length.
#[inline]
pub fn shape(packet: &[u8]) -> Shape {
    match version(packet) {
        4 if packet.len() >= IPV4_HEADER => shape_ipv4(packet),
        6 if packet.len() >= IPV6_HEADER => shape_ipv6(packet),
        _ => Shape::Other,
    }
}

#[inline]
fn shape_ipv4(packet: &[u8]) -> Shape {
    let protocol = packet[ipv4::PROTOCOL];
    if protocol != TCP && protocol != UDP {
        return Shape::Other;
    }
    let fragment = read_u16(packet, ipv4::FRAGMENT) & !ipv4::DONT_FRAGMENT != 0;
    let length = usize::from(read_u16(packet, ipv4::TOTAL_LENGTH));
    if packet[0] != NO_OPTIONS || fragment || length != packet.len() {
        return Shape::Hidden;
    }
    segment(packet, IPV4_HEADER, protocol)
}

#[inline]
fn shape_ipv6(packet: &[u8]) -> Shape {
    let protocol = packet[ipv6::NEXT_HEADER];
    if protocol != TCP && protocol != UDP {
        let hidden = EXTENSION_HEADERS.contains(&protocol);
        return if hidden { Shape::Hidden } else { Shape::Other };
    }
    let length = usize::from(read_u16(packet, ipv6::PAYLOAD_LENGTH)) + IPV6_HEADER;
    if length != packet.len() {
        return Shape::Hidden;
    }
    segment(packet, IPV6_HEADER, protocol)
}

#[inline]
fn segment(packet: &[u8], transport: usize, protocol: u8) -> Shape {
    let found = if protocol == TCP {
        tcp_segment(packet, transport)
    } else {
        udp_segment(packet, transport)
    };
    found.map_or(Shape::Hidden, Shape::Segment)
}

#[inline]
fn tcp_segment(packet: &[u8], transport: usize) -> Option<Segment> {
    let header = packet
        .get(transport..)
        .filter(|header| header.len() >= TCP_HEADER)?;
    let (size, reserved) = (
        header[tcp::DATA_OFFSET] >> 4,
        header[tcp::DATA_OFFSET] & 0xf,
    );
    let size = usize::from(size) * 4;
    if size < TCP_HEADER || size > header.len() {
        return None;
    }
    let flags = header[tcp::FLAGS];
    // Everything but plain data of an established connection comes alone: SYN, FIN, RST and URG change the state,
    // ECE and CWR say something of this one packet.
    let plain = flags & !tcp::PSH == tcp::ACK && reserved == 0;
    let payload = header.len() - size;
    Some(Segment {
        version: version(packet),
        protocol: TCP,
        transport: transport as u8,
        headers: (transport + size) as u8,
        payload: payload as u32,
        hash: hash(packet, transport, TCP),
        joins: plain && payload > 0,
        ends: flags & tcp::PSH != 0,
    })
}

#[inline]
fn udp_segment(packet: &[u8], transport: usize) -> Option<Segment> {
    let header = packet
        .get(transport..)
        .filter(|header| header.len() >= UDP_HEADER)?;
    let length = usize::from(read_u16(header, udp::LENGTH));
    let payload = header.len() - UDP_HEADER;
    Some(Segment {
        version: version(packet),
        protocol: UDP,
        transport: transport as u8,
        headers: (transport + UDP_HEADER) as u8,
        payload: payload as u32,
        hash: hash(packet, transport, UDP),
        joins: payload > 0 && length == header.len() && read_u16(header, udp::CHECKSUM) != 0,
        ends: false,
    })
}

#[inline]
fn addresses(packet: &[u8], transport: usize) -> &[u8] {
    let from = if transport == IPV6_HEADER {
        ipv6::ADDRESSES
    } else {
        ipv4::ADDRESSES
    };
    &packet[from..transport]
}

/// Flows that collide cost time only, and `Coalescer` bounds it.
#[inline]
fn hash(packet: &[u8], transport: usize, protocol: u8) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = addresses(packet, transport).as_chunks::<8>();
    let start = u64::from(read_u32(packet, transport)) ^ u64::from(protocol) << 32;
    let mixed = words.iter().fold(start.wrapping_mul(ODD), |hash, word| {
        (hash.rotate_left(29) ^ u64::from_ne_bytes(*word)).wrapping_mul(ODD)
    });
    (mixed >> 32) as u32
}

/// Whether two packets have the same addresses, ports and protocol.
#[inline]
pub fn same_flow(a: (&Segment, &[u8]), b: (&Segment, &[u8])) -> bool {
    let ((a, first), (b, second)) = (a, b);
    let transport = usize::from(a.transport);
    a.hash == b.hash
        && (a.version, a.protocol) == (b.version, b.protocol)
        && addresses(first, transport) == addresses(second, transport)
        && read_u32(first, transport) == read_u32(second, transport)
}

/// Whether the headers of `packet`, `index` places behind `first` in the same flow, are what those of `first` would be
/// in that place of a train, but for lengths, checksums, PSH and TCP's sequence number.
#[inline]
pub fn same_headers(segment: &Segment, first: &[u8], packet: &[u8], index: usize) -> bool {
    let network = if segment.version == 4 {
        same_ipv4(first, packet, index)
    } else {
        same_ipv6(first, packet)
    };
    let headers = usize::from(segment.transport)..usize::from(segment.headers);
    network && (segment.protocol == UDP || same_tcp(&first[headers.clone()], &packet[headers]))
}

/// The identification counts up in a train. With DF it has no meaning (RFC 6864 section 4), and is not looked at.
#[inline]
fn same_ipv4(first: &[u8], packet: &[u8], index: usize) -> bool {
    let expected = read_u16(first, ipv4::IDENTIFICATION).wrapping_add(index as u16);
    let whole = read_u16(first, ipv4::FRAGMENT) & ipv4::DONT_FRAGMENT != 0;
    first[ipv4::TYPE_OF_SERVICE] == packet[ipv4::TYPE_OF_SERVICE]
        && read_u16(first, ipv4::FRAGMENT) == read_u16(packet, ipv4::FRAGMENT)
        && first[ipv4::TIME_TO_LIVE] == packet[ipv4::TIME_TO_LIVE]
        && (whole || read_u16(packet, ipv4::IDENTIFICATION) == expected)
}

/// Traffic class, flow label and hop limit.
#[inline]
fn same_ipv6(first: &[u8], packet: &[u8]) -> bool {
    read_u32(first, 0) == read_u32(packet, 0) && first[ipv6::HOP_LIMIT] == packet[ipv6::HOP_LIMIT]
}

/// Acknowledgment, window, urgent pointer and options; the flags of both are ACK and perhaps PSH.
#[inline]
fn same_tcp(first: &[u8], header: &[u8]) -> bool {
    read_u32(first, tcp::ACKNOWLEDGMENT) == read_u32(header, tcp::ACKNOWLEDGMENT)
        && read_u16(first, tcp::WINDOW) == read_u16(header, tcp::WINDOW)
        && first[tcp::DATA_OFFSET] == header[tcp::DATA_OFFSET]
        && first[tcp::URGENT..] == header[tcp::URGENT..]
}

/// Whether all checksums of a packet hold. A train gets new ones, which would hide that one did not.
#[inline]
pub fn checksums_hold(segment: &Segment, packet: &[u8]) -> bool {
    let transport = usize::from(segment.transport);
    let length = packet.len() - transport;
    let network = segment.version == 6 || fold(sum_portable(&packet[..transport])) == 0xffff;
    network && fold(pseudo(packet, length, segment.protocol) + sum(&packet[transport..])) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(source: u8, port: u8) -> ([u8; 29], Segment) {
        let mut packet = [0; 29];
        (packet[0], packet[3], packet[9], packet[12], packet[21]) =
            (NO_OPTIONS, 29, UDP, source, port);
        let Shape::Segment(segment) = shape(&packet) else {
            panic!("no segment")
        };
        (packet, segment)
    }

    #[test]
    fn flows_whose_hashes_collide_stay_apart() {
        let (first, of_first) = udp(1, 1);
        assert!(same_flow((&of_first, &first), (&of_first, &first)));
        for (source, port) in [(2, 1), (1, 2)] {
            let (other, of_other) = udp(source, port);
            assert_ne!(of_other.hash, of_first.hash);
            let collides = Segment {
                hash: of_first.hash,
                ..of_other
            };
            assert!(!same_flow((&of_first, &first), (&collides, &other)));
        }
    }
}
