//! How threads end, by themselves or asked to.

use super::*;

#[test]
fn after_stop_the_descriptors_are_used_no_more() {
    for threads in NUMBERS {
        let (mut one, two) = two(threads);
        one.runner.stop();
        one.runner.stop();
        one.tun.send(&packet(1, 7)).unwrap();
        two.tun
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(two.tun.recv(&mut [0; 100]).is_err());
        one.runner = Runner::start(one.shared.clone(), threads).unwrap();
        assert!(one.runner.set_tun(None, Offloads::default()).is_ok());
    }
}

#[test]
fn it_ends_while_it_is_paused() {
    for threads in NUMBERS {
        let (mut one, _two) = two(threads);
        one.shared.pause();
        one.tun.send(&packet(1, 7)).unwrap();
        one.runner.stop();
    }
}

/// In its place a socket whose other end is closed: reading brings an error as well.
#[test]
fn a_tun_that_is_gone_is_told_and_left_alone() {
    for threads in NUMBERS {
        let (one, _two) = two(threads);
        let closed = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        gone.connect(closed).unwrap();
        gone.set_nonblocking(true).unwrap();
        let tun = Tun {
            fd: gone.as_raw_fd(),
            vnet_header: false,
        };
        one.runner.set_tun(Some(tun), Offloads::default()).unwrap();
        gone.send(&[0]).unwrap();
        assert!(rings(&one.runner));
        assert_eq!(one.runner.answer(), None);
        assert!(one.runner.tun_gone());
        gone.send(&[0]).ok();
        let poller = Poller::new().unwrap();
        poller.watch(one.runner.fd(), libc::EPOLLIN).unwrap();
        assert!(poller.wait(0.05).unwrap().is_empty());
    }
}

/// A runner of threads that wait for work, and of one that does this.
fn running(
    threads: usize,
    work: impl FnOnce() -> std::result::Result<(), i32> + Send + 'static,
) -> Runner {
    let mut runner = Runner::start(Arc::default(), threads - 1).unwrap();
    let crew = runner.crew.clone();
    let thread = thread::spawn(move || crew.watch(work));
    runner.threads.push(thread);
    runner
}

#[test]
fn a_thread_that_dies_tells_why_and_ends_the_others() {
    for threads in NUMBERS {
        let shared = Arc::new(Shared::default());
        let held = shared.clone();
        let mut panicking = running(threads, move || {
            let engine = held.engine();
            panic!("a peer of {}", engine.peers.active_count())
        });
        assert!(rings(&panicking));
        assert_eq!(panicking.answer().as_deref(), Some("panicked: a peer of 0"));
        for thread in panicking.threads.drain(..) {
            thread.join().unwrap(); // though nobody has stopped them
        }
        assert_eq!(
            shared.engine().sessions(),
            0,
            "who shuts down may still ask"
        );
        let failing = running(threads, || Err(libc::EBADF));
        assert!(rings(&failing));
        assert!(failing.answer().unwrap().contains("Bad file descriptor"));
    }
}

#[test]
fn those_that_were_stopped_tell_nothing() {
    for threads in NUMBERS {
        let mut ending = running(threads, || Ok(()));
        ending.stop();
        assert_eq!(ending.answer(), None);
    }
}
