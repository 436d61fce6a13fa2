//! ICMP and ICMPv6: what is an error, and packets of our own.

use super::checksum::{fold, pseudo, store, sum};
use super::fields::*;
use super::headers::Headers;
use super::inner::Address;

/// Type, code, checksum.
const CHECKSUM: usize = 2;
const HOPS: u8 = 64;
/// Bytes of an error before what it cites.
pub const ICMP_HEADER: usize = 8;
/// RFC 1812 section 4.3.2.7: unreachable, source quench, redirect, time exceeded, parameter problem.
pub const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
const ECHO_AND_QUERIES6: u8 = 128;
const REDIRECT6: u8 = 137;

/// An ICMP error, or ICMP whose type can't be seen.
pub fn is_error(packet: &[u8], read: &Headers) -> bool {
    if read.protocol != ICMP && read.protocol != ICMPV6 {
        return false;
    }
    let Some(kind) = packet[..read.length].get(read.upper) else {
        return true;
    };
    if read.protocol == ICMP {
        return ERRORS.contains(kind);
    }
    *kind < ECHO_AND_QUERIES6 || *kind == REDIRECT6
}

/// An ICMP packet; its message's checksum field is zero, and written here. IPv4 has DF, so that its identification may
/// be 0 (RFC 6864). None for addresses of two versions, or a message that is too long.
pub fn packet(from: Address, to: Address, traffic_class: u8, message: &[u8]) -> Option<Vec<u8>> {
    let (mut packet, header) = match (from, to) {
        (Address::V4(from), Address::V4(to)) => {
            let total = u16::try_from(IPV4_HEADER + message.len()).ok()?;
            (ipv4_header(from, to, traffic_class, total), IPV4_HEADER)
        }
        (Address::V6(from), Address::V6(to)) => {
            let length = u16::try_from(message.len()).ok()?;
            (ipv6_header(from, to, traffic_class, length), IPV6_HEADER)
        }
        _ => return None,
    };
    packet.extend_from_slice(message);
    let start = if header == IPV6_HEADER {
        pseudo(&packet, message.len(), ICMPV6)
    } else {
        0
    };
    let check = !fold(start + sum(&packet[header..]));
    store(&mut packet, header + CHECKSUM, check);
    Some(packet)
}

fn ipv4_header(from: [u8; 4], to: [u8; 4], traffic_class: u8, total: u16) -> Vec<u8> {
    let mut header = vec![0; IPV4_HEADER];
    header[0] = 0x45;
    header[ipv4::TYPE_OF_SERVICE] = traffic_class;
    write_u16(&mut header, ipv4::TOTAL_LENGTH, total);
    write_u16(&mut header, ipv4::FRAGMENT, ipv4::DONT_FRAGMENT);
    header[ipv4::TIME_TO_LIVE] = HOPS;
    header[ipv4::PROTOCOL] = ICMP;
    header[ipv4::ADDRESSES..][..4].copy_from_slice(&from);
    header[ipv4::ADDRESSES + 4..][..4].copy_from_slice(&to);
    let check = !fold(sum(&header));
    store(&mut header, ipv4::CHECKSUM, check);
    header
}

fn ipv6_header(from: [u8; 16], to: [u8; 16], traffic_class: u8, length: u16) -> Vec<u8> {
    let mut header = vec![0; IPV6_HEADER];
    write_u32(&mut header, 0, 6 << 28 | u32::from(traffic_class) << 20);
    write_u16(&mut header, ipv6::PAYLOAD_LENGTH, length);
    header[ipv6::NEXT_HEADER] = ICMPV6;
    header[ipv6::HOP_LIMIT] = HOPS;
    header[ipv6::ADDRESSES..][..16].copy_from_slice(&from);
    header[ipv6::ADDRESSES + 16..][..16].copy_from_slice(&to);
    header
}
