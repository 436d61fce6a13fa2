//! What was denied since the program last asked: each kind once, with how many packets. As `wgnode/dataplane/denials.py`.

use std::collections::HashMap;

use super::Crossing;
use crate::engine::peer::PeerId;
use crate::packet::fields::{ipv4, ipv6, version};
use crate::packet::inner::{self, Address};
use crate::packet::tuple::{Subject, subject};

/// Different ones that are told one by one.
pub const MOST: usize = 1024;

/// See `Reason` in wgnode/policy/model.py.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    NothingAllows,
    Full,
    Spoofed,
    Fragment,
    Icmp,
    Unreadable,
    More,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::NothingAllows => "",
            Reason::Full => "full",
            Reason::Spoofed => "spoofed",
            Reason::Fragment => "fragment",
            Reason::Icmp => "icmp",
            Reason::Unreadable => "unreadable",
            Reason::More => "more",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Denial {
    /// The device whose class was asked.
    pub device: PeerId,
    pub outgoing: bool,
    pub why: Reason,
    /// None of those that are told together.
    pub addresses: Option<(Address, Address)>,
    pub protocol: u8,
    pub port: u16,
}

#[derive(Default)]
pub struct Denials {
    /// All packets.
    pub packets: u64,
    /// With their packets, in the order in which they were first found.
    counted: Vec<(Denial, u64)>,
    places: HashMap<Denial, usize>,
}

impl Denials {
    #[cold]
    pub fn count(&mut self, of: &Crossing<'_>, why: Reason) {
        self.packets += of.packets;
        let mut what = described(of, why);
        if self.counted.len() >= MOST && !self.places.contains_key(&what) {
            what = Denial {
                why: Reason::More,
                addresses: None,
                protocol: 0,
                port: 0,
                ..what
            };
        }
        let place = *self.places.entry(what).or_insert(self.counted.len());
        if place == self.counted.len() {
            self.counted.push((what, 0));
        }
        self.counted[place].1 += of.packets;
    }

    /// It is no peer any more.
    pub fn forget(&mut self, device: PeerId) {
        self.counted.retain(|(what, _)| what.device != device);
        let whats = self.counted.iter().map(|(what, _)| *what);
        self.places = whats.zip(0..).collect();
    }

    /// With the packets of each, once.
    pub fn take(&mut self) -> Vec<(Denial, u64)> {
        self.places.clear();
        std::mem::take(&mut self.counted)
    }
}

/// Where the ports are not known the protocol is the first header's.
fn described(of: &Crossing<'_>, why: Reason) -> Denial {
    let (protocol, port) = match subject(of.packet) {
        Subject::Whole(tuple) | Subject::First(tuple, _) => (tuple.protocol, tuple.port()),
        _ if version(of.packet) == 4 => (of.packet[ipv4::PROTOCOL], 0),
        _ => (of.packet[ipv6::NEXT_HEADER], 0),
    };
    Denial {
        device: of.device,
        outgoing: of.outgoing,
        why,
        addresses: inner::source(of.packet).zip(inner::destination(of.packet)),
        protocol,
        port,
    }
}
