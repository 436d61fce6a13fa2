//! Many networks, and whether an address is in one of them.

use crate::packet::inner::Address;
use crate::routes::Network;
use crate::routes::network::{Family, key, prefix_mask};

/// First and last address of each, ascending; none touches another.
#[derive(Default)]
pub struct Ranges {
    four: Vec<(u128, u128)>,
    six: Vec<(u128, u128)>,
}

impl Ranges {
    pub fn new<'a>(networks: impl Iterator<Item = &'a Network>) -> Ranges {
        let mut ranges = Ranges::default();
        for network in networks {
            let first = network.key();
            let range = (first, first | !prefix_mask(network.length()));
            match network.family() {
                Family::V4 => ranges.four.push(range),
                Family::V6 => ranges.six.push(range),
            }
        }
        merge(&mut ranges.four);
        merge(&mut ranges.six);
        ranges
    }

    pub fn holds(&self, address: Address) -> bool {
        let (family, key) = key(address);
        let ranges = match family {
            Family::V4 => &self.four,
            Family::V6 => &self.six,
        };
        let after = ranges.partition_point(|(first, _)| *first <= key);
        after > 0 && key <= ranges[after - 1].1
    }
}

/// Networks lie within each other or apart: so of those that begin at or in the one before none is longer.
fn merge(ranges: &mut Vec<(u128, u128)>) {
    ranges.sort_unstable_by_key(|(first, last)| (*first, !*last));
    ranges.dedup_by(|next, kept| next.1 <= kept.1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn networks() -> impl Strategy<Value = Vec<Network>> {
        let four = ([0u8..4, 0u8..4, 0u8..4, 0u8..4], 0u8..=32)
            .prop_map(|(bytes, length)| Network::new(Address::V4(bytes), length).unwrap());
        let six = (0u128..64, 118u8..=128).prop_map(|(low, length)| {
            Network::new(Address::V6(low.to_be_bytes()), length).unwrap()
        });
        proptest::collection::vec(prop_oneof![four, six], 0..12)
    }

    proptest! {
        #[test]
        fn they_hold_what_one_of_the_networks_does(
            networks in networks(),
            four in [0u8..4, 0u8..4, 0u8..4, 0u8..4],
            six in 0u128..64,
        ) {
            let ranges = Ranges::new(networks.iter());
            for address in [Address::V4(four), Address::V6(six.to_be_bytes())] {
                let within = |net: &Network| Network::new(address, net.length()) == Some(*net);
                prop_assert_eq!(ranges.holds(address), networks.iter().any(within));
            }
        }
    }
}
