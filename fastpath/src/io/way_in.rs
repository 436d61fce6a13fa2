//! From the sockets to the TUN.

use std::sync::{Mutex, PoisonError};

use super::inbox::{AT_ONCE, Inbox};
use super::{Socket, Tun};
use crate::engine::table::Table;
use crate::engine::{Batch, Run};
use crate::packet::coalesce::{Coalescer, Offloads};
use crate::sequence::{Found, Lane};
use std::io::IoSlice;

/// Datagrams, and the packets that come of them.
pub struct Job {
    buffer: Vec<u8>,
    runs: Vec<Run>,
}

impl Default for Job {
    fn default() -> Job {
        Job {
            buffer: vec![0; AT_ONCE * super::inbox::LARGEST],
            runs: Vec::new(),
        }
    }
}

impl Job {
    /// Whose the batches are that `read` puts into the buffer, and how many control messages were cut off.
    pub fn fill(
        &mut self,
        table: &Table,
        now: f64,
        read: impl FnOnce(&mut [u8], &mut [Option<Batch>; AT_ONCE]) -> Result<(usize, u64), i32>,
    ) -> Found {
        let mut batches = [None; AT_ONCE];
        let received = read(&mut self.buffer, &mut batches);
        let (count, cut_off) = match received {
            Ok(received) => received,
            Err(libc::EAGAIN | libc::EINTR) => return Found::Nothing,
            Err(error) => {
                table.step().counters.refuse("udp", error, 1);
                let (bytes, more) = (0, true);
                return Found::Some { bytes, more };
            }
        };
        let mut engine = table.step();
        engine.counters.cut_off += cut_off;
        let mut bytes = 0;
        for batch in batches[..count].iter().flatten() {
            bytes += batch.length;
            engine.sort(&self.buffer, *batch, now, &mut self.runs);
        }
        let more = count == AT_ONCE;
        Found::Some { bytes, more }
    }

    pub fn open(&mut self) {
        for run in &mut self.runs {
            run.open(&mut self.buffer);
        }
    }

    /// `write` gets the parts of each frame for the TUN; what is for the protocol is handed over after that.
    pub fn deliver(
        &mut self,
        delivery: &mut Delivery,
        table: &Table,
        now: f64,
        write: impl FnMut(&[IoSlice<'_>]),
    ) {
        let Job { buffer, runs } = self;
        let Delivery { coalescer, packets } = delivery;
        let mut engine = table.step();
        for run in runs.iter() {
            engine.admit(buffer, run, now, &mut |_, offset, length| {
                packets.push((offset, length));
            });
        }
        drop(engine);
        for (offset, length) in packets.drain(..) {
            coalescer.push(buffer, offset, length);
        }
        coalescer.drain(buffer, write);
        runs.retain(|run| !run.is_opened_here());
        if !runs.is_empty() {
            let mut engine = table.step();
            for run in runs.drain(..) {
                engine.hand_over_run(buffer, &run);
            }
        }
    }
}

/// What writing needs, whichever job is written.
pub struct Delivery {
    coalescer: Coalescer,
    /// Where in the job's buffer they lie: offset and length.
    packets: Vec<(usize, usize)>,
}

impl Delivery {
    pub fn new(offloads: Offloads) -> Delivery {
        Delivery {
            coalescer: Coalescer::new(offloads),
            packets: Vec::with_capacity(256),
        }
    }
}

/// Where datagrams come from and packets go to, at this time.
pub struct WayIn<'a> {
    pub socket: Socket,
    pub tun: Option<Tun>,
    pub inbox: &'a Mutex<Inbox>,
    pub delivery: &'a Mutex<Delivery>,
    pub table: &'a Table,
    pub now: f64,
    /// Called when the TUN is found to be gone.
    pub gone: &'a (dyn Fn() + Sync),
}

impl Lane for WayIn<'_> {
    type Job = Job;

    fn read(&self, job: &mut Job) -> Found {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        job.fill(self.table, self.now, |buffer, batches| {
            inbox.receive(self.socket, buffer, batches, self.now)
        })
    }

    fn work(&self, job: &mut Job) {
        job.open();
    }

    fn write(&self, job: &mut Job) -> bool {
        let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        job.deliver(&mut delivery, self.table, self.now, |parts| {
            match self.tun.map(|tun| tun.write(parts)) {
                None | Some(Ok(())) => {}
                Some(Err(libc::EBADFD)) => (self.gone)(),
                Some(Err(error)) => self.table.step().counters.refuse("tun", error, 1),
            }
        });
        true
    }
}
