//! The self-test at the start: a suite must seal as ring does, open what ring sealed, and refuse what was changed.

use super::{Key, Suite};
use crate::message::OVERHEAD;

/// Packet lengths around the edges of Poly1305's and ChaCha20's blocks, and full-sized ones.
const LENGTHS: [usize; 11] = [0, 1, 15, 16, 63, 64, 65, 256, 1279, 1420, 4095];
/// More than a double group; the second is an odd one.
const TRAINS: [usize; 2] = [3, 37];

/// Tests trains under keys made by `make`. Takes about a tenth of a millisecond for each length.
///
/// # Errors
/// What was wrong, for a person.
pub(super) fn self_test(make: impl Fn(&[u8; 32]) -> Key) -> Result<(), String> {
    let raw = std::array::from_fn(|i| 0x80 | i as u8);
    let (ours, ring) = (make(&raw), Key::new(&raw, Suite::Ring));
    for length in LENGTHS {
        for count in TRAINS {
            compare(&ours, &ring, length, count)
                .map_err(|fault| format!("{count} packets of {length} bytes: {fault}"))?;
        }
    }
    Ok(())
}

fn compare(ours: &Key, ring: &Key, length: usize, count: usize) -> Result<(), &'static str> {
    let stride = length + OVERHEAD;
    let plain = train(stride, count);
    let (mut sealed, mut expected) = (plain.clone(), plain.clone());
    ours.seal_train(&mut sealed, stride);
    ring.seal_train(&mut expected, stride);
    if sealed != expected {
        return Err("sealed to other bytes than ring's");
    }
    refuse_changed(ours, &sealed, stride, count)?;
    let opened = ours.open_train(&mut sealed, stride);
    if !(0..count).all(|i| opened.get(i)) {
        return Err("an authentic packet was refused");
    }
    match same_packets(&sealed, &plain, stride) {
        true => Ok(()),
        false => Err("opened to other bytes than were sealed"),
    }
}

/// One byte of the middle message changed: this one, and only this one, must stay as it is.
fn refuse_changed(
    ours: &Key,
    sealed: &[u8],
    stride: usize,
    count: usize,
) -> Result<(), &'static str> {
    let mut forged = sealed.to_vec();
    let at = count / 2 * stride;
    forged[at + stride - 1] ^= 1;
    let before = forged[at..at + stride].to_vec();
    let opened = ours.open_train(&mut forged, stride);
    if !(0..count).all(|i| opened.get(i) == (i != count / 2)) {
        return Err("a forged packet was not told from the others");
    }
    match forged[at..at + stride] == before {
        true => Ok(()),
        false => Err("a forged packet was changed"),
    }
}

/// Messages whose last is shorter by up to eleven bytes, with counters that carry from the lower half into the upper.
fn train(stride: usize, count: usize) -> Vec<u8> {
    let length = stride * count - (stride - OVERHEAD).min(11);
    let mut bytes: Vec<u8> = (0..length).map(|i| (i * 7 + i / 251) as u8).collect();
    for (i, message) in bytes.chunks_mut(stride).enumerate() {
        message[8..16].copy_from_slice(&(0xffff_fff0 + i as u64).to_le_bytes());
    }
    bytes
}

fn same_packets(a: &[u8], b: &[u8], stride: usize) -> bool {
    let packet = |message: &'_ [u8]| message.len() - 16;
    a.chunks(stride)
        .zip(b.chunks(stride))
        .all(|(a, b)| a[..packet(a)] == b[..packet(b)])
}
