//! What a key gives away, and what stays behind.

use std::mem::{ManuallyDrop, MaybeUninit};

use super::*;
use crate::crypto::ring_key::RingKey;

const RAW: [u8; 32] = *b"thirty-two bytes that stand out!";

fn is_in_memory<T>(value: &MaybeUninit<T>) -> bool {
    // SAFETY: as many bytes as the value has; all were written when it was made or wiped.
    let bytes = unsafe { std::slice::from_raw_parts(value.as_ptr().cast::<u8>(), size_of::<T>()) };
    bytes.windows(8).any(|window| window == &RAW[8..16])
}

fn is_wiped<T>(value: T) {
    let mut memory = MaybeUninit::zeroed();
    memory.write(value);
    assert!(is_in_memory(&memory), "the test looks at the wrong place");
    // SAFETY: it is initialised, and dropped only here.
    unsafe { memory.assume_init_drop() };
    assert!(!is_in_memory(&memory));
}

#[test]
fn ring_key_is_wiped_when_dropped() {
    is_wiped(RingKey::new(&RAW));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn multi_packet_key_is_wiped_when_dropped() {
    if let Some(key) = crate::crypto::batch::BatchKey::new(&RAW) {
        is_wiped(key);
    }
}

#[test]
fn moving_a_key_moves_no_secret() {
    let key = ManuallyDrop::new(Key::new(&RAW, Suite::Batch));
    assert_eq!(size_of_val(&key), size_of::<usize>());
    drop(ManuallyDrop::into_inner(key));
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", Key::new(&RAW, Suite::Batch)), "Key(..)");
}

#[test]
fn a_key_may_be_used_by_several_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Key>();
}

#[test]
#[should_panic = "no room"]
fn sealing_without_room_for_a_tag_is_our_fault() {
    Key::new(&RAW, Suite::Ring).seal(&mut [0; OVERHEAD - 1]);
}

#[test]
#[should_panic = "no room"]
fn sealing_a_train_whose_last_has_no_room_is_our_fault() {
    Key::new(&RAW, Suite::Batch).seal_train(&mut [0; 5 * 100 + OVERHEAD - 1], 100);
}

#[cfg(feature = "null-crypto")]
#[test]
fn the_null_suite_only_passes_messages_on() {
    let key = Key::new(&RAW, Suite::Null);
    let mut bytes = [7; 300];
    key.seal_train(&mut bytes, 100);
    assert!(key.open_train(&mut bytes, 100).get(2) && bytes == [7; 300]);
}
