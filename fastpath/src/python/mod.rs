//! The engine as Python sees it: wgnode/dataplane/fast.py is its only user, and wgnode_fastpath.pyi its description.

mod access;
mod convert;
mod engine;
mod moving;
mod records;
mod session;

use pyo3::prelude::*;

#[pymodule]
mod wgnode_fastpath {
    #[pymodule_export]
    use super::access::{Denial, PyAccess};
    #[pymodule_export]
    use super::engine::PyEngine;
    #[pymodule_export]
    use super::records::{
        Activity, Echo, Events, Handed, Message, Network, Place, Refusal, TooLong,
    };
    #[pymodule_export]
    use super::session::{PySession, PySuite, choose_crypto};
}
