//! Which flow a packet is of: addresses, protocol, ports or the identifier of an echo. The same answers as
//! `wgnode/policy/packet.py`.

use std::hash::{Hash, Hasher};

use super::fields::*;
use super::headers::{self, Headers};
use super::icmp::{ERRORS, ICMP_HEADER};
use super::inner::{self, Address};
use crate::routes::network;

/// From one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    pub source: Address,
    pub destination: Address,
    pub protocol: u8,
    /// The source's and the destination's. Zeros where there are none.
    pub ports: (u16, u16),
}

impl Hash for Tuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (family, source) = network::key(self.source);
        state.write_u128(source);
        state.write_u128(network::key(self.destination).1);
        let ports = u64::from(self.ports.0) << 16 | u64::from(self.ports.1);
        state.write_u64(ports << 32 | u64::from(self.protocol) << 8 | family as u64);
    }
}

impl Tuple {
    /// Of what comes back.
    #[inline]
    pub fn turned(&self) -> Tuple {
        Tuple {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            ports: (self.ports.1, self.ports.0),
        }
    }

    /// The destination's port; 0 of a protocol without.
    pub fn port(&self) -> u16 {
        if has_ports(self.protocol) {
            self.ports.1
        } else {
            0
        }
    }

    /// The same for both directions.
    #[inline]
    pub fn either_way(&self) -> Tuple {
        if (self.source, self.ports.0) > (self.destination, self.ports.1) {
            self.turned()
        } else {
            *self
        }
    }
}

/// What all fragments of a packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Datagram {
    pub source: Address,
    pub destination: Address,
    /// Of IPv6 it is zero: there it may stand in the first one alone.
    pub protocol: u8,
    pub identification: u32,
}

/// What a packet is to whoever keeps flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Whole(Tuple),
    /// The first fragment of a packet of the flow.
    First(Tuple, Datagram),
    Later(Datagram),
    /// An ICMP error for whoever sent the packet that it cites; None of one that can't be read, or was another's.
    Error(Option<Tuple>),
    /// Its ports can't be read.
    Unreadable,
}

/// What a packet with a whole IP header is. Of TCP and UDP without options or extension headers little is looked at.
#[inline]
pub fn subject(packet: &[u8]) -> Subject {
    let simple = match version(packet) {
        4 => simple4(packet),
        _ => simple6(packet),
    };
    simple.map_or_else(|| read_all(packet), Subject::Whole)
}

/// TCP's flags of a packet that is `whole`, zero where it is of another protocol.
#[inline]
pub fn tcp_flags(packet: &[u8], protocol: u8) -> u8 {
    if protocol != TCP {
        return 0;
    }
    let upper = match version(packet) {
        4 => usize::from(packet[0] & 0xf) * 4,
        _ if packet[ipv6::NEXT_HEADER] == TCP => IPV6_HEADER,
        _ => headers::read(packet).map_or(usize::MAX - tcp::FLAGS, |read| read.upper),
    };
    packet.get(upper + tcp::FLAGS).copied().unwrap_or(0)
}

const NO_OPTIONS: u8 = 0x45;
/// Both ports of TCP and UDP.
const PORTS: usize = 4;

#[inline]
fn simple4(packet: &[u8]) -> Option<Tuple> {
    let header = packet.first_chunk::<{ IPV4_HEADER + PORTS }>()?;
    let fragment = read_u16(header, ipv4::FRAGMENT) & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET);
    let protocol = header[ipv4::PROTOCOL];
    if header[0] != NO_OPTIONS || fragment != 0 || !has_ports(protocol) {
        return None;
    }
    Some(Tuple {
        source: inner::source(header)?,
        destination: inner::destination(header)?,
        protocol,
        ports: ports_at(header, IPV4_HEADER),
    })
}

#[inline]
fn simple6(packet: &[u8]) -> Option<Tuple> {
    let header = packet.first_chunk::<{ IPV6_HEADER + PORTS }>()?;
    let protocol = header[ipv6::NEXT_HEADER];
    if !has_ports(protocol) {
        return None;
    }
    Some(Tuple {
        source: inner::source(header)?,
        destination: inner::destination(header)?,
        protocol,
        ports: ports_at(header, IPV6_HEADER),
    })
}

#[inline]
pub fn has_ports(protocol: u8) -> bool {
    protocol == TCP || protocol == UDP
}

#[inline]
fn ports_at(packet: &[u8], at: usize) -> (u16, u16) {
    (read_u16(packet, at), read_u16(packet, at + 2))
}

#[inline(never)]
fn read_all(packet: &[u8]) -> Subject {
    let Some(read) = headers::read(packet) else {
        return Subject::Unreadable;
    };
    let packet = &packet[..read.length];
    if read.fragment > 0 {
        return datagram(packet, &read).map_or(Subject::Unreadable, Subject::Later);
    }
    if is_error(packet, &read) {
        return Subject::Error(cited(packet, &read));
    }
    let Some(tuple) = tuple(packet, &read) else {
        return Subject::Unreadable;
    };
    match datagram(packet, &read) {
        Some(datagram) if read.more => Subject::First(tuple, datagram),
        _ => Subject::Whole(tuple),
    }
}

/// None where its ports, or what kind of ICMP it is, are not there.
fn tuple(packet: &[u8], read: &Headers) -> Option<Tuple> {
    let upper = &packet[read.upper..];
    let ports = match read.protocol {
        TCP | UDP => upper.first_chunk::<PORTS>().map(|it| ports_at(it, 0))?,
        protocol if protocol == icmp_of(read.version) => icmp_ports(upper, protocol)?,
        _ => (0, 0),
    };
    Some(Tuple {
        source: inner::source(packet)?,
        destination: inner::destination(packet)?,
        protocol: read.protocol,
        ports,
    })
}

fn icmp_of(version: u8) -> u8 {
    if version == 4 { ICMP } else { ICMPV6 }
}

/// Types of an echo and its reply.
fn echo(protocol: u8) -> (u8, u8) {
    if protocol == ICMP { (8, 0) } else { (128, 129) }
}

/// What an echo has in place of the other side's port: so its reply is the flow turned round, and an echo from the other
/// side is not.
const ECHO_PORT: u16 = 8;
const IDENTIFIER: usize = 4;

fn icmp_ports(message: &[u8], protocol: u8) -> Option<(u16, u16)> {
    let message = message.first_chunk::<ICMP_HEADER>()?;
    let identifier = read_u16(message, IDENTIFIER);
    let (request, reply) = echo(protocol);
    Some(match message[0] {
        kind if kind == request => (identifier, ECHO_PORT),
        kind if kind == reply => (ECHO_PORT, identifier),
        _ => (0, read_u16(message, 0)),
    })
}

/// The types of ICMPv6 below it are errors (RFC 4443 section 2.1).
const FIRST_INFORMATION6: u8 = 128;

fn is_error(packet: &[u8], read: &Headers) -> bool {
    let kind = packet.get(read.upper);
    read.protocol == icmp_of(read.version)
        && kind.is_some_and(|kind| match read.version {
            4 => ERRORS.contains(kind),
            _ => *kind < FIRST_INFORMATION6,
        })
}

/// The flow of the packet that an error cites, which is for who sent that.
fn cited(packet: &[u8], error: &Headers) -> Option<Tuple> {
    let cited = packet.get(error.upper + ICMP_HEADER..)?;
    let read = headers::read_cut(cited).filter(|read| read.fragment == 0)?;
    let cited = &cited[..read.length];
    let kind = cited.get(read.upper).copied();
    let (request, reply) = echo(read.protocol);
    if read.protocol == icmp_of(read.version) && kind != Some(request) && kind != Some(reply) {
        return None;
    }
    let tuple = tuple(cited, &read)?;
    (Some(tuple.source) == inner::destination(packet)).then_some(tuple)
}

/// None of a packet that is not in fragments.
fn datagram(packet: &[u8], read: &Headers) -> Option<Datagram> {
    if read.fragment == 0 && !read.more {
        return None;
    }
    Some(Datagram {
        source: inner::source(packet)?,
        destination: inner::destination(packet)?,
        protocol: if read.version == 4 { read.protocol } else { 0 },
        identification: read.identification,
    })
}

#[cfg(test)]
mod tests;
