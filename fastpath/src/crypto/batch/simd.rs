//! Loads, stores and the transposition that both halves of the construction use. All unsafe memory access is here.

use core::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx512f")]
pub fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn store(bytes: &mut [u8; 64], value: __m512i) {
    // SAFETY: 64 writable bytes; the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), value) }
}

/// The first `bytes.len()` (at most 64) bytes of a register.
fn mask(bytes: &[u8]) -> __mmask64 {
    assert!(bytes.len() <= 64);
    u64::MAX.checked_shr(64 - bytes.len() as u32).unwrap_or(0)
}

/// At most 64 bytes, zeros after them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub fn load_part(bytes: &[u8]) -> __m512i {
    // SAFETY: the mask covers only the slice, and masked bytes are not touched.
    unsafe { _mm512_maskz_loadu_epi8(mask(bytes), bytes.as_ptr().cast()) }
}

/// Fills a slice of at most 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub fn store_part(bytes: &mut [u8], value: __m512i) {
    // SAFETY: the mask covers only the slice, and masked bytes are not touched.
    unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), mask(bytes), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn load_u32(words: &[u32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn store_u32(words: &mut [u32; 16], value: __m512i) {
    // SAFETY: 64 writable bytes.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn load_u64(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 readable bytes.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn to_u64(value: __m512i) -> [u64; 8] {
    let mut words = [0; 8];
    // SAFETY: 64 writable bytes.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) };
    words
}

/// Four registers as a matrix of 4 by 4 parts of 128 bits, transposed.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn transpose_quarters([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab01, ab23) = (
        _mm512_shuffle_i64x2::<0x44>(a, b),
        _mm512_shuffle_i64x2::<0xEE>(a, b),
    );
    let (cd01, cd23) = (
        _mm512_shuffle_i64x2::<0x44>(c, d),
        _mm512_shuffle_i64x2::<0xEE>(c, d),
    );
    [
        _mm512_shuffle_i64x2::<0x88>(ab01, cd01),
        _mm512_shuffle_i64x2::<0xDD>(ab01, cd01),
        _mm512_shuffle_i64x2::<0x88>(ab23, cd23),
        _mm512_shuffle_i64x2::<0xDD>(ab23, cd23),
    ]
}
