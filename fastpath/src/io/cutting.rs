//! Messages over IPv6 in fragments that we cut ourselves (RFC 8200, 4.5), by a raw socket that puts the IPv6 header before
//! each. The same pieces as `wgnode/platform/linux/fragments6.py` makes, which says why.

use std::net::{IpAddr, Ipv6Addr};

use super::address::SocketAddress;
use super::control::Control;
use crate::engine::endpoint::Endpoint;
use crate::packet::checksum::{fold, sum, term};

const UDP: u8 = libc::IPPROTO_UDP as u8;
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;
const UDP_HEADER: usize = 8;
/// Offsets count so many bytes.
const UNIT: usize = 8;
/// Pieces of one system call.
const AT_ONCE: usize = 64;

/// Where datagrams go from and to, and how many bytes their IP packets may have.
#[derive(Clone, Copy)]
pub struct Flow {
    pub port: u16,
    pub source: Ipv6Addr,
    pub to: Endpoint,
    pub wire: usize,
    pub ecn: u8,
}

impl Flow {
    /// Bytes of a datagram in one piece.
    fn room(&self) -> usize {
        let room = self.wire.saturating_sub(IPV6_HEADER + FRAGMENT_HEADER);
        (room / UNIT * UNIT).max(UNIT)
    }

    /// How many messages of so many bytes go with one system call.
    pub fn at_once(&self, message: usize) -> usize {
        let pieces = (UDP_HEADER + message).div_ceil(self.room());
        (AT_ONCE / pieces).max(1)
    }
}

/// Datagrams in pieces, one after the other.
#[derive(Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Pieces of each datagram.
    counts: Vec<usize>,
    datagram: Vec<u8>,
}

impl Pieces {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.counts.clear();
    }

    pub fn add(&mut self, message: &[u8], flow: &Flow, identification: u32) {
        self.write_datagram(message, flow);
        let (room, total) = (flow.room(), self.datagram.len());
        let before = self.ends.len();
        for at in (0..total).step_by(room) {
            let end = total.min(at + room);
            let field = at as u16 | u16::from(end < total);
            self.bytes.extend([UDP, 0]);
            self.bytes.extend(field.to_be_bytes());
            self.bytes.extend(identification.to_be_bytes());
            self.bytes.extend(&self.datagram[at..end]);
            self.ends.push(self.bytes.len());
        }
        self.counts.push(self.ends.len() - before);
    }

    /// With its header; a checksum of 0 is written as 0xffff (RFC 8200, 8.1).
    fn write_datagram(&mut self, message: &[u8], flow: &Flow) {
        let length = UDP_HEADER + message.len();
        self.datagram.clear();
        for field in [flow.port, flow.to.port, length as u16, 0] {
            self.datagram.extend(field.to_be_bytes());
        }
        self.datagram.extend(message);
        let IpAddr::V6(to) = flow.to.address else {
            return; // nothing of IPv4 comes here
        };
        let addresses = sum(&flow.source.octets()) + sum(&to.octets());
        let pseudo = addresses + term(length as u16) + term(UDP.into());
        let checksum = match !fold(pseudo + sum(&self.datagram)) {
            0 => 0xffff,
            other => other,
        };
        self.datagram[6..8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// How many datagrams were sent, or -1 with errno. Of one that was sent in part the rest is lost, and so is all of it.
    pub fn send(&mut self, fd: i32, flow: &Flow) -> i32 {
        let to = Endpoint {
            port: 0, // a raw socket's is its protocol
            ..flow.to
        };
        let (mut address, length) = SocketAddress::of(&to);
        let mut control = Control::EMPTY;
        let used = control.write(None, Some(flow.source.into()), flow.ecn, true);
        let mut parts = Vec::with_capacity(self.ends.len());
        let mut at = 0;
        for end in &self.ends {
            let piece = &mut self.bytes[at..*end];
            parts.push(libc::iovec {
                iov_base: piece.as_mut_ptr().cast(),
                iov_len: piece.len(),
            });
            at = *end;
        }
        // SAFETY: all zeros is a valid mmsghdr.
        let empty: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let mut headers = vec![empty; parts.len()];
        for (header, part) in headers.iter_mut().zip(&mut parts) {
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut address).cast();
            header.msg_namelen = length;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = used as _;
        }
        // SAFETY: the headers point into `address`, `control`, `parts` and the buffer, all alive here.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), headers.len() as u32, 0) };
        if sent <= 0 {
            sent
        } else {
            self.done(sent as usize)
        }
    }

    /// Datagrams of which any of so many pieces is.
    fn done(&self, pieces: usize) -> i32 {
        let mut left = pieces;
        let begun = self.counts.iter().take_while(|count| {
            let any = left > 0;
            left = left.saturating_sub(**count);
            any
        });
        begun.count() as i32
    }
}

/// Of the next datagram: nobody may guess which one that is (RFC 7739).
pub fn identification() -> u32 {
    let mut bytes = [0; 4];
    // SAFETY: it writes at most as many bytes as there are.
    let _ = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    u32::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(wire: usize) -> Flow {
        let to = Endpoint {
            address: "2001:db8::2".parse().unwrap(),
            port: 51820,
            scope: 0,
            source: None,
        };
        Flow {
            port: 4000,
            source: "2001:db8::1".parse().unwrap(),
            to,
            wire,
            ecn: 0,
        }
    }

    /// By the words of RFC 8200, 4.5, and the datagram's checksum.
    fn together(pieces: &Pieces, wire: usize) -> Vec<u8> {
        let (mut whole, mut at) = (vec![], 0);
        for (number, end) in pieces.ends.iter().enumerate() {
            let piece = &pieces.bytes[at..*end];
            let field = u16::from_be_bytes([piece[2], piece[3]]);
            assert_eq!((piece[0], &piece[4..8]), (UDP, &[0, 0, 0, 9][..]));
            assert_eq!(usize::from(field & 0xfff8), whole.len());
            assert_eq!(field & 1 == 1, number + 1 < pieces.ends.len());
            assert!(IPV6_HEADER + piece.len() <= wire);
            whole.extend(&piece[FRAGMENT_HEADER..]);
            at = *end;
        }
        whole
    }

    #[test]
    fn pieces_are_put_together_again_and_none_is_longer_than_allowed() {
        for wire in [1280, 1281, 1287, 1288, 1359, 600] {
            for length in [0, 1, 1224, 1225, 1312, 1313, 5000] {
                let message: Vec<u8> = (0..length).map(|at: usize| at as u8).collect();
                let mut pieces = Pieces::default();
                pieces.add(&message, &flow(wire), 9);
                let whole = together(&pieces, wire);
                assert_eq!(&whole[UDP_HEADER..], message);
                assert_eq!(whole[..6], [15, 160, 202, 108, whole[4], whole[5]]);
                let sent = sum(&whole) + term(whole.len() as u16) + term(17);
                let addresses = sum(&flow(wire).source.octets())
                    + sum(&"2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
                assert_eq!(fold(sent + addresses), 0xffff);
            }
        }
    }

    #[test]
    fn what_is_sent_in_part_counts_as_done() {
        let mut pieces = Pieces::default();
        for _ in 0..3 {
            pieces.add(&[7; 1400], &flow(1280), 9);
        }
        assert_eq!(
            [1, 2, 3, 4, 5, 6].map(|sent| pieces.done(sent)),
            [1, 1, 2, 2, 3, 3]
        );
        assert_eq!(flow(1280).at_once(1400), 32);
        pieces.clear();
        pieces.add(&[7; 100], &flow(1280), 9);
        assert_eq!(pieces.done(1), 1);
    }
}
