//! Endpoints as the kernel's socket addresses, and what goes beside a datagram: cmsg(3).

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::endpoint::Endpoint;

/// Room for either family. It begins as EMPTY, so that every byte of it is initialised.
#[repr(C)]
#[derive(Clone, Copy)]
pub union SocketAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
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
        let mut socket_address = SocketAddress::EMPTY;
        let length = match endpoint.address {
            IpAddr::V4(address) => {
                socket_address.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: endpoint.port.to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(address.octets()),
                    },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            IpAddr::V6(address) => {
                socket_address.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: endpoint.port.to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    sin6_scope_id: endpoint.scope,
                };
                SOCKET_ADDRESS
            }
        };
        (socket_address, length)
    }

    /// None for another family than IPv4 and IPv6.
    pub fn endpoint(&self, source: Option<IpAddr>) -> Option<Endpoint> {
        // SAFETY: all bytes are initialised, and every bit pattern is a valid value of either. Both begin with the family.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_either_family_comes_back() {
        for (address, scope) in [("192.0.2.1", 0), ("fe80::1", 3)] {
            let endpoint = Endpoint {
                address: address.parse().unwrap(),
                port: 51820,
                scope,
                source: None,
            };
            let (socket_address, length) = SocketAddress::of(&endpoint);
            assert!(length <= SOCKET_ADDRESS);
            assert_eq!(socket_address.endpoint(None), Some(endpoint));
        }
    }

    #[test]
    fn what_the_kernel_left_empty_is_no_endpoint() {
        assert_eq!(SocketAddress::EMPTY.endpoint(None), None);
    }
}
