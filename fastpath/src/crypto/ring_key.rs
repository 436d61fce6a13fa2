//! ring's ChaCha20-Poly1305, one message at a time.

use std::mem::MaybeUninit;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::message::{HEADER, OVERHEAD, TAG, counter};

/// ring's key in memory that is wiped when it is dropped, which ring itself doesn't do.
pub(super) struct RingKey(MaybeUninit<LessSafeKey>);

impl RingKey {
    pub(super) fn new(raw: &[u8; 32]) -> RingKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, raw).expect("32 bytes are a key");
        RingKey(MaybeUninit::new(LessSafeKey::new(key)))
    }

    fn key(&self) -> &LessSafeKey {
        // SAFETY: `new` initialises it, and only `drop` overwrites it.
        unsafe { self.0.assume_init_ref() }
    }

    pub(super) fn seal(&self, message: &mut [u8]) {
        assert!(message.len() >= OVERHEAD, "no room for header and tag");
        let nonce = nonce(counter(message));
        let (packet, tag) = message[HEADER..]
            .split_last_chunk_mut::<TAG>()
            .expect("checked above");
        let sealed = self
            .key()
            .seal_in_place_separate_tag(nonce, Aad::empty(), packet);
        tag.copy_from_slice(sealed.expect("shorter than 256 GiB").as_ref());
    }

    /// ring decrypts while it authenticates, and wipes what turns out to be forged.
    pub(super) fn open(&self, message: &mut [u8]) -> bool {
        if message.len() < OVERHEAD {
            return false;
        }
        let nonce = nonce(counter(message));
        self.key()
            .open_in_place(nonce, Aad::empty(), &mut message[HEADER..])
            .is_ok()
    }
}

impl Drop for RingKey {
    fn drop(&mut self) {
        // ChaCha20's key lies in the value itself and has no destructor, so overwriting the value is all there is.
        const { assert!(!std::mem::needs_drop::<LessSafeKey>()) };
        self.0.zeroize();
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
