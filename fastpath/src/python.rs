//! The engine as Python sees it: wgnode/dataplane/fast.py is its only user, and wgnode_fastpath.pyi its description.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::{PyOSError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::crypto::{self, Suite};
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::handover::Handed;
use crate::engine::session::{Refused, Session};
use crate::engine::{Batch, Engine, Outgoing};
use crate::io::{Io, Sockets, Tun};
use crate::packet::coalesce::Offloads;
use crate::packet::inner::Address;
use crate::routes::Network;

/// Address bytes, port, scope, bytes of the local address or None.
type Place<'py> = (Bound<'py, PyBytes>, u16, u32, Option<Bound<'py, PyBytes>>);
type GivenPlace = (Vec<u8>, u16, u32, Option<Vec<u8>>);

fn ip(bytes: &[u8]) -> PyResult<IpAddr> {
    match bytes.len() {
        4 => Ok(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes)?))),
        16 => Ok(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes)?))),
        length => Err(PyValueError::new_err(format!(
            "an address of {length} bytes"
        ))),
    }
}

fn place(given: &GivenPlace) -> PyResult<Endpoint> {
    let (address, port, scope, source) = given;
    let source = source.as_deref().map(ip).transpose()?;
    Ok(Endpoint {
        address: ip(address)?,
        port: *port,
        scope: *scope,
        source,
    })
}

fn ip_bytes<'py>(py: Python<'py>, address: IpAddr) -> Bound<'py, PyBytes> {
    match address {
        IpAddr::V4(address) => PyBytes::new(py, &address.octets()),
        IpAddr::V6(address) => PyBytes::new(py, &address.octets()),
    }
}

fn given_place<'py>(py: Python<'py>, endpoint: &Endpoint) -> Place<'py> {
    let source = endpoint.source.map(|source| ip_bytes(py, source));
    (
        ip_bytes(py, endpoint.address),
        endpoint.port,
        endpoint.scope,
        source,
    )
}

fn key(bytes: &[u8]) -> PyResult<&[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err("a key has 32 bytes"))
}

fn route(bytes: &[u8]) -> PyResult<Address> {
    match ip(bytes)? {
        IpAddr::V4(address) => Ok(Address::V4(address.octets())),
        IpAddr::V6(address) => Ok(Address::V6(address.octets())),
    }
}

fn to_network(address: &[u8], length: u8) -> PyResult<Network> {
    Network::new(route(address)?, length)
        .ok_or_else(|| PyValueError::new_err(format!("a prefix of {length} bits")))
}

fn os_error(errno: i32) -> PyErr {
    PyOSError::new_err((errno, std::io::Error::from_raw_os_error(errno).to_string()))
}

/// Which code seals and opens, and why: (name, reason). `wanted` is "ring", "avx512", or None for the best there is.
#[pyfunction]
#[pyo3(signature = (wanted=None))]
fn choose_crypto(wanted: Option<&str>) -> PyResult<(PySuite, String)> {
    let (suite, why) = crypto::choose(wanted).map_err(PyValueError::new_err)?;
    Ok((PySuite(suite), why))
}

#[pyclass(frozen, name = "Suite")]
struct PySuite(Suite);

#[pymethods]
impl PySuite {
    fn __repr__(&self) -> String {
        format!("Suite({:?})", self.0)
    }
}

#[pyclass(frozen, name = "Session")]
struct PySession(Arc<Session>);

#[pymethods]
impl PySession {
    /// `indices` are local and remote, `keys` those to send and to receive with; the caller wipes its own.
    #[new]
    fn new(
        indices: (u32, u32),
        keys: (Bound<'_, PyBytes>, Bound<'_, PyBytes>),
        created: f64,
        suite: &PySuite,
    ) -> PyResult<Self> {
        let keys = (key(keys.0.as_bytes())?, key(keys.1.as_bytes())?);
        Ok(PySession(Arc::new(Session::new(
            indices, keys, created, suite.0,
        ))))
    }

    #[getter]
    fn send_counter(&self) -> u64 {
        self.0.send_counter()
    }

    #[setter]
    fn set_send_counter(&self, counter: u64) -> PyResult<()> {
        if self.0.skip_to(counter) {
            Ok(())
        } else {
            Err(PyValueError::new_err("a counter that was used already"))
        }
    }

    /// A whole transport message. OverflowError beyond REJECT_AFTER_MESSAGES.
    fn seal<'py>(&self, py: Python<'py>, padded: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let message = self
            .0
            .seal(padded)
            .ok_or_else(|| PyOverflowError::new_err("the session has no counter left"))?;
        Ok(PyBytes::new(py, &message))
    }

    /// The padded inner packet; False for what is not authentic, None for a replay.
    fn open<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if message.len() < crypto::OVERHEAD {
            return Err(PyValueError::new_err("shorter than any transport message"));
        }
        let mut message = message.to_vec();
        match self.0.open(&mut message) {
            Ok(()) => Ok(
                PyBytes::new(py, &message[crypto::HEADER..message.len() - crypto::TAG]).into_any(),
            ),
            Err(Refused::BadTransport) => Ok(false.into_pyobject(py)?.to_owned().into_any()),
            Err(Refused::Replayed) => Ok(py.None().into_bound(py)),
        }
    }
}

struct Plane {
    engine: Engine,
    io: Option<Io>,
}

#[pyclass(frozen, name = "Engine")]
struct PyEngine(Mutex<Plane>);

impl PyEngine {
    fn plane(&self) -> MutexGuard<'_, Plane> {
        self.0
            .lock()
            .expect("no holder panics: the process ends then")
    }
}

#[pymethods]
impl PyEngine {
    #[new]
    fn new() -> Self {
        PyEngine(Mutex::new(Plane {
            engine: Engine::default(),
            io: None,
        }))
    }

    /// Ascending, the device's own last.
    fn set_mtus(&self, mtus: Vec<usize>) {
        self.plane().engine.mtus = mtus;
    }

    fn set_mac1_keys(&self, keys: Vec<Vec<u8>>) -> PyResult<()> {
        let keys: PyResult<Vec<[u8; 32]>> = keys.iter().map(|each| key(each).copied()).collect();
        self.plane().engine.mac1_keys = keys?;
        Ok(())
    }

    fn add_peer(&self) -> u32 {
        self.plane().engine.peers.add()
    }

    fn remove_peer(&self, peer: u32) {
        self.plane().engine.remove_peer(peer);
    }

    fn add_session(&self, session: &PySession, peer: u32, confirmed: bool) {
        self.plane()
            .engine
            .add_session(session.0.clone(), peer, confirmed);
    }

    /// The protocol needs not see the first of its messages any more.
    fn confirm_session(&self, local: u32) {
        self.plane().engine.confirm_session(local);
    }

    fn remove_session(&self, local: u32) {
        self.plane().engine.remove_session(local);
    }

    /// The session that sends, by its local index, or None.
    fn set_current(&self, peer: u32, local: Option<u32>) {
        self.plane().engine.set_current(peer, local);
    }

    /// Where the peer is, and how to send there: (place, nested), or None while that is to be asked for each packet.
    fn set_endpoint(
        &self,
        peer: u32,
        at: Option<GivenPlace>,
        to: Option<(GivenPlace, bool)>,
    ) -> PyResult<()> {
        let endpoint = at.as_ref().map(place).transpose()?;
        let destination = match (&endpoint, to) {
            (None, _) => Destination::Unknown,
            (_, None) => Destination::Unresolved,
            (_, Some((to, nested))) => Destination::Resolved {
                to: place(&to)?,
                nested,
            },
        };
        self.plane()
            .engine
            .set_endpoint(peer, endpoint, destination);
        Ok(())
    }

    fn forget_destinations(&self) {
        self.plane().engine.forget_destinations();
    }

    fn add_route(&self, network: &[u8], length: u8, peer: u32) -> PyResult<()> {
        let network = to_network(network, length)?;
        self.plane().engine.routes.insert(network, peer);
        Ok(())
    }

    fn remove_route(&self, network: &[u8], length: u8, peer: u32) -> PyResult<()> {
        let network = to_network(network, length)?;
        self.plane().engine.routes.remove(network, peer);
        Ok(())
    }

    fn remove_routes(&self, peer: u32) {
        self.plane().engine.routes.remove_owner(peer);
    }

    /// (network's bytes, prefix length) in the order added.
    fn routes<'py>(&self, py: Python<'py>, peer: u32) -> Vec<(Bound<'py, PyBytes>, u8)> {
        let plane = self.plane();
        let give = |network| match network {
            Address::V4(bytes) => PyBytes::new(py, &bytes),
            Address::V6(bytes) => PyBytes::new(py, &bytes),
        };
        plane
            .engine
            .routes
            .networks(peer)
            .map(|network| (give(network.address()), network.length()))
            .collect()
    }

    fn route_count(&self) -> usize {
        self.plane().engine.routes.len()
    }

    fn lookup(&self, address: &[u8]) -> PyResult<Option<u32>> {
        let address = route(address)?;
        Ok(self.plane().engine.routes.lookup(address))
    }

    /// One inner packet without I/O: the messages as (peer, bytes); None when it was handed over (see `handed`).
    fn send<'py>(
        &self,
        py: Python<'py>,
        frame: &[u8],
        now: f64,
    ) -> Option<Vec<(u32, Bound<'py, PyBytes>)>> {
        let mut plane = self.plane();
        let mut out = vec![0; 1 << 20];
        match plane.engine.send(frame, &mut out, now) {
            Outgoing::HandedOver => None,
            Outgoing::Dropped => Some(vec![]),
            Outgoing::Unsealed(unsealed) => {
                let train = &mut out[..unsealed.train.total()];
                unsealed
                    .session
                    .send
                    .seal_train(train, unsealed.train.stride);
                let each = train.chunks(unsealed.train.stride);
                Some(
                    each.map(|message| (unsealed.peer, PyBytes::new(py, message)))
                        .collect(),
                )
            }
        }
    }

    /// One datagram, or a train of `segment` bytes each, without I/O: the inner packets (see `handed` for the rest).
    #[pyo3(signature = (data, at, now, segment=None, ecn=0))]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        at: GivenPlace,
        now: f64,
        segment: Option<usize>,
        ecn: u8,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let from = place(&at)?;
        let mut buffer = data.to_vec();
        let batch = Batch {
            start: 0,
            length: data.len(),
            segment: segment.unwrap_or(data.len()),
            from,
            ecn,
            congested: false,
        };
        let mut packets = vec![];
        self.plane()
            .engine
            .receive(&mut buffer, batch, now, |buffer, offset, length| {
                packets.push(PyBytes::new(py, &buffer[offset..offset + length]));
            });
        Ok(packets)
    }

    /// What the protocol has to handle: (data, place) of datagrams, (data, None) of inner packets.
    fn handed<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, Option<Place<'py>>)> {
        let handed = self.plane().engine.handover.take();
        let give = |each: Handed| match each {
            Handed::Datagram(data, from) => (PyBytes::new(py, &data), Some(given_place(py, &from))),
            Handed::Packet(data) => (PyBytes::new(py, &data), None),
        };
        handed.into_iter().map(give).collect()
    }

    /// (peer, tx bytes, rx bytes, sent at, received at, waiting since, owing since, owing more, place if it has moved).
    #[allow(clippy::type_complexity)]
    fn activity<'py>(
        &self,
        py: Python<'py>,
    ) -> Vec<(
        u32,
        u64,
        u64,
        Option<f64>,
        Option<f64>,
        Option<f64>,
        Option<f64>,
        bool,
        Option<Place<'py>>,
    )> {
        let mut plane = self.plane();
        plane.engine.roamed = false;
        let report = plane.engine.peers.take_activity();
        let give =
            |(peer, did, moved): (u32, crate::engine::activity::Activity, Option<Endpoint>)| {
                let moved = moved.map(|endpoint| given_place(py, &endpoint));
                (
                    peer,
                    did.tx_bytes,
                    did.rx_bytes,
                    did.sent_at,
                    did.received_at,
                    did.waiting_since,
                    did.owing_since,
                    did.owing_more,
                    moved,
                )
            };
        report.into_iter().map(give).collect()
    }

    /// What was dropped, by the protocol's names.
    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.plane().engine.counters.dropped().collect()
    }

    /// What the kernel refused: ("tun" or "udp", errno, packets).
    fn refused(&self) -> Vec<(&'static str, i32, u64)> {
        self.plane().engine.counters.refused().collect()
    }

    /// Datagrams whose control messages were cut off.
    fn cut_off(&self) -> u64 {
        self.plane().engine.counters.cut_off
    }

    fn sessions(&self) -> usize {
        self.plane().engine.sessions()
    }

    /// From now on `run` works, until `other` is readable. OSError.
    fn open(&self, other: i32) -> PyResult<()> {
        self.plane().io = Some(Io::new(other).map_err(os_error)?);
        Ok(())
    }

    /// The TUN to move packets of, or None. OSError.
    #[pyo3(signature = (fd, *, vnet_header=false, tso4=false, tso6=false, uso=false))]
    fn set_tun(
        &self,
        fd: Option<i32>,
        vnet_header: bool,
        tso4: bool,
        tso6: bool,
        uso: bool,
    ) -> PyResult<()> {
        let offloads = Offloads {
            checksum: vnet_header,
            tso4,
            tso6,
            uso,
        };
        let tun = fd.map(|fd| Tun { fd, vnet_header });
        self.plane().io()?.set_tun(tun, offloads).map_err(os_error)
    }

    /// The sockets to move datagrams of. OSError.
    fn set_sockets(&self, v4: Option<i32>, v6: Option<i32>, gso: bool) -> PyResult<()> {
        self.plane()
            .io()?
            .set_sockets(Sockets { v4, v6, gso })
            .map_err(os_error)
    }

    /// Moves packets for at most `timeout` seconds, without the interpreter's lock; true when the TUN is gone. OSError.
    fn run(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let done = py.detach(|| {
            let mut plane = self.plane();
            let Plane { engine, io } = &mut *plane;
            let io = io.as_mut()?;
            Some(io.run(engine, timeout).map(|()| io.tun_gone))
        });
        done.ok_or_else(|| PyValueError::new_err("not open"))?
            .map_err(os_error)
    }
}

impl Plane {
    fn io(&mut self) -> PyResult<&mut Io> {
        self.io
            .as_mut()
            .ok_or_else(|| PyValueError::new_err("not open"))
    }
}

#[pymodule]
fn wgnode_fastpath(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(choose_crypto, module)?)?;
    module.add_class::<PySuite>()?;
    module.add_class::<PySession>()?;
    module.add_class::<PyEngine>()
}
