//! WireGuard inside WireGuard. The same rule as `is_tunnel_datagram` of `wgnode/io/sticky.py`.

use super::fields::{IPV6_HEADER, UDP, UDP_HEADER, ipv4, ipv6, read_u16, version};

const LEAST: usize = 28;
const IPV6_FRAGMENT: u8 = 44;
const MORE_FRAGMENTS_OR_OFFSET: u16 = 0x3fff;

/// Whether an IP packet is a UDP datagram of WireGuard, or a fragment that may be of one.
#[inline]
pub fn is_tunnel_datagram(packet: &[u8]) -> bool {
    if packet.len() < LEAST {
        return false;
    }
    let (header, protocol, fragment) = if version(packet) == 4 {
        let fragment = read_u16(packet, ipv4::FRAGMENT) & MORE_FRAGMENTS_OR_OFFSET != 0;
        (
            usize::from(packet[0] & 0xf) * 4,
            packet[ipv4::PROTOCOL],
            fragment,
        )
    } else {
        let next = packet[ipv6::NEXT_HEADER];
        (IPV6_HEADER, next, next == IPV6_FRAGMENT)
    };
    if fragment {
        return protocol == UDP || protocol == IPV6_FRAGMENT;
    }
    protocol == UDP && begins_a_message(packet, header + UDP_HEADER)
}

/// How WireGuard's datagrams begin (wp 5.4): a type of 1 to 4 and three zeros.
#[inline]
fn begins_a_message(packet: &[u8], at: usize) -> bool {
    matches!(packet.get(at..at + 4), Some([1..=4, 0, 0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp4(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 28];
        packet[0] = 0x45;
        packet[9] = UDP;
        packet.extend(payload);
        packet
    }

    fn udp6(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 48];
        packet[0] = 0x60;
        packet[6] = UDP;
        packet.extend(payload);
        packet
    }

    #[test]
    fn messages_of_types_1_to_4_are_recognised() {
        for kind in 0..=5 {
            let expected = (1..=4).contains(&kind);
            assert_eq!(
                is_tunnel_datagram(&udp4(&[kind, 0, 0, 0])),
                expected,
                "{kind}"
            );
            assert_eq!(
                is_tunnel_datagram(&udp6(&[kind, 0, 0, 0])),
                expected,
                "{kind}"
            );
        }
        assert!(!is_tunnel_datagram(&udp4(&[4, 0, 0, 1])));
        assert!(!is_tunnel_datagram(&udp4(&[4, 0, 0])));
    }

    #[test]
    fn other_protocols_are_not() {
        let mut packet = udp4(&[4, 0, 0, 0]);
        packet[9] = 6;
        assert!(!is_tunnel_datagram(&packet));
    }

    #[test]
    fn the_header_length_of_ipv4_counts() {
        let mut packet = udp4(&[0, 0, 0, 0, 4, 0, 0, 0]);
        assert!(!is_tunnel_datagram(&packet));
        packet[0] = 0x46;
        assert!(is_tunnel_datagram(&packet));
        packet[0] = 0x4f;
        assert!(!is_tunnel_datagram(&packet));
    }

    #[test]
    fn fragments_of_udp_may_be_of_one() {
        for field in [0x2000u16, 0x0001, 0x1fff] {
            let mut packet = udp4(&[0; 4]);
            packet[6..8].copy_from_slice(&field.to_be_bytes());
            assert!(is_tunnel_datagram(&packet));
            packet[9] = 6;
            assert!(!is_tunnel_datagram(&packet));
        }
        let mut whole = udp4(&[0; 4]);
        whole[6] = 0x40; // don't fragment
        assert!(!is_tunnel_datagram(&whole));
        let mut six = udp6(&[0; 4]);
        six[6] = IPV6_FRAGMENT;
        assert!(is_tunnel_datagram(&six));
    }

    #[test]
    fn too_short_is_not() {
        assert!(!is_tunnel_datagram(&[]));
        let mut packet = udp4(&[]);
        packet[6] = 0x20;
        assert!(is_tunnel_datagram(&packet));
        packet.pop();
        assert!(!is_tunnel_datagram(&packet));
    }
}
