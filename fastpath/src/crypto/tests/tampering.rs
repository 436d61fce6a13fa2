//! A changed message is refused and gives nothing away, and its neighbours are opened nevertheless.

use super::*;
use crate::message::{HEADER, TAG};

/// Header bytes before the counter, which the tag doesn't cover: type and receiver index choose the key.
const UNAUTHENTICATED: usize = 8;

#[test]
fn a_change_at_any_byte() {
    let mut numbers = Numbers(20);
    let (ring, batch) = pair(&mut numbers);
    for key in [ring, batch] {
        for length in [0, 1, 15, 16, 17, 48, 63, 64, 65, 130, 300] {
            for victim in [0, 7, 8, 18] {
                change_each_byte(&key, &mut numbers, length, victim);
            }
        }
    }
}

/// A train of 19, of which the last is shorter by three bytes.
fn change_each_byte(key: &Key, numbers: &mut Numbers, length: usize, victim: usize) {
    let stride = length + OVERHEAD;
    let plain = train(numbers, 19, length, length.saturating_sub(3));
    let mut sealed = plain.clone();
    key.seal_train(&mut sealed, stride);
    let place = places(&plain, stride)[victim].clone();
    for at in place.start + UNAUTHENTICATED..place.end {
        let mut forged = sealed.clone();
        forged[at] ^= 1 << numbers.below(8);
        check_forged(key, forged, &plain, stride, |i| i == victim);
    }
}

#[test]
fn any_of_them_forged() {
    let mut numbers = Numbers(21);
    for _ in 0..2000 {
        let (ring, batch) = pair(&mut numbers);
        let (count, length) = (1 + numbers.below(70), numbers.below(400));
        let last = numbers.below(length + 1);
        let plain = train(&mut numbers, count, length, last);
        let victims = [0, u128::MAX, 1 << numbers.below(count)][numbers.below(3)];
        let victims = victims
            ^ if numbers.below(2) == 0 {
                0
            } else {
                u128::from(numbers.next())
            };
        for key in [ring, batch] {
            let mut forged = plain.clone();
            key.seal_train(&mut forged, length + OVERHEAD);
            for place in places(&plain, length + OVERHEAD)
                .into_iter()
                .enumerate()
                .filter(|(i, _)| victims >> i & 1 == 1)
            {
                let at = place.1.start + UNAUTHENTICATED;
                forged[at + numbers.below(place.1.end - at)] ^= 1 << numbers.below(8);
            }
            check_forged(&key, forged, &plain, length + OVERHEAD, |i| {
                victims >> i & 1 == 1
            });
        }
    }
}

fn check_forged(
    key: &Key,
    mut train: Vec<u8>,
    plain: &[u8],
    stride: usize,
    is_forged: impl Fn(usize) -> bool,
) {
    let came = train.clone();
    let opened = key.open_train(&mut train, stride);
    for (i, place) in places(plain, stride).into_iter().enumerate() {
        assert_eq!(opened.get(i), !is_forged(i), "message {i}");
        if is_forged(i) {
            let packet = place.start + HEADER..place.end - TAG;
            let nothing = train[packet.clone()] == came[packet.clone()]
                || train[packet].iter().all(|byte| *byte == 0);
            assert!(nothing, "message {i} was forged, and decrypted");
        } else {
            let packet = place.start + UNAUTHENTICATED..place.end - 16;
            assert!(
                train[packet.clone()] == plain[packet],
                "message {i} opened to other bytes"
            );
        }
    }
}

#[test]
fn a_single_message_that_was_changed_or_cut() {
    let mut numbers = Numbers(22);
    let (ring, batch) = pair(&mut numbers);
    for key in [ring, batch] {
        let plain = train(&mut numbers, 1, 100, 100);
        let mut sealed = plain.clone();
        key.seal(&mut sealed);
        for length in 0..sealed.len() {
            assert!(
                !key.open(&mut sealed[..length].to_vec()),
                "cut to {length} bytes"
            );
        }
        for at in UNAUTHENTICATED..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1 << numbers.below(8);
            assert!(!key.open(&mut forged), "changed at byte {at}");
        }
        assert!(key.open(&mut sealed));
        assert_eq!(sealed[..116], plain[..116]);
    }
}

#[test]
fn another_key_opens_nothing() {
    let mut numbers = Numbers(23);
    let (_, one) = pair(&mut numbers);
    let (_, other) = pair(&mut numbers);
    let plain = train(&mut numbers, 20, 64, 64);
    let mut sealed = plain.clone();
    one.seal_train(&mut sealed, 96);
    check_forged(&other, sealed, &plain, 96, |_| true);
}
