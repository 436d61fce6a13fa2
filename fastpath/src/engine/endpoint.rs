//! Where datagrams come from and go to, and how a peer is reached at the moment.

use std::net::IpAddr;

/// A peer's outer address, with the local address that it wrote to, as in wgnode/protocol/endpoint.py.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
    /// Interface of a link-local IPv6 address, else 0.
    pub scope: u32,
    pub source: Option<IpAddr>,
}

/// How to send to a peer's endpoint: worked out by the caller, who alone asks the routing table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// The peer has no endpoint: packets to it are dropped.
    #[default]
    Unknown,
    /// Not worked out since routing or the endpoint changed: packets are handed over.
    Unresolved,
    /// Send there, from `to.source` if it has one. `nested`: by another tunnel, so what carries a tunnel's datagram is
    /// handed over, to end tunnels that are routed in a circle.
    Resolved { to: Endpoint, nested: bool },
}

impl Destination {
    /// For a peer that was just heard from elsewhere, until the caller has worked it out: packets follow it there at once,
    /// back from the address that it wrote to, instead of being handed over until there is a gap among them. Whether
    /// another tunnel carries them is not known yet, so it is taken to.
    pub fn roamed(self, from: Endpoint) -> Destination {
        match self {
            Destination::Resolved { .. } => Destination::Resolved {
                to: from,
                nested: true,
            },
            Destination::Unknown | Destination::Unresolved => Destination::Unresolved,
        }
    }
}
