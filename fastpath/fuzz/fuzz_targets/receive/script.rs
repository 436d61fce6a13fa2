//! From the fuzzer's bytes to batches: messages that we seal, some of them then damaged, repeated or put under another
//! index; handshake messages; and bytes as they are.

use std::sync::Arc;

use blake2::Blake2sMac;
use blake2::digest::Mac;
use blake2::digest::consts::U16;
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::message::{HEADER, OVERHEAD, TAG};

use crate::MAC1_KEYS;
use crate::model::{LAST_COUNTER, Model};

/// Sizes of messages that mean something to the engine.
const SIZES: [usize; 8] = [31, 32, 64, 92, 96, 148, 1452, 1500];
/// Bytes of all batches: enough for a train of more than MAX_TRAIN messages, and soon done.
const ROOM: usize = 40 << 10;
const SOURCES: [&[u8]; 6] = [
    &[10, 0, 0, 1],
    &[10, 1, 0, 1],
    &[192, 0, 2, 1],
    &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    &[0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
];

/// A batch, and what happens before it comes.
pub struct Given {
    pub bytes: Vec<u8>,
    pub segment: usize,
    /// Last byte of the outer source.
    pub from: u8,
    pub ecn: u8,
    /// Seconds.
    pub wait: f64,
    /// The session that was not confirmed is from here on.
    pub confirm: bool,
}

pub struct Script<'a> {
    data: &'a [u8],
    sessions: &'a [Arc<Session>],
    /// The next counter of each session.
    counters: Vec<u64>,
    sealed: Vec<Vec<u8>>,
    room: usize,
}

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8], sessions: &'a [Arc<Session>]) -> Script<'a> {
        Script {
            data,
            sessions,
            counters: vec![0; sessions.len()],
            sealed: Vec::new(),
            room: ROOM,
        }
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.data.split_first_chunk()?;
        self.data = rest;
        Some(*chunk)
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.data.split_at(count.min(self.data.len()));
        self.data = rest;
        bytes
    }

    pub fn batch(&mut self, model: &mut Model) -> Option<Given> {
        let [circumstances, choice, low, high, records] = self.chunk()?;
        let number = usize::from(u16::from_le_bytes([low, high]));
        let size = match choice & 15 {
            known @ 0..=7 => SIZES[usize::from(known)],
            _ => OVERHEAD + number % 1500,
        };
        let mut bytes = Vec::new();
        for _ in 0..records {
            let Some((messages, last)) = self.messages(size, model) else {
                break;
            };
            self.room = self.room.saturating_sub(messages.len());
            bytes.extend(messages);
            if last {
                break;
            }
        }
        Some(Given {
            bytes,
            // Another size than that of the messages cuts through them.
            segment: if choice & 0x80 == 0 { size } else { number },
            from: circumstances >> 2 & 3,
            ecn: circumstances & 3,
            wait: [0.0, 0.0, 79.5, 0.5][usize::from(circumstances >> 4 & 3)],
            confirm: circumstances & 0xc0 == 0xc0,
        })
    }

    /// Messages of `size` bytes, or one of its own length: true, as a batch ends with it.
    fn messages(&mut self, size: usize, model: &mut Model) -> Option<(Vec<u8>, bool)> {
        let [what, choice, copies, length] = self.chunk()?;
        let given = self.bytes(length.into());
        let last = what & 0x80 != 0;
        let count = match copies & 15 {
            _ if last => 1,
            15 => usize::from(copies) * 8,
            few => usize::from(few) + 1,
        };
        let count = count.min(self.room / size);
        let mut messages = Vec::new();
        for copy in 0..count {
            let mut message = match what & 7 {
                session @ 0..=3 => {
                    let room = if last {
                        given.len()
                    } else {
                        size.saturating_sub(OVERHEAD)
                    };
                    let packet = packet(given, room, what & 8 != 0, choice);
                    let counter = self.counter(session.into(), what >> 4 & 3, choice);
                    self.seal(session.into(), counter, &packet, model)
                }
                4 => self
                    .sealed
                    .get(usize::from(choice))
                    .cloned()
                    .unwrap_or_default(),
                5 => handshake(choice, given),
                6 => self.under_another_index(choice),
                _ => given.to_vec(),
            };
            if what & 0x40 != 0 && copy == usize::from(copies >> 4) {
                damage(&mut message, given);
            }
            if !last {
                message.resize(size, 0);
            }
            messages.extend(message);
        }
        Some((messages, last))
    }

    fn counter(&mut self, session: usize, way: u8, step: u8) -> u64 {
        let next = &mut self.counters[session];
        let counter = match way {
            0 => *next,
            1 => next.saturating_add(u64::from(step) * 64),
            // From the newest, which is one below: at 127 the last that the window holds.
            2 => return next.saturating_sub(u64::from(step) * 64 + 1),
            _ => LAST_COUNTER - 2 + u64::from(step % 4),
        };
        *next = counter.saturating_add(1);
        counter
    }

    fn seal(&mut self, session: usize, counter: u64, packet: &[u8], model: &mut Model) -> Vec<u8> {
        let session = &self.sessions[session];
        let mut message = vec![4, 0, 0, 0];
        message.extend(session.local.to_le_bytes());
        message.extend(counter.to_le_bytes());
        message.extend(packet);
        message.resize(HEADER + packet.len() + TAG, 0);
        session.receive.seal(&mut message);
        model.remember(session.local, &message, packet);
        self.sealed.push(message.clone());
        message
    }

    fn under_another_index(&self, choice: u8) -> Vec<u8> {
        let sealed = self.sealed.get(usize::from(choice >> 2));
        let mut message = sealed.cloned().unwrap_or_default();
        if let Some(index) = message.get_mut(4..8) {
            let other = &self.sessions[usize::from(choice & 3)];
            index.copy_from_slice(&other.local.to_le_bytes());
        }
        message
    }
}

/// An inner packet of `room` bytes; put right, it has a version, a source that can be true and, mostly, such a length.
fn packet(given: &[u8], room: usize, right: bool, choice: u8) -> Vec<u8> {
    let mut packet = given.to_vec();
    packet.resize(room, 0);
    if !right || room < 40 {
        return packet;
    }
    let source = SOURCES[usize::from(choice) % SOURCES.len()];
    let claim = match usize::from(choice >> 4) {
        15 => room + 1,
        padding => room - padding,
    };
    if source.len() == 4 {
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(claim as u16).to_be_bytes());
        packet[12..16].copy_from_slice(source);
    } else {
        packet[0] = 0x60 | packet[0] & 0xf;
        packet[4..6].copy_from_slice(&(claim.saturating_sub(40) as u16).to_be_bytes());
        packet[8..24].copy_from_slice(source);
    }
    packet
}

/// An initiation, a response or a cookie reply, with a mac1 under one of our keys or another.
fn handshake(choice: u8, given: &[u8]) -> Vec<u8> {
    let kind = choice & 3;
    let length = [148, 148, 92, 64][usize::from(kind)];
    let mut message = vec![kind, 0, 0, 0];
    message.extend(given);
    message.resize(length, 0);
    if kind != 3 {
        let keys = [MAC1_KEYS[0], MAC1_KEYS[1], [0; 32]];
        let macs = length - 32;
        let mac = mac1(&keys[usize::from(choice >> 2) % 3], &message[..macs]);
        message[macs..macs + 16].copy_from_slice(&mac);
    }
    message
}

pub fn mac1(key: &[u8; 32], covered: &[u8]) -> [u8; 16] {
    let mut mac = <Blake2sMac<U16> as Mac>::new_from_slice(key).unwrap();
    mac.update(covered);
    mac.finalize().into_bytes().into()
}

/// Changes one byte: where and how is up to the last three given.
fn damage(message: &mut [u8], given: &[u8]) {
    let Some([low, high, change]) = given.last_chunk::<3>() else {
        return;
    };
    let length = message.len().max(1);
    let at = usize::from(u16::from_le_bytes([*low, *high])) % length;
    if let Some(byte) = message.get_mut(at) {
        *byte ^= change;
    }
}
