//! Nanoseconds of the pure packet work, minima and medians of many runs. `cargo run --release --no-default-features
//! --example packet_bench`.

use std::hint::black_box;
use std::time::Instant;
use wgnode_fastpath::packet::coalesce::{Coalescer, Offloads};
use wgnode_fastpath::packet::inner::Address;
use wgnode_fastpath::packet::padding::Bounds;
use wgnode_fastpath::packet::split::{Template, for_each_packet, split};
use wgnode_fastpath::packet::vnet::{Gso, NEEDS_CSUM, VnetHeader};
use wgnode_fastpath::packet::{checksum, inner};
use wgnode_fastpath::replay::ReplayFilter;
use wgnode_fastpath::routes::{Network, Routes};

const PACKETS: usize = 45;
const MTU: usize = 1420;
const ROUTES: usize = 100_000;
const RUNS: usize = 2001;

fn main() {
    checksum_of_one_packet();
    for (name, six, tcp) in [
        ("TCP/IPv4", false, true),
        ("TCP/IPv6", true, true),
        ("UDP/IPv4", false, false),
    ] {
        let frame = train(six, tcp, PACKETS);
        split_train(name, &frame);
        coalesce_train(name, &frame);
    }
    coalesce_strangers();
    replay();
    for (name, network) in [
        ("random IPv4", random_v4 as fn(&mut Noise) -> Network),
        ("IPv4 /32 in 10.0.0.0/8", dense_v4),
        ("random IPv6", random_v6),
        ("IPv6 /64 in fd00::/16", dense_v6),
    ] {
        routes(name, network);
    }
}

/// Prints nanoseconds for each of `items` units of the work, which `prepare` makes ready without being measured.
fn measure<T>(name: &str, items: usize, mut prepare: impl FnMut() -> T, mut work: impl FnMut(T)) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let input = prepare();
            let start = Instant::now();
            work(input);
            start.elapsed().as_nanos() as f64 / items as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{name:<52} {:8.1} ns least {:8.1} ns median",
        times[0],
        times[RUNS / 2]
    );
}

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A frame of `packets` packets of `MTU` bytes each.
fn train(six: bool, tcp: bool, packets: usize) -> Vec<u8> {
    let (transport, size) = (if six { 40 } else { 20 }, if tcp { 32 } else { 8 });
    let segment = MTU - transport - size;
    let mut ip = vec![0x5a; transport + size + segment * packets];
    if six {
        ip[..4].copy_from_slice(&[0x60, 0, 0, 0]);
        ip[6] = if tcp { 6 } else { 17 };
    } else {
        ip[..2].copy_from_slice(&[0x45, 0]);
        ip[6..10].copy_from_slice(&[0x40, 0, 64, if tcp { 6 } else { 17 }]);
    }
    (ip[transport + 12], ip[transport + 13]) = if tcp { (0x80, 0x10) } else { (0x5a, 0x5a) };
    let gso = match (tcp, six) {
        (false, _) => Gso::UdpL4,
        (true, false) => Gso::TcpV4,
        (true, true) => Gso::TcpV6,
    };
    let header = VnetHeader {
        flags: NEEDS_CSUM,
        gso,
        ecn: false,
        header_length: (transport + size) as u16,
        segment: segment as u16,
        checksum_start: transport as u16,
        checksum_offset: if tcp { 16 } else { 6 },
    };
    [&header.to_bytes()[..], &ip].concat()
}

fn checksum_of_one_packet() {
    let data = vec![0x5a; MTU];
    let twenty = |sum: fn(&[u8]) -> u64| (0..20).for_each(|_| _ = black_box(sum(black_box(&data))));
    measure("checksum of 1420 B", 20, || (), |()| twenty(checksum::sum));
    measure(
        "checksum of 1420 B, portable",
        20,
        || (),
        |()| twenty(checksum::sum_portable),
    );
}

fn split_train(name: &str, frame: &[u8]) {
    let mut out = vec![0; 1 << 17];
    let template = Template {
        receiver: 1,
        counter: 2,
        bounds: Bounds::of(&[MTU]),
    };
    let work = |()| {
        assert_eq!(
            split(black_box(frame), &mut out, &template)
                .unwrap()
                .messages,
            PACKETS
        )
    };
    measure(
        &format!("split {PACKETS} x {MTU} B {name}, per packet"),
        PACKETS,
        || (),
        work,
    );
}

/// The packets of a frame as they lie once opened, and where.
fn opened(frame: &[u8]) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut buf, mut places) = (Vec::new(), Vec::new());
    for_each_packet(frame, &mut Vec::new(), |packet| {
        buf.extend([0; 16]);
        places.push((buf.len(), packet.len()));
        buf.extend(packet);
        buf.extend([0; 16]);
    })
    .unwrap();
    (buf, places)
}

fn push_and_drain(coalescer: &mut Coalescer, buf: &mut [u8], places: &[(usize, usize)]) -> usize {
    let mut frames = 0;
    for (offset, length) in places {
        assert_eq!(inner::length(&buf[*offset..]), Some(*length));
        coalescer.push(buf, *offset, *length);
    }
    coalescer.drain(buf, |parts| frames += black_box(parts.len().min(1)));
    frames
}

fn coalesce_train(name: &str, frame: &[u8]) {
    let (pristine, places) = opened(frame);
    let mut buf = pristine.clone();
    let mut coalescer = Coalescer::new(Offloads::ALL);
    let work = |mut buf: Vec<u8>| {
        assert_eq!(push_and_drain(&mut coalescer, &mut buf, &places), 1);
    };
    buf.copy_from_slice(&pristine);
    measure(
        &format!("coalesce {PACKETS} x {MTU} B {name}, per packet"),
        PACKETS,
        || pristine.clone(),
        work,
    );
}

fn coalesce_strangers() {
    let (mut buf, mut places) = (Vec::new(), Vec::new());
    for flow in 0..256u32 {
        let (packet, _) = opened(&train(false, false, 1));
        places.push((buf.len() + 16, MTU));
        buf.extend(packet);
        let port = places.last().unwrap().0 + 20;
        buf[port..port + 4].copy_from_slice(&flow.to_be_bytes());
    }
    let mut coalescer = Coalescer::new(Offloads::ALL);
    let work = |()| assert_eq!(push_and_drain(&mut coalescer, &mut buf, &places), 256);
    measure(
        "coalesce 256 packets of 256 flows, per packet",
        256,
        || (),
        work,
    );
}

fn replay() {
    let mut filter = ReplayFilter::new();
    let mut next = 0;
    let work = |()| {
        for _ in 0..1000 {
            assert!(filter.accept(black_box(next)));
            next += 1;
        }
    };
    measure("replay window, counters in order", 1000, || (), work);
}

fn random_v4(noise: &mut Noise) -> Network {
    let bits = noise.next();
    Network::new(
        Address::V4((bits as u32).to_be_bytes()),
        16 + (bits >> 40) as u8 % 17,
    )
    .unwrap()
}

fn dense_v4(noise: &mut Noise) -> Network {
    let bits = noise.next() as u32 & 0xff_ffff;
    Network::new(Address::V4((10 << 24 | bits).to_be_bytes()), 32).unwrap()
}

fn random_v6(noise: &mut Noise) -> Network {
    let (high, low) = (noise.next(), noise.next());
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    Network::new(Address::V6(bytes), 32 + (low >> 8) as u8 % 97).unwrap()
}

fn dense_v6(noise: &mut Noise) -> Network {
    let bits = 0xfd00 << 48 | noise.next() >> 40;
    Network::new(Address::V6((u128::from(bits) << 64).to_be_bytes()), 64).unwrap()
}

fn routes(name: &str, network: fn(&mut Noise) -> Network) {
    let (mut routes, mut noise) = (Routes::new(), Noise(88172645463325252));
    let start = Instant::now();
    let mut asked = Vec::new();
    while routes.len() < ROUTES {
        let network = network(&mut noise);
        routes.insert(network, asked.len() as u32 / 10);
        asked.push(network.address());
    }
    let each = start.elapsed().as_nanos() as usize / asked.len();
    for index in (1..asked.len()).rev() {
        asked.swap(index, noise.next() as usize % (index + 1));
    }
    let megabytes = routes.memory() as f64 / 1e6;
    let name = format!("{ROUTES} routes, {name}");
    println!("{name:<52} {megabytes:8.1} MB, {each} ns an insertion");
    let mut at = 0;
    let mut next = || {
        at = (at + 1000) % (asked.len() - 1000);
        at
    };
    measure("  lookup, independent", 1000, &mut next, |from| {
        asked[from..from + 1000]
            .iter()
            .for_each(|address| assert!(black_box(routes.lookup(*address)).is_some()));
    });
    measure(
        "  lookup, each waiting for the one before",
        1000,
        &mut next,
        |from| {
            let mut owner = 0;
            for index in 0..1000 {
                // The owner is never so large: only the processor does not know.
                let index = from + index + (owner as usize >> 30);
                owner = routes.lookup(asked[index]).unwrap();
            }
            black_box(owner);
        },
    );
}
