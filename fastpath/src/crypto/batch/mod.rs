//! ChaCha20-Poly1305 of many packets at once on CPUs with AVX-512.
//!
//! Why, and the notes on constant time: docs/decisions/multi-packet-chacha20-poly1305.md.
//!
//! A train is worked off in groups of 16 messages: `keys` computes the one-time keys of two groups at once, `lanes` the
//! keystream in blocks that belong to any packets of the group, `poly` the tags, eight at a time.
//! Nothing secret decides a branch or an address: both depend on lengths, and on whether a tag was right.

mod chacha;
mod group;
mod keys;
mod lanes;
mod limbs;
mod poly;
mod simd;
#[cfg(test)]
mod tests;

use zeroize::Zeroize;

use super::{MAX_TRAIN, Opened, features::Features};
use group::Group;
use keys::one_time_keys;

/// Below this many messages ring is as fast.
pub(super) const SHORTEST_TRAIN: usize = 3;
/// Messages above this size go to ring; places within a group are numbers of 31 bits.
pub(super) const LONGEST_MESSAGE: usize = 1 << 17;

/// Messages whose keystream is computed before their tags: few enough to stay in the CPU's first cache.
const GROUP: usize = 16;

/// The key as ChaCha20 wants it. That one exists proves that the CPU has what the code needs.
pub(super) struct BatchKey([u32; 8]);

impl Drop for BatchKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl BatchKey {
    /// None where the CPU lacks an instruction.
    pub(super) fn new(raw: &[u8; 32]) -> Option<BatchKey> {
        let word =
            |i: usize| u32::from_le_bytes(raw[4 * i..4 * i + 4].try_into().expect("four bytes"));
        Features::detect()
            .batch()
            .then(|| BatchKey(std::array::from_fn(word)))
    }

    #[cfg(test)]
    pub(super) fn flip_a_bit(&mut self) {
        self.0[7] ^= 1 << 31;
    }

    /// Seals messages of `stride` bytes, the last at least as long as header and tag.
    pub(super) fn seal_train(&self, train: &mut [u8], stride: usize) {
        // SAFETY: `new` has seen that the CPU has these instructions.
        unsafe { seal(&self.0, train, stride) }
    }

    /// Opens at most [`MAX_TRAIN`] messages.
    pub(super) fn open_train(&self, train: &mut [u8], stride: usize) -> Opened {
        // SAFETY: `new` has seen that the CPU has these instructions.
        unsafe { open(&self.0, train, stride) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
fn seal(key: &[u32; 8], train: &mut [u8], stride: usize) {
    for messages in train.chunks_mut(2 * GROUP * stride) {
        let keys = one_time_keys(key, messages, stride);
        for (bytes, keys) in messages.chunks_mut(GROUP * stride).zip(keys.chunks(2)) {
            let mut group = Group::new(bytes, stride);
            group.add_keystream(key, u16::MAX);
            group.tags(keys).write(&mut group);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
fn open(key: &[u32; 8], train: &mut [u8], stride: usize) -> Opened {
    let mut opened = Opened::none();
    let end = train.len().min(MAX_TRAIN * stride);
    for (i, messages) in train[..end].chunks_mut(2 * GROUP * stride).enumerate() {
        let keys = one_time_keys(key, messages, stride);
        for (half, (bytes, keys)) in messages
            .chunks_mut(GROUP * stride)
            .zip(keys.chunks(2))
            .enumerate()
        {
            let mut group = Group::new(bytes, stride);
            let authentic = group.tags(keys).check(&group);
            group.add_keystream(key, authentic);
            opened.0[i / 2] |= u64::from(authentic) << (32 * (i % 2) + GROUP * half);
        }
    }
    opened
}
