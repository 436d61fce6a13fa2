//! Up to 16 messages that are worked off together.

use core::arch::x86_64::*;

use super::chacha;
use super::lanes::Lanes;
use super::poly::{self, OneTimeKeys};
use super::simd::load_u64;
use crate::crypto::{HEADER, TAG, counter};

/// Consecutive messages of `stride` bytes, the last may be shorter.
pub struct Group<'a> {
    bytes: &'a mut [u8],
    stride: usize,
    count: usize,
}

/// Low and high words of each message's tag.
pub struct Tags([[u64; 2]; 16]);

impl<'a> Group<'a> {
    pub fn new(bytes: &'a mut [u8], stride: usize) -> Group<'a> {
        let count = bytes.len().div_ceil(stride);
        assert!(count <= 16);
        Group {
            bytes,
            stride,
            count,
        }
    }

    fn message(&self, i: usize) -> &[u8] {
        let end = self.bytes.len().min((i + 1) * self.stride);
        &self.bytes[i * self.stride..end]
    }

    fn packet(&self, i: usize) -> &[u8] {
        let message = self.message(i);
        &message[HEADER..message.len() - TAG]
    }

    fn counters(&self) -> [u64; 16] {
        let mut counters = [0; 16];
        for (i, value) in counters.iter_mut().enumerate().take(self.count) {
            *value = counter(self.message(i));
        }
        counters
    }

    /// Block 0 of each message's keystream: the keys of the first and of the second eight.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn one_time_keys(&self, key: &[u32; 8]) -> [OneTimeKeys; 2] {
        let zero = _mm512_setzero_si512();
        let (low, high) = halves(&self.counters());
        let [words] = chacha::keystream(&[chacha::initial(key, zero, [zero, low, high])]);
        [lower, upper].map(|half| {
            let pair = |i: usize| {
                let high = _mm512_slli_epi64::<32>(_mm512_cvtepu32_epi64(half(words[i + 1])));
                _mm512_or_si512(_mm512_cvtepu32_epi64(half(words[i])), high)
            };
            OneTimeKeys {
                r: [pair(0), pair(2)],
                s: [pair(4), pair(6)],
            }
        })
    }

    /// Encrypts or decrypts the packets whose bit is set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn add_keystream(&mut self, key: &[u32; 8], wanted: u16) {
        let counters = self.counters();
        let (stride, end) = (self.stride, self.bytes.len());
        let mut lanes = Lanes::new(key, self.bytes);
        for i in (0..self.count).filter(|i| wanted >> i & 1 == 1) {
            let message = end.min((i + 1) * stride) - i * stride;
            lanes.add(counters[i], i * stride + HEADER, message - HEADER - TAG);
        }
        lanes.finish();
    }

    /// Tags of the packets as they are: the ciphertexts.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub fn tags(&self, keys: &[OneTimeKeys; 2]) -> Tags {
        let mut tags = Tags([[0; 2]; 16]);
        let even = self.bytes.len() / self.stride;
        for first in (0..even).step_by(8) {
            let last = even.min(first + 8) - 1;
            let packets = std::array::from_fn(|i| self.packet(last.min(first + i)));
            tags.take(first..=last, poly::tags(&keys[first / 8], packets));
        }
        if even < self.count {
            // The short last one, in all lanes; only its own is looked at.
            tags.take(
                even..=even,
                poly::tags(&keys[even / 8], [self.packet(even); 8]),
            );
        }
        tags
    }
}

impl Tags {
    fn take(&mut self, messages: std::ops::RangeInclusive<usize>, [low, high]: [[u64; 8]; 2]) {
        for i in messages {
            self.0[i] = [low[i % 8], high[i % 8]];
        }
    }

    pub fn write(&self, group: &mut Group<'_>) {
        for i in 0..group.count {
            let end = group.bytes.len().min((i + 1) * group.stride);
            let tag = group.bytes[..end]
                .last_chunk_mut::<TAG>()
                .expect("a message is longer than its tag");
            let [low, high] = self.0[i];
            tag[..8].copy_from_slice(&low.to_le_bytes());
            tag[8..].copy_from_slice(&high.to_le_bytes());
        }
    }

    /// Bit i: the message carries this tag. All 16 bytes are compared, whatever the first ones say.
    pub fn check(&self, group: &Group<'_>) -> u16 {
        let mut same = 0;
        for i in 0..group.count {
            let tag = u128::from_le_bytes(
                *group
                    .message(i)
                    .last_chunk()
                    .expect("a message is longer than its tag"),
            );
            let [low, high] = self.0[i];
            let difference = (tag as u64 ^ low) | ((tag >> 64) as u64 ^ high);
            same |= u16::from(difference == 0) << i;
        }
        same
    }
}

/// Lower and upper 32 bits of 16 counters.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(counters: &[u64; 16]) -> (__m512i, __m512i) {
    let (first, second) = counters.split_at(8);
    let [a, b] = [first, second].map(|eight| load_u64(eight.try_into().expect("eight counters")));
    let join = |a, b| {
        _mm512_inserti64x4::<1>(
            _mm512_castsi256_si512(_mm512_cvtepi64_epi32(a)),
            _mm512_cvtepi64_epi32(b),
        )
    };
    (
        join(a, b),
        join(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b)),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lower(words: __m512i) -> __m256i {
    _mm512_castsi512_si256(words)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn upper(words: __m512i) -> __m256i {
    _mm512_extracti64x4_epi64::<1>(words)
}
