//! Over sockets of the loopback interface.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use std::sync::Arc;

use super::*;
use crate::crypto::Suite;
use crate::engine::endpoint::Endpoint;
use crate::engine::peer::PeerId;
use crate::engine::session::Session;
use crate::io::Sending;
use crate::packet::split::Train as Messages;

const STRIDE: usize = 64;

impl Outbox {
    fn flush(&mut self, sockets: &mut Sockets, table: &Table, now: f64) -> bool {
        self.seal();
        self.send(sockets, table, now)
    }
}

/// "udp", errno and how often.
type Refusal = (&'static str, i32, u64);

fn pair() -> (UdpSocket, UdpSocket) {
    let near = UdpSocket::bind("0.0.0.0:0").unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.set_read_timeout(Some(std::time::Duration::from_millis(200)))
        .unwrap();
    (near, far)
}

fn sockets(near: &UdpSocket) -> Sockets {
    Sockets::new((Some(near.as_raw_fd()), None), Sending::default(), true)
}

/// A train of three messages.
fn unsealed(to: SocketAddr, source: Option<&str>) -> Unsealed {
    Unsealed {
        by: By::Whole,
        session: Arc::new(Session::new((1, 2), (&[1; 32], &[2; 32]), 0.0, Suite::Ring)),
        to: Endpoint {
            address: to.ip(),
            port: to.port(),
            scope: 0,
            source: source.map(|source| source.parse().unwrap()),
        },
        peer: PeerId::from(0),
        train: Messages {
            messages: 3,
            stride: STRIDE,
            last: 48,
        },
        ecn: 0,
    }
}

/// The lengths and source addresses of what arrives, at most `count`.
fn arrived(far: &UdpSocket, count: usize) -> Vec<(usize, IpAddr)> {
    let mut buffer = [0; 1500];
    let mut arrived = vec![];
    while arrived.len() < count
        && let Ok((length, from)) = far.recv_from(&mut buffer)
    {
        arrived.push((length, from.ip()));
    }
    arrived
}

/// Sends a train of three messages from `source`; the lengths and source addresses of what arrives, and what was
/// refused. `option` is set on the sending socket before.
fn sent(source: &str, option: Option<i32>) -> (Vec<(usize, IpAddr)>, Vec<Refusal>) {
    let (near, far) = pair();
    if let Some(option) = option {
        set(&near, option);
    }
    let mut outbox = Outbox::new();
    outbox.room(3 * STRIDE);
    outbox.push(unsealed(far.local_addr().unwrap(), Some(source)));
    let table = Table::default();
    assert!(outbox.flush(&mut sockets(&near), &table, 0.0));
    (arrived(&far, 3), table.step().counters.refused().collect())
}

fn set(socket: &UdpSocket, option: i32) {
    let on = 1i32;
    // SAFETY: an option of four bytes, at a valid descriptor.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const on).cast(),
            size_of::<i32>() as _,
        )
    };
    assert_eq!(done, 0);
}

fn three_from(address: &str) -> Vec<(usize, IpAddr)> {
    let address = address.parse().unwrap();
    [STRIDE, STRIDE, 48].map(|length| (length, address)).into()
}

#[test]
fn a_train_leaves_from_the_address_that_the_peer_wrote_to() {
    assert_eq!(sent("127.0.0.2", None), (three_from("127.0.0.2"), vec![]));
}

/// A socket without UDP checksums sends no trains: EINVAL, which Linux before 6.14 says of segments that are larger
/// than the path's MTU too (EMSGSIZE since). Neither says anything of the source address.
#[test]
fn a_train_that_is_refused_goes_message_by_message_from_the_same_address() {
    assert_eq!(
        sent("127.0.0.2", Some(libc::SO_NO_CHECK)),
        (three_from("127.0.0.2"), vec![])
    );
}

#[test]
fn from_an_address_that_is_gone_it_leaves_by_another() {
    for option in [None, Some(libc::SO_NO_CHECK)] {
        assert_eq!(
            sent("192.0.2.77", option),
            (three_from("127.0.0.1"), vec![])
        );
    }
}

/// One after the other to the same place, of which the first is refused as a train.
#[test]
fn a_size_that_was_refused_is_not_tried_again_and_nothing_is_lost() {
    let (near, far) = pair();
    set(&near, libc::SO_NO_CHECK);
    let to = far.local_addr().unwrap();
    let mut outbox = Outbox::new();
    for _ in 0..3 {
        outbox.room(3 * STRIDE);
        outbox.push(unsealed(to, None));
    }
    let table = Table::default();
    let mut sockets = sockets(&near);
    assert!(outbox.flush(&mut sockets, &table, 7.0));
    assert_eq!(
        table.step().paths.longest(to.ip(), 7.0),
        0,
        "no smaller size is worth a try"
    );
    assert_eq!(arrived(&far, 9).len(), 9);
    assert_eq!(table.step().counters.refused().count(), 0);
    assert!(sockets.gso, "other destinations may take trains");
}

#[test]
fn a_source_that_is_gone_says_nothing_of_the_path() {
    let (near, far) = pair();
    let to = far.local_addr().unwrap();
    let mut outbox = Outbox::new();
    outbox.room(3 * STRIDE);
    outbox.push(unsealed(to, Some("192.0.2.77")));
    let table = Table::default();
    assert!(outbox.flush(&mut sockets(&near), &table, 0.0));
    assert_eq!(table.step().paths.longest(to.ip(), 0.0), usize::MAX);
    assert_eq!(arrived(&far, 3), three_from("127.0.0.1"));
}
