//! What is said of a packet that is too large for its way: ICMP's "fragmentation needed" (RFC 792, RFC 1191) and ICMPv6's
//! "packet too big" (RFC 4443). The same bytes as `wgnode/pathmtu/toobig.py` makes.

use super::fields::*;
use super::headers;
use super::icmp::{self, ICMP_HEADER, is_error};
use super::inner::{self, Address};

/// Bytes of the whole error: as much of the packet as fits (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4(c)).
const MOST_IPV4: usize = 576;
const MOST_IPV6: usize = 1280;
/// What no host goes below (RFC 791, RFC 8200): a smaller path's packets have to be fragmented outside.
const SMALLEST_IPV4: usize = 68;
const SMALLEST_IPV6: usize = 1280;
/// RFC 1812 section 4.3.2.5.
const INTERNETWORK_CONTROL: u8 = 0xc0;

/// Bytes of inner packet that every host must be able to send as they are.
pub fn smallest(version: u8) -> usize {
    if version == 4 {
        SMALLEST_IPV4
    } else {
        SMALLEST_IPV6
    }
}

/// The error for a packet of our side that is longer than `limit` inner bytes, from our address `source`.
///
/// None where nobody may be told (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4(e); and nothing about multicast), where
/// it fits, where it is to be fragmented instead (IPv4 without DF), where no host would go that low (IPv6 below 1280),
/// and for a `source` of the other version.
pub fn too_big(packet: &[u8], limit: usize, source: Address) -> Option<Vec<u8>> {
    let read = headers::read(packet)?;
    let said = limit.max(smallest(read.version));
    if read.length <= said || !read.dont || read.fragment > 0 || is_error(packet, &read) {
        return None;
    }
    let (from, to) = (inner::source(packet)?, inner::destination(packet)?);
    if nobody_to_tell(from, to) {
        return None;
    }
    if read.version == 4 {
        let said = u16::try_from(said).expect("below the packet's length");
        let quoted = &packet[..read.length.min(MOST_IPV4 - IPV4_HEADER - ICMP_HEADER)];
        let message = [&[3, 4, 0, 0, 0, 0], &said.to_be_bytes()[..], quoted].concat();
        return icmp::packet(source, from, INTERNETWORK_CONTROL, &message);
    }
    let said = u32::try_from(said).expect("below the packet's length");
    let quoted = &packet[..read.length.min(MOST_IPV6 - IPV6_HEADER - ICMP_HEADER)];
    let message = [&[2, 0, 0, 0], &said.to_be_bytes()[..], quoted].concat();
    icmp::packet(source, from, 0, &message)
}

/// No single host as its sender, or more than one as its receiver.
fn nobody_to_tell(from: Address, to: Address) -> bool {
    match (from, to) {
        (Address::V4(from), Address::V4(to)) => {
            [0, 127].contains(&from[0]) || from[0].max(to[0]) >= 224
        }
        (Address::V6(from), Address::V6(to)) => {
            u128::from_be_bytes(from) <= 1 || [from[0], to[0]].contains(&0xff)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
