//! A session's key for one direction.

use std::fmt;

#[cfg(target_arch = "x86_64")]
use super::batch::{self, BatchKey};
use super::ring_key::RingKey;
use super::{MAX_TRAIN, Opened, Suite};
use crate::message::OVERHEAD;

/// Key of one direction of one session. Boxed, so that moving it leaves no copy; wiped when it is dropped.
pub struct Key(Box<Secret>);

struct Secret {
    #[cfg_attr(not(feature = "null-crypto"), allow(dead_code))]
    suite: Suite,
    ring: RingKey,
    #[cfg(target_arch = "x86_64")]
    batch: Option<BatchKey>,
}

impl Key {
    /// The caller wipes its copy of `raw`.
    pub fn new(raw: &[u8; 32], suite: Suite) -> Key {
        let key = Key::build(raw, suite);
        wipe_stack();
        key
    }

    /// Apart from `new`, so that all copies made on the way lie below that one's frame.
    #[inline(never)]
    fn build(raw: &[u8; 32], suite: Suite) -> Key {
        Key(Box::new(Secret {
            suite,
            ring: RingKey::new(raw),
            #[cfg(target_arch = "x86_64")]
            batch: (suite == Suite::Batch)
                .then(|| BatchKey::new(raw))
                .flatten(),
        }))
    }

    /// Encrypts the packet between the header and the last 16 bytes, and writes the tag there.
    ///
    /// # Panics
    /// When the message is shorter than [`OVERHEAD`].
    pub fn seal(&self, message: &mut [u8]) {
        #[cfg(feature = "null-crypto")]
        if self.0.suite == Suite::Null {
            return;
        }
        self.0.ring.seal(message);
    }

    /// True: authentic, and the packet stands decrypted after the header. False: its bytes are worth nothing.
    pub fn open(&self, message: &mut [u8]) -> bool {
        #[cfg(feature = "null-crypto")]
        if self.0.suite == Suite::Null {
            return message.len() >= OVERHEAD;
        }
        self.0.ring.open(message)
    }

    /// Seals consecutive messages of `stride` bytes each; the last may be shorter.
    ///
    /// # Panics
    /// When a message is shorter than [`OVERHEAD`].
    pub fn seal_train(&self, train: &mut [u8], stride: usize) {
        assert!(stride >= OVERHEAD, "no room for header and tag");
        #[cfg(target_arch = "x86_64")]
        if let Some(batch) = self.batch(train, stride) {
            assert!(last_is_whole(train, stride), "no room for header and tag");
            return batch.seal_train(train, stride);
        }
        train
            .chunks_mut(stride)
            .for_each(|message| self.seal(message));
    }

    /// Opens consecutive messages of `stride` bytes each; the last may be shorter. The bytes of what is not authentic are
    /// worth nothing afterwards; what is too short or beyond [`MAX_TRAIN`] is left as it came.
    pub fn open_train(&self, train: &mut [u8], stride: usize) -> Opened {
        let mut opened = Opened::none();
        if stride < OVERHEAD {
            return opened;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(batch) = self.batch(train, stride) {
            let end = if last_is_whole(train, stride) {
                train.len()
            } else {
                train.len() / stride * stride
            };
            return batch.open_train(&mut train[..end], stride);
        }
        for (i, message) in train.chunks_mut(stride).enumerate().take(MAX_TRAIN) {
            if self.open(message) {
                opened.set(i);
            }
        }
        opened
    }

    /// Breaks the multi-packet code's key schedule and leaves ring's alone, to see who notices.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(super) fn break_batch(&mut self) {
        self.0
            .batch
            .as_mut()
            .expect("a CPU with AVX-512")
            .flip_a_bit();
    }

    /// The multi-packet key, where there is one and the train is worth it.
    #[cfg(target_arch = "x86_64")]
    fn batch(&self, train: &[u8], stride: usize) -> Option<&BatchKey> {
        let suits = train.len().div_ceil(stride) >= batch::SHORTEST_TRAIN
            && stride <= batch::LONGEST_MESSAGE;
        self.0.batch.as_ref().filter(|_| suits)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Whether a shorter last message still has header and tag.
#[cfg(target_arch = "x86_64")]
fn last_is_whole(train: &[u8], stride: usize) -> bool {
    let rest = train.len() % stride;
    rest == 0 || rest >= OVERHEAD
}

impl Drop for Key {
    /// The fields wipe themselves. What sealing and opening left on this thread's stack is wiped here, once for all
    /// trains and not after each.
    fn drop(&mut self) {
        wipe_stack();
    }
}

/// Overwrites what functions called before may have left of a key below this frame: more than the deepest of them use.
#[inline(never)]
fn wipe_stack() {
    let mut frame = [0u8; 16 << 10];
    zeroize::Zeroize::zeroize(&mut frame);
}
