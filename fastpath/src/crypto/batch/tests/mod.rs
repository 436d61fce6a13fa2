//! Published vectors on the vector code itself: with nonces and additional data that transport messages never have.
//!
//! The parts are the ones that trains go through (the block function, its transposition, the authenticator); only
//! what joins them is written anew here, so that any nonce and additional data fit.

mod rfc8439;
mod wycheproof;

use core::arch::x86_64::*;

use super::simd::{load_u32, store};
use super::{Features, chacha, poly};

/// Whether the vector code can run; says so where it can't.
fn available() -> bool {
    let missing = Features::detect().missing();
    if !missing.is_empty() {
        println!("skipped: this CPU lacks {}", missing.join(", "));
    }
    missing.is_empty()
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    std::array::from_fn(|i| {
        u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().expect("four bytes"))
    })
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits")
    };
    digits.chunks(2).map(byte).collect()
}

/// `count` bytes of keystream from block `from` on.
fn keystream(key: &[u8], nonce: &[u8], from: u32, count: usize) -> Vec<u8> {
    assert!(Features::detect().batch());
    let mut bytes = Vec::new();
    while bytes.len() < count {
        // SAFETY: the CPU has the instructions.
        bytes
            .extend(unsafe { blocks32(&words(key), words(nonce), from + bytes.len() as u32 / 64) });
    }
    bytes.truncate(count);
    bytes
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
fn blocks32(key: &[u32; 8], nonce: [u32; 3], from: u32) -> Vec<u8> {
    let nonce = nonce.map(|word| _mm512_set1_epi32(word as i32));
    let state = |from: u32| {
        let numbers: [u32; 16] = std::array::from_fn(|i| from.wrapping_add(i as u32));
        chacha::initial(key, load_u32(&numbers), nonce)
    };
    let both = chacha::keystream(&[state(from), state(from.wrapping_add(16))]);
    let mut bytes = vec![[0; 64]; 32];
    for (bytes, block) in bytes
        .iter_mut()
        .zip(both.iter().flat_map(|words| chacha::blocks(words)))
    {
        store(bytes, block);
    }
    bytes.concat()
}

/// Tag of a message of whole blocks under a one-time key, taken in at most `at_once` blocks at a time.
fn authenticate(key: &[u8], message: &[u8], at_once: usize) -> Vec<u8> {
    assert!(Features::detect().batch());
    // SAFETY: the CPU has the instructions.
    let [low, high] = unsafe { poly1305(key, message.as_chunks().0, at_once) };
    assert!(
        low == [low[0]; 8] && high == [high[0]; 8],
        "the eight lanes differ"
    );
    [low[0].to_le_bytes(), high[0].to_le_bytes()].concat()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
fn poly1305(key: &[u8], blocks: &[[u8; 16]], at_once: usize) -> [[u64; 8]; 2] {
    let pair = |bytes: &[u8]| {
        let (low, high) = (
            bytes[..8].try_into().expect("8 bytes"),
            bytes[8..16].try_into().expect("8 bytes"),
        );
        [low, high].map(|word| _mm512_set1_epi64(i64::from_le_bytes(word)))
    };
    let mut poly = poly::Poly::new(
        &poly::OneTimeKeys {
            r: pair(key),
            s: pair(&key[16..]),
        },
        None,
    );
    for some in blocks.chunks(at_once) {
        match *some {
            [a] => poly.absorb([pair(&a)]),
            [a, b] => poly.absorb([pair(&a), pair(&b)]),
            [a, b, c] => poly.absorb([pair(&a), pair(&b), pair(&c)]),
            [a, b, c, d] => poly.absorb([pair(&a), pair(&b), pair(&c), pair(&d)]),
            _ => unreachable!("at most four blocks at once"),
        }
    }
    poly.finish()
}

/// RFC 8439 2.8: the text en- or decrypted, and the tag of `ciphertext`.
fn xor_and_tag(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    text: &[u8],
    decrypt: bool,
) -> (Vec<u8>, Vec<u8>) {
    let stream = keystream(key, nonce, 1, text.len());
    let other: Vec<u8> = text.iter().zip(stream).map(|(a, b)| a ^ b).collect();
    let mut message = Vec::new();
    for part in [aad, if decrypt { text } else { &other }] {
        message.extend_from_slice(part);
        message.resize(message.len().next_multiple_of(16), 0);
    }
    message.extend((aad.len() as u64).to_le_bytes());
    message.extend((text.len() as u64).to_le_bytes());
    let key = keystream(key, nonce, 0, 32);
    let tag = authenticate(&key, &message, 4);
    assert!(
        (1..4).all(|at_once| authenticate(&key, &message, at_once) == tag),
        "depends on the blocks at once"
    );
    (other, tag)
}
