//! Trains of every shape, against ring message by message.

use super::*;
use crate::crypto::{MAX_TRAIN, Opened};

#[test]
fn packets_of_every_length_up_to_1500() {
    let mut numbers = Numbers(1);
    let keys = pair(&mut numbers);
    for length in 0..=1500 {
        let mut plain = train(&mut numbers, 3, length, length);
        check_both(
            &keys,
            &mut plain,
            length + OVERHEAD,
            &format!("length {length}"),
        );
    }
}

#[test]
fn packets_far_longer_than_an_mtu() {
    let mut numbers = Numbers(2);
    let keys = pair(&mut numbers);
    for length in [4095, 4096, 8191, 9000, 65_503, 65_504] {
        let mut plain = train(&mut numbers, 18, length, length - 1);
        check_both(
            &keys,
            &mut plain,
            length + OVERHEAD,
            &format!("length {length}"),
        );
    }
}

#[test]
fn trains_of_every_length_whose_last_is_shorter() {
    let mut numbers = Numbers(3);
    for count in 1..=130 {
        let keys = pair(&mut numbers);
        for length in [0, 16, 63, 128, 129, 200] {
            for last in [0, 1, 15, 16, 17, 63, 64, 65, 128, length] {
                let last = last.min(length);
                let mut plain = train(&mut numbers, count, length, last);
                let case = format!("{count} messages of {length}, the last {last}");
                check_both(&keys, &mut plain, length + OVERHEAD, &case);
            }
        }
    }
}

#[test]
fn full_sized_trains_of_every_length() {
    let mut numbers = Numbers(4);
    for count in 1..=130 {
        let keys = pair(&mut numbers);
        let last = numbers.below(1421);
        let mut plain = train(&mut numbers, count, 1420, last);
        check_both(
            &keys,
            &mut plain,
            1420 + OVERHEAD,
            &format!("{count} messages, the last {last}"),
        );
    }
}

#[test]
fn any_alignment() {
    let mut numbers = Numbers(5);
    let keys = pair(&mut numbers);
    for offset in 0..64 {
        for length in [0, 1, 64, 100, 333] {
            let mut memory = numbers.bytes(offset + 19 * (length + OVERHEAD) + 64);
            let end = memory.len() - 64;
            let around = (memory[..offset].to_vec(), memory[end..].to_vec());
            let plain = &mut memory[offset..end];
            check_both(
                &keys,
                plain,
                length + OVERHEAD,
                &format!("offset {offset}, length {length}"),
            );
            assert!(
                memory[..offset] == around.0 && memory[end..] == around.1,
                "wrote outside of the train"
            );
        }
    }
}

#[test]
fn counters_at_the_edges_of_their_words() {
    let mut numbers = Numbers(6);
    let keys = pair(&mut numbers);
    for start in [
        0,
        1,
        u64::from(u32::MAX) - 20,
        (1 << 63) - 20,
        u64::MAX - (1 << 13) - 20,
        u64::MAX - 39,
    ] {
        for length in [0, 65, 1420] {
            let mut plain = train(&mut numbers, 40, length, length);
            for (i, message) in plain.chunks_mut(length + OVERHEAD).enumerate() {
                message[8..16].copy_from_slice(&(start + i as u64).to_le_bytes());
            }
            check_both(
                &keys,
                &mut plain,
                length + OVERHEAD,
                &format!("counters from {start}"),
            );
        }
    }
}

#[test]
fn bytes_that_carry_through_every_limb() {
    let mut numbers = Numbers(7);
    for fill in [0x00, 0xff, 0xfb, 0xfe, 0x80, 0x01] {
        for length in [16, 47, 48, 49, 64, 127, 1420] {
            let keys = pair(&mut numbers);
            // The same bytes as ciphertext, which the authenticator sees: the plain text is their decryption.
            let stride = length + OVERHEAD;
            let mut forged = vec![fill; 24 * stride];
            let expected: Vec<bool> = forged
                .clone()
                .chunks_mut(stride)
                .map(|message| keys.0.open(message))
                .collect();
            let opened = keys.1.open_train(&mut forged, stride);
            assert!(
                expected
                    .iter()
                    .enumerate()
                    .all(|(i, ok)| opened.get(i) == *ok)
            );
            check_both(
                &keys,
                &mut vec![fill; 24 * stride],
                stride,
                &format!("{length} bytes {fill:#x}"),
            );
        }
    }
}

#[test]
fn what_is_no_train() {
    let mut numbers = Numbers(8);
    let (ring, batch) = pair(&mut numbers);
    for key in [ring, batch] {
        for stride in [0, 1, OVERHEAD - 1] {
            let mut bytes = numbers.bytes(200);
            let before = bytes.clone();
            assert_eq!(key.open_train(&mut bytes, stride), Opened::none());
            assert_eq!(bytes, before);
        }
        key.seal_train(&mut [], 100);
        assert_eq!(key.open_train(&mut [], 100), Opened::none());
    }
}

#[test]
fn a_last_message_without_room_for_a_tag_is_refused_and_kept() {
    let mut numbers = Numbers(9);
    let (ring, batch) = pair(&mut numbers);
    for key in [ring, batch] {
        for count in [1, 2, 5, 16, 33] {
            for rest in 1..OVERHEAD {
                let mut bytes = train(&mut numbers, count, 77, 77);
                key.seal_train(&mut bytes, 77 + OVERHEAD);
                let tail = numbers.bytes(rest);
                bytes.extend_from_slice(&tail);
                let opened = key.open_train(&mut bytes, 77 + OVERHEAD);
                assert!((0..=count).all(|i| opened.get(i) == (i < count)));
                assert!(bytes.ends_with(&tail));
            }
        }
    }
}

#[test]
fn messages_beyond_the_longest_train_are_left_as_they_came() {
    let mut numbers = Numbers(10);
    let (ring, batch) = pair(&mut numbers);
    let stride = OVERHEAD + 5;
    for key in [ring, batch] {
        let mut bytes = train(&mut numbers, MAX_TRAIN + 40, 5, 5);
        key.seal_train(&mut bytes, stride);
        let sealed = bytes.clone();
        let opened = key.open_train(&mut bytes, stride);
        assert!((0..MAX_TRAIN + 40).all(|i| opened.get(i) == (i < MAX_TRAIN)));
        assert!(bytes[MAX_TRAIN * stride..] == sealed[MAX_TRAIN * stride..]);
    }
}
