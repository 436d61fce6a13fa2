//! A session's counter and window, and the engine's lock, in every order of the steps of threads that use them.

use std::collections::HashSet;
use std::sync::Arc;

use loom::thread;

use super::session::Session;
use super::table::Table;
use crate::crypto::Suite;
use crate::message::{REJECT_AFTER_MESSAGES, counter};
use crate::replay::WINDOW;
use crate::sync::in_every_order;

fn session() -> Arc<Session> {
    let keys = (&[1; 32], &[1; 32]);
    Arc::new(Session::new((1, 2), keys, 0.0, Suite::Ring))
}

type Work<T> = Box<dyn FnOnce() -> T + Send>;

fn work<T>(work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
    Box::new(work)
}

/// What each of these gave, run at once.
fn at_once<T: Send + 'static>(all: Vec<Work<T>>) -> Vec<T> {
    let threads: Vec<_> = all.into_iter().map(thread::spawn).collect();
    threads
        .into_iter()
        .map(|each| each.join().unwrap())
        .collect()
}

/// Each takes so many counters, twice.
fn counters(start: u64, each: [u64; 3], skip: u64) {
    in_every_order(move || {
        let session = session();
        assert!(session.skip_to(start));
        let reserve = |count| {
            let session = session.clone();
            let two = move || [(); 2].map(|()| session.reserve(count).map(|at| at..at + count));
            work(two)
        };
        let threads = at_once(each.map(reserve).into());
        let skipping = session.skip_to(skip);
        let given: Vec<_> = threads.into_iter().flatten().flatten().flatten().collect();
        let all: HashSet<_> = given.iter().copied().collect();
        assert_eq!(given.len(), all.len(), "one was given twice: {given:?}");
        assert!(all.iter().all(|counter| *counter < REJECT_AFTER_MESSAGES));
        assert!(!skipping || all.iter().all(|counter| *counter < skip));
    });
}

#[test]
fn each_counter_is_given_once() {
    counters(0, [1, 2, 64], 100);
}

#[test]
fn at_the_end_of_a_session_each_counter_is_given_once_and_none_beyond() {
    counters(REJECT_AFTER_MESSAGES - 5, [1, 2, 3], REJECT_AFTER_MESSAGES);
}

#[test]
fn counters_that_are_skipped_while_others_are_taken_are_given_to_nobody() {
    in_every_order(|| {
        let session = session();
        let (one, other) = (session.clone(), session.clone());
        let one = thread::spawn(move || one.reserve(2));
        let other = thread::spawn(move || (other.skip_to(3), other.reserve(1)));
        let (skipped, after) = (session.skip_to(5), session.reserve(1).unwrap());
        let first = one.join().unwrap().unwrap();
        let (also_skipped, own) = other.join().unwrap();
        let own = own.unwrap();
        assert!(!also_skipped || own >= 3);
        assert!(!skipped || after >= 5);
        assert_ne!(own, after);
        assert!(![first, first + 1].contains(&own) && ![first, first + 1].contains(&after));
    });
}

#[test]
fn no_two_messages_have_one_nonce_and_each_is_opened_once() {
    in_every_order(|| {
        let session = session();
        let seal = || {
            let session = session.clone();
            work(move || session.seal(&[7; 16]).unwrap())
        };
        let messages: Vec<Vec<u8>> = at_once(vec![seal(), seal()]);
        assert_ne!(counter(&messages[0]), counter(&messages[1]));
        let open = |mut message: Vec<u8>| {
            let session = session.clone();
            work(move || session.open(&mut message).is_ok())
        };
        let mut opened = at_once(vec![open(messages[0].clone()), open(messages[1].clone())]);
        opened.push(session.open(&mut messages[0].clone()).is_ok());
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 2);
        assert!(opened[1]);
    });
}

#[test]
fn a_window_that_is_held_for_a_train_and_one_that_is_asked_for_once_accept_nothing_twice() {
    in_every_order(|| {
        let session = session();
        let newest = WINDOW + 6;
        let accept = |counters: &'static [u64]| {
            let session = session.clone();
            let train = move || {
                let mut window = session.window();
                let accepted = counters.iter().filter(|each| window.accept(**each));
                accepted.copied().collect::<Vec<u64>>()
            };
            work(train)
        };
        let accepted = at_once(vec![
            accept(&[5, 6, 6]),
            accept(&[6, WINDOW + 6]),
            accept(&[5, WINDOW + 6]),
        ])
        .concat();
        let times = |counter| accepted.iter().filter(|each| **each == counter).count();
        assert!(times(5) <= 1, "behind the window once the newest has come");
        assert_eq!((times(6), times(newest)), (1, 1));
    });
}

#[test]
fn commands_and_steps_each_have_the_engine_alone_and_none_waits_for_good() {
    for (steps, commands) in [(1, 1), (0, 2), (2, 0)] {
        in_every_order(move || {
            let table = Arc::new(Table::default());
            let add = |command: bool| {
                let table = table.clone();
                work(move || {
                    let mut engine = if command {
                        table.command()
                    } else {
                        table.step()
                    };
                    engine.counters.cut_off += 1;
                })
            };
            let kinds = [false]
                .repeat(steps)
                .into_iter()
                .chain([true].repeat(commands));
            at_once(kinds.map(add).collect());
            assert_eq!(table.step().counters.cut_off, 2);
        });
    }
}
