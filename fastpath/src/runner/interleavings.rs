//! Gate, bell and what is told, in every order of the steps of threads that move packets and of those that command them.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::bell::Rung;
use super::teller::Teller;
use super::*;
use crate::engine::report::AFTER;
use crate::sequence::{Found, Lane, Sequence, pass};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, in_every_order, lock, wait_while};

/// Something that whoever moves packets uses, and whoever has the gate closed changes. Loom lets nobody change it beside
/// another, or use it without having seen what was changed before.
struct Used {
    gate: Gate,
    what: UnsafeCell<u32>,
}

impl Used {
    fn new() -> Arc<Used> {
        Arc::new(Used {
            gate: Gate::default(),
            what: UnsafeCell::new(0),
        })
    }

    /// None: it is time to end.
    fn read(&self) -> Option<u32> {
        let _inside = self.gate.enter()?;
        // SAFETY: who changes it has it alone, else loom fails the test.
        Some(self.what.with(|what| unsafe { *what }))
    }

    fn change(&self) {
        // SAFETY: as above.
        self.what.with_mut(|what| unsafe { *what += 1 });
    }
}

fn spawn<T: Send + 'static>(
    used: &Arc<Used>,
    work: impl FnOnce(&Used) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let used = used.clone();
    thread::spawn(move || work(&used))
}

#[test]
fn whoever_has_the_gate_closed_is_alone_and_lets_all_in_again() {
    in_every_order(|| {
        let used = Used::new();
        let moving = [1, 2].map(|_| spawn(&used, Used::read));
        let closed = used.gate.close();
        used.change();
        drop(closed);
        assert!(
            moving
                .map(|each| each.join().unwrap())
                .into_iter()
                .all(|read| read.is_some())
        );
        assert_eq!(used.gate.inside(), 0);
    });
}

#[test]
fn two_who_close_the_gate_do_so_one_after_the_other() {
    in_every_order(|| {
        let used = Used::new();
        let moving = spawn(&used, Used::read);
        let closing = spawn(&used, |used| {
            let _closed = used.gate.close();
            used.change();
        });
        let closed = used.gate.close();
        used.change();
        drop(closed);
        closing.join().unwrap();
        assert!(moving.join().unwrap().is_some());
        assert_eq!(used.read(), Some(2));
    });
}

#[test]
fn while_it_is_paused_the_gate_may_be_closed_and_nobody_enters() {
    in_every_order(|| {
        let used = Used::new();
        let moving = spawn(&used, Used::read);
        let closing = spawn(&used, |used| drop(used.gate.close()));
        used.gate.pause();
        used.change();
        closing.join().unwrap();
        used.change();
        used.gate.resume();
        assert!([0, 2].contains(&moving.join().unwrap().unwrap()));
    });
}

#[test]
fn nobody_waits_at_the_gate_when_all_end() {
    in_every_order(|| {
        let used = Used::new();
        used.gate.pause();
        let moving = [1, 2].map(|_| spawn(&used, Used::read));
        used.gate.end();
        assert_eq!(moving.map(|each| each.join().unwrap()), [None, None]);
    });
}

/// The bytes in a bell's pipe.
#[derive(Default)]
struct Pipe {
    bytes: Mutex<usize>,
    changed: Condvar,
}

#[test]
fn who_rings_is_heard_or_heard_again_and_one_byte_is_all_there_ever_is() {
    in_every_order(|| {
        // What is rung for is marked without any lock: the bell alone has to make it seen.
        type Bell = (Rung, Pipe, [AtomicBool; 2]);
        let all: Arc<Bell> = Arc::default();
        let ringing = [0, 1].map(|number: usize| {
            let all = all.clone();
            thread::spawn(move || {
                let (rung, pipe, news) = &*all;
                news[number].store(true, Ordering::Relaxed);
                rung.ring(|| {
                    let mut bytes = lock(&pipe.bytes);
                    *bytes += 1;
                    assert_eq!(*bytes, 1);
                    pipe.changed.notify_all();
                });
            })
        });
        let (rung, pipe, news) = &*all;
        let mut heard = [false; 2];
        while heard != [true; 2] {
            drop(wait_while(&pipe.changed, lock(&pipe.bytes), |bytes| {
                *bytes == 0
            }));
            rung.answer(|| *lock(&pipe.bytes) -= 1);
            heard = std::array::from_fn(|number| news[number].load(Ordering::Relaxed));
        }
        for each in ringing {
            each.join().unwrap();
        }
    });
}

/// Who leads, what is led to, and what is told of it.
struct Led {
    shared: Shared,
    teller: Teller,
    /// Somebody has led.
    lead: Mutex<bool>,
}

#[test]
fn what_a_thread_does_while_another_waits_is_told_in_time() {
    in_every_order(|| {
        let all = Arc::new(Led {
            shared: Shared::default(),
            teller: Teller::new().unwrap(),
            lead: Mutex::new(false),
        });
        let peer = all.shared.engine().peers.add();
        let moving = {
            let all = all.clone();
            thread::spawn(move || {
                let mut lead = lock(&all.lead);
                let inside = all.shared.gate.enter().unwrap();
                *lead = true;
                drop(lead);
                let table = &all.shared.table;
                let work = || {
                    let mut engine = table.step();
                    let peer = engine.peers.active(peer).unwrap();
                    peer.activity.received(32, 0, 0.0);
                    Ok::<_, ()>(false)
                };
                all.teller.inside(inside, table, 0.0, work).unwrap();
            })
        };
        let lead = lock(&all.lead);
        let patience = all.teller.patience(&all.shared.gate, 0.0);
        assert!(
            !*lead || patience <= AFTER,
            "it would wait for {patience} s"
        );
        drop(lead);
        moving.join().unwrap();
    });
}

/// Threads that read numbers in turn and write them in order, by a descriptor that is changed meanwhile.
struct Crew {
    gate: Gate,
    lead: Mutex<()>,
    sequence: Sequence<u32>,
    read: AtomicUsize,
    written: AtomicUsize,
    descriptor: UnsafeCell<u32>,
}

impl Lane for Crew {
    type Job = u32;

    fn read(&self, job: &mut u32) -> Found {
        *job = self.read.fetch_add(1, Ordering::Relaxed) as u32;
        let (bytes, more) = (1, true);
        Found::Some { bytes, more }
    }

    fn work(&self, _: &mut u32) {}

    fn write(&self, job: &mut u32) -> bool {
        // SAFETY: who changes it has it alone, else loom fails the test.
        assert!(self.descriptor.with(|descriptor| unsafe { *descriptor }) < 2);
        assert_eq!(self.written.fetch_add(1, Ordering::Relaxed) as u32, *job);
        true
    }
}

impl Crew {
    /// One turn of a thread. It reads nothing where all have ended.
    fn turn(&self) {
        let mut leading = Some(lock(&self.lead));
        let Some(_inside) = self.gate.enter() else {
            return;
        };
        pass(self, &self.sequence, |_| leading = None);
    }

    fn moved(&self) -> [usize; 2] {
        [&self.read, &self.written].map(|count| count.load(Ordering::Relaxed))
    }
}

#[test]
fn what_was_read_is_written_when_the_gate_is_closed_and_all_end_when_they_are_to() {
    for jobs in [1, 2] {
        in_every_order(move || {
            let crew = Arc::new(Crew {
                gate: Gate::default(),
                lead: Mutex::new(()),
                sequence: Sequence::of(jobs),
                read: AtomicUsize::new(0),
                written: AtomicUsize::new(0),
                descriptor: UnsafeCell::new(0),
            });
            let threads = [1, 2].map(|_| {
                let crew = crew.clone();
                thread::spawn(move || crew.turn())
            });
            let closed = crew.gate.close();
            let [read, written] = crew.moved();
            assert_eq!(read, written, "something is on its way");
            // SAFETY: nobody else is inside, else loom fails the test.
            crew.descriptor
                .with_mut(|descriptor| unsafe { *descriptor += 1 });
            drop(closed);
            crew.gate.end();
            crew.sequence.close();
            for each in threads {
                each.join().unwrap();
            }
            let [read, written] = crew.moved();
            assert_eq!(read, written);
        });
    }
}
