//! What is read of inner IP headers beyond their addresses: fragments, and where the upper layer begins.
//! The same answers as `wgnode/pathmtu/headers.py`.

use super::fields::{IPV4_HEADER, IPV6_HEADER, ipv4, ipv6, read_u16, read_u32, version};
use super::inner;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const EXTENSIONS: [u8; 6] = [
    HOP_BY_HOP,
    ROUTING,
    FRAGMENT,
    AUTHENTICATION,
    DESTINATION,
    MOBILITY,
];
/// A longer chain is nobody's who wants to be understood.
const MOST_EXTENSIONS: usize = 8;
const FRAGMENT_HEADER: usize = 8;
/// Within a fragment header.
const IDENTIFICATION: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    pub version: u8,
    /// Bytes that the packet claims, at most those that are there.
    pub length: usize,
    pub protocol: u8,
    /// Where the upper layer begins, at most `length`.
    pub upper: usize,
    /// Offset in bytes; 0 for a first or only one.
    pub fragment: usize,
    pub more: bool,
    /// DF; true for IPv6.
    pub dont: bool,
    /// What its fragments have in common; zero for an IPv6 packet that has none.
    pub identification: u32,
}

/// None where it is no IP packet, is shorter than it claims, or its extension headers can't be followed.
pub fn read(packet: &[u8]) -> Option<Headers> {
    read_of(packet, inner::length(packet)?)
}

/// As `read`, of a packet whose end may be missing: one that an ICMP error cites.
pub fn read_cut(packet: &[u8]) -> Option<Headers> {
    let claim = inner::claim(packet)?;
    read_of(packet, claim.min(packet.len()))
}

fn read_of(packet: &[u8], length: usize) -> Option<Headers> {
    if version(packet) == 6 {
        return read_ipv6(packet, length);
    }
    let header = usize::from(packet[0] & 0xf) * 4;
    let field = read_u16(packet, ipv4::FRAGMENT);
    (IPV4_HEADER <= header && header <= length).then(|| Headers {
        version: 4,
        length,
        protocol: packet[ipv4::PROTOCOL],
        upper: header,
        fragment: usize::from(field & ipv4::OFFSET) * ipv4::OFFSET_UNIT,
        more: field & ipv4::MORE_FRAGMENTS != 0,
        dont: field & ipv4::DONT_FRAGMENT != 0,
        identification: read_u16(packet, ipv4::IDENTIFICATION).into(),
    })
}

fn read_ipv6(packet: &[u8], length: usize) -> Option<Headers> {
    let mut headers = Headers {
        version: 6,
        length,
        protocol: packet[ipv6::NEXT_HEADER],
        upper: IPV6_HEADER,
        fragment: 0,
        more: false,
        dont: true,
        identification: 0,
    };
    for _ in 0..MOST_EXTENSIONS {
        if !is_extension(headers.protocol) || headers.fragment > 0 {
            return Some(headers);
        }
        let extension = packet[..length].get(headers.upper..headers.upper + FRAGMENT_HEADER)?;
        if headers.protocol == FRAGMENT {
            let field = read_u16(extension, 2);
            headers.fragment = usize::from(field & 0xfff8);
            headers.more = field & 1 != 0;
            headers.identification = read_u32(extension, IDENTIFICATION);
        }
        headers.upper += extension_size(headers.protocol, extension[1]);
        headers.protocol = extension[0];
        if headers.upper > length {
            return None;
        }
    }
    None
}

/// A header that may stand between IPv6's and the upper layer's.
#[inline]
pub fn is_extension(protocol: u8) -> bool {
    EXTENSIONS.contains(&protocol)
}

fn extension_size(protocol: u8, field: u8) -> usize {
    let field = usize::from(field);
    match protocol {
        FRAGMENT => FRAGMENT_HEADER,
        AUTHENTICATION => (field + 2) * 4,
        _ => (field + 1) * 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn six(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; IPV6_HEADER];
        packet[0] = 0x60;
        packet[5] = rest.len() as u8;
        packet[6] = next;
        packet.extend(rest);
        packet
    }

    #[test]
    fn extension_headers_are_followed_to_the_upper_layer() {
        let hop = [ROUTING, 0, 0, 0, 0, 0, 0, 0];
        let routing = [AUTHENTICATION, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let authentication = [6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let packet = six(HOP_BY_HOP, &[&hop[..], &routing, &authentication].concat());
        let read = read(&packet).unwrap();
        assert_eq!((read.protocol, read.upper), (6, 40 + 8 + 16 + 12));
        for size in 0..packet.len() {
            let mut cut = packet[..size].to_vec();
            if let Some(field) = cut.get_mut(5) {
                *field = size.saturating_sub(IPV6_HEADER) as u8;
            }
            assert!(super::read(&cut).is_none_or(|read| read.upper <= size));
        }
    }

    #[test]
    fn a_chain_without_end_is_not_followed() {
        let link = [HOP_BY_HOP, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&six(HOP_BY_HOP, &link.repeat(20))), None);
        let mut seven = link.repeat(7);
        seven[6 * 8] = 6;
        assert_eq!(read(&six(HOP_BY_HOP, &seven)).unwrap().upper, 40 + 56);
    }

    #[test]
    fn what_follows_a_later_fragments_header_is_data() {
        let header = [HOP_BY_HOP, 0, 0, 0x51, 1, 2, 3, 4];
        let read = read(&six(FRAGMENT, &header)).unwrap();
        assert_eq!((read.fragment, read.more), (0x50, true));
        assert_eq!(read.identification, 0x0102_0304);
        assert_eq!((read.protocol, read.upper), (HOP_BY_HOP, 48));
    }

    #[test]
    fn of_a_cut_packet_only_the_end_may_be_missing() {
        let mut packet = vec![7; 28];
        packet[..4].copy_from_slice(&[0x45, 0, 5, 0]);
        assert_eq!(read(&packet), None);
        let cut = read_cut(&packet).unwrap();
        assert_eq!((cut.length, cut.upper), (28, 20));
        packet[0] = 0x48;
        assert_eq!(read_cut(&packet), None);
        assert_eq!(read_cut(&packet[..19]), None);
    }

    #[test]
    fn an_ipv4_header_lies_within_what_the_packet_claims() {
        let mut packet = vec![0; 64];
        (packet[0], packet[3], packet[6]) = (0x46, 24, 0x60);
        let headers = read(&packet).unwrap();
        assert_eq!((headers.upper, headers.length), (24, 24));
        assert!(headers.dont && headers.more);
        packet[3] = 23;
        assert_eq!(read(&packet), None);
        (packet[0], packet[3]) = (0x44, 24);
        assert_eq!(read(&packet), None);
    }
}
