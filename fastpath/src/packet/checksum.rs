//! The Internet checksum (RFC 1071).
//!
//! Sums are of 16-bit words as they lie in memory on a little-endian machine: one's complement addition does not care
//! about byte order (RFC 1071 section 2 B), as long as the result is stored the same way. `store` does.

use super::fields::{ipv4, ipv6, version};

/// The one's complement sum of the words of `data`, unfolded; an odd last byte counts as if a zero followed.
#[inline]
pub fn sum(data: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if data.len() >= x86::WORTHWHILE && std::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { x86::sum_avx2(data) };
    }
    sum_portable(data)
}

/// As `sum`, on any machine.
#[inline]
pub fn sum_portable(data: &[u8]) -> u64 {
    let (words, rest) = data.as_chunks::<4>();
    let mut total: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_le_bytes(*word)))
        .sum();
    let (pairs, last) = rest.as_chunks::<2>();
    total += pairs
        .iter()
        .map(|pair| u64::from(u16::from_le_bytes(*pair)))
        .sum::<u64>();
    total + last.iter().map(|byte| u64::from(*byte)).sum::<u64>()
}

/// The sum in 16 bits, end-around carries added. Zero only when every word was zero.
#[inline]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// A number of 16 bits, in host order, as a term of a sum.
#[inline]
pub fn term(value: u16) -> u64 {
    u64::from(u16::from_le_bytes(value.to_be_bytes()))
}

/// Writes a folded sum, or its complement, into a packet.
#[inline]
pub fn store(packet: &mut [u8], at: usize, checksum: u16) {
    packet[at..at + 2].copy_from_slice(&checksum.to_le_bytes());
}

/// The sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) of an IP packet with a whole header;
/// `length` is of transport header and payload, in bytes.
#[inline]
pub fn pseudo(packet: &[u8], length: usize, protocol: u8) -> u64 {
    addresses_sum(packet)
        + term(length as u16)
        + term((length >> 16) as u16)
        + term(protocol.into())
}

#[inline]
fn addresses_sum(packet: &[u8]) -> u64 {
    if version(packet) == 6 {
        sum_portable(&packet[ipv6::ADDRESSES..ipv6::ADDRESSES + 32])
    } else {
        sum_portable(&packet[ipv4::ADDRESSES..ipv4::ADDRESSES + 8])
    }
}

/// Corrects the checksum at `at` for two bytes, at an even offset, that were `before` and are `after` (RFC 1624,
/// equation 3).
#[inline]
pub fn update(packet: &mut [u8], at: usize, before: [u8; 2], after: [u8; 2]) {
    let old = u16::from_le_bytes([packet[at], packet[at + 1]]);
    let sum = u64::from(!old)
        + u64::from(!u16::from_le_bytes(before))
        + u64::from(u16::from_le_bytes(after));
    store(packet, at, !fold(sum));
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::sum_portable;
    use std::arch::x86_64::*;

    /// Below this many bytes the portable version is as fast.
    pub const WORTHWHILE: usize = 64;
    /// Each lane of 32 bits takes at most 2 * 32768 from a vector, and in the end all of them are added.
    const LONGEST: usize = 32 * 0x7fff;

    /// Words are taken as signed around 0x8000, so that one multiply-add by one adds pairs of them without overflow.
    ///
    /// # Safety
    /// The CPU has AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn sum_avx2(data: &[u8]) -> u64 {
        data.chunks(LONGEST).map(|chunk| sum_chunk(chunk)).sum()
    }

    #[target_feature(enable = "avx2")]
    fn sum_chunk(data: &[u8]) -> u64 {
        let (vectors, rest) = data.as_chunks::<32>();
        let (quads, others) = vectors.as_chunks::<4>();
        // Four sums, as an addition must not wait for the one before.
        let mut lanes = [_mm256_setzero_si256(); 4];
        for quad in quads {
            for (lane, vector) in lanes.iter_mut().zip(quad) {
                *lane = add_vector(*lane, vector);
            }
        }
        for (lane, vector) in lanes.iter_mut().zip(others) {
            *lane = add_vector(*lane, vector);
        }
        let [a, b, c, d] = lanes;
        let lane = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
        (add_across(lane) + 0x8000 * 16 * vectors.len() as i64) as u64 + sum_portable(rest)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add_vector(lane: __m256i, vector: &[u8; 32]) -> __m256i {
        // SAFETY: 32 readable bytes; the load needs no alignment.
        let words = unsafe { _mm256_loadu_si256(vector.as_ptr().cast()) };
        let signed = _mm256_xor_si256(words, _mm256_set1_epi16(i16::MIN));
        _mm256_add_epi32(lane, _mm256_madd_epi16(signed, _mm256_set1_epi16(1)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add_across(lane: __m256i) -> i64 {
        let mut spread = [0i32; 8];
        // SAFETY: 32 writable bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(spread.as_mut_ptr().cast(), lane) };
        spread.into_iter().map(i64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 by the letter: big-endian words, carries added at once.
    fn naive(data: &[u8]) -> u16 {
        let mut total: u32 = 0;
        for pair in data.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    proptest! {
        #[test]
        fn both_versions_equal_the_naive_sum(data in proptest::collection::vec(any::<u8>(), 0..3000), skip in 0usize..33) {
            let data = &data[skip.min(data.len())..];
            prop_assert_eq!(fold(sum(data)).to_be(), naive(data));
            prop_assert_eq!(fold(sum_portable(data)).to_be(), naive(data));
        }

        #[test]
        fn an_update_equals_a_new_sum(mut data in proptest::collection::vec(any::<u8>(), 20..40), word in 0usize..9, new: [u8; 2]) {
            let at = if word < 5 { 2 * word } else { 2 * word + 2 };
            data[10..12].fill(0);
            let check = !fold(sum(&data));
            store(&mut data, 10, check);
            let before = [data[at], data[at + 1]];
            data[at..at + 2].copy_from_slice(&new);
            update(&mut data, 10, before, new);
            let valid = fold(sum(&data));
            prop_assert!(valid == 0xffff || data.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn the_largest_words_do_not_overflow() {
        for size in [0xffff, 1 << 20, (1 << 21) + 31] {
            for byte in [0x00, 0x7f, 0x80, 0xff] {
                let data = vec![byte; size];
                assert_eq!(fold(sum(&data)), fold(sum_portable(&data)), "{size} {byte}");
                assert_eq!(fold(sum(&data)).to_be(), naive(&data), "{size} {byte}");
            }
        }
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&data)).to_be(), 0xddf2);
    }

    #[test]
    fn a_pseudo_header_is_summed_as_it_is_written() {
        let mut packet = [0u8; 20];
        packet[0] = 0x45;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 192, 168, 255, 254]);
        let written = [10, 0, 0, 1, 192, 168, 255, 254, 0, 17, 0x12, 0x34];
        assert_eq!(fold(pseudo(&packet, 0x1234, 17)).to_be(), naive(&written));
        let mut packet: [u8; 40] = std::array::from_fn(|at| at as u8);
        packet[0] = 0x60;
        let mut written = packet[8..40].to_vec();
        written.extend([0, 1, 0x12, 0x34, 0, 0, 0, 6]);
        assert_eq!(fold(pseudo(&packet, 0x11234, 6)).to_be(), naive(&written));
    }
}
