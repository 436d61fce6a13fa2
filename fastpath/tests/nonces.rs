//! No nonce is used twice and no message accepted twice, whatever the order in which threads come to a session. Both
//! steps are indivisible (one atomic operation; one lock), so all orders of whole steps are all that can happen.

use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use wgnode_fastpath::crypto::Suite;
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::message::REJECT_AFTER_MESSAGES;
use wgnode_fastpath::replay::WINDOW;

fn session() -> Session {
    Session::new((1, 2), (&[1; 32], &[2; 32]), 0.0, Suite::Ring)
}

/// Calls `each` with every order of these.
fn orders<T: Copy>(rest: &mut Vec<T>, so_far: &mut Vec<T>, each: &mut impl FnMut(&[T])) {
    if rest.is_empty() {
        return each(so_far);
    }
    for at in 0..rest.len() {
        let one = rest.remove(at);
        so_far.push(one);
        orders(rest, so_far, each);
        so_far.pop();
        rest.insert(at, one);
    }
}

#[derive(Clone, Copy)]
enum Step {
    Reserve(u64),
    Skip(u64),
}

#[test]
fn in_every_order_each_counter_is_given_once() {
    use Step::{Reserve, Skip};
    for start in [0, REJECT_AFTER_MESSAGES - 70] {
        let steps = [1, 45, 2, 64, 1].map(Reserve);
        let mut steps = [&steps[..], &[Skip(start + 3), Skip(start + 50)]].concat();
        orders(&mut steps, &mut vec![], &mut |order| {
            let (session, mut given) = (session(), HashSet::new());
            assert!(session.skip_to(start));
            for step in order {
                match *step {
                    Skip(to) => drop(session.skip_to(to)),
                    Reserve(count) => {
                        let Some(first) = session.reserve(count) else {
                            continue;
                        };
                        for counter in first..first + count {
                            assert!(given.insert(counter) && counter < REJECT_AFTER_MESSAGES);
                        }
                    }
                }
            }
        });
    }
}

#[test]
fn in_every_order_each_message_is_accepted_once_at_most_and_once_within_the_window() {
    let newest = WINDOW + 10;
    let mut counters = vec![5, 5, 9, 10, newest, newest, 64];
    orders(&mut counters, &mut vec![], &mut |order| {
        let (session, mut accepted) = (session(), HashSet::new());
        let mut most = 0;
        for counter in order {
            let new = session.accept(*counter);
            let expected = !accepted.contains(counter) && counter + WINDOW >= most;
            assert_eq!(new, expected, "{counter} of {order:?}");
            accepted.extend(new.then_some(*counter));
            most = most.max(*counter);
        }
    });
}

#[test]
fn threads_that_come_at_once_share_nothing() {
    const EACH: u64 = 20_000;
    let (session, barrier) = (session(), Barrier::new(4));
    let work = |_| {
        barrier.wait();
        let firsts = (0..EACH).map(|_| session.reserve(3).expect("there are enough"));
        firsts.filter(|first| session.accept(*first)).count()
    };
    let accepted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|at| scope.spawn(move || work(at))).collect();
        threads
            .into_iter()
            .map(|each| each.join().expect("it ends"))
            .sum()
    });
    assert_eq!(
        session.send_counter(),
        4 * 3 * EACH,
        "none was given to two"
    );
    assert!(accepted > 0);
}
