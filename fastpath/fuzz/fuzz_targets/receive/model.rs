//! What must become of a message, worked out one by one and without cryptography: authentic is what we remember sealing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::SESSIONS;
use crate::script::{Given, mac1};

/// Networks of each peer: one lies within the other's.
pub const PEERS: [&[(IpAddr, u8)]; 2] = [
    &[
        (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
        (IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0)), 8),
    ],
    &[
        (IpAddr::V4(Ipv4Addr::new(10, 1, 0, 0)), 16),
        (IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0)), 32),
    ],
];
/// REJECT_AFTER_TIME and REJECT_AFTER_MESSAGES (wp 6.1), and how far behind the newest a counter may come.
const LIFETIME: f64 = 180.0;
pub const LAST_COUNTER: u64 = u64::MAX - (1 << 13) - 1;
const WINDOW: u64 = 8128;

pub enum Fate {
    /// Counted as dropped, or a keepalive.
    Ended,
    Handed(Queue),
    Delivered(Inner),
}

pub enum Queue {
    Traffic,
    Handshakes,
}

/// A packet as it must arrive; `remarked` when its ECN field, and with it an IPv4 header's checksum, has changed.
pub struct Inner {
    packet: Vec<u8>,
    sealed: Vec<u8>,
    remarked: bool,
}

impl Inner {
    pub fn assert_same(&self, packet: &[u8]) {
        let mut expected = self.packet.clone();
        if self.remarked && expected[0] >> 4 == 4 {
            assert_eq!(residue(&packet[..20]), residue(&self.sealed[..20]));
            expected[10..12].copy_from_slice(&packet[10..12]);
        }
        assert_eq!(packet, expected);
    }
}

/// A header's sum of words as one's complement has it: what a changed checksum leaves as it was.
fn residue(header: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair[1]);
    header.chunks(2).map(word).sum::<u64>() % 0xffff
}

#[derive(Default)]
struct Seen {
    counters: HashSet<u64>,
    newest: u64,
}

/// What a peer's authentic messages came to since the last time.
#[derive(Clone, Default)]
pub struct Heard {
    pub bytes: u64,
    pub from: u8,
    pub moved: bool,
}

#[derive(Default)]
pub struct Model {
    /// By receiver index and message from the counter on.
    sealed: HashMap<(u32, Vec<u8>), Vec<u8>>,
    seen: HashMap<u32, Seen>,
    confirmed: HashSet<u32>,
    /// Peers of whom messages were handed over that nobody has dealt with yet.
    owed: HashSet<usize>,
    drops: BTreeMap<&'static str, u64>,
    heard: [Heard; PEERS.len()],
    places: [Option<u8>; PEERS.len()],
}

impl Model {
    pub fn new() -> Model {
        let confirmed = SESSIONS.into_iter().filter(|session| session.3);
        Model {
            confirmed: confirmed.map(|session| session.0).collect(),
            ..Model::default()
        }
    }

    pub fn confirm(&mut self, local: u32) {
        self.confirmed.insert(local);
    }

    /// All that was handed over is dealt with.
    pub fn settle(&mut self) {
        self.owed.clear();
    }

    pub fn remember(&mut self, local: u32, message: &[u8], plaintext: &[u8]) {
        self.sealed
            .insert((local, message[8..].to_vec()), plaintext.to_vec());
    }

    pub fn dropped(&mut self, why: &'static str) {
        *self.drops.entry(why).or_default() += 1;
    }

    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        self.drops
            .iter()
            .map(|(why, count)| (*why, *count))
            .collect()
    }

    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard).to_vec()
    }

    pub fn fate(&mut self, message: &[u8], given: &Given, now: f64) -> Fate {
        self.judge(message, given, now).unwrap_or_else(|why| {
            self.dropped(why);
            Fate::Ended
        })
    }

    fn judge(&mut self, message: &[u8], given: &Given, now: f64) -> Result<Fate, &'static str> {
        if message.len() < 32 || message[..4] != [4, 0, 0, 0] {
            return handshake(message);
        }
        let local = u32::from_le_bytes(message[4..8].try_into().unwrap());
        let session = SESSIONS.into_iter().find(|session| session.0 == local);
        let (_, peer, created, _) = session.ok_or("unknown_index")?;
        let counter = u64::from_le_bytes(message[8..16].try_into().unwrap());
        if now - created >= LIFETIME || counter > LAST_COUNTER {
            return Err("expired");
        }
        let key = (local, message[8..].to_vec());
        let plaintext = self.sealed.get(&key).ok_or("bad_transport")?.clone();
        if !self.confirmed.contains(&local) || self.owed.contains(&peer) {
            self.owed.insert(peer);
            return Ok(Fate::Handed(Queue::Traffic));
        }
        self.accept(local, counter)?;
        self.hear(peer, message.len(), given.from);
        if plaintext.is_empty() {
            return Ok(Fate::Ended);
        }
        inner(plaintext, peer, given.ecn).map(Fate::Delivered)
    }

    fn accept(&mut self, local: u32, counter: u64) -> Result<(), &'static str> {
        let seen = self.seen.entry(local).or_default();
        if seen.newest.saturating_sub(counter) > WINDOW || !seen.counters.insert(counter) {
            return Err("replayed");
        }
        seen.newest = seen.newest.max(counter);
        Ok(())
    }

    fn hear(&mut self, peer: usize, bytes: usize, from: u8) {
        let heard = &mut self.heard[peer];
        heard.bytes += bytes as u64;
        heard.from = from;
        heard.moved |= self.places[peer].replace(from) != Some(from);
    }
}

fn handshake(message: &[u8]) -> Result<Fate, &'static str> {
    let length = match message {
        [1, 0, 0, 0, ..] => 148,
        [2, 0, 0, 0, ..] => 92,
        [3, 0, 0, 0, ..] => 64,
        _ => return Err("malformed"),
    };
    if message.len() != length {
        return Err("malformed");
    }
    let macs = length - 32;
    let known = |key| mac1(key, &message[..macs]) == message[macs..macs + 16];
    if message[0] != 3 && !crate::MAC1_KEYS.iter().any(known) {
        return Err("bad_mac1");
    }
    Ok(Fate::Handed(Queue::Handshakes))
}

fn inner(sealed: Vec<u8>, peer: usize, outer: u8) -> Result<Inner, &'static str> {
    let (length, source) = claims(&sealed).ok_or("bad_inner")?;
    if owner(source) != Some(peer) {
        return Err("source_not_allowed");
    }
    let mut packet = sealed[..length].to_vec();
    let four = packet[0] >> 4 == 4;
    let (at, shift) = if four { (1, 0) } else { (1, 4) };
    let field = packet[at] >> shift & 3;
    // RFC 6040, figure 4.
    let marked = match (field, outer) {
        (0, 3) => return Err("not_ecn_capable"),
        (_, 3) => 3,
        (2, 1) => 1,
        _ => field,
    };
    packet[at] ^= (field ^ marked) << shift;
    Ok(Inner {
        packet,
        sealed,
        remarked: field != marked,
    })
}

/// Length and source in an inner packet's header, where they can be true.
fn claims(padded: &[u8]) -> Option<(usize, IpAddr)> {
    let (least, length, source) = match padded.first()? >> 4 {
        4 if padded.len() >= 20 => {
            let source: [u8; 4] = padded[12..16].try_into().unwrap();
            (
                20,
                usize::from(padded[2]) << 8 | usize::from(padded[3]),
                source.into(),
            )
        }
        6 if padded.len() >= 40 => {
            let source: [u8; 16] = padded[8..24].try_into().unwrap();
            let payload = usize::from(padded[4]) << 8 | usize::from(padded[5]);
            (40, 40 + payload, source.into())
        }
        _ => return None,
    };
    (least..=padded.len())
        .contains(&length)
        .then_some((length, source))
}

/// The peer with the longest network that holds this address.
fn owner(address: IpAddr) -> Option<usize> {
    let networks = PEERS.iter().enumerate();
    let all = networks.flat_map(|(peer, networks)| networks.iter().map(move |each| (peer, each)));
    let holding = all.filter(|(_, (network, length))| {
        let (a, b, width) = match (network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        (a ^ b) >> (width - length) == 0
    });
    holding
        .max_by_key(|(_, (_, length))| *length)
        .map(|(peer, _)| peer)
}
