//! Transport of established WireGuard sessions for wgnode: see docs/decisions/compiled-data-plane.md.
//!
//! `message` says how a message looks. `crypto`, `packet` and `policy` are pure; `engine` joins them to sessions, peers and routes
//! without any I/O; `io` moves bytes, in the order that `sequence` keeps, and `runner` does that on threads of its own.

pub mod clock;
pub mod crypto;
pub mod engine;
pub mod io;
pub mod message;
pub mod packet;
pub mod policy;
#[cfg(feature = "python")]
mod python;
pub mod rate;
pub mod replay;
pub mod routes;
pub mod runner;
pub mod sequence;
mod sync;
