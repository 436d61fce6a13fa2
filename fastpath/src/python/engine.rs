//! The engine's methods. Times are seconds of CLOCK_BOOTTIME; peers are numbers that `add_peer` gives once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::convert::{key, os_error, pair, route, system_error, to_network};
use super::moving::{batch, check_threads, happened, not_open, opened, sent};
use super::records::{
    Activity, Echo, Events, Handed, Message, Network, Place, Refusal, all, destination,
};
use super::session::PySession;
use crate::engine::Engine;
use crate::engine::fitting::Limit;
use crate::io::{Sending, Sockets, Tun};
use crate::packet::coalesce::Offloads;
use crate::runner::{Runner, Shared};

#[pyclass(frozen, name = "Engine")]
#[derive(Default)]
pub struct PyEngine {
    pub(super) shared: Arc<Shared>,
    runner: Mutex<Option<Runner>>,
}

impl PyEngine {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.shared.engine()
    }

    fn runner(&self) -> MutexGuard<'_, Option<Runner>> {
        self.runner.lock().expect("no holder panics")
    }

    /// ValueError before `start`.
    fn running<T>(&self, what: impl FnOnce(&Runner) -> PyResult<T>) -> PyResult<T> {
        what(self.runner().as_ref().ok_or_else(not_open)?)
    }

    fn check_no_thread(&self) -> PyResult<()> {
        match *self.runner() {
            Some(_) => Err(PyValueError::new_err("threads move packets already")),
            None => Ok(()),
        }
    }
}

#[pymethods]
impl PyEngine {
    #[new]
    fn new() -> Self {
        PyEngine::default()
    }

    /// Ascending, the device's own last.
    fn set_mtus(&self, mtus: Vec<usize>) {
        self.engine().mtus = mtus.into();
    }

    fn set_mac1_keys(&self, keys: Vec<Vec<u8>>) -> PyResult<()> {
        let keys: PyResult<Vec<[u8; 32]>> = keys.iter().map(|each| key(each).copied()).collect();
        self.engine().mac1_keys = keys?;
        Ok(())
    }

    fn add_peer(&self) -> u64 {
        self.engine().peers.add().into()
    }

    fn remove_peer(&self, peer: u64) {
        self.engine().remove_peer(peer.into());
    }

    fn add_session(&self, session: &PySession, peer: u64, confirmed: bool) {
        self.engine()
            .add_session(session.0.clone(), peer.into(), confirmed);
    }

    /// The protocol needs not see the first of its messages any more.
    fn confirm_session(&self, local: u32) {
        self.engine().confirm_session(local);
    }

    fn remove_session(&self, local: u32) {
        self.engine().remove_session(local);
    }

    /// The session that sends, by its local index, or None.
    fn set_current(&self, peer: u64, local: Option<u32>) {
        self.engine().set_current(peer.into(), local);
    }

    /// Where the peer is, and how to send there: (place, nested), or None while that is to be asked for each packet.
    fn set_endpoint(
        &self,
        peer: u64,
        at: Option<Place>,
        to: Option<(Place, bool)>,
    ) -> PyResult<()> {
        let (endpoint, destination) = destination(at, to)?;
        self.engine()
            .set_endpoint(peer.into(), endpoint, destination);
        Ok(())
    }

    fn forget_destinations(&self) {
        self.engine().forget_destinations();
    }

    fn add_route(&self, network: &[u8], length: u8, peer: u64) -> PyResult<()> {
        let network = to_network(network, length)?;
        self.engine().add_route(network, peer.into());
        Ok(())
    }

    fn remove_route(&self, network: &[u8], length: u8, peer: u64) -> PyResult<()> {
        let network = to_network(network, length)?;
        self.engine().remove_route(network, peer.into());
        Ok(())
    }

    fn remove_routes(&self, peer: u64) {
        self.engine().remove_routes(peer.into());
    }

    /// In the order added.
    fn routes(&self, peer: u64) -> Vec<Network> {
        all(self.engine().routes(peer.into()))
    }

    fn route_count(&self) -> usize {
        self.engine().route_count()
    }

    fn lookup(&self, address: &[u8]) -> PyResult<Option<u64>> {
        let address = route(address)?;
        Ok(self.engine().lookup(address).map(u64::from))
    }

    /// How large packets to the peer may be, and what of their messages is one datagram, in bytes of inner packet; None:
    /// as they come.
    fn set_limit(&self, peer: u64, limit: Option<(usize, usize)>) {
        let limit = limit.map_or(Limit::NONE, |(inner, whole)| Limit { inner, whole });
        self.engine().set_limit(peer.into(), limit);
    }

    /// Tunnel addresses, ours and the peer's: echo replies from that to this one are for `echoes`. None: there are none.
    fn set_echo(&self, peer: u64, addresses: Option<(Vec<u8>, Vec<u8>)>) -> PyResult<()> {
        self.engine()
            .set_echo(peer.into(), addresses.map(pair).transpose()?);
        Ok(())
    }

    /// Since the last time.
    fn echoes(&self) -> Vec<Echo> {
        all(self.engine().fitting.take_echoes())
    }

    /// What senders of packets that were too long are told, where no thread moves packets; once.
    fn told(&self) -> Vec<Vec<u8>> {
        self.engine().fitting.take_told()
    }

    /// Whether this sender may be told once more of a packet that was too long, now.
    fn may_tell(&self, sender: &[u8], now: f64) -> PyResult<bool> {
        Ok(self.engine().fitting.may_tell(route(sender)?, now))
    }

    /// What was done about sizes, in packets, by the protocol's names.
    fn fitted(&self) -> BTreeMap<&'static str, u64> {
        self.engine().fitting.fitted().collect()
    }

    /// One inner packet without I/O; None when it was handed over (see `handed`).
    fn send(&self, frame: &[u8], now: f64) -> Option<Vec<Message>> {
        sent(&mut self.engine(), frame, now)
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
        let (from, segment) = (at.endpoint()?, segment.unwrap_or(data.len()));
        let batch = batch(data.len(), segment, from, ecn);
        Ok(opened(py, &mut self.engine(), data, batch, now))
    }

    /// What the protocol has to handle: some of it, oldest first. Where a thread moves packets ask for `events`.
    fn handed(&self) -> Vec<Handed> {
        let mut engine = self.engine();
        let handed = engine.take_handed();
        engine.settle();
        all(handed)
    }

    /// Of each peer that did something.
    fn activity(&self) -> Vec<Activity> {
        all(self.engine().take_activity())
    }

    /// How much was dropped, by the protocol's names of why.
    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.engine().counters.dropped().collect()
    }

    fn refused(&self) -> Vec<Refusal> {
        let engine = self.engine();
        engine.counters.refused().map(Refusal::from).collect()
    }

    /// Datagrams whose control messages were cut off.
    fn cut_off(&self) -> u64 {
        self.engine().counters.cut_off
    }

    fn sessions(&self) -> usize {
        self.engine().sessions()
    }

    /// So many threads move packets from now on, of the TUN and the sockets that are set after this. The descriptor that
    /// is readable while there are `events`. OSError; ValueError where some do already, and of a number outside 1..=64.
    #[pyo3(signature = (threads=1))]
    fn start(&self, threads: usize) -> PyResult<i32> {
        self.check_no_thread()?;
        check_threads(threads)?;
        let started = Runner::start(self.shared.clone(), threads).map_err(system_error)?;
        Ok(self.runner().insert(started).fd())
    }

    /// All that has happened since. To be followed by `settle` once that is dealt with. ValueError before `start`.
    fn events(&self, py: Python<'_>) -> PyResult<Events> {
        self.running(|runner| happened(py, runner, &self.shared))
    }

    /// What the last `events` handed over is dealt with: what came of it is sent and delivered. Until then what comes of
    /// the same peers the same way is handed over too, so that nothing overtakes it.
    fn settle(&self) {
        self.engine().settle();
    }

    /// No packet moves until `resume`: what is told meanwhile takes effect as one.
    fn pause(&self) {
        self.shared.pause();
    }

    fn resume(&self) {
        self.shared.resume();
    }

    /// The threads have ended when this returns, and the descriptors are used no more. It may be called again.
    fn stop(&self, py: Python<'_>) {
        let runner = self.runner().take();
        py.detach(|| drop(runner));
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
        self.running(|runner| runner.set_tun(tun, offloads).map_err(os_error))
    }

    /// The sockets to move datagrams of, those of IPv4 and IPv6 for messages that may be fragmented, where these are others,
    /// and a raw one for fragments of our own over IPv6, with the port that they are from. OSError.
    #[pyo3(signature = (v4, v6, gso, fragmenting=(None, None), cutting=None))]
    fn set_sockets(
        &self,
        v4: Option<i32>,
        v6: Option<i32>,
        gso: bool,
        fragmenting: (Option<i32>, Option<i32>),
        cutting: Option<(i32, u16)>,
    ) -> PyResult<()> {
        let sockets = Sockets::new((v4, v6), Sending::of(fragmenting, cutting), gso);
        self.running(|runner| runner.set_sockets(sockets).map_err(os_error))
    }
}
