//! Rules of sealing and opening that hold for every suite; ring is the oracle of the multi-packet code.

mod choosing;
mod keys;
mod tampering;
mod trains;

use super::{Key, Suite};
use crate::message::OVERHEAD;

/// Deterministic numbers (splitmix64): a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Ring's key and the multi-packet one, of the same bytes.
fn pair(numbers: &mut Numbers) -> (Key, Key) {
    let raw = std::array::from_fn(|_| numbers.next() as u8);
    (Key::new(&raw, Suite::Ring), Key::new(&raw, Suite::Batch))
}

/// A train of random messages; `last` is the length of the last packet.
fn train(numbers: &mut Numbers, count: usize, length: usize, last: usize) -> Vec<u8> {
    numbers.bytes((count - 1) * (length + OVERHEAD) + last + OVERHEAD)
}

/// Where each message of a train lies.
fn places(train: &[u8], stride: usize) -> Vec<std::ops::Range<usize>> {
    (0..train.len())
        .step_by(stride)
        .map(|at| at..train.len().min(at + stride))
        .collect()
}

/// Seals with both, demands the same bytes, opens with both, demands the plain text. `plain` may lie at any address.
fn check_both((ring, batch): &(Key, Key), plain: &mut [u8], stride: usize, case: &str) {
    let before = plain.to_vec();
    let mut expected = plain.to_vec();
    for place in places(&before, stride) {
        ring.seal(&mut expected[place]);
    }
    batch.seal_train(plain, stride);
    assert!(plain == expected, "sealed differently: {case}");
    let opened = batch.open_train(plain, stride);
    for (i, place) in places(&before, stride).into_iter().enumerate() {
        let packet = place.start..place.end - 16;
        assert!(opened.get(i), "message {i} refused: {case}");
        assert!(
            plain[packet.clone()] == before[packet],
            "message {i} opened to other bytes: {case}"
        );
        assert!(
            ring.open(&mut expected[place]),
            "ring refuses message {i}: {case}"
        );
    }
    assert!(
        !opened.get(places(&before, stride).len()),
        "a message too many: {case}"
    );
}
