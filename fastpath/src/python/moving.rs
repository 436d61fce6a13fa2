//! What becomes of moved packets, told to Python.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::records::{Activity, Echo, Events, Handed, Message, TooLong, told};
use crate::engine::endpoint::Endpoint;
use crate::engine::{Batch, By, Engine, Outgoing, Unsealed};
use crate::runner::{Runner, Shared};

const MOST_THREADS: usize = 64;

pub fn check_threads(threads: usize) -> PyResult<()> {
    if (1..=MOST_THREADS).contains(&threads) {
        return Ok(());
    }
    let why = format!("{threads} threads: 1 to {MOST_THREADS} can move packets");
    Err(PyValueError::new_err(why))
}

pub fn not_open() -> PyErr {
    PyValueError::new_err("not open: call `start` first")
}

/// All since the last time. The bell is answered first, so that what comes meanwhile is heard.
pub fn happened(py: Python<'_>, runner: &Runner, shared: &Shared) -> PyResult<Events> {
    let died = runner.answer();
    let mut engine = shared.engine();
    let handed = engine.take_handed();
    let activity = engine.take_activity();
    let echoes = engine.fitting.take_echoes();
    let too_long = engine.fitting.take_refused();
    if engine.waits_for_protocol() {
        runner.ring();
    }
    drop(engine);
    Ok(Events {
        handed: told::<_, Handed>(py, handed)?,
        activity: told::<_, Activity>(py, activity)?,
        echoes: told::<_, Echo>(py, echoes)?,
        too_long: told::<_, TooLong>(py, too_long)?,
        tun_gone: runner.tun_gone(),
        died,
    })
}

/// What goes of one frame; None where it was handed over.
pub fn sent(engine: &mut Engine, frame: &[u8], now: f64) -> Option<Vec<Message>> {
    let mut out = vec![0; 1 << 20];
    match engine.send(frame, &mut out, now) {
        Outgoing::HandedOver => None,
        Outgoing::Dropped => Some(vec![]),
        Outgoing::Unsealed(unsealed) => Some(sealed([unsealed], &mut out)),
        Outgoing::Fitted(pieces) => Some(sealed(pieces, &mut out)),
    }
}

/// The messages of trains that `Engine::send` has put into `out`.
fn sealed(trains: impl IntoIterator<Item = Unsealed>, out: &mut [u8]) -> Vec<Message> {
    let (mut messages, mut rest) = (vec![], out);
    for unsealed in trains {
        let (train, after) = rest.split_at_mut(unsealed.train.total());
        let stride = unsealed.train.stride;
        unsealed.session.send.seal_train(train, stride);
        messages.extend(train.chunks(stride).map(|data| Message {
            peer: unsealed.peer.into(),
            data: data.to_vec(),
            long: unsealed.by != By::Whole,
        }));
        rest = after;
    }
    messages
}

/// Messages of `segment` bytes each, that are all there is.
pub fn batch(length: usize, segment: usize, from: Endpoint, ecn: u8) -> Batch {
    Batch {
        start: 0,
        length,
        segment,
        from,
        ecn,
        congested: false,
    }
}

/// The inner packets of these messages.
pub fn opened<'py>(
    py: Python<'py>,
    engine: &mut Engine,
    data: &[u8],
    batch: Batch,
    now: f64,
) -> Vec<Bound<'py, PyBytes>> {
    let (mut buffer, mut packets) = (data.to_vec(), vec![]);
    engine.receive(&mut buffer, batch, now, |buffer, offset, length| {
        packets.push(PyBytes::new(py, &buffer[offset..offset + length]));
    });
    packets
}
