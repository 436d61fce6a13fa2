//! From the TUN to the sockets.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::outbox::{self, Outbox};
use super::{Sockets, Tun};
use crate::engine::table::Table;
use crate::engine::{HandingOver, Planned};
use crate::packet::vnet::{VNET_HEADER, VnetHeader};
use crate::sequence::{Found, Lane};

const LARGEST_FRAME: usize = VNET_HEADER + 65_535;
/// Frames that are sealed and sent together. More wait longer for their turn, fewer cost more system calls.
const FRAMES: usize = 64;
/// Bytes of them: with these there are enough.
const ENOUGH: usize = 128 << 10;

/// Frames, and the messages that are made of them.
pub struct Job {
    frames: Vec<u8>,
    planned: Vec<(Range<usize>, Planned)>,
    mtus: Arc<[usize]>,
    outbox: Outbox,
    handing: Vec<(Range<usize>, HandingOver)>,
    /// What senders of packets that were too long are told.
    told: Vec<Vec<u8>>,
}

impl Default for Job {
    fn default() -> Job {
        Job {
            frames: vec![0; ENOUGH + LARGEST_FRAME],
            planned: Vec::with_capacity(FRAMES),
            mtus: Arc::default(),
            outbox: Outbox::new(),
            handing: Vec::new(),
            told: Vec::new(),
        }
    }
}

impl Job {
    /// The trains that `send` would send.
    pub fn sealed(&self) -> impl Iterator<Item = &[u8]> {
        self.outbox.sealed()
    }

    /// Its messages are lost, what is for the protocol is not.
    pub fn clear(&mut self) {
        self.outbox.clear();
    }

    /// Fills it with frames, each with a virtio-net header in any case, that `read` writes and gives the length of. True:
    /// there may be more.
    pub fn fill(
        &mut self,
        table: &Table,
        now: f64,
        mut read: impl FnMut(&mut [u8]) -> Option<usize>,
    ) -> Found {
        let (mut frames, mut count, mut bytes) = ([0; FRAMES], 0, 0);
        while count < FRAMES && bytes < ENOUGH {
            let room = &mut self.frames[bytes..bytes + LARGEST_FRAME];
            let Some(length) = read(room) else { break };
            frames[count] = length;
            (count, bytes) = (count + 1, bytes + length);
        }
        if count == 0 {
            return Found::Nothing;
        }
        let mut at = 0;
        let mut engine = table.step();
        for length in &frames[..count] {
            let range = at..at + length;
            at = range.end;
            let planned = engine.plan(&self.frames[range.clone()], outbox::LARGEST, now);
            self.planned.push((range, planned));
        }
        self.mtus = engine.mtus.clone();
        self.told = engine.fitting.take_told();
        let more = count == FRAMES || bytes >= ENOUGH;
        Found::Some { bytes, more }
    }

    /// Splits and seals.
    pub fn seal(&mut self) {
        for (range, planned) in self.planned.drain(..) {
            match planned {
                Planned::Seal(sealing) => {
                    self.outbox.put(sealing, &self.frames[range], &self.mtus);
                }
                Planned::Fitted(pieces) => {
                    for (frame, sealing) in pieces {
                        self.outbox.put(sealing, &frame, &self.mtus);
                    }
                }
                Planned::HandOver(handing) => self.handing.push((range, handing)),
                Planned::Dropped => {}
            }
        }
        self.outbox.seal();
    }

    /// True: all is sent, and what is for the protocol handed over.
    pub fn send(&mut self, sockets: &mut Sockets, table: &Table, now: f64) -> bool {
        if !self.outbox.is_empty() && !self.outbox.send(sockets, table, now) {
            return false;
        }
        if !self.handing.is_empty() {
            let mut engine = table.step();
            for (range, handing) in self.handing.drain(..) {
                engine.hand_over(&handing, &self.frames[range]);
            }
        }
        true
    }
}

/// Where frames come from and messages go to, at this time.
pub struct WayOut<'a> {
    pub tun: Option<Tun>,
    pub sockets: &'a Mutex<Sockets>,
    pub table: &'a Table,
    pub now: f64,
    /// Called when the TUN is found to be gone.
    pub gone: &'a (dyn Fn() + Sync),
}

impl Lane for WayOut<'_> {
    type Job = Job;

    fn read(&self, job: &mut Job) -> Found {
        let Some(tun) = self.tun else {
            return Found::Nothing;
        };
        let found = job.fill(self.table, self.now, |room| {
            tun.read(room).unwrap_or_else(|_| {
                (self.gone)();
                None
            })
        });
        let plain = VnetHeader::PLAIN.to_bytes();
        for packet in job.told.drain(..) {
            let parts = [IoSlice::new(&plain), IoSlice::new(&packet)];
            match tun.write(&parts) {
                Ok(()) => {}
                Err(libc::EBADFD) => (self.gone)(),
                Err(error) => self.table.step().counters.refuse("tun", error, 1),
            }
        }
        found
    }

    fn work(&self, job: &mut Job) {
        job.seal();
    }

    fn write(&self, job: &mut Job) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        job.send(&mut sockets, self.table, self.now)
    }
}
