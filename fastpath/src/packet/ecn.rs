//! Explicit congestion notification across the tunnel (RFC 6040).

use super::checksum;
use super::fields::{IPV4_HEADER, IPV6_HEADER, ipv4, version};

pub const NOT_ECT: u8 = 0;
pub const ECT_1: u8 = 1;
pub const ECT_0: u8 = 2;
pub const CE: u8 = 3;
const MASK: u8 = 3;

/// The ECN field of an IP packet; NOT_ECT for what is no IP packet.
#[inline]
pub fn field(packet: &[u8]) -> u8 {
    match version(packet) {
        4 if packet.len() >= IPV4_HEADER => packet[ipv4::TYPE_OF_SERVICE] & MASK,
        6 if packet.len() >= IPV6_HEADER => (packet[1] >> 4) & MASK,
        _ => NOT_ECT,
    }
}

/// The outer header's field for an inner packet: a copy of the inner one (RFC 6040 section 4.1, normal mode).
#[inline]
pub fn encapsulate(inner: &[u8]) -> u8 {
    field(inner)
}

/// Takes the outer header's field over into the inner packet (RFC 6040 section 4.2, figure 4).
/// False: the packet must be dropped, since it met congestion but could not have been marked.
#[inline]
pub fn decapsulate(inner: &mut [u8], outer: u8) -> bool {
    match (field(inner), outer & MASK) {
        (NOT_ECT, CE) => false,
        (ECT_0 | ECT_1, CE) => set(inner, CE),
        (ECT_0, ECT_1) => set(inner, ECT_1),
        _ => true,
    }
}

/// Always true, for its caller's sake.
fn set(packet: &mut [u8], field: u8) -> bool {
    if version(packet) == 6 {
        packet[1] = packet[1] & !(MASK << 4) | field << 4;
        return true;
    }
    let before = [packet[0], packet[ipv4::TYPE_OF_SERVICE]];
    packet[ipv4::TYPE_OF_SERVICE] = before[1] & !MASK | field;
    let after = [packet[0], packet[ipv4::TYPE_OF_SERVICE]];
    checksum::update(packet, ipv4::CHECKSUM, before, after);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::checksum::{fold, sum};

    fn ipv4_packet(ecn: u8, filler: u8) -> Vec<u8> {
        let mut packet = vec![filler; 24];
        packet[0] = 0x45;
        packet[1] = 0xb8 | ecn;
        packet[10..12].fill(0);
        let check = !fold(sum(&packet[..20]));
        checksum::store(&mut packet, 10, check);
        packet
    }

    fn ipv6_packet(ecn: u8) -> Vec<u8> {
        let mut packet = vec![0xee; 44];
        packet[0] = 0x6b;
        packet[1] = 0x8f | ecn << 4;
        packet
    }

    type Row = [(u8, Option<u8>); 4];

    /// RFC 6040, figure 4: rows are the inner field, columns the outer one; None drops.
    #[rustfmt::skip]
    const FIGURE_4: [(u8, Row); 4] = [
        (NOT_ECT, [(NOT_ECT, Some(NOT_ECT)), (ECT_0, Some(NOT_ECT)), (ECT_1, Some(NOT_ECT)), (CE, None)]),
        (ECT_0,   [(NOT_ECT, Some(ECT_0)),   (ECT_0, Some(ECT_0)),   (ECT_1, Some(ECT_1)),   (CE, Some(CE))]),
        (ECT_1,   [(NOT_ECT, Some(ECT_1)),   (ECT_0, Some(ECT_1)),   (ECT_1, Some(ECT_1)),   (CE, Some(CE))]),
        (CE,      [(NOT_ECT, Some(CE)),      (ECT_0, Some(CE)),      (ECT_1, Some(CE)),      (CE, Some(CE))]),
    ];

    #[test]
    fn the_default_tunnel_egress_of_figure_4() {
        for (inner, row) in FIGURE_4 {
            for (outer, expected) in row {
                for make in [|ecn| ipv4_packet(ecn, 7), ipv6_packet] {
                    let mut packet = make(inner);
                    assert_eq!(decapsulate(&mut packet, outer), expected.is_some());
                    assert_eq!(
                        packet,
                        make(expected.unwrap_or(inner)),
                        "inner {inner}, outer {outer}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_header_checksum_stays_right_whatever_it_was() {
        for filler in 0..=255 {
            let mut packet = ipv4_packet(ECT_0, filler);
            assert!(decapsulate(&mut packet, CE));
            assert_eq!(fold(sum(&packet[..20])), 0xffff);
            assert_eq!(packet, ipv4_packet(CE, filler));
        }
    }

    #[test]
    fn encapsulation_copies() {
        for ecn in 0..4 {
            assert_eq!(encapsulate(&ipv4_packet(ecn, 1)), ecn);
            assert_eq!(encapsulate(&ipv6_packet(ecn)), ecn);
        }
    }

    #[test]
    fn what_is_no_ip_packet_is_left_alone() {
        for bytes in [vec![], vec![0x45; 19], vec![0x60; 39], vec![0x75; 40]] {
            let mut packet = bytes.clone();
            assert!(!decapsulate(&mut packet, CE));
            assert_eq!(packet, bytes);
        }
    }
}
