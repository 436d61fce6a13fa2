//! Against a linear scan, and that a million changes leak nothing.

use super::*;
use crate::routes::network::prefix_mask;
use proptest::prelude::*;

fn network(address: Address, length: u8) -> Network {
    Network::new(address, length).unwrap()
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> Address {
    Address::V4([a, b, c, d])
}

fn v6(first: u8, last: u8) -> Address {
    let mut bytes = [0; 16];
    (bytes[0], bytes[15]) = (first, last);
    Address::V6(bytes)
}

/// Networks in the order they were added, found by looking at all of them.
#[derive(Default)]
struct Linear(Vec<(Network, u32)>);

impl Linear {
    fn insert(&mut self, network: Network, owner: u32) {
        if !self.0.contains(&(network, owner)) {
            self.0.retain(|(held, _)| *held != network);
            self.0.push((network, owner));
        }
    }

    fn remove(&mut self, network: Network, owner: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|held| *held != (network, owner));
        self.0.len() < before
    }

    fn lookup(&self, address: Address) -> Option<u32> {
        let (family, key) = network::key(address);
        let holds = |network: &Network| {
            network.family() == family && (network.key() ^ key) & prefix_mask(network.length()) == 0
        };
        let holding = self.0.iter().filter(|(network, _)| holds(network));
        holding
            .max_by_key(|(network, _)| network.length())
            .map(|(_, owner)| *owner)
    }

    fn networks(&self, owner: u32) -> Vec<Network> {
        self.0
            .iter()
            .filter(|(_, of)| *of == owner)
            .map(|(network, _)| *network)
            .collect()
    }
}

/// Addresses that share long prefixes: few bits of each differ from one base.
fn addresses() -> impl Strategy<Value = Address> {
    let bits = proptest::collection::vec(0usize..128, 0..4);
    (any::<bool>(), any::<bool>(), bits, any::<[u8; 16]>()).prop_map(
        |(six, random, bits, noise)| {
            let mut bytes = if random { noise } else { [0x5a; 16] };
            bits.iter()
                .for_each(|bit| bytes[bit / 8] ^= 0x80 >> (bit % 8));
            if six {
                Address::V6(bytes)
            } else {
                Address::V4([bytes[0], bytes[1], bytes[2], bytes[3]])
            }
        },
    )
}

fn networks() -> impl Strategy<Value = Network> {
    (addresses(), 0u8..=128).prop_map(|(address, length)| {
        let width = if matches!(address, Address::V4(_)) {
            32
        } else {
            128
        };
        network(address, length % (width + 1))
    })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Network, u32),
    Remove(usize, u32),
    RemoveOwner(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (networks(), 0u32..5).prop_map(|(network, owner)| Step::Insert(network, owner)),
        3 => (any::<usize>(), 0u32..5).prop_map(|(index, owner)| Step::Remove(index, owner)),
        1 => (0u32..5).prop_map(Step::RemoveOwner),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn it_answers_as_a_linear_scan_does(steps in steps(), asked in proptest::collection::vec(addresses(), 20)) {
        let (mut routes, mut linear) = (Routes::new(), Linear::default());
        for step in steps {
            match step {
                Step::Insert(network, owner) => {
                    routes.insert(network, owner);
                    linear.insert(network, owner);
                }
                Step::Remove(index, owner) => {
                    let Some((network, holder)) = linear.0.get(index % linear.0.len().max(1)).copied() else {
                        continue;
                    };
                    let owner = if index % 3 == 0 { owner } else { holder };
                    prop_assert_eq!(routes.remove(network, owner), linear.remove(network, owner));
                }
                Step::RemoveOwner(owner) => {
                    routes.remove_owner(owner);
                    linear.0.retain(|(_, of)| *of != owner);
                }
            }
            prop_assert_eq!(routes.len(), linear.0.len());
            for address in asked.iter().copied().chain(linear.0.iter().map(|(network, _)| network.address())) {
                prop_assert_eq!(routes.lookup(address), linear.lookup(address), "{:?}", address);
            }
            for owner in 0..5 {
                prop_assert_eq!(routes.networks(owner).collect::<Vec<_>>(), linear.networks(owner));
            }
        }
    }
}

#[test]
fn the_longest_prefix_wins_whatever_the_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut routes = Routes::new();
        for owner in order {
            routes.insert(network(v4(10, 0, 0, 0), [0, 8, 32][owner]), owner as u32);
        }
        assert_eq!(routes.lookup(v4(10, 0, 0, 0)), Some(2));
        assert_eq!(routes.lookup(v4(10, 0, 0, 1)), Some(1));
        assert_eq!(routes.lookup(v4(11, 0, 0, 0)), Some(0));
        assert_eq!(routes.lookup(v6(10, 0)), None);
    }
}

#[test]
fn every_length_of_both_families_has_its_place() {
    let mut routes = Routes::new();
    for length in 0..=128 {
        routes.insert(network(v6(0xff, 0xff), length), length.into());
    }
    for length in 0..=32 {
        routes.insert(network(v4(255, 255, 255, 255), length), length.into());
    }
    assert_eq!(routes.lookup(v6(0xff, 0xff)), Some(128));
    assert_eq!(routes.lookup(v6(0xff, 0xfe)), Some(127));
    assert_eq!(routes.lookup(v6(0x7f, 0)), Some(0));
    assert_eq!(routes.lookup(v4(255, 255, 255, 254)), Some(31));
    assert_eq!(routes.lookup(v4(255, 255, 253, 0)), Some(22));
    assert_eq!(Network::new(v4(1, 2, 3, 4), 33), None);
    assert_eq!(Network::new(v6(1, 2), 129), None);
}

#[test]
fn host_bits_are_masked() {
    assert_eq!(network(v4(10, 1, 2, 3), 8), network(v4(10, 0, 0, 0), 8));
    assert_eq!(network(v4(10, 1, 2, 3), 8).address(), v4(10, 0, 0, 0));
}

#[test]
fn a_network_moves_to_the_owner_that_it_is_given_to() {
    let mut routes = Routes::new();
    let (a, b, c) = (
        network(v4(10, 0, 0, 0), 8),
        network(v4(11, 0, 0, 0), 8),
        network(v6(1, 0), 8),
    );
    for (network, owner) in [(a, 1), (b, 1), (c, 1), (a, 1), (b, 2)] {
        routes.insert(network, owner);
    }
    assert_eq!(routes.networks(1).collect::<Vec<_>>(), [a, c]);
    assert_eq!(routes.networks(2).collect::<Vec<_>>(), [b]);
    routes.insert(b, 1);
    assert_eq!(routes.networks(1).collect::<Vec<_>>(), [a, c, b]);
    assert_eq!(routes.networks(2).count(), 0);
    assert!(!routes.remove(b, 2));
    assert_eq!(routes.len(), 3);
}

/// A sequence without a pattern, the same each time (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn network(&mut self) -> Network {
        let (high, low) = (self.next(), self.next());
        if low & 1 == 0 {
            network(
                Address::V4((high as u32).to_be_bytes()),
                8 + (low >> 8) as u8 % 25,
            )
        } else {
            let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            network(Address::V6(bytes), 16 + (low >> 8) as u8 % 113)
        }
    }
}

#[test]
fn a_million_changes_leak_nothing() {
    let (mut routes, mut noise) = (Routes::new(), Noise(88172645463325252));
    let mut held = std::collections::VecDeque::new();
    let mut early = 0;
    for change in 0..1_000_000 {
        let (network, owner) = (noise.network(), (change % 50) as u32);
        routes.insert(network, owner);
        held.push_back((network, owner));
        if held.len() > 1000 {
            let (network, owner) = held.pop_front().unwrap();
            routes.remove(network, owner);
        }
        if change == 50_000 {
            early = routes.memory();
        }
    }
    assert!(
        routes.memory() <= early * 3 / 2,
        "{} bytes became {}",
        early,
        routes.memory()
    );
    for owner in 0..50 {
        routes.remove_owner(owner);
    }
    assert!(routes.is_empty());
    assert_eq!(routes.trie.nodes_in_use(), 2, "only the roots are left");
    assert_eq!(routes.trie.slots_in_use(), 0);
}
