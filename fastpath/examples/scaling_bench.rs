//! How much several threads move through the engine in memory: all but the system calls, which are copies here.
//! `cargo run --release --no-default-features --example scaling_bench -- [--threads 2] [--rounds 21]`.
//!
//! Rounds of all numbers of threads take turns. The ratio is that of a round's two, its median over all rounds. On a
//! machine with other work look at the processor time as well: what more of it a byte costs is what is lost for good.
//!
//! The control is as many engines as threads, which share nothing but the machine: its processors may be slower when all of
//! them are busy, and no engine can do better than that.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use wgnode_fastpath::crypto::{Suite, choose};
use wgnode_fastpath::engine::Batch;
use wgnode_fastpath::engine::endpoint::{Destination, Endpoint};
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::engine::table::Table;
use wgnode_fastpath::io::way_in::{self, Delivery};
use wgnode_fastpath::io::{AT_ONCE, LARGEST, way_out};
use wgnode_fastpath::packet::coalesce::Offloads;
use wgnode_fastpath::packet::inner::Address;
use wgnode_fastpath::packet::vnet::VNET_HEADER;
use wgnode_fastpath::routes::Network;
use wgnode_fastpath::sequence::{Found, Lane, Sequence, pass};

const NOW: f64 = 100.0;
const SEGMENT: u16 = 1380;
/// Bytes of TCP payload in a frame: 45 messages.
const PAYLOAD: usize = 45 * SEGMENT as usize;
/// Jobs of each direction in a round: of AT_ONCE trains in, and as many frames as make a full job out.
const JOBS: usize = 150;
/// Before them, not measured: the first to use a buffer waits for its memory.
const WARMING: usize = 20;

fn main() {
    let option = |name: &str, otherwise: usize| {
        let mut given = std::env::args().skip_while(|each| each != name).skip(1);
        given
            .next()
            .map_or(otherwise, |value| value.parse().expect(name))
    };
    let (most, rounds) = (option("--threads", 2), option("--rounds", 21));
    let (suite, why) = choose(None).expect("the default is there");
    println!("{suite:?} ({why}), {most} threads at most, {rounds} rounds");
    let trains = trains(suite);
    for (name, out, into) in [
        ("out", true, false),
        ("in", false, true),
        ("both", true, true),
    ] {
        compare(name, most, rounds, |engines, threads| {
            run(suite, &trains, (engines, threads), (out, into))
        });
    }
}

/// A round's gigabits a second, and processor seconds a gigabit.
type Rate = (f64, f64);

fn compare(name: &str, most: usize, rounds: usize, run: impl Fn(usize, usize) -> Rate) {
    let together = (1..=most).map(|threads| (1, threads));
    let apart = (2..=most).map(|engines| (engines, 1));
    let kinds: Vec<_> = together.chain(apart).collect();
    let mut found = vec![vec![]; kinds.len()];
    for round in 0..=rounds {
        for ((engines, threads), rates) in kinds.iter().zip(&mut found) {
            let rate = run(*engines, *threads);
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    for (at, (engines, threads)) in kinds.iter().enumerate() {
        let beside = |other: usize, of: fn(&Rate) -> f64| {
            let pairs = found[at].iter().zip(&found[other]);
            median(pairs.map(|(each, other)| of(each) / of(other)))
        };
        let speed = median(found[at].iter().map(|rate| rate.0));
        let (rate, cost) = (beside(0, |rate| rate.0), beside(0, |rate| rate.1));
        print!(
            "{name:4} {engines} engines of {threads} threads {speed:6.2} Gbit/s, x {rate:.2}; \
             processor time a byte x {cost:.2}"
        );
        let ceiling = kinds.iter().position(|kind| *kind == (*threads, 1));
        match ceiling {
            Some(apart) if *threads > 1 => {
                let reached = beside(apart, |rate| rate.0);
                println!("; {reached:.2} of what {threads} separate engines reach");
            }
            _ => println!(),
        }
    }
    std::io::stdout().flush().expect("somebody reads");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn place() -> Endpoint {
    Endpoint {
        address: [192, 0, 2, 1].into(),
        port: 51820,
        scope: 0,
        source: None,
    }
}

/// Of the side with session `near`, whose keys are `send` and `receive`.
fn table(suite: Suite, near: u32, send: u8, receive: u8) -> Table {
    let table = Table::default();
    let mut engine = table.command();
    engine.mtus = vec![1420].into();
    let peer = engine.peers.add();
    engine.add_route(
        Network::new(Address::V4([10, 0, 0, 0]), 8).expect("a network"),
        peer,
    );
    let session = Session::new((near, 3 - near), (&[send; 32], &[receive; 32]), NOW, suite);
    engine.add_session(Arc::new(session), peer, true);
    engine.set_current(peer, Some(near));
    let (to, nested) = (place(), false);
    engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested });
    drop(engine);
    table
}

/// A TCP train of the TUN's.
fn frame() -> Vec<u8> {
    let length = (40 + PAYLOAD) as u16;
    let mut frame = vec![0; VNET_HEADER];
    frame[..2].copy_from_slice(&[1, 1]); // NEEDS_CSUM, TCPV4
    frame[2..4].copy_from_slice(&40u16.to_le_bytes());
    frame[4..6].copy_from_slice(&SEGMENT.to_le_bytes());
    frame[6..8].copy_from_slice(&20u16.to_le_bytes());
    frame[8..10].copy_from_slice(&16u16.to_le_bytes());
    frame.extend([
        0x45,
        0,
        (length >> 8) as u8,
        length as u8,
        0,
        0,
        0x40,
        0,
        64,
        6,
        0,
        0,
    ]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([
        0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    ]);
    frame.resize(VNET_HEADER + usize::from(length), 7);
    frame
}

/// What the other side has sealed for one round.
fn trains(suite: Suite) -> Vec<Vec<u8>> {
    let far = table(suite, 2, 2, 1);
    let frame = frame();
    let mut trains = vec![];
    while trains.len() < (WARMING + JOBS) * AT_ONCE {
        let mut job = way_out::Job::default();
        let mut left = 1;
        job.fill(&far, NOW, |room| copy(&frame, room, &mut left));
        job.seal();
        trains.extend(job.sealed().map(<[u8]>::to_vec));
    }
    trains
}

fn copy(frame: &[u8], room: &mut [u8], left: &mut usize) -> Option<usize> {
    *left = left.checked_sub(1)?;
    room[..frame.len()].copy_from_slice(frame);
    Some(frame.len())
}

/// The kernel's copy.
#[derive(Default)]
struct Sink {
    bytes: usize,
    room: Vec<u8>,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) {
        self.room.resize(1 << 16, 0);
        self.room[..bytes.len()].copy_from_slice(bytes);
        self.bytes += bytes.len();
    }
}

/// Jobs that have been begun, and how many may be. One thread at a time asks.
#[derive(Default)]
struct Jobs {
    begun: AtomicUsize,
    most: AtomicUsize,
}

impl Jobs {
    fn next(&self) -> Option<usize> {
        let number = self.begun.load(Ordering::Relaxed);
        let more = number < self.most.load(Ordering::Relaxed);
        self.begun
            .store(number + usize::from(more), Ordering::Relaxed);
        more.then_some(number)
    }
}

struct Out {
    table: Arc<Table>,
    frame: Vec<u8>,
    jobs: Jobs,
    sink: Mutex<Sink>,
}

impl Lane for Out {
    type Job = way_out::Job;

    fn read(&self, job: &mut way_out::Job) -> Found {
        let mut left = AT_ONCE * usize::from(self.jobs.next().is_some()); // more than it takes
        job.fill(&self.table, NOW, |room| copy(&self.frame, room, &mut left))
    }

    fn work(&self, job: &mut way_out::Job) {
        job.seal();
    }

    fn write(&self, job: &mut way_out::Job) -> bool {
        let mut sink = self.sink.lock().expect("no holder panics");
        job.sealed().for_each(|train| sink.take(train));
        job.clear();
        true
    }
}

struct In<'a> {
    table: Arc<Table>,
    trains: &'a [Vec<u8>],
    jobs: Jobs,
    delivery: Mutex<Delivery>,
    sink: Mutex<Sink>,
}

impl Lane for In<'_> {
    type Job = way_in::Job;

    fn read(&self, job: &mut way_in::Job) -> Found {
        job.fill(&self.table, NOW, |buffer, batches| {
            let number = self.jobs.next().ok_or(libc::EAGAIN)?;
            let trains = &self.trains[number * AT_ONCE..][..AT_ONCE];
            for (at, (batch, train)) in batches.iter_mut().zip(trains).enumerate() {
                let (start, length) = (at * LARGEST, train.len());
                buffer[start..start + length].copy_from_slice(train);
                *batch = Some(Batch {
                    start,
                    length,
                    segment: usize::from(SEGMENT) + 40 + 32,
                    from: place(),
                    ecn: 0,
                    congested: false,
                });
            }
            Ok((AT_ONCE, 0))
        })
    }

    fn work(&self, job: &mut way_in::Job) {
        job.open();
    }

    fn write(&self, job: &mut way_in::Job) -> bool {
        let mut delivery = self.delivery.lock().expect("no holder panics");
        let mut sink = self.sink.lock().expect("no holder panics");
        job.deliver(&mut delivery, &self.table, NOW, |parts| {
            parts.iter().for_each(|part| sink.take(part));
        });
        true
    }
}

/// An engine and what it moves.
struct Moving<'a> {
    sending: Out,
    receiving: In<'a>,
    outs: Sequence<way_out::Job>,
    ins: Sequence<way_in::Job>,
    /// Whose turn it is. Who has it leads.
    lead: Mutex<usize>,
}

impl Moving<'_> {
    fn new(suite: Suite, trains: &[Vec<u8>], threads: usize) -> Moving<'_> {
        let table = Arc::new(table(suite, 1, 1, 2));
        let most = if threads == 1 { 1 } else { 2 * threads };
        Moving {
            sending: Out {
                table: table.clone(),
                frame: frame(),
                jobs: Jobs::default(),
                sink: Mutex::default(),
            },
            receiving: In {
                table,
                trains,
                jobs: Jobs::default(),
                delivery: Mutex::new(Delivery::new(Offloads::ALL)),
                sink: Mutex::default(),
            },
            outs: Sequence::of(most),
            ins: Sequence::of(most),
            lead: Mutex::default(),
        }
    }

    /// So many jobs of each of these directions.
    fn allow(&self, jobs: usize, (out, into): (bool, bool)) {
        let allow =
            |of: &Jobs, wanted| of.most.store(jobs * usize::from(wanted), Ordering::Relaxed);
        allow(&self.sending.jobs, out);
        allow(&self.receiving.jobs, into);
    }

    /// What each thread does until all is moved.
    fn work(&self) {
        let mut idle = 0;
        while idle < 2 {
            let mut leading = Some(self.lead.lock().expect("no holder panics"));
            let turn = leading.as_mut().map_or(0, |turn| {
                **turn ^= 1;
                **turn
            });
            idle += 1;
            let read = |_| {
                idle = 0;
                leading = None;
            };
            match turn {
                0 => pass(&self.sending, &self.outs, read),
                _ => pass(&self.receiving, &self.ins, read),
            };
        }
    }

    /// Bytes of each direction.
    fn moved(&self) -> (usize, usize) {
        let bytes = |sink: &Mutex<Sink>| sink.lock().expect("no holder panics").bytes;
        (bytes(&self.sending.sink), bytes(&self.receiving.sink))
    }
}

/// So many engines, each of so many threads, and the directions that they move.
fn run(
    suite: Suite,
    trains: &[Vec<u8>],
    (engines, threads): (usize, usize),
    ways: (bool, bool),
) -> Rate {
    let all: Vec<_> = (0..engines)
        .map(|_| Moving::new(suite, trains, threads))
        .collect();
    let work = |jobs| {
        all.iter().for_each(|each| each.allow(jobs, ways));
        thread::scope(|scope| {
            for each in &all {
                (0..threads).for_each(|_| drop(scope.spawn(|| each.work())));
            }
        });
    };
    let moved = || {
        let each = all.iter().map(Moving::moved);
        each.fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1))
    };
    work(WARMING);
    let warming = moved();
    let (begin, used) = (Instant::now(), processor_seconds());
    work(WARMING + JOBS);
    let (seconds, used) = (begin.elapsed().as_secs_f64(), processor_seconds() - used);
    let (sent, received) = (moved().0 - warming.0, moved().1 - warming.1);
    let least = |wanted: bool, trains| usize::from(wanted) * engines * JOBS * trains * PAYLOAD;
    assert!(sent >= least(ways.0, 2) && received >= least(ways.1, AT_ONCE));
    let gigabits = (sent + received) as f64 * 8e-9;
    (gigabits / seconds, used / gigabits)
}

/// Of this process.
fn processor_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
