//! A session's key for one direction.

use std::fmt;

use super::ring_key::RingKey;
use super::{MAX_TRAIN, OVERHEAD, Opened, Suite};

/// Key of one direction of one session. Boxed, so that moving it leaves no copy; wiped when it is dropped.
pub struct Key(Box<Secret>);

struct Secret {
    #[cfg_attr(not(feature = "null-crypto"), allow(dead_code))]
    suite: Suite,
    ring: RingKey,
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
        train
            .chunks_mut(stride)
            .for_each(|message| self.seal(message));
    }

    /// Opens consecutive messages of `stride` bytes each; the last may be shorter. What is not authentic, too short or
    /// beyond [`MAX_TRAIN`] is left as it came.
    pub fn open_train(&self, train: &mut [u8], stride: usize) -> Opened {
        let mut opened = Opened::none();
        if stride < OVERHEAD {
            return opened;
        }
        let mut kept = Vec::with_capacity(stride);
        for (i, message) in train.chunks_mut(stride).enumerate().take(MAX_TRAIN) {
            if self.open_or_keep(message, &mut kept) {
                opened.set(i);
            }
        }
        opened
    }

    fn open_or_keep(&self, message: &mut [u8], kept: &mut Vec<u8>) -> bool {
        #[cfg(feature = "null-crypto")]
        if self.0.suite == Suite::Null {
            return self.open(message);
        }
        self.0.ring.open_or_keep(message, kept)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Overwrites what a function called just before may have left of a key below this frame.
#[inline(never)]
fn wipe_stack() {
    let mut frame = [0u8; 4096];
    zeroize::Zeroize::zeroize(&mut frame);
}
