//! ChaCha20-Poly1305 of many packets at once on CPUs with AVX-512: see docs/decisions/multi-packet-chacha20-poly1305.md.
//!
//! A train is worked off in groups of 16 messages. A group's one-time keys are one call of the block function; its
//! keystream comes in blocks that belong to any of its packets (`lanes`); its tags are computed eight at a time (`poly`).
//! Nothing secret decides a branch or an address: both depend on lengths, and on whether a tag was right.

mod chacha;
mod group;
mod lanes;
mod poly;
mod simd;

use zeroize::Zeroize;

use super::{MAX_TRAIN, Opened, features::Features};
use group::Group;

/// Below this many messages ring is as fast.
pub(super) const SHORTEST_TRAIN: usize = 3;
/// Messages above this size go to ring; places within a group are numbers of 31 bits.
pub(super) const LONGEST_MESSAGE: usize = 1 << 17;

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

    /// Seals messages of `stride` bytes, the last at least as long as header and tag.
    pub(super) fn seal_train(&self, train: &mut [u8], stride: usize) {
        for bytes in train.chunks_mut(16 * stride) {
            // SAFETY: `new` has seen that the CPU has these instructions.
            unsafe { seal(&self.0, Group::new(bytes, stride)) };
        }
    }

    /// Opens at most [`MAX_TRAIN`] messages.
    pub(super) fn open_train(&self, train: &mut [u8], stride: usize) -> Opened {
        let mut opened = Opened::none();
        for (i, bytes) in train
            .chunks_mut(16 * stride)
            .enumerate()
            .take(MAX_TRAIN / 16)
        {
            // SAFETY: `new` has seen that the CPU has these instructions.
            let authentic = unsafe { open(&self.0, Group::new(bytes, stride)) };
            opened.0[i / 4] |= u64::from(authentic) << (16 * (i % 4));
        }
        opened
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
fn seal(key: &[u32; 8], mut group: Group<'_>) {
    let keys = group.one_time_keys(key);
    group.add_keystream(key, u16::MAX);
    group.tags(&keys).write(&mut group);
}

/// Bit i: message i was authentic and is decrypted.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
fn open(key: &[u32; 8], mut group: Group<'_>) -> u16 {
    let keys = group.one_time_keys(key);
    let authentic = group.tags(&keys).check(&group);
    group.add_keystream(key, authentic);
    authentic
}
