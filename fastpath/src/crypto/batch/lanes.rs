//! Keystream blocks wanted by any packets, worked off 32 at a time, so that short packets leave no lane idle.

use core::arch::x86_64::*;

use super::chacha::{self, Words};
use super::simd::{load, load_part, load_u32, store, store_part, store_u32};

const AT_ONCE: usize = 32;
const ROOM: usize = AT_ONCE + 16;

/// Lane i wants block number `block[i]` of the nonce (0, low, high) added to `left[i]` bytes at `place[i]`.
#[repr(align(64))]
pub struct Lanes<'a> {
    block: [u32; ROOM],
    low: [u32; ROOM],
    high: [u32; ROOM],
    place: [u32; ROOM],
    left: [u32; ROOM],
    waiting: usize,
    key: &'a [u32; 8],
    bytes: &'a mut [u8],
}

impl<'a> Lanes<'a> {
    /// Lanes that write into `bytes`, shorter than 2 GiB.
    pub fn new(key: &'a [u32; 8], bytes: &'a mut [u8]) -> Lanes<'a> {
        assert!(bytes.len() < 1 << 31);
        let none = [0; ROOM];
        Lanes {
            block: none,
            low: none,
            high: none,
            place: none,
            left: none,
            waiting: 0,
            key,
            bytes,
        }
    }

    /// Adds the keystream, from block 1 on, to `length` bytes at `place`; some of it only when `finish` is called.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn add(&mut self, counter: u64, place: usize, length: usize) {
        let iota = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let blocks = length.div_ceil(64);
        for first in (0..blocks).step_by(16) {
            let index = _mm512_add_epi32(all(first), iota);
            let start = _mm512_slli_epi32::<6>(index);
            let at = self.waiting;
            // All 16 are written each time: lanes past the packet's last are overwritten or never used.
            put(&mut self.block, at, _mm512_add_epi32(index, all(1)));
            put(&mut self.low, at, all(counter as u32 as usize));
            put(&mut self.high, at, all((counter >> 32) as usize));
            put(&mut self.place, at, _mm512_add_epi32(all(place), start));
            put(
                &mut self.left,
                at,
                _mm512_min_epi32(_mm512_sub_epi32(all(length), start), all(64)),
            );
            self.waiting += (blocks - first).min(16);
            if self.waiting >= AT_ONCE {
                self.work::<2>(AT_ONCE);
                self.shift();
            }
        }
    }

    /// Works off what still waits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn finish(&mut self) {
        match self.waiting {
            0 => {}
            1..=16 => self.work::<1>(self.waiting),
            _ => self.work::<2>(self.waiting),
        }
        self.waiting = 0;
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn work<const N: usize>(&mut self, count: usize) {
        let mut states = [[_mm512_setzero_si512(); 16]; N];
        for (n, state) in states.iter_mut().enumerate() {
            *state = self.initial(16 * n);
        }
        for (n, words) in chacha::keystream(&states).iter().enumerate() {
            let blocks = chacha::blocks(words);
            for (lane, block) in (16 * n..count).zip(blocks) {
                self.xor(lane, block);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn initial(&self, from: usize) -> Words {
        let [block, low, high] = [&self.block, &self.low, &self.high].map(|words| get(words, from));
        chacha::initial(self.key, block, [_mm512_setzero_si512(), low, high])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn xor(&mut self, lane: usize, block: __m512i) {
        let (place, left) = (self.place[lane] as usize, self.left[lane] as usize);
        let bytes = &mut self.bytes[place..place + left];
        match <&mut [u8; 64]>::try_from(&mut *bytes) {
            Ok(bytes) => store(bytes, _mm512_xor_si512(load(bytes), block)),
            Err(_) => store_part(bytes, _mm512_xor_si512(load_part(bytes), block)),
        }
    }

    /// Moves the lanes behind those just worked off to the front.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn shift(&mut self) {
        for words in [
            &mut self.block,
            &mut self.low,
            &mut self.high,
            &mut self.place,
            &mut self.left,
        ] {
            let rest = get(words, AT_ONCE);
            put(words, 0, rest);
        }
        self.waiting -= AT_ONCE;
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn all(value: usize) -> __m512i {
    _mm512_set1_epi32(value as i32)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn get(words: &[u32; ROOM], at: usize) -> __m512i {
    load_u32(
        words[at..]
            .first_chunk()
            .expect("16 words from a place below 33"),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn put(words: &mut [u32; ROOM], at: usize, value: __m512i) {
    store_u32(
        words[at..]
            .first_chunk_mut()
            .expect("16 words from a place below 33"),
        value,
    );
}
