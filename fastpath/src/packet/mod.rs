//! Inner packets: splitting of what the TUN gives, joining of what it gets. Pure functions of bytes, without any I/O.

pub mod checksum;
pub mod clamp;
pub mod coalesce;
pub mod echo;
pub mod ecn;
pub(crate) mod fields;
mod flow;
pub mod fragment;
pub mod headers;
mod icmp;
pub mod inner;
pub mod nested;
pub mod padding;
#[cfg(test)]
mod samples;
pub mod split;
pub mod toobig;
mod train;
pub mod tuple;
pub mod vnet;
