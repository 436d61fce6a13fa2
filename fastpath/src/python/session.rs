//! Sessions, and the cryptography that they are sealed with.

use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::convert::key;
use crate::crypto::{self, Suite};
use crate::engine::session::{Refused, Session};
use crate::message::{HEADER, OVERHEAD, TAG};

/// Which code seals and opens, and why: (name, reason). `wanted` is "ring", "avx512", or None for the best there is.
#[pyfunction]
#[pyo3(signature = (wanted=None))]
pub fn choose_crypto(wanted: Option<&str>) -> PyResult<(PySuite, String)> {
    let (suite, why) = crypto::choose(wanted).map_err(PyValueError::new_err)?;
    Ok((PySuite(suite), why))
}

#[pyclass(frozen, name = "Suite")]
pub struct PySuite(Suite);

#[pymethods]
impl PySuite {
    fn __repr__(&self) -> String {
        format!("Suite({:?})", self.0)
    }
}

#[pyclass(frozen, name = "Session")]
pub struct PySession(pub Arc<Session>);

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
        if message.len() < OVERHEAD {
            return Err(PyValueError::new_err("shorter than any transport message"));
        }
        let mut message = message.to_vec();
        match self.0.open(&mut message) {
            Ok(()) => Ok(PyBytes::new(py, &message[HEADER..message.len() - TAG]).into_any()),
            Err(Refused::BadTransport) => Ok(false.into_pyobject(py)?.to_owned().into_any()),
            Err(Refused::Replayed) => Ok(py.None().into_bound(py)),
        }
    }
}
