//! ChaCha20's block function (RFC 8439 2.3) for 16 blocks at once, whatever packets they belong to.

use core::arch::x86_64::*;

use super::simd::transpose_quarters;

/// Register k holds word k of 16 states.
pub type Words = [__m512i; 16];

/// "expand 32-byte k"
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

#[inline]
#[target_feature(enable = "avx512f")]
pub fn initial(key: &[u32; 8], block: __m512i, nonce: [__m512i; 3]) -> Words {
    let mut words = [block; 16];
    for (word, value) in words.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm512_set1_epi32(*value as i32);
    }
    words[13..].copy_from_slice(&nonce);
    words
}

/// The block function on 16 times `N` states, still word by word. Two sets at once hide the rounds' latency.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn keystream<const N: usize>(initial: &[Words; N]) -> [Words; N] {
    let mut x = *initial;
    for _ in 0..10 {
        quarter_round::<0, 4, 8, 12, N>(&mut x);
        quarter_round::<1, 5, 9, 13, N>(&mut x);
        quarter_round::<2, 6, 10, 14, N>(&mut x);
        quarter_round::<3, 7, 11, 15, N>(&mut x);
        quarter_round::<0, 5, 10, 15, N>(&mut x);
        quarter_round::<1, 6, 11, 12, N>(&mut x);
        quarter_round::<2, 7, 8, 13, N>(&mut x);
        quarter_round::<3, 4, 9, 14, N>(&mut x);
    }
    for n in 0..N {
        for k in 0..16 {
            x[n][k] = _mm512_add_epi32(x[n][k], initial[n][k]);
        }
    }
    x
}

/// RFC 8439 2.1. The places are constants, so that the words stay in registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarter_round<const A: usize, const B: usize, const C: usize, const D: usize, const N: usize>(
    x: &mut [Words; N],
) {
    for x in x {
        x[A] = _mm512_add_epi32(x[A], x[B]);
        x[D] = _mm512_rol_epi32::<16>(_mm512_xor_si512(x[D], x[A]));
        x[C] = _mm512_add_epi32(x[C], x[D]);
        x[B] = _mm512_rol_epi32::<12>(_mm512_xor_si512(x[B], x[C]));
        x[A] = _mm512_add_epi32(x[A], x[B]);
        x[D] = _mm512_rol_epi32::<8>(_mm512_xor_si512(x[D], x[A]));
        x[C] = _mm512_add_epi32(x[C], x[D]);
        x[B] = _mm512_rol_epi32::<7>(_mm512_xor_si512(x[B], x[C]));
    }
}

/// From words to blocks: register k of the result is the 64 bytes of block k.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn blocks(words: &Words) -> [__m512i; 16] {
    let mut quarters = [[_mm512_setzero_si512(); 4]; 4];
    for (quarter, w) in quarters.iter_mut().zip(words.as_chunks::<4>().0) {
        let (ab, cd) = (
            _mm512_unpacklo_epi32(w[0], w[1]),
            _mm512_unpacklo_epi32(w[2], w[3]),
        );
        let (ef, gh) = (
            _mm512_unpackhi_epi32(w[0], w[1]),
            _mm512_unpackhi_epi32(w[2], w[3]),
        );
        *quarter = [
            _mm512_unpacklo_epi64(ab, cd),
            _mm512_unpackhi_epi64(ab, cd),
            _mm512_unpacklo_epi64(ef, gh),
            _mm512_unpackhi_epi64(ef, gh),
        ];
    }
    let mut blocks = [_mm512_setzero_si512(); 16];
    for j in 0..4 {
        let column = transpose_quarters([
            quarters[0][j],
            quarters[1][j],
            quarters[2][j],
            quarters[3][j],
        ]);
        for (m, block) in column.into_iter().enumerate() {
            blocks[4 * m + j] = block;
        }
    }
    blocks
}
