//! Arguments of Python's as what the engine takes, and errors of the system as Python's.

use std::net::IpAddr;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::packet::inner::Address;
use crate::routes::Network;

pub fn ip(bytes: &[u8]) -> PyResult<IpAddr> {
    Ok(match route(bytes)? {
        Address::V4(octets) => octets.into(),
        Address::V6(octets) => octets.into(),
    })
}

pub fn ip_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub fn key(bytes: &[u8]) -> PyResult<&[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err("a key has 32 bytes"))
}

pub fn route(bytes: &[u8]) -> PyResult<Address> {
    match bytes.len() {
        4 => Ok(Address::V4(bytes.try_into()?)),
        16 => Ok(Address::V6(bytes.try_into()?)),
        length => Err(PyValueError::new_err(format!(
            "an address of {length} bytes"
        ))),
    }
}

pub fn pair((one, other): (Vec<u8>, Vec<u8>)) -> PyResult<(Address, Address)> {
    Ok((route(&one)?, route(&other)?))
}

pub fn to_network(address: &[u8], length: u8) -> PyResult<Network> {
    Network::new(route(address)?, length)
        .ok_or_else(|| PyValueError::new_err(format!("a prefix of {length} bits")))
}

/// As Python makes one of a number: the system's words, without the number among them.
pub fn os_error(errno: i32) -> PyErr {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let words = text.strip_suffix(&format!(" (os error {errno})"));
    PyOSError::new_err((errno, words.unwrap_or(&text).to_owned()))
}

/// With its number, which pyo3 leaves out.
pub fn system_error(error: std::io::Error) -> PyErr {
    error.raw_os_error().map_or_else(|| error.into(), os_error)
}
