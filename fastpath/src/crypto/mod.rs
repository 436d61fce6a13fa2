//! Sealing and opening of transport messages with ChaCha20-Poly1305 (RFC 8439, whitepaper 5.4.6).
//!
//! A message is a header, the packet, and a tag. The nonce is four zero bytes and the header's counter; there is no
//! additional data. A train is a run of messages in one buffer, all of one length except the last, as UDP_SEGMENT and
//! UDP_GRO want it.

#[cfg(target_arch = "x86_64")]
mod batch;
mod choose;
mod features;
mod key;
mod ring_key;
mod selftest;
#[cfg(test)]
mod tests;

pub use choose::choose;
pub use key::Key;

/// How many messages of a train are looked at.
pub const MAX_TRAIN: usize = 1024;

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// ring, message by message.
    Ring,
    /// Our multi-packet code for AVX-512 where a train is long enough, ring for the rest.
    Batch,
    /// No encryption and no authentication, to measure everything else.
    #[cfg(feature = "null-crypto")]
    Null,
}

/// Which messages of a train are authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened([u64; MAX_TRAIN / 64]);

impl Opened {
    pub fn none() -> Opened {
        Opened([0; MAX_TRAIN / 64])
    }

    fn set(&mut self, message: usize) {
        self.0[message / 64] |= 1 << (message % 64);
    }

    /// Whether this message was authentic and is decrypted now; the bytes of others are worth nothing.
    pub fn get(&self, message: usize) -> bool {
        message < MAX_TRAIN && self.0[message / 64] >> (message % 64) & 1 == 1
    }
}
