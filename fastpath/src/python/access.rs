//! The access policy as Python gives it, and what was denied by it.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::convert::to_network;
use super::engine::PyEngine;
use super::records::all;
use crate::engine::access::denials;
use crate::packet::inner::{self, Address};
use crate::policy::{Class, Policy, Rule};
use crate::routes;
use crate::runner::Shared;

/// Address and prefix's bits.
type Network = (Vec<u8>, u8);
/// Networks, classes, internet, protocols, ports: see `Rule` in wgnode/policy/model.py.
type Rules = Vec<(Vec<Network>, Vec<u32>, bool, Vec<u8>, Vec<(u16, u16)>)>;
/// Rules of each class, outgoing and incoming; networks that are known; own addresses.
type Said = (Vec<(Rules, Rules)>, Vec<Network>, Vec<Vec<u8>>);

/// What an engine does by the access policy.
#[pyclass(frozen, name = "Access")]
pub struct PyAccess(Arc<Shared>);

#[pymethods]
impl PyAccess {
    #[new]
    fn new(engine: &PyEngine) -> PyAccess {
        PyAccess(engine.shared.clone())
    }

    /// The policy and all peers' classes at once. None: nothing is judged. ValueError for what is no network.
    fn set_policy(&self, said: Option<Said>, classes: Vec<(u64, u32)>) -> PyResult<()> {
        let policy = said.map(policy).transpose()?;
        let classes = classes
            .into_iter()
            .map(|(peer, class)| (peer.into(), class));
        let classes: Vec<_> = classes.collect();
        self.0.engine().set_policy(policy, &classes);
        Ok(())
    }

    fn set_class(&self, peer: u64, class: Option<u32>) {
        self.0.engine().set_class(peer.into(), class);
    }

    fn end_flows(&self, peer: u64) {
        self.0.engine().end_flows(peer.into());
    }

    /// Whether a packet of this device's, which was opened elsewhere, may go on. ValueError for one without a whole IP
    /// header.
    fn passes(&self, peer: u64, packet: &[u8], now: f64) -> PyResult<bool> {
        if inner::source(packet).is_none() {
            return Err(PyValueError::new_err("no IP packet"));
        }
        let mut engine = self.0.engine();
        Ok(engine.lets_out(packet, peer.into(), now, &mut None))
    }

    /// Since the last time.
    fn denials(&self) -> Vec<Denial> {
        all(self.0.engine().take_denials())
    }

    /// Flows, those that found no place, and denied packets.
    fn figures(&self) -> (usize, u64, u64) {
        let engine = self.0.engine();
        let access = &engine.access;
        (access.flows.len(), access.refused, access.denials.packets)
    }
}

fn policy((classes, known, own): Said) -> PyResult<Policy> {
    let class = |(outgoing, incoming)| {
        let (outgoing, incoming) = (rules(outgoing)?, rules(incoming)?);
        Ok(Class { outgoing, incoming })
    };
    let classes: PyResult<_> = classes.into_iter().map(class).collect();
    let hosts = own.into_iter().map(|address| {
        let bits = address.len() as u8 * 8;
        (address, bits)
    });
    Ok(Policy::new(
        classes?,
        &networks(known)?,
        &networks(hosts.collect())?,
    ))
}

fn rules(said: Rules) -> PyResult<Vec<Rule>> {
    let rule = |(nets, classes, internet, protocols, ports)| {
        Ok(Rule::new(
            &networks(nets)?,
            classes,
            internet,
            protocols,
            ports,
        ))
    };
    said.into_iter().map(rule).collect()
}

fn networks(said: Vec<Network>) -> PyResult<Vec<routes::Network>> {
    let network = |(address, length): Network| to_network(&address, length);
    said.into_iter().map(network).collect()
}

/// See `Denial` in wgnode/policy/model.py.
#[pyclass(frozen, get_all)]
pub struct Denial {
    peer: u64,
    outgoing: bool,
    rule: &'static str,
    source: Vec<u8>,
    destination: Vec<u8>,
    protocol: u8,
    port: u16,
    packets: u64,
}

impl From<(denials::Denial, u64)> for Denial {
    fn from((what, packets): (denials::Denial, u64)) -> Denial {
        let (source, destination) = what.addresses.unzip();
        Denial {
            peer: what.device.into(),
            outgoing: what.outgoing,
            rule: what.why.name(),
            source: bytes(source),
            destination: bytes(destination),
            protocol: what.protocol,
            port: what.port,
            packets,
        }
    }
}

fn bytes(address: Option<Address>) -> Vec<u8> {
    match address {
        Some(Address::V4(octets)) => octets.to_vec(),
        Some(Address::V6(octets)) => octets.to_vec(),
        None => vec![],
    }
}
