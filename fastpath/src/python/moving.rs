//! What becomes of moved packets, told to Python.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::records::{Activity, Events, Handed, Message, told};
use crate::engine::Unsealed;
use crate::runner::{Runner, Shared};

pub fn not_open() -> PyErr {
    PyValueError::new_err("not open: call `start` first")
}

/// All since the last time. The bell is answered first, so that what comes meanwhile is heard.
pub fn happened(py: Python<'_>, runner: &Runner, shared: &Shared) -> PyResult<Events> {
    let died = runner.answer();
    let mut engine = shared.engine();
    let handed = engine.take_handed();
    let activity = engine.take_activity();
    if engine.waits_for_protocol() {
        runner.ring();
    }
    drop(engine);
    Ok(Events {
        handed: told::<_, Handed>(py, handed)?,
        activity: told::<_, Activity>(py, activity)?,
        tun_gone: runner.tun_gone(),
        died,
    })
}

/// The messages of a train that `Engine::send` has put into `out`.
pub fn sealed(unsealed: &Unsealed, out: &mut [u8]) -> Vec<Message> {
    let train = &mut out[..unsealed.train.total()];
    let stride = unsealed.train.stride;
    unsealed.session.send.seal_train(train, stride);
    let message = |data: &[u8]| Message {
        peer: unsealed.peer.into(),
        data: data.to_vec(),
    };
    train.chunks(stride).map(message).collect()
}
