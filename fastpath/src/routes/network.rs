//! Networks and addresses as keys: the bits from the left of 128.

use crate::packet::inner::Address;

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

#[inline]
pub fn key(address: Address) -> (Family, u128) {
    match address {
        Address::V4(bytes) => (Family::V4, u128::from(u32::from_be_bytes(bytes)) << 96),
        Address::V6(bytes) => (Family::V6, u128::from_be_bytes(bytes)),
    }
}

/// A prefix of either family; host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// Two halves, so that a network needs no alignment of 16.
    halves: [u64; 2],
    family: Family,
    length: u8,
}

impl Network {
    /// Host bits are masked. None when `length`, in bits, is above the address's.
    pub fn new(address: Address, length: u8) -> Option<Network> {
        let (family, key) = key(address);
        let width = if family == Family::V4 { 32 } else { 128 };
        if length > width {
            return None;
        }
        let key = key & prefix_mask(length);
        Some(Network {
            halves: [(key >> 64) as u64, key as u64],
            family,
            length,
        })
    }

    /// Bits of the prefix.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The first address.
    pub fn address(&self) -> Address {
        match self.family {
            Family::V4 => Address::V4(((self.halves[0] >> 32) as u32).to_be_bytes()),
            Family::V6 => Address::V6(self.key().to_be_bytes()),
        }
    }

    /// It is one address.
    pub fn is_host(&self) -> bool {
        let width = if self.family == Family::V4 { 32 } else { 128 };
        self.length == width
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn key(&self) -> u128 {
        u128::from(self.halves[0]) << 64 | u128::from(self.halves[1])
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}/{}", self.address(), self.length)
    }
}

/// Ones in the first `length` bits, 0 to 128.
#[inline]
pub fn prefix_mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}
