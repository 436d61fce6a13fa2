//! Endpoints as the kernel's socket addresses, and what goes beside a datagram: cmsg(3).

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::endpoint::Endpoint;

/// Room for either family.
#[repr(C)]
#[derive(Clone, Copy)]
pub union SocketAddress {
    pub v4: libc::sockaddr_in,
    pub v6: libc::sockaddr_in6,
}

pub const SOCKET_ADDRESS: libc::socklen_t = size_of::<SocketAddress>() as libc::socklen_t;

impl SocketAddress {
    pub const EMPTY: SocketAddress = SocketAddress {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// With its length in bytes.
    pub fn of(endpoint: &Endpoint) -> (SocketAddress, libc::socklen_t) {
        match endpoint.address {
            IpAddr::V4(address) => {
                let v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: endpoint.port.to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(address.octets()),
                    },
                    sin_zero: [0; 8],
                };
                (
                    SocketAddress { v4 },
                    size_of::<libc::sockaddr_in>() as libc::socklen_t,
                )
            }
            IpAddr::V6(address) => {
                let v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: endpoint.port.to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    sin6_scope_id: endpoint.scope,
                };
                (SocketAddress { v6 }, SOCKET_ADDRESS)
            }
        }
    }

    /// None for another family than IPv4 and IPv6.
    pub fn endpoint(&self, source: Option<IpAddr>) -> Option<Endpoint> {
        // SAFETY: both structures begin with the family, and every bit pattern is a valid value of either.
        let (v4, v6) = unsafe { (self.v4, self.v6) };
        match i32::from(v4.sin_family) {
            libc::AF_INET => {
                let address = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(Endpoint {
                    address: address.into(),
                    port: u16::from_be(v4.sin_port),
                    scope: 0,
                    source,
                })
            }
            libc::AF_INET6 => {
                let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let (port, scope) = (u16::from_be(v6.sin6_port), v6.sin6_scope_id);
                Some(Endpoint {
                    address: address.into(),
                    port,
                    scope,
                    source,
                })
            }
            _ => None,
        }
    }
}
