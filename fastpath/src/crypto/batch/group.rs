//! Up to 16 messages that are worked off together.

use super::lanes::Lanes;
use super::poly::{self, Late, OneTimeKeys};
use crate::message::{HEADER, OVERHEAD, TAG, counter};

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

    /// Encrypts or decrypts the packets whose bit is set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn add_keystream(&mut self, key: &[u32; 8], wanted: u16) {
        let (stride, end) = (self.stride, self.bytes.len());
        let counters: [u64; 16] = std::array::from_fn(|i| {
            if i < self.count {
                counter(self.message(i))
            } else {
                0
            }
        });
        let mut lanes = Lanes::new(key, self.bytes);
        for i in (0..self.count).filter(|i| wanted >> i & 1 == 1) {
            let length = end.min((i + 1) * stride) - i * stride - OVERHEAD;
            lanes.add(counters[i], i * stride + HEADER, length);
        }
        lanes.finish();
    }

    /// Tags of the packets as they are: the ciphertexts.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
    pub fn tags(&self, keys: &[OneTimeKeys]) -> Tags {
        let mut tags = Tags([[0; 2]; 16]);
        for first in (0..self.count).step_by(8) {
            let last = self.count.min(first + 8) - 1;
            // Idle lanes repeat the first packet; nobody looks at their tags.
            let mut packets = [self.packet(first); 8];
            for i in first..=last {
                packets[i - first] = self.packet(i);
            }
            let filled = fill_up(packets[0].len(), packets[last - first]);
            let late = filled.as_ref().map(|(blocks, bytes)| {
                let (lane, length) = (last - first, packets[last - first].len());
                packets[lane] = bytes;
                Late {
                    lane,
                    blocks: *blocks,
                    length,
                }
            });
            tags.take(first..=last, poly::tags(&keys[first / 8], packets, late));
        }
        tags
    }
}

/// A packet shorter than `length` in as many blocks as one of that length has, at their end, and how many precede it.
fn fill_up(length: usize, packet: &[u8]) -> Option<(usize, Vec<u8>)> {
    (packet.len() < length).then(|| {
        let blocks = length.div_ceil(16) - packet.len().div_ceil(16);
        let mut bytes = vec![0; length.next_multiple_of(16)];
        bytes[16 * blocks..][..packet.len()].copy_from_slice(packet);
        (blocks, bytes)
    })
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
