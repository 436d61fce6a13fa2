//! One-time keys of messages: the first half of block 0 of each one's keystream (RFC 8439 2.6).

use core::arch::x86_64::*;

use super::chacha::{self, Words};
use super::poly::OneTimeKeys;
use super::simd::load_u64;
use crate::message::counter;

/// Those of up to 32 messages of `stride` bytes, by eights.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn one_time_keys(key: &[u32; 8], messages: &[u8], stride: usize) -> [OneTimeKeys; 4] {
    let mut counters = [0; 32];
    for (value, message) in counters.iter_mut().zip(messages.chunks(stride)) {
        *value = counter(message);
    }
    let (first, second) = counters.split_at(16);
    let first = initial(key, first);
    let [[a, b], [c, d]] = if messages.len() > 16 * stride {
        chacha::keystream(&[first, initial(key, second)]).map(|words| by_eights(&words))
    } else {
        let [words] = chacha::keystream(&[first]);
        [by_eights(&words); 2]
    };
    [a, b, c, d]
}

/// States of block 0 for 16 counters.
#[inline]
#[target_feature(enable = "avx512f")]
fn initial(key: &[u32; 8], counters: &[u64]) -> Words {
    let (first, second) = counters.split_at(8);
    let [a, b] = [first, second].map(|eight| load_u64(eight.try_into().expect("eight counters")));
    let low = join(_mm512_cvtepi64_epi32(a), _mm512_cvtepi64_epi32(b));
    let [a, b] = [a, b].map(|counters| _mm512_srli_epi64::<32>(counters));
    let high = join(_mm512_cvtepi64_epi32(a), _mm512_cvtepi64_epi32(b));
    let zero = _mm512_setzero_si512();
    chacha::initial(key, zero, [zero, low, high])
}

#[inline]
#[target_feature(enable = "avx512f")]
fn join(lower: __m256i, upper: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(lower), upper)
}

/// r and s from the first eight words, of the lower eight messages and of the upper eight.
#[inline]
#[target_feature(enable = "avx512f")]
fn by_eights(words: &Words) -> [OneTimeKeys; 2] {
    let keys = |half: fn(__m512i) -> __m256i| {
        let pair = |i: usize| {
            let [low, high] =
                [words[i], words[i + 1]].map(|word| _mm512_cvtepu32_epi64(half(word)));
            _mm512_or_si512(low, _mm512_slli_epi64::<32>(high))
        };
        OneTimeKeys {
            r: [pair(0), pair(2)],
            s: [pair(4), pair(6)],
        }
    };
    [
        keys(|w| _mm512_castsi512_si256(w)),
        keys(|w| _mm512_extracti64x4_epi64::<1>(w)),
    ]
}
