//! Order, whoever works on what for how long.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use proptest::prelude::*;

use super::*;

/// Jobs are numbers. Some take long, and some can't be written at once.
struct Numbers {
    next: AtomicU64,
    end: u64,
    written: Mutex<Vec<u64>>,
    writing: AtomicBool,
    refused: AtomicUsize,
    /// One in so many is refused at first.
    refuse: u64,
}

impl Numbers {
    fn up_to(end: u64, refuse: u64) -> Numbers {
        Numbers {
            next: AtomicU64::new(0),
            end,
            written: Mutex::default(),
            writing: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            refuse,
        }
    }

    fn busy(turns: u64) {
        for _ in 0..turns {
            std::hint::spin_loop();
        }
    }
}

impl Lane for Numbers {
    type Job = (u64, bool);

    fn read(&self, job: &mut (u64, bool)) -> Found {
        let number = self.next.load(Ordering::Relaxed); // one thread at a time reads
        if number == self.end {
            return Found::Nothing;
        }
        self.next.store(number + 1, Ordering::Relaxed);
        *job = (number, false);
        let (bytes, more) = (1, true);
        Found::Some { bytes, more }
    }

    fn work(&self, job: &mut (u64, bool)) {
        Numbers::busy(job.0.wrapping_mul(0x9e37_79b9) % 500);
        if job.0.is_multiple_of(97) {
            thread::yield_now();
        }
    }

    fn write(&self, job: &mut (u64, bool)) -> bool {
        assert!(!self.writing.swap(true, Ordering::Relaxed), "one at a time");
        let refused = self.refuse > 0
            && job.0.is_multiple_of(self.refuse)
            && !std::mem::replace(&mut job.1, true);
        if refused {
            self.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            self.written.lock().unwrap().push(job.0);
        }
        self.writing.store(false, Ordering::Relaxed);
        !refused
    }
}

/// All threads in turn read, and all do the rest at once.
fn move_all(numbers: &Numbers, threads: usize, jobs: usize) {
    let sequence = Sequence::of(jobs);
    let lead = Mutex::new(());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let mut leading = Some(lead.lock().unwrap());
                    if numbers.next.load(Ordering::Relaxed) == numbers.end && !sequence.held() {
                        return;
                    }
                    if sequence.held() {
                        sequence.release();
                        sequence.write(|job| numbers.write(job));
                    }
                    pass(numbers, &sequence, |_| leading = None);
                }
            });
        }
    });
    while sequence.held() {
        sequence.release();
        sequence.write(|job| numbers.write(job));
    }
}

#[test]
fn what_is_read_in_order_is_written_in_order_and_all_of_it() {
    let count = if cfg!(miri) { 40 } else { 5000 };
    for (threads, jobs) in [(1, 1), (2, 4), (2, 2), (4, 8), (4, 3), (7, 14)] {
        for refuse in [0, 13] {
            let numbers = Numbers::up_to(count, refuse);
            move_all(&numbers, threads, jobs);
            let written = numbers.written.into_inner().unwrap();
            assert_eq!(written, (0..count).collect::<Vec<_>>());
            let refused = numbers.refused.into_inner() as u64;
            assert_eq!(
                refused,
                if refuse > 0 {
                    count.div_ceil(refuse)
                } else {
                    0
                }
            );
        }
    }
}

#[test]
fn nothing_is_read_while_nothing_can_be_written() {
    let numbers = Numbers::up_to(10, 1);
    let sequence = Sequence::of(2);
    assert!(!pass(&numbers, &sequence, |_| {}));
    assert!(sequence.held());
    assert!(!pass(&numbers, &sequence, |_| unreachable!()));
    sequence.release();
    assert!(sequence.write(|job| numbers.write(job)));
    assert!(!sequence.held());
    assert_eq!(*numbers.written.lock().unwrap(), [0]);
}

#[test]
fn who_waits_for_a_job_gets_none_when_it_is_closed_or_held() {
    for close in [true, false] {
        let sequence = Sequence::<u8>::of(1);
        let (ticket, job) = sequence.begin().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| sequence.begin().is_none());
            while sequence.lock().waiting == 0 {
                thread::yield_now();
            }
            if close {
                sequence.close();
            } else {
                assert!(!sequence.finish(ticket, job, |_| false));
            }
            assert!(waiting.join().unwrap());
        });
    }
}

proptest! {
    /// Every order in which jobs may be done, as far as it is drawn: what is written is always what was read first.
    #[test]
    fn whatever_is_done_first_the_oldest_is_written_first(order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle()) {
        let sequence = Sequence::of(9);
        let mut begun: Vec<_> = (0..9).map(|number| {
            let (ticket, mut job) = sequence.begin().unwrap();
            *job = number;
            Some((ticket, job))
        }).collect();
        let mut written = vec![];
        let mut finished = [false; 9];
        for at in order {
            let (ticket, job) = begun[at].take().unwrap();
            finished[at] = true;
            let all = sequence.finish(ticket, job, |job| { written.push(*job); true });
            prop_assert!(all);
            let ready = finished.iter().take_while(|each| **each).count();
            prop_assert_eq!(&written, &(0..ready).collect::<Vec<_>>());
        }
        prop_assert_eq!(sequence.lock().free.len(), 9);
    }
}
