//! Inner IPv4 without DF, fragmented as a router does (RFC 791 section 3.2). The same bytes as
//! `wgnode/pathmtu/fragment.py` makes.

use super::checksum::{fold, store, sum_portable};
use super::fields::*;
use super::headers::{self, Headers};

/// Options with this bit are in all fragments.
const COPIED: u8 = 0x80;
/// Offsets count so many bytes.
pub const UNIT: usize = ipv4::OFFSET_UNIT;
const END: u8 = 0;
const NOP: u8 = 1;
/// The flag that has no meaning stays as it was.
const RESERVED: u16 = 0x8000;

/// Why a packet was not fragmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// IPv6, DF, or no packet.
    MayNotBe,
    /// The limit holds no 8 bytes of data.
    NoRoom,
}

/// Calls `each` with the pieces of a packet, of at most `limit` inner bytes: with itself where it fits. Its checksums
/// are complete, since nobody could complete them later. `scratch` is overwritten.
pub fn for_each_fragment(
    packet: &[u8],
    limit: usize,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) -> Result<(), Refused> {
    let read = headers::read(packet)
        .filter(|read| read.version == 4 && (!read.dont || read.length <= limit))
        .ok_or(Refused::MayNotBe)?;
    if read.length <= limit {
        each(packet);
        return Ok(());
    }
    if limit < read.upper + UNIT {
        return Err(Refused::NoRoom);
    }
    let later = later(&packet[..read.upper]);
    let mut header = &packet[..read.upper];
    let mut at = read.upper;
    while at < read.length {
        let (room, left) = (limit - header.len(), read.length - at);
        let last = left <= room;
        let size = if last { left } else { room / UNIT * UNIT };
        scratch.clear();
        scratch.extend_from_slice(header);
        scratch.extend_from_slice(&packet[at..at + size]);
        complete(scratch, header.len(), &read, at - read.upper, last);
        each(scratch);
        at += size;
        header = &later;
    }
    Ok(())
}

/// Total length, flags, offset and checksum of a piece whose data lies `before` bytes behind the packet's own.
fn complete(piece: &mut [u8], header: usize, read: &Headers, before: usize, last: bool) {
    let more = if read.more || !last {
        ipv4::MORE_FRAGMENTS
    } else {
        0
    };
    let offset = ((read.fragment + before) / UNIT) as u16 & ipv4::OFFSET;
    let reserved = read_u16(piece, ipv4::FRAGMENT) & RESERVED;
    write_u16(piece, ipv4::TOTAL_LENGTH, piece.len() as u16);
    write_u16(piece, ipv4::FRAGMENT, reserved | more | offset);
    write_u16(piece, ipv4::CHECKSUM, 0);
    let check = !fold(sum_portable(&piece[..header]));
    store(piece, ipv4::CHECKSUM, check);
}

/// The header of all fragments but the first.
fn later(header: &[u8]) -> Vec<u8> {
    let mut copy = header[..IPV4_HEADER].to_vec();
    let mut at = IPV4_HEADER;
    while let Some(length) = option(header, at) {
        if header[at] & COPIED != 0 {
            copy.extend_from_slice(&header[at..at + length]);
        }
        at += length;
    }
    copy.resize(copy.len().next_multiple_of(4), END);
    copy[0] = 4 << 4 | (copy.len() / 4) as u8;
    copy
}

/// Bytes of the option there; None at the end, and where none is whole.
fn option(header: &[u8], at: usize) -> Option<usize> {
    match *header.get(at)? {
        END => None,
        NOP => Some(1),
        _ => {
            let length = usize::from(*header.get(at + 1)?);
            (length >= 2 && at + length <= header.len()).then_some(length)
        }
    }
}

#[cfg(test)]
mod tests;
