//! What the engine tells, by name. Bytes that Python gets are copies.

use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{PyClass, PyClassInitializer};

use super::convert::{ip, ip_bytes};
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::fitting;
use crate::engine::handover;
use crate::engine::peer::PeerId;
use crate::packet::inner::Address;
use crate::{engine, routes};

/// An endpoint: address (4 or 16 bytes), port, scope of a link-local address or 0, local address or None.
#[pyclass(frozen, get_all, eq, hash, from_py_object)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    address: Vec<u8>,
    port: u16,
    scope: u32,
    source: Option<Vec<u8>>,
}

#[pymethods]
impl Place {
    #[new]
    #[pyo3(signature = (address, port, scope=0, source=None))]
    fn new(address: Vec<u8>, port: u16, scope: u32, source: Option<Vec<u8>>) -> Place {
        Place {
            address,
            port,
            scope,
            source,
        }
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("Place({:?})", self.endpoint()?))
    }
}

impl Place {
    /// ValueError for an address of another length than IPv4's and IPv6's.
    pub fn endpoint(&self) -> PyResult<Endpoint> {
        Ok(Endpoint {
            address: ip(&self.address)?,
            port: self.port,
            scope: self.scope,
            source: self.source.as_deref().map(ip).transpose()?,
        })
    }
}

impl From<Endpoint> for Place {
    fn from(endpoint: Endpoint) -> Place {
        Place {
            address: ip_bytes(endpoint.address),
            port: endpoint.port,
            scope: endpoint.scope,
            source: endpoint.source.map(ip_bytes),
        }
    }
}

/// Where a peer is, and how to send there.
pub fn destination(
    at: Option<Place>,
    to: Option<(Place, bool)>,
) -> PyResult<(Option<Endpoint>, Destination)> {
    let endpoint = at.map(|at| at.endpoint()).transpose()?;
    let destination = match (&endpoint, to) {
        (None, _) => Destination::Unknown,
        (_, None) => Destination::Unresolved,
        (_, Some((to, nested))) => Destination::Resolved {
            to: to.endpoint()?,
            nested,
        },
    };
    Ok((endpoint, destination))
}

/// What a peer's sessions did since the last time: the names of `Activity` in wgnode/protocol/plane.py, and the peer.
#[pyclass(frozen, get_all)]
pub struct Activity {
    peer: u64,
    tx_bytes: u64,
    tx_packets: u64,
    /// Bytes of the largest message sent, 0 for none.
    longest: usize,
    rx_bytes: u64,
    rx_packets: u64,
    sent_at: Option<f64>,
    received_at: Option<f64>,
    waiting_since: Option<f64>,
    owing_since: Option<f64>,
    owing_more: bool,
    /// Where the peer is, if it has moved.
    endpoint: Option<Place>,
}

impl From<(PeerId, engine::activity::Activity, Option<Endpoint>)> for Activity {
    fn from(
        (peer, did, moved): (PeerId, engine::activity::Activity, Option<Endpoint>),
    ) -> Activity {
        Activity {
            peer: peer.into(),
            tx_bytes: did.tx_bytes,
            tx_packets: did.tx_packets,
            longest: did.longest,
            rx_bytes: did.rx_bytes,
            rx_packets: did.rx_packets,
            sent_at: did.sent_at,
            received_at: did.received_at,
            waiting_since: did.waiting_since,
            owing_since: did.owing_since,
            owing_more: did.owing_more,
            endpoint: moved.map(Place::from),
        }
    }
}

/// What the protocol has to handle: a datagram and where it came from, or an inner packet, which came from nowhere.
#[pyclass(frozen, get_all)]
pub struct Handed {
    data: Vec<u8>,
    place: Option<Place>,
}

impl From<handover::Handed> for Handed {
    fn from(handed: handover::Handed) -> Handed {
        match handed {
            handover::Handed::Datagram(data, from) => Handed {
                data,
                place: Some(from.into()),
            },
            handover::Handed::Packet(data) => Handed { data, place: None },
        }
    }
}

/// A sealed message, and whom it is for.
#[pyclass(frozen, get_all)]
pub struct Message {
    pub peer: u64,
    pub data: Vec<u8>,
    /// By the sockets whose datagrams may be fragmented.
    pub long: bool,
}

/// A message of so many bytes was too long for the link to there.
#[pyclass(frozen, get_all)]
pub struct TooLong {
    place: Place,
    message: usize,
}

impl From<(Endpoint, usize)> for TooLong {
    fn from((to, message): (Endpoint, usize)) -> TooLong {
        TooLong {
            place: to.into(),
            message,
        }
    }
}

/// A reply that may be a probe's.
#[pyclass(frozen, get_all)]
pub struct Echo {
    peer: u64,
    packet: Vec<u8>,
}

impl From<fitting::Echo> for Echo {
    fn from(echo: fitting::Echo) -> Echo {
        Echo {
            peer: echo.peer.into(),
            packet: echo.packet,
        }
    }
}

/// What a network is: its address and its prefix's bits.
#[pyclass(frozen, get_all)]
pub struct Network {
    address: Vec<u8>,
    length: u8,
}

impl From<routes::Network> for Network {
    fn from(network: routes::Network) -> Network {
        let address = match network.address() {
            Address::V4(octets) => octets.to_vec(),
            Address::V6(octets) => octets.to_vec(),
        };
        Network {
            address,
            length: network.length(),
        }
    }
}

/// Packets that the kernel did not take: `whose` is "tun" or "udp", `errno` why.
#[pyclass(frozen, get_all)]
pub struct Refusal {
    pub whose: &'static str,
    pub errno: i32,
    pub packets: u64,
}

impl From<(&'static str, i32, u64)> for Refusal {
    fn from((whose, errno, packets): (&'static str, i32, u64)) -> Refusal {
        Refusal {
            whose,
            errno,
            packets,
        }
    }
}

/// What the threads that move packets have to tell.
#[pyclass(frozen, get_all)]
pub struct Events {
    /// Of `Handed`.
    pub handed: Py<PyList>,
    /// Of `Activity`.
    pub activity: Py<PyList>,
    /// Of `Echo`.
    pub echoes: Py<PyList>,
    /// Of `TooLong`.
    pub too_long: Py<PyList>,
    /// The TUN was deleted.
    pub tun_gone: bool,
    /// Why they have ended by themselves; None while they run.
    pub died: Option<String>,
}

/// What the engine tells, one by one.
pub fn all<T, R: From<T>>(told: Vec<T>) -> Vec<R> {
    told.into_iter().map(R::from).collect()
}

/// A list of what the engine tells.
pub fn told<T, R: From<T> + PyClass>(py: Python<'_>, told: Vec<T>) -> PyResult<Py<PyList>>
where
    PyClassInitializer<R>: From<R>,
{
    let records: PyResult<Vec<Py<R>>> = told
        .into_iter()
        .map(|each| Py::new(py, R::from(each)))
        .collect();
    Ok(PyList::new(py, records?)?.unbind())
}
