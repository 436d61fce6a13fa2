//! Replies to echoes, which may be a probe's. The same answers as `may_be_probes` of `wgnode/dataplane/fitting.py`.

use super::fields::*;
use super::inner::{self, Address};

const REPLY: u8 = 0;
const REPLY6: u8 = 129;
/// Type, code and checksum, and a probe's id.
const MESSAGE: usize = 16;
const SHORT: usize = IPV4_HEADER + MESSAGE;
const SHORT6: usize = IPV6_HEADER + MESSAGE;
const NO_OPTIONS: u8 = 0x45;
const MORE_OR_OFFSET: u16 = ipv4::MORE_FRAGMENTS | ipv4::OFFSET;

/// Whether a packet with a whole IP header is an echo reply to the first address from the second, as short as a probe's:
/// in one piece, and without options, as every host answers. Longer ones, which people's pings are, go their way at once.
#[inline]
pub fn is_reply(packet: &[u8], ours: Address, theirs: Address) -> bool {
    looks_like_one(packet)
        && inner::source(packet) == Some(theirs)
        && inner::destination(packet) == Some(ours)
}

/// Of most packets the length is looked at.
#[inline]
fn looks_like_one(packet: &[u8]) -> bool {
    if version(packet) == 4 {
        packet.len() == SHORT
            && packet[ipv4::PROTOCOL] == ICMP
            && packet[0] == NO_OPTIONS
            && packet.get(IPV4_HEADER) == Some(&REPLY)
            && read_u16(packet, ipv4::FRAGMENT) & MORE_OR_OFFSET == 0
    } else {
        packet.len() == SHORT6
            && packet[ipv6::NEXT_HEADER] == ICMPV6
            && packet.get(IPV6_HEADER) == Some(&REPLY6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::icmp;

    fn pair(six: bool) -> (Address, Address) {
        if six {
            (Address::V6([0xfd; 16]), Address::V6([0xfc; 16]))
        } else {
            (Address::V4([10, 0, 0, 1]), Address::V4([10, 0, 0, 2]))
        }
    }

    fn answer(six: bool, kind: u8) -> Vec<u8> {
        let (ours, theirs) = pair(six);
        let mut message = [7; MESSAGE];
        message[..4].copy_from_slice(&[kind, 0, 0, 0]);
        icmp::packet(theirs, ours, 0, &message).unwrap()
    }

    #[test]
    fn a_reply_from_there_to_here_and_nothing_else() {
        for (six, reply, request) in [(false, REPLY, 8), (true, REPLY6, 128)] {
            let (ours, theirs) = pair(six);
            assert!(is_reply(&answer(six, reply), ours, theirs));
            assert!(!is_reply(&answer(six, reply), theirs, ours));
            assert!(!is_reply(&answer(six, reply), ours, ours));
            assert!(!is_reply(&answer(six, request), ours, theirs));
            assert!(!is_reply(&answer(six, reply), pair(!six).0, theirs));
            let whole = answer(six, reply);
            assert!(!is_reply(&whole[..whole.len() - 1], ours, theirs));
            assert!(!is_reply(&[&whole[..], &[0]].concat(), ours, theirs));
        }
    }

    #[test]
    fn neither_pieces_nor_options() {
        let (ours, theirs) = pair(false);
        let with = |at: usize, value: u8| {
            let mut packet = answer(false, REPLY);
            packet[at] = value;
            is_reply(&packet, ours, theirs)
        };
        assert!(with(6, 0x40));
        assert!(!with(6, 0x20) && !with(7, 1) && !with(0, 0x46) && !with(9, 17));
    }
}
