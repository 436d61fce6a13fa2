//! TCP's MSS in a SYN or SYN-ACK that comes out of the tunnel, limited by our own limit to that peer. The same bytes as
//! `wgnode/pathmtu/clamp.py` makes, which says why only this way.

use super::checksum::update;
use super::fields::*;
use super::headers::{self, Headers, is_extension};

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const MSS_LENGTH: usize = 4;

/// Largest segment in an inner packet of `limit` bytes: its fixed headers count, options do not (RFC 6691).
pub fn mss(limit: usize, version: u8) -> u16 {
    let headers = if version == 4 {
        IPV4_HEADER
    } else {
        IPV6_HEADER
    } + TCP_HEADER;
    limit.saturating_sub(headers).clamp(1, 0xffff) as u16
}

/// Whether it is worth calling `clamp`: a byte or two are looked at, of a packet with a whole IP header. True for what
/// only a closer look can tell.
#[inline]
pub fn may_be_syn(packet: &[u8]) -> bool {
    let ipv4 = version(packet) == 4;
    let (protocol, upper) = if ipv4 {
        (packet[ipv4::PROTOCOL], usize::from(packet[0] & 0xf) * 4)
    } else {
        (packet[ipv6::NEXT_HEADER], IPV6_HEADER)
    };
    if protocol == TCP {
        let flags = packet.get(upper + tcp::FLAGS);
        return flags.is_some_and(|flags| flags & tcp::SYN != 0);
    }
    !ipv4 && is_extension(protocol)
}

/// No MSS above what fits into `limit` inner bytes. `partial`: the checksum is of the pseudo header only (virtio-net's
/// NEEDS_CSUM), and so covers no option. Options that are malformed are left to who gets them. Whether it was changed.
pub fn clamp(packet: &mut [u8], limit: usize, partial: bool) -> bool {
    let Some(read) = headers::read(packet).filter(|read| is_syn(packet, read)) else {
        return false;
    };
    let most = mss(limit, read.version);
    let mut changed = false;
    let mut at = read.upper + TCP_HEADER;
    let end = read.upper + usize::from(packet[read.upper + tcp::DATA_OFFSET] >> 4) * 4;
    if end > read.length {
        return false;
    }
    while let Some((kind, length)) = option(&packet[..end], at) {
        if kind == MSS && length == MSS_LENGTH && read_u16(packet, at + 2) > most {
            replace(packet, read.upper, at + 2, most, partial);
            changed = true;
        }
        at += length;
    }
    changed
}

fn is_syn(packet: &[u8], read: &Headers) -> bool {
    read.protocol == TCP
        && read.fragment == 0
        && read.upper + TCP_HEADER <= read.length
        && packet[read.upper + tcp::FLAGS] & tcp::SYN != 0
}

/// Kind and bytes of the option there; None at the end, and where none is whole.
fn option(options: &[u8], at: usize) -> Option<(u8, usize)> {
    match *options.get(at)? {
        END => None,
        NOP => Some((NOP, 1)),
        kind => {
            let length = usize::from(*options.get(at + 1)?);
            (length >= 2 && at + length <= options.len()).then_some((kind, length))
        }
    }
}

/// A new value, and the checksum changed by the difference. At an odd place its halves lie in two words, of which
/// swapped bytes are the same term.
fn replace(packet: &mut [u8], upper: usize, at: usize, most: u16, partial: bool) {
    let (mut old, mut new) = ([packet[at], packet[at + 1]], most.to_be_bytes());
    write_u16(packet, at, most);
    if partial {
        return;
    }
    if (at - upper) % 2 == 1 {
        old.reverse();
        new.reverse();
    }
    update(packet, upper + tcp::CHECKSUM, old, new);
}

#[cfg(test)]
mod tests;
