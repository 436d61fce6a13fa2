//! The headers of a TSO or USO train, and what makes them the headers of one of its packets.

use super::checksum::{fold, pseudo, store, sum_portable, term};
use super::fields::*;
use super::vnet::{Gso, VnetHeader};

/// The checksum as it is sent: a UDP checksum of zero would mean that there is none (RFC 768).
#[inline]
pub fn transmitted(checksum: u16, udp: bool) -> u16 {
    if checksum == 0 && udp {
        0xffff
    } else {
        checksum
    }
}

/// What does not change from packet to packet, and what each packet's fields count up from.
pub struct TrainHeader {
    version: u8,
    protocol: u8,
    /// Where the transport header begins.
    transport: usize,
    /// IP and transport header together, in bytes.
    pub size: usize,
    identification: u16,
    sequence: u32,
    flags: u8,
    /// Of the IPv4 header without length, identification and checksum.
    network_sum: u64,
    /// Of pseudo and transport header without lengths, sequence number, flags and checksum.
    transport_sum: u64,
}

impl TrainHeader {
    /// `ip` has a whole IP header. None when transport header and virtio-net header do not fit it, or each other.
    #[inline]
    pub fn parse(ip: &[u8], header: &VnetHeader) -> Option<TrainHeader> {
        let protocol = if header.gso == Gso::UdpL4 { UDP } else { TCP };
        let transport = transport_offset(ip, header, protocol)?;
        let size = transport + transport_size(ip.get(transport..)?, protocol)?;
        if size > ip.len() {
            return None;
        }
        let mut train = TrainHeader {
            version: version(ip),
            protocol,
            transport,
            size,
            identification: 0,
            sequence: 0,
            flags: 0,
            network_sum: 0,
            transport_sum: pseudo(ip, 0, protocol),
        };
        train.read_network(ip);
        train.read_transport(&ip[transport..size]);
        Some(train)
    }

    fn read_network(&mut self, ip: &[u8]) {
        if self.version == 4 {
            self.identification = read_u16(ip, ipv4::IDENTIFICATION);
            self.network_sum = sum_portable(&ip[..ipv4::TOTAL_LENGTH])
                + sum_portable(&ip[ipv4::FRAGMENT..ipv4::CHECKSUM])
                + sum_portable(&ip[ipv4::ADDRESSES..self.transport]);
        }
    }

    fn read_transport(&mut self, header: &[u8]) {
        self.transport_sum += sum_portable(&header[..tcp::SEQUENCE]);
        if self.protocol == TCP {
            self.sequence = read_u32(header, tcp::SEQUENCE);
            self.flags = header[tcp::FLAGS];
            self.transport_sum += u64::from(header[tcp::DATA_OFFSET])
                + sum_portable(&header[tcp::ACKNOWLEDGMENT..tcp::DATA_OFFSET])
                + sum_portable(&header[tcp::WINDOW..tcp::CHECKSUM])
                + sum_portable(&header[tcp::URGENT..]);
        }
    }

    /// Completes the copied headers of a packet with `before` bytes of the train's payload in front of its own,
    /// which sums up to `payload_sum`. It is number `index`, and perhaps the `last`.
    #[inline]
    pub fn complete(
        &self,
        packet: &mut [u8],
        index: usize,
        before: usize,
        last: bool,
        payload_sum: u64,
    ) {
        self.complete_network(packet, index);
        let length = (packet.len() - self.transport) as u16;
        let header = &mut packet[self.transport..];
        let sum = self.transport_sum + term(length) + payload_sum;
        if self.protocol == UDP {
            write_u16(header, udp::LENGTH, length);
            let check = !fold(sum + term(length));
            store(header, udp::CHECKSUM, transmitted(check, true));
        } else {
            let sequence = self.sequence.wrapping_add(before as u32);
            let flags = self.flags_of(index == 0, last);
            write_u32(header, tcp::SEQUENCE, sequence);
            header[tcp::FLAGS] = flags;
            let fields = term((sequence >> 16) as u16) + term(sequence as u16) + term(flags.into());
            store(header, tcp::CHECKSUM, !fold(sum + fields));
        }
    }

    #[inline]
    fn complete_network(&self, packet: &mut [u8], index: usize) {
        if self.version == 6 {
            let payload = (packet.len() - IPV6_HEADER) as u16;
            write_u16(packet, ipv6::PAYLOAD_LENGTH, payload);
            return;
        }
        let length = packet.len() as u16;
        let identification = self.identification.wrapping_add(index as u16);
        write_u16(packet, ipv4::TOTAL_LENGTH, length);
        write_u16(packet, ipv4::IDENTIFICATION, identification);
        let sum = self.network_sum + term(length) + term(identification);
        store(packet, ipv4::CHECKSUM, !fold(sum));
    }

    /// FIN and PSH belong to the end of the train; CWR, which answers one congestion mark, to its beginning (RFC 3168
    /// section 6.1.2).
    #[inline]
    fn flags_of(&self, first: bool, last: bool) -> u8 {
        let mut flags = self.flags;
        if !last {
            flags &= !(tcp::FIN | tcp::PSH);
        }
        if !first {
            flags &= !tcp::CWR;
        }
        flags
    }
}

/// Where the transport header begins. Behind IPv6 extension headers it is where the checksum starts.
#[inline]
fn transport_offset(ip: &[u8], header: &VnetHeader, protocol: u8) -> Option<usize> {
    let start = header
        .needs_checksum()
        .then_some(usize::from(header.checksum_start));
    if version(ip) == 4 {
        let size = usize::from(ip[0] & 0xf) * 4;
        let fits =
            header.gso != Gso::TcpV6 && ip[ipv4::PROTOCOL] == protocol && size >= IPV4_HEADER;
        return (fits && start.is_none_or(|start| start == size)).then_some(size);
    }
    let start = start.unwrap_or(IPV6_HEADER);
    let follows = start > IPV6_HEADER || start == IPV6_HEADER && ip[ipv6::NEXT_HEADER] == protocol;
    (follows && header.gso != Gso::TcpV4).then_some(start)
}

/// Bytes of the transport header at the beginning of `segment`.
#[inline]
fn transport_size(segment: &[u8], protocol: u8) -> Option<usize> {
    if protocol == UDP {
        return Some(UDP_HEADER);
    }
    let size = usize::from(segment.get(tcp::DATA_OFFSET)? >> 4) * 4;
    (size >= TCP_HEADER).then_some(size)
}
