//! What wakes somebody who waits for a descriptor to become readable.

use std::io::{PipeReader, PipeWriter, Read, Result, Write, pipe};
use std::os::fd::{AsRawFd, RawFd};

use crate::sync::atomic::{AtomicBool, Ordering};

/// Rung any number of times it has one byte in its pipe, so nobody ever waits for room there.
pub struct Bell {
    rung: Rung,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Bell {
    pub fn new() -> Result<Bell> {
        let (reader, writer) = pipe()?;
        Ok(Bell {
            rung: Rung::default(),
            reader,
            writer,
        })
    }

    /// Readable from `ring` to `answer`.
    pub fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub fn ring(&self) {
        self.rung
            .ring(|| (&self.writer).write_all(&[1]).expect("its reader is here"));
    }

    /// Silent again. Whoever rings from here on is heard: so look for what there is to do after this.
    pub fn answer(&self) {
        self.rung.answer(|| {
            (&self.reader)
                .read_exact(&mut [0])
                .expect("its writer is here");
        });
    }
}

/// Whether there is a byte in the pipe, or soon will be.
#[derive(Default)]
pub struct Rung(AtomicBool);

impl Rung {
    pub fn ring(&self, write: impl FnOnce()) {
        if !self.0.swap(true, Ordering::AcqRel) {
            write();
        }
    }

    /// `read` waits for the byte. What is swapped afterwards is what the last one has rung for without a byte: so what
    /// that one did before is seen by whoever answers, and by a store alone it would not be.
    pub fn answer(&self, read: impl FnOnce()) {
        if self.0.load(Ordering::Acquire) {
            read();
            self.0.swap(false, Ordering::AcqRel);
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
        assert!(!bell.rung.0.load(Ordering::Relaxed));
        bell.answer();
        bell.ring();
        assert!(bell.rung.0.load(Ordering::Relaxed));
    }
}
