//! The engine's methods. Times are seconds of CLOCK_BOOTTIME; peers are numbers that `add_peer` gives once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::convert::{key, os_error, route, to_network};
use super::records::{Activity, Handed, Message, Network, Place, Refusal};
use super::session::PySession;
use crate::engine::endpoint::Destination;
use crate::engine::{Batch, Engine, Outgoing, Unsealed};
use crate::io::{Io, Sockets, Tun};
use crate::packet::coalesce::Offloads;

struct Plane {
    engine: Engine,
    io: Option<Io>,
}

#[pyclass(frozen, name = "Engine")]
pub struct PyEngine(Mutex<Plane>);

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

    fn add_peer(&self) -> u64 {
        self.plane().engine.peers.add().into()
    }

    fn remove_peer(&self, peer: u64) {
        self.plane().engine.remove_peer(peer.into());
    }

    fn add_session(&self, session: &PySession, peer: u64, confirmed: bool) {
        self.plane()
            .engine
            .add_session(session.0.clone(), peer.into(), confirmed);
    }

    /// The protocol needs not see the first of its messages any more.
    fn confirm_session(&self, local: u32) {
        self.plane().engine.confirm_session(local);
    }

    fn remove_session(&self, local: u32) {
        self.plane().engine.remove_session(local);
    }

    /// The session that sends, by its local index, or None.
    fn set_current(&self, peer: u64, local: Option<u32>) {
        self.plane().engine.set_current(peer.into(), local);
    }

    /// Where the peer is, and how to send there: (place, nested), or None while that is to be asked for each packet.
    fn set_endpoint(
        &self,
        peer: u64,
        at: Option<Place>,
        to: Option<(Place, bool)>,
    ) -> PyResult<()> {
        let endpoint = at.map(|at| at.endpoint()).transpose()?;
        let destination = match (&endpoint, to) {
            (None, _) => Destination::Unknown,
            (_, None) => Destination::Unresolved,
            (_, Some((to, nested))) => Destination::Resolved {
                to: to.endpoint()?,
                nested,
            },
        };
        self.plane()
            .engine
            .set_endpoint(peer.into(), endpoint, destination);
        Ok(())
    }

    fn forget_destinations(&self) {
        self.plane().engine.forget_destinations();
    }

    fn add_route(&self, network: &[u8], length: u8, peer: u64) -> PyResult<()> {
        let network = to_network(network, length)?;
        self.plane().engine.add_route(network, peer.into());
        Ok(())
    }

    fn remove_route(&self, network: &[u8], length: u8, peer: u64) -> PyResult<()> {
        let network = to_network(network, length)?;
        self.plane().engine.remove_route(network, peer.into());
        Ok(())
    }

    fn remove_routes(&self, peer: u64) {
        self.plane().engine.remove_routes(peer.into());
    }

    /// In the order added.
    fn routes(&self, peer: u64) -> Vec<Network> {
        let networks = self.plane().engine.routes(peer.into());
        networks.into_iter().map(Network::from).collect()
    }

    fn route_count(&self) -> usize {
        self.plane().engine.route_count()
    }

    fn lookup(&self, address: &[u8]) -> PyResult<Option<u64>> {
        let address = route(address)?;
        Ok(self.plane().engine.lookup(address).map(u64::from))
    }

    /// One inner packet without I/O; None when it was handed over (see `handed`).
    fn send(&self, frame: &[u8], now: f64) -> Option<Vec<Message>> {
        let mut out = vec![0; 1 << 20];
        match self.plane().engine.send(frame, &mut out, now) {
            Outgoing::HandedOver => None,
            Outgoing::Dropped => Some(vec![]),
            Outgoing::Unsealed(unsealed) => Some(sealed(&unsealed, &mut out)),
        }
    }

    /// One datagram, or a train of `segment` bytes each, without I/O: the inner packets (see `handed` for the rest).
    #[pyo3(signature = (data, at, now, segment=None, ecn=0))]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        at: &Place,
        now: f64,
        segment: Option<usize>,
        ecn: u8,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let from = at.endpoint()?;
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

    /// What the protocol has to handle: some of it, oldest first.
    fn handed(&self) -> Vec<Handed> {
        let handed = self.plane().engine.handover.take();
        handed.into_iter().map(Handed::from).collect()
    }

    /// Of each peer that did something.
    fn activity(&self) -> Vec<Activity> {
        let mut plane = self.plane();
        plane.engine.roamed = false;
        let report = plane.engine.peers.take_activity();
        report.into_iter().map(Activity::from).collect()
    }

    /// How much was dropped, by the protocol's names of why.
    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.plane().engine.counters.dropped().collect()
    }

    fn refused(&self) -> Vec<Refusal> {
        let refusal = |(whose, errno, packets)| Refusal {
            whose,
            errno,
            packets,
        };
        let plane = self.plane();
        plane.engine.counters.refused().map(refusal).collect()
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

/// The messages of a train that `Engine::send` has put into `out`.
fn sealed(unsealed: &Unsealed, out: &mut [u8]) -> Vec<Message> {
    let train = &mut out[..unsealed.train.total()];
    let stride = unsealed.train.stride;
    unsealed.session.send.seal_train(train, stride);
    let message = |data: &[u8]| Message {
        peer: unsealed.peer.into(),
        data: data.to_vec(),
    };
    train.chunks(stride).map(message).collect()
}
