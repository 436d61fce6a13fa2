//! What the data plane reads of inner IP packets: version, length, source, destination.
//! The same answers as `wgnode/protocol/inner.py`.

use super::fields::{IPV4_HEADER, IPV6_HEADER, ipv4, ipv6, read_u16, version};

/// An inner address of either family, in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// The address at `at` bytes into a packet of this version; None for another version or a short packet.
#[inline]
fn address(packet: &[u8], index: usize) -> Option<Address> {
    match version(packet) {
        4 if packet.len() >= IPV4_HEADER => {
            let at = ipv4::ADDRESSES + 4 * index;
            packet[at..].first_chunk().map(|bytes| Address::V4(*bytes))
        }
        6 if packet.len() >= IPV6_HEADER => {
            let at = ipv6::ADDRESSES + 16 * index;
            packet[at..].first_chunk().map(|bytes| Address::V6(*bytes))
        }
        _ => None,
    }
}

/// The source of an IP packet; None when it is neither IPv4 nor IPv6, or shorter than a header.
#[inline]
pub fn source(packet: &[u8]) -> Option<Address> {
    address(packet, 0)
}

/// The destination of an IP packet; None when it is neither IPv4 nor IPv6, or shorter than a header.
#[inline]
pub fn destination(packet: &[u8]) -> Option<Address> {
    address(packet, 1)
}

/// Bytes of the IP packet at the beginning of `padded`, as its header claims.
/// None for another version, or a claim below the header or beyond the bytes that are there.
#[inline]
pub fn length(padded: &[u8]) -> Option<usize> {
    claim(padded).filter(|claim| *claim <= padded.len())
}

/// As `length`, of a packet that need not be there to its end.
#[inline]
pub fn claim(packet: &[u8]) -> Option<usize> {
    let (least, claim) = match version(packet) {
        4 if packet.len() >= IPV4_HEADER => {
            (IPV4_HEADER, read_u16(packet, ipv4::TOTAL_LENGTH).into())
        }
        // The sum may need 17 bits.
        6 if packet.len() >= IPV6_HEADER => (
            IPV6_HEADER,
            usize::from(read_u16(packet, ipv6::PAYLOAD_LENGTH)) + IPV6_HEADER,
        ),
        _ => return None,
    };
    (least <= claim).then_some(claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u8, size: usize, claim: u16) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..size).map(|at| at as u8).collect();
        bytes[0] = version << 4 | 5;
        let at = if version == 4 {
            ipv4::TOTAL_LENGTH
        } else {
            ipv6::PAYLOAD_LENGTH
        };
        bytes[at..at + 2].copy_from_slice(&claim.to_be_bytes());
        bytes
    }

    #[test]
    fn an_ipv4_claim_lies_between_header_and_size() {
        assert_eq!(length(&packet(4, 48, 19)), None);
        assert_eq!(length(&packet(4, 48, 20)), Some(20));
        assert_eq!(length(&packet(4, 48, 48)), Some(48));
        assert_eq!(length(&packet(4, 48, 49)), None);
    }

    #[test]
    fn an_ipv6_claim_counts_the_payload() {
        assert_eq!(length(&packet(6, 48, 0)), Some(40));
        assert_eq!(length(&packet(6, 48, 8)), Some(48));
        assert_eq!(length(&packet(6, 48, 9)), None);
    }

    #[test]
    fn an_ipv6_length_may_exceed_16_bits() {
        assert_eq!(length(&packet(6, 65575, 65535)), Some(65575));
        assert_eq!(length(&packet(6, 65574, 65535)), None);
        assert_eq!(length(&packet(6, 48, 65535)), None);
    }

    #[test]
    fn addresses_of_both_families() {
        let four = packet(4, 20, 20);
        assert_eq!(source(&four), Some(Address::V4([12, 13, 14, 15])));
        assert_eq!(destination(&four), Some(Address::V4([16, 17, 18, 19])));
        let six = packet(6, 40, 0);
        assert_eq!(
            source(&six),
            Some(Address::V6(std::array::from_fn(|at| at as u8 + 8)))
        );
        assert_eq!(
            destination(&six),
            Some(Address::V6(std::array::from_fn(|at| at as u8 + 24)))
        );
    }

    #[test]
    fn short_packets_and_other_versions_have_nothing() {
        for bad in [
            vec![],
            packet(4, 19, 19),
            packet(6, 39, 0),
            packet(5, 60, 0),
            packet(0, 60, 0),
        ] {
            assert_eq!(
                (source(&bad), destination(&bad), length(&bad)),
                (None, None, None)
            );
        }
    }
}
