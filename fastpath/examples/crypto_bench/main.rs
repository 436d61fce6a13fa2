//! Nanoseconds a message: ring, our multi-packet code and, when a path is given, libipsec-mb on the same trains.
//!
//!     cargo run --release --no-default-features --example crypto_bench -- [options] [ipsec_mb_shim.so]
//!
//! Options: `--rounds N`, and `--only NAME` for one variant alone.
//!
//! All variants take turns within each round, so that a busy neighbour hurts them alike. Before anything is measured,
//! every variant must seal to the same bytes as ring.

mod ipsec_mb;

use std::hint::black_box;
use std::time::Instant;

use wgnode_fastpath::crypto::{Key, Suite};
use wgnode_fastpath::message::OVERHEAD;

const RAW: [u8; 32] = [7; 32];
/// Bytes of a train's packets, and of its last one.
const LENGTHS: [(usize, usize); 3] = [(1420, 1420), (1420, 700), (128, 128)];
const TRAINS: [usize; 6] = [1, 2, 3, 8, 45, 64];

type Run<'a> = Box<dyn FnMut(&mut [u8], usize) + 'a>;

struct Variant<'a> {
    name: &'static str,
    seal: Run<'a>,
    open: Run<'a>,
}

fn main() {
    let (mut rounds, mut only, mut shim) = (400, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option takes a value");
        match argument.as_str() {
            "--rounds" => rounds = value().parse().expect("--rounds takes a number"),
            "--only" => only = Some(value()),
            path => shim = Some(ipsec_mb::Library::load(path)),
        }
    }
    println!(
        "{:22} {:>6} {:>6} {:>5}  {:>8} {:>8}  {:>8} {:>8}",
        "ns a message", "bytes", "last", "train", "seal min", "median", "open min", "median"
    );
    let (ring, batch) = (Key::new(&RAW, Suite::Ring), Key::new(&RAW, Suite::Batch));
    for (length, last) in LENGTHS {
        for count in TRAINS {
            let mut variants = vec![ours("ring", &ring), ours("batch", &batch)];
            if let Some(library) = shim.as_ref().filter(|_| last == length) {
                variants.push(theirs("libipsec-mb jobs", library, false));
                variants.push(theirs("libipsec-mb burst", library, true));
            }
            variants.retain(|v| only.as_ref().is_none_or(|name| v.name.starts_with(name)));
            let plain = plain_train(length, last, count);
            let mut sealed = plain.clone();
            ring.seal_train(&mut sealed, length + OVERHEAD);
            measure(&mut variants, (plain, sealed), length + OVERHEAD, rounds);
        }
    }
}

fn ours<'a>(name: &'static str, key: &'a Key) -> Variant<'a> {
    let seal = Box::new(|train: &mut [u8], stride| key.seal_train(train, stride));
    let open = Box::new(|train: &mut [u8], stride| {
        black_box(key.open_train(train, stride));
    });
    Variant { name, seal, open }
}

fn theirs<'a>(name: &'static str, library: &'a ipsec_mb::Library, burst: bool) -> Variant<'a> {
    let seal =
        Box::new(move |train: &mut [u8], stride| library.run(&RAW, train, stride, true, burst));
    let open =
        Box::new(move |train: &mut [u8], stride| library.run(&RAW, train, stride, false, burst));
    Variant { name, seal, open }
}

/// `count` messages with packets of `length` bytes, the last of `last`, and increasing counters.
fn plain_train(length: usize, last: usize, count: usize) -> Vec<u8> {
    let mut train = vec![1; (length + OVERHEAD) * (count - 1) + last + OVERHEAD];
    for (i, message) in train.chunks_mut(length + OVERHEAD).enumerate() {
        message[8..16].copy_from_slice(&(i as u64).to_le_bytes());
    }
    train
}

fn measure(
    variants: &mut [Variant<'_>],
    (plain, sealed): (Vec<u8>, Vec<u8>),
    stride: usize,
    rounds: usize,
) {
    let mut times = vec![(Vec::new(), Vec::new()); variants.len()];
    let mut train = plain.clone();
    for _ in 0..rounds {
        for (variant, times) in variants.iter_mut().zip(&mut times) {
            train.copy_from_slice(&plain);
            times.0.push(timed(&mut variant.seal, &mut train, stride));
            assert!(train == sealed, "{} seals to other bytes", variant.name);
            times.1.push(timed(&mut variant.open, &mut train, stride));
            let same = train
                .chunks(stride)
                .zip(plain.chunks(stride))
                .all(|(a, b)| a[..a.len() - 16] == b[..b.len() - 16]);
            assert!(same, "{} opens to other bytes", variant.name);
        }
    }
    let count = plain.len().div_ceil(stride);
    let (length, last) = (
        stride - OVERHEAD,
        plain.len() - (count - 1) * stride - OVERHEAD,
    );
    for (variant, (seal, open)) in variants.iter().zip(&mut times) {
        let ((a, b), (c, d)) = (summary(seal, count), summary(open, count));
        let name = variant.name;
        println!("{name:22} {length:6} {last:6} {count:5}  {a:8.1} {b:8.1}  {c:8.1} {d:8.1}");
    }
}

fn timed(run: &mut Run<'_>, train: &mut [u8], stride: usize) -> f64 {
    let start = Instant::now();
    run(train, stride);
    start.elapsed().as_nanos() as f64
}

/// Minimum and median, by message.
fn summary(times: &mut [f64], count: usize) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (
        times[0] / count as f64,
        times[times.len() / 2] / count as f64,
    )
}
