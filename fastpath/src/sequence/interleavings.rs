//! Order, in every order of the steps of threads that read, work and write.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::*;
use crate::sync::in_every_order;

/// Jobs are numbers. Loom lets nobody use its cells beside another, or without having seen what the one before did.
struct Numbers {
    /// Who has it reads.
    lead: Mutex<()>,
    next: UnsafeCell<u64>,
    end: u64,
    written: UnsafeCell<Vec<u64>>,
    /// This one can't be written at first.
    refuse: Option<u64>,
    sequence: Sequence<(u64, bool)>,
}

impl Lane for Numbers {
    type Job = (u64, bool);

    fn read(&self, job: &mut (u64, bool)) -> Found {
        let number = self.next();
        if number == self.end {
            return Found::Nothing;
        }
        // SAFETY: whoever leads is alone with it, else loom fails the test.
        self.next.with_mut(|next| unsafe { *next += 1 });
        *job = (number, false);
        let (bytes, more) = (1, true);
        Found::Some { bytes, more }
    }

    fn work(&self, _: &mut (u64, bool)) {}

    fn write(&self, (number, refused): &mut (u64, bool)) -> bool {
        // SAFETY: whoever writes is alone with it, else loom fails the test.
        self.written.with_mut(|written| unsafe {
            let refuse = self.refuse == Some(*number) && !std::mem::replace(refused, true);
            if !refuse {
                (*written).push(*number);
            }
            !refuse
        })
    }
}

impl Numbers {
    fn new(end: u64, jobs: usize, refuse: Option<u64>) -> Arc<Numbers> {
        Arc::new(Numbers {
            lead: Mutex::new(()),
            next: UnsafeCell::new(0),
            end,
            written: UnsafeCell::new(vec![]),
            refuse,
            sequence: Sequence::of(jobs),
        })
    }

    fn next(&self) -> u64 {
        // SAFETY: as above.
        self.next.with(|next| unsafe { *next })
    }

    /// What each thread does until all is read.
    fn run(&self) {
        loop {
            let mut leading = Some(lock(&self.lead));
            if self.sequence.held() {
                self.sequence.release();
                self.sequence.write(|job| self.write(job));
            }
            if self.next() == self.end && !self.sequence.held() {
                return;
            }
            pass(self, &self.sequence, |_| leading = None);
        }
    }

    fn written(&self) -> Vec<u64> {
        self.written.with(|written| unsafe { (*written).clone() }) // SAFETY: as above.
    }
}

/// So many threads beside this one move numbers up to `end`.
fn moved(threads: usize, jobs: usize, end: u64, refuse: Option<u64>) {
    in_every_order(move || {
        let numbers = Numbers::new(end, jobs, refuse);
        let others: Vec<_> = (0..threads)
            .map(|_| {
                let numbers = numbers.clone();
                thread::spawn(move || numbers.run())
            })
            .collect();
        numbers.run();
        others.into_iter().for_each(|each| each.join().unwrap());
        numbers.run(); // what could not be written when the last one was read
        assert_eq!(numbers.written(), (0..end).collect::<Vec<_>>());
    });
}

#[test]
fn two_threads_write_what_they_read_in_order_and_all_of_it() {
    moved(1, 2, 3, None);
}

#[test]
fn two_threads_with_one_job_wait_for_it_and_not_for_good() {
    moved(1, 1, 3, None);
}

#[test]
fn three_threads_write_what_they_read_in_order_and_all_of_it() {
    moved(2, 3, 3, None);
}

#[test]
fn what_could_not_be_written_at_once_keeps_its_place() {
    for refuse in [0, 1] {
        moved(1, 2, 2, Some(refuse));
    }
}

#[test]
fn whoever_waits_for_a_job_is_woken_when_there_is_one_or_never_will_be() {
    for write in [true, false] {
        in_every_order(move || {
            let sequence = Arc::new(Sequence::<u8>::of(1));
            let (ticket, job) = sequence.begin().unwrap();
            let waiting = {
                let sequence = sequence.clone();
                thread::spawn(move || sequence.begin().is_some())
            };
            let closing = {
                let sequence = sequence.clone();
                thread::spawn(move || sequence.close())
            };
            sequence.finish(ticket, job, |_| write);
            let got = waiting.join().unwrap();
            assert!(
                write || !got,
                "nothing is read while nothing can be written"
            );
            closing.join().unwrap();
        });
    }
}
