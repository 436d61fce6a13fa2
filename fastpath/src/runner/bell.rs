//! What wakes somebody who waits for a descriptor to become readable.

use std::io::{PipeReader, PipeWriter, Read, Result, Write, pipe};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Rung any number of times it has one byte in its pipe, so nobody ever waits for room there.
pub struct Bell {
    rung: AtomicBool,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Bell {
    pub fn new() -> Result<Bell> {
        let (reader, writer) = pipe()?;
        Ok(Bell {
            rung: AtomicBool::new(false),
            reader,
            writer,
        })
    }

    /// Readable from `ring` to `answer`.
    pub fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            (&self.writer).write_all(&[1]).expect("its reader is here");
        }
    }

    /// Silent again. Whoever rings from here on is heard: so look for what there is to do after this.
    pub fn answer(&self) {
        if self.rung.load(Ordering::Acquire) {
            (&self.reader)
                .read_exact(&mut [0])
                .expect("its writer is here");
            self.rung.store(false, Ordering::Release);
        }
    }
}

#[cfg(all(test, not(miri)))] // which has no pipes
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_once_however_often_it_was_rung() {
        let bell = Bell::new().unwrap();
        bell.answer();
        for _ in 0..100_000 {
            bell.ring();
        }
        bell.answer();
        assert!(!bell.rung.load(Ordering::Relaxed));
        bell.answer();
        bell.ring();
        assert!(bell.rung.load(Ordering::Relaxed));
    }
}
