//! What moves, and what is told of it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn packets_go_both_ways_in_order_while_nobody_asks() {
    for threads in NUMBERS {
        let (one, two) = two(threads);
        for round in 0..50 {
            for at in 0..8 {
                one.tun.send(&packet(1, 8 * round + at)).unwrap();
                two.tun.send(&packet(2, 8 * round + at)).unwrap();
            }
            for at in 0..8 {
                assert_eq!(number(&two.tun), 8 * round + at);
                assert_eq!(number(&one.tun), 8 * round + at);
            }
        }
    }
}

#[test]
fn what_peers_did_is_told_after_a_while_and_once() {
    for threads in NUMBERS {
        let (one, two) = two(threads);
        one.tun.send(&packet(1, 7)).unwrap();
        assert_eq!(number(&two.tun), 7);
        let begin = Instant::now();
        assert!(rings(&one.runner));
        assert!(begin.elapsed() < Duration::from_millis(1500));
        assert_eq!(one.runner.answer(), None);
        let report = one.shared.engine().take_activity();
        assert_eq!((report.len(), report[0].0), (1, one.peer));
        assert_eq!(report[0].1.tx_bytes, 96);
        let poller = Poller::new().unwrap();
        poller.watch(one.runner.fd(), libc::EPOLLIN).unwrap();
        assert!(poller.wait(1.2).unwrap().is_empty());
        one.tun.send(&packet(1, 8)).unwrap();
        assert!(rings(&one.runner), "of what came later it is told as well");
    }
}

#[test]
fn what_the_protocol_has_to_decide_is_told_at_once() {
    for threads in NUMBERS {
        let (one, _two) = two(threads);
        one.shared.engine().set_current(one.peer, None);
        let begin = Instant::now();
        one.tun.send(&packet(1, 7)).unwrap();
        assert!(rings(&one.runner));
        assert!(begin.elapsed() < Duration::from_millis(500));
        one.runner.answer();
        assert_eq!(one.shared.engine().take_handed().len(), 1);
    }
}

#[test]
fn while_paused_nothing_moves_and_all_that_is_told_takes_effect_as_one() {
    for threads in NUMBERS {
        let (one, two) = two(threads);
        one.shared.pause();
        one.tun.send(&packet(1, 7)).unwrap();
        two.tun
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(two.tun.recv(&mut [0; 100]).is_err());
        one.shared.resume();
        two.tun.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(number(&two.tun), 7);
    }
}

#[test]
fn commands_get_through_while_packets_come_as_fast_as_they_go() {
    for threads in NUMBERS {
        let (one, two) = two(threads);
        let ending = Arc::new(AtomicBool::new(false));
        let (stopped, tun) = (ending.clone(), one.tun.try_clone().unwrap());
        let sender = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                tun.send(&packet(1, 0)).unwrap();
            }
        });
        let drained = two.tun.try_clone().unwrap();
        drained
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let drain = thread::spawn(move || while drained.recv(&mut [0; 100]).is_ok() {});
        let mut waits: Vec<_> = (0..300)
            .map(|_| {
                thread::sleep(Duration::from_millis(1));
                let begin = Instant::now();
                one.shared.engine().lookup(Address::V4([10, 0, 0, 2]));
                begin.elapsed()
            })
            .collect();
        ending.store(true, Ordering::Relaxed);
        sender.join().unwrap();
        drain.join().unwrap();
        waits.sort_unstable();
        assert!(waits[150] < Duration::from_millis(20), "{:?}", waits[150]);
    }
}
