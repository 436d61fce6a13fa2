//! Transport of established WireGuard sessions for wgnode: see docs/decisions/compiled-data-plane.md.
//!
//! `crypto` and `packet` are pure; `engine` joins them to sessions, peers and routes without any I/O; `io` moves bytes.

pub mod crypto;
pub mod packet;
pub mod replay;
pub mod routes;
