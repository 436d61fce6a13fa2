//! Inner packets: splitting of what the TUN gives, joining of what it gets. Pure functions of bytes, without any I/O.

pub mod checksum;
pub mod coalesce;
pub mod ecn;
mod fields;
mod flow;
pub mod inner;
pub mod nested;
#[cfg(test)]
mod samples;
pub mod split;
mod train;
pub mod vnet;
