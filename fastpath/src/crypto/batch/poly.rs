//! Poly1305 (RFC 8439 2.5) of eight packets of one length side by side: each 64-bit lane is a packet.

use core::arch::x86_64::*;

use super::limbs::{BITS_42, BITS_44, Limbs, Multiplier, Products, times5};
use super::simd::{load, load_part, to_u64, transpose_quarters};

/// One-time keys of eight packets, in words of 64 bits: r, clamped here, and s.
#[derive(Clone, Copy)]
pub struct OneTimeKeys {
    pub r: [__m512i; 2],
    pub s: [__m512i; 2],
}

/// A lane whose message begins some blocks after the others', so that all end together. Until then its blocks are zeros
/// without the bit above, which leave its sum at zero.
#[derive(Clone, Copy)]
pub struct Late {
    pub lane: usize,
    /// How many blocks later it begins.
    pub blocks: usize,
    /// Bytes of its packet.
    pub length: usize,
}

/// The authenticators of eight messages while they are computed.
pub struct Poly {
    /// r to the fourth, third, second and first power.
    powers: [Multiplier; 4],
    sum: Limbs,
    s: [__m512i; 2],
    /// The bit above a block: in all lanes, and in all but the late one.
    top: [__m512i; 2],
    /// Blocks until all lanes have begun.
    waiting: usize,
}

impl Poly {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn new(keys: &OneTimeKeys, late: Option<Late>) -> Poly {
        let clamp =
            [0x0fff_fffc_0fff_ffff, 0x0fff_fffc_0fff_fffc].map(|mask| _mm512_set1_epi64(mask));
        let r = [
            _mm512_and_si512(keys.r[0], clamp[0]),
            _mm512_and_si512(keys.r[1], clamp[1]),
        ];
        let r = Limbs::split(r);
        let first = Multiplier::new(r);
        let square = first.times(r);
        let second = Multiplier::new(square);
        let third = Multiplier::new(second.times(r));
        let fourth = Multiplier::new(second.times(square));
        let begun = late.map_or(!0, |late| !(1 << late.lane));
        Poly {
            powers: [fourth, third, second, first],
            sum: Limbs([_mm512_setzero_si512(); 3]),
            s: keys.s,
            top: [!0, begun].map(|lanes| _mm512_maskz_set1_epi64(lanes, 1 << 40)),
            waiting: late.map_or(0, |late| late.blocks),
        }
    }

    /// Takes in `N` (1 to 4) blocks of each message, as pairs of words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn absorb<const N: usize>(&mut self, blocks: [[__m512i; 2]; N]) {
        let mut products = Products::zero();
        let powers = &self.powers[4 - N..];
        let block = |i: usize| Limbs::block(blocks[i], self.top[usize::from(i < self.waiting)]);
        // The first block comes last: it has to wait for the sum before it.
        for (i, power) in powers.iter().enumerate().skip(1) {
            products.add(block(i), power);
        }
        products.add(self.sum.plus(block(0)), &powers[0]);
        self.sum = products.carry();
        self.waiting = self.waiting.saturating_sub(N);
    }

    /// Tags in words of 64 bits: the sum modulo 2^130 - 5, plus s.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn finish(self) -> [[u64; 8]; 2] {
        let Limbs([l0, l1, l2]) = self.reduced();
        let low = _mm512_or_si512(l0, _mm512_slli_epi64::<44>(l1));
        let high = _mm512_or_si512(_mm512_srli_epi64::<20>(l1), _mm512_slli_epi64::<24>(l2));
        let low = _mm512_add_epi64(low, self.s[0]);
        let carry = _mm512_cmplt_epu64_mask(low, self.s[0]);
        let high = _mm512_add_epi64(high, self.s[1]);
        let high = _mm512_mask_add_epi64(high, carry, high, _mm512_set1_epi64(1));
        [to_u64(low), to_u64(high)]
    }

    /// The sum with all carries done, then p subtracted where it isn't smaller, without a branch.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn reduced(&self) -> Limbs {
        let (m44, m42) = (_mm512_set1_epi64(BITS_44), _mm512_set1_epi64(BITS_42));
        let Limbs([l0, l1, l2]) = self.sum;
        let l2 = _mm512_add_epi64(l2, _mm512_srli_epi64::<44>(l1));
        let l0 = _mm512_add_epi64(l0, times5(_mm512_srli_epi64::<42>(l2)));
        let l1 = _mm512_add_epi64(_mm512_and_si512(l1, m44), _mm512_srli_epi64::<44>(l0));
        let l2 = _mm512_add_epi64(_mm512_and_si512(l2, m42), _mm512_srli_epi64::<44>(l1));
        let (l0, l1) = (_mm512_and_si512(l0, m44), _mm512_and_si512(l1, m44));
        let g0 = _mm512_add_epi64(l0, _mm512_set1_epi64(5));
        let g1 = _mm512_add_epi64(l1, _mm512_srli_epi64::<44>(g0));
        let g2 = _mm512_add_epi64(l2, _mm512_srli_epi64::<44>(g1));
        let large = _mm512_cmpgt_epu64_mask(g2, m42);
        Limbs([
            _mm512_mask_and_epi64(l0, large, g0, m44),
            _mm512_mask_and_epi64(l1, large, g1, m44),
            _mm512_mask_and_epi64(l2, large, g2, m42),
        ])
    }
}

/// Tags (low and high words) of eight ciphertexts, without additional data (RFC 8439 2.8).
///
/// All have one length; that of a late lane is filled up to whole blocks, with zeros before and after it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub fn tags(keys: &OneTimeKeys, packets: [&[u8]; 8], late: Option<Late>) -> [[u64; 8]; 2] {
    let length = packets[0].len();
    let mut poly = Poly::new(keys, late);
    let parts = packets.map(|packet| packet.split_at(length / 64 * 64));
    let chunks = parts.map(|(chunks, _)| chunks.as_chunks::<64>().0);
    for i in 0..length / 64 {
        poly.absorb(side_by_side(chunks.map(|chunks| load(&chunks[i]))));
    }
    let [a, b, c, d] = side_by_side(parts.map(|(_, rest)| load_part(rest)));
    let end = lengths(length, late);
    match (length % 64).div_ceil(16) {
        0 => poly.absorb([end]),
        1 => poly.absorb([a, end]),
        2 => poly.absorb([a, b, end]),
        3 => poly.absorb([a, b, c, end]),
        _ => {
            poly.absorb([a, b, c, d]);
            poly.absorb([end]);
        }
    }
    poly.finish()
}

/// The last block: lengths of additional data (none) and packet.
#[inline]
#[target_feature(enable = "avx512f")]
fn lengths(length: usize, late: Option<Late>) -> [__m512i; 2] {
    let mut lengths = _mm512_set1_epi64(length as i64);
    if let Some(late) = late {
        lengths = _mm512_mask_set1_epi64(lengths, 1 << late.lane, late.length as i64);
    }
    [_mm512_setzero_si512(), lengths]
}

/// From 64 bytes of each packet to four blocks of all packets, as pairs of words.
#[inline]
#[target_feature(enable = "avx512f")]
fn side_by_side(x: [__m512i; 8]) -> [[__m512i; 2]; 4] {
    let pair = |i: usize| {
        (
            _mm512_unpacklo_epi64(x[i], x[i + 1]),
            _mm512_unpackhi_epi64(x[i], x[i + 1]),
        )
    };
    let [p0, p1, p2, p3] = [pair(0), pair(2), pair(4), pair(6)];
    let low = transpose_quarters([p0.0, p1.0, p2.0, p3.0]);
    let high = transpose_quarters([p0.1, p1.1, p2.1, p3.1]);
    [
        [low[0], high[0]],
        [low[1], high[1]],
        [low[2], high[2]],
        [low[3], high[3]],
    ]
}
