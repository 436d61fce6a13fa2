//! Numbers modulo 2^130 - 5, eight side by side, in limbs of 44, 44 and 42 bits: what Poly1305 adds and multiplies.
//!
//! The 52-bit multiplier takes limbs as they are: those that enter a product stay below 2^46, the multipliers, 20 times
//! a limb included, below 2^49. Up to four products with three terms each pile up before a carry: low halves stay below
//! 2^56 and high halves, shifted to their place, below 2^54.

use core::arch::x86_64::*;

pub const BITS_44: i64 = (1 << 44) - 1;
pub const BITS_42: i64 = (1 << 42) - 1;

/// A number in each lane: l0 + l1 * 2^44 + l2 * 2^88.
#[derive(Clone, Copy)]
pub struct Limbs(pub [__m512i; 3]);

/// A number to multiply with, and 20 times its upper limbs: 2^132 is 20 modulo 2^130 - 5.
#[derive(Clone, Copy)]
pub struct Multiplier {
    limbs: [__m512i; 3],
    times20: [__m512i; 3],
}

/// Sums of products: low and high halves of 52 bits for each limb.
pub struct Products {
    low: [__m512i; 3],
    high: [__m512i; 3],
}

impl Limbs {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn split([low, high]: [__m512i; 2]) -> Limbs {
        let m44 = _mm512_set1_epi64(BITS_44);
        let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
        Limbs([
            _mm512_and_si512(low, m44),
            _mm512_and_si512(middle, m44),
            _mm512_srli_epi64::<24>(high),
        ])
    }

    /// A full block of 16 bytes, given as two words, with the bit above it where `top` has one.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn block(words: [__m512i; 2], top: __m512i) -> Limbs {
        let Limbs([l0, l1, l2]) = Limbs::split(words);
        Limbs([l0, l1, _mm512_or_si512(l2, top)])
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn plus(self, other: Limbs) -> Limbs {
        let (Limbs(a), Limbs(b)) = (self, other);
        Limbs([
            _mm512_add_epi64(a[0], b[0]),
            _mm512_add_epi64(a[1], b[1]),
            _mm512_add_epi64(a[2], b[2]),
        ])
    }
}

impl Multiplier {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn new(Limbs(limbs): Limbs) -> Multiplier {
        let times20 =
            limbs.map(|l| _mm512_add_epi64(_mm512_slli_epi64::<4>(l), _mm512_slli_epi64::<2>(l)));
        Multiplier { limbs, times20 }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn times(&self, other: Limbs) -> Limbs {
        let mut products = Products::zero();
        products.add(other, self);
        products.carry()
    }
}

impl Products {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn zero() -> Products {
        let zero = [_mm512_setzero_si512(); 3];
        Products {
            low: zero,
            high: zero,
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn add(&mut self, Limbs(x): Limbs, by: &Multiplier) {
        for (i, x) in x.into_iter().enumerate() {
            for k in 0..3 {
                let y = if i <= k {
                    by.limbs[k - i]
                } else {
                    by.times20[k + 3 - i]
                };
                self.low[k] = _mm512_madd52lo_epu64(self.low[k], x, y);
                self.high[k] = _mm512_madd52hi_epu64(self.high[k], x, y);
            }
        }
    }

    /// Back to limbs: l0 below 2^44, l1 below 2^44 + 2^9, l2 below 2^42.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn carry(self) -> Limbs {
        let Products { low, high } = self;
        let (m44, m42) = (_mm512_set1_epi64(BITS_44), _mm512_set1_epi64(BITS_42));
        let l1 = _mm512_add_epi64(low[1], _mm512_slli_epi64::<8>(high[0]));
        let l1 = _mm512_add_epi64(l1, _mm512_srli_epi64::<44>(low[0]));
        let l2 = _mm512_add_epi64(low[2], _mm512_slli_epi64::<8>(high[1]));
        let l2 = _mm512_add_epi64(l2, _mm512_srli_epi64::<44>(l1));
        let over = _mm512_add_epi64(
            _mm512_slli_epi64::<10>(high[2]),
            _mm512_srli_epi64::<42>(l2),
        );
        let l0 = _mm512_add_epi64(_mm512_and_si512(low[0], m44), times5(over));
        let l1 = _mm512_add_epi64(_mm512_and_si512(l1, m44), _mm512_srli_epi64::<44>(l0));
        Limbs([_mm512_and_si512(l0, m44), l1, _mm512_and_si512(l2, m42)])
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn times5(value: __m512i) -> __m512i {
    _mm512_add_epi64(value, _mm512_slli_epi64::<2>(value))
}
