//! Differential fuzzing of the multi-packet ChaCha20-Poly1305 against ring.
//!
//!     cargo run --release --no-default-features --example fuzz_crypto -- [--packets N] [--seed N]
//!
//! Every train has a key, length, stride, alignment and counters of its own. It must seal to the bytes that ring seals
//! each message to. Then some messages are forged, or none, or all: exactly the others must open, to what was
//! sealed, and the forged must give nothing away. The same seed gives the same trains. Exit code: 0
//! when all agreed, 1 at the first difference, 2 when there is nothing to compare on this CPU.

use std::process::ExitCode;
use std::time::Instant;

use wgnode_fastpath::crypto::{Key, Suite, choose};
use wgnode_fastpath::message::{HEADER, OVERHEAD, TAG};

/// Deterministic numbers (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        // Now and then bytes that make sums carry, instead of random ones.
        let pattern = [None, None, None, None, None, None, Some(0), Some(0xff)][self.below(8)];
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&pattern.map_or(word, |byte| [byte; 8])[..chunk.len()]);
        }
    }
}

/// One train and what it is made of.
struct Case {
    raw: [u8; 32],
    stride: usize,
    memory: Vec<u8>,
    offset: usize,
    /// Bit i % 64 says whether message i is forged later.
    forged: u64,
}

fn case(numbers: &mut Numbers) -> Case {
    let length = match numbers.below(4) {
        0 => numbers.below(130),
        1 => 16 * numbers.below(96),
        2 => 1360 + numbers.below(161),
        _ => numbers.below(1600),
    };
    let stride = length + OVERHEAD;
    let count = [
        1 + numbers.below(8),
        1 + numbers.below(64),
        1 + numbers.below(130),
    ][numbers.below(3)];
    let last = if numbers.below(2) == 0 {
        length
    } else {
        numbers.below(length + 1)
    };
    let offset = numbers.below(64);
    let mut memory = vec![0; offset + (count - 1) * stride + last + OVERHEAD];
    let mut raw = [0; 32];
    numbers.fill(&mut memory);
    numbers.fill(&mut raw);
    counters(numbers, &mut memory[offset..], stride);
    let forged = [
        0,
        0,
        u64::MAX,
        numbers.next() & numbers.next(),
        1 << numbers.below(64),
    ][numbers.below(5)];
    Case {
        raw,
        stride,
        memory,
        offset,
        forged,
    }
}

/// Mostly consecutive counters as in a real train, from anywhere; else what stands there.
fn counters(numbers: &mut Numbers, train: &mut [u8], stride: usize) {
    let start = [
        numbers.next(),
        u64::from(u32::MAX) - 60,
        u64::MAX - 200,
        numbers.next() % 1000,
    ][numbers.below(4)];
    if numbers.below(8) > 0 {
        for (i, message) in train.chunks_mut(stride).enumerate() {
            message[8..16].copy_from_slice(&start.wrapping_add(i as u64).to_le_bytes());
        }
    }
}

/// How many messages agreed.
fn check(case: &mut Case, numbers: &mut Numbers) -> Result<u64, String> {
    let (ring, batch) = (
        Key::new(&case.raw, Suite::Ring),
        Key::new(&case.raw, Suite::Batch),
    );
    let (stride, train) = (case.stride, &mut case.memory[case.offset..]);
    let plain = train.to_vec();
    let mut sealed = plain.clone();
    sealed
        .chunks_mut(stride)
        .for_each(|message| ring.seal(message));
    batch.seal_train(train, stride);
    if train != sealed {
        return Err("sealed to other bytes than ring's".to_owned());
    }
    let is_forged = |i: usize| case.forged >> (i % 64) & 1 == 1;
    for (_, message) in train
        .chunks_mut(stride)
        .enumerate()
        .filter(|(i, _)| is_forged(*i))
    {
        let at = 8 + numbers.below(message.len() - 8);
        message[at] ^= 1 << numbers.below(8);
    }
    let came = train.to_vec();
    let opened = batch.open_train(train, stride);
    for (i, message) in train.chunks(stride).enumerate() {
        let at = i * stride;
        let right = match is_forged(i) {
            true => gives_nothing_away(message, &came[at..at + message.len()]),
            false => message[8..message.len() - 16] == plain[at + 8..at + message.len() - 16],
        };
        if opened.get(i) == is_forged(i) || !right {
            return Err(format!(
                "message {i}: opened {}, forged {}, bytes right {right}",
                opened.get(i),
                is_forged(i)
            ));
        }
    }
    Ok(plain.len().div_ceil(stride) as u64)
}

fn number(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != name)
        .skip(1);
    arguments.next().map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} takes a number"))
    })
}

/// A forged message is left as it came, or wiped.
fn gives_nothing_away(message: &[u8], came: &[u8]) -> bool {
    let packet = HEADER..message.len() - TAG;
    message[packet.clone()] == came[packet.clone()] || message[packet].iter().all(|byte| *byte == 0)
}

fn main() -> ExitCode {
    let (packets, seed) = (number("--packets", 10_000_000), number("--seed", 1));
    match choose(Some("avx512")) {
        Ok((Suite::Batch, why)) => println!("suite: {why}\nseed {seed}, {packets} packets"),
        Ok((_, why)) | Err(why) => {
            eprintln!("nothing to compare: {why}");
            return ExitCode::from(2);
        }
    }
    let (start, mut numbers) = (Instant::now(), Numbers(seed));
    let (mut done, mut trains, mut forged, mut bytes) = (0, 0u64, 0u64, 0);
    while done < packets {
        let mut case = case(&mut numbers);
        let before = done;
        match check(&mut case, &mut numbers) {
            Ok(agreed) => done += agreed,
            Err(fault) => {
                println!(
                    "DIFFERENT in train {trains} of seed {seed} (stride {}, offset {}): {fault}",
                    case.stride, case.offset
                );
                return ExitCode::FAILURE;
            }
        }
        trains += 1;
        forged += (0..done - before)
            .filter(|i| case.forged >> (i % 64) & 1 == 1)
            .count() as u64;
        bytes += case.memory.len() - case.offset;
        if done * 10 / packets != before * 10 / packets {
            println!(
                "{done:>11} packets, {trains} trains, {forged} forged, {:.0} s",
                start.elapsed().as_secs_f64()
            );
        }
    }
    println!(
        "{done} packets in {trains} trains ({forged} forged, {bytes} bytes) agree with ring; seed {seed}, {:.1} s",
        start.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
