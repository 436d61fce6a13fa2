//! A compiled access policy, and its verdict on a new flow. The same answers as `wgnode/policy/judge.py`; what the words
//! mean is in `wgnode/policy/model.py`.

pub mod flows;
mod ranges;

use crate::packet::inner::Address;
use crate::packet::tuple::{Tuple, has_ports};
use crate::routes::Network;
use ranges::Ranges;

/// What is allowed, of the other side than the class's device.
pub struct Rule {
    networks: Ranges,
    /// Those of `networks` that are one address.
    hosts: Ranges,
    classes: Vec<u32>,
    internet: bool,
    /// Empty: all.
    protocols: Vec<u8>,
    /// First and last; empty: all.
    ports: Vec<(u16, u16)>,
}

impl Rule {
    pub fn new(
        networks: &[Network],
        mut classes: Vec<u32>,
        internet: bool,
        protocols: Vec<u8>,
        ports: Vec<(u16, u16)>,
    ) -> Rule {
        classes.sort_unstable();
        let hosts = networks.iter().filter(|network| network.is_host());
        Rule {
            networks: Ranges::new(networks.iter()),
            hosts: Ranges::new(hosts),
            classes,
            internet,
            protocols,
            ports,
        }
    }

    fn fits(&self, tuple: &Tuple) -> bool {
        let (protocol, port) = (tuple.protocol, tuple.port());
        let within = |(first, last): &(u16, u16)| (*first..=*last).contains(&port);
        (self.protocols.is_empty() || self.protocols.contains(&protocol))
            && (self.ports.is_empty() || has_ports(protocol) && self.ports.iter().any(within))
    }
}

#[derive(Default)]
pub struct Class {
    /// What its devices may open.
    pub outgoing: Vec<Rule>,
    /// What may be opened to them from elsewhere than a device.
    pub incoming: Vec<Rule>,
}

pub struct Policy {
    classes: Vec<Class>,
    known: Ranges,
    /// Addresses of gateway and host.
    own: Ranges,
}

impl Policy {
    pub fn new(classes: Vec<Class>, known: &[Network], own: &[Network]) -> Policy {
        Policy {
            classes,
            known: Ranges::new(known.iter()),
            own: Ranges::new(own.iter()),
        }
    }

    /// Whether a device of this class may open the flow (`outgoing`), or have it opened. `other` is the class of the
    /// device at the other end, None where that is none.
    pub fn allows(&self, class: u32, tuple: &Tuple, other: Option<u32>, outgoing: bool) -> bool {
        let Some(class) = self.classes.get(class as usize) else {
            return false; // as class 0, which may do nothing
        };
        let (rules, address) = if outgoing {
            (&class.outgoing, tuple.destination)
        } else {
            (&class.incoming, tuple.source)
        };
        let mut fitting = rules.iter().filter(|rule| rule.fits(tuple));
        match other {
            Some(other) => fitting.any(|rule| rule.classes.binary_search(&other).is_ok()),
            None => fitting.any(|rule| self.reaches(rule, address, outgoing)),
        }
    }

    fn reaches(&self, rule: &Rule, address: Address, outgoing: bool) -> bool {
        let own = self.own.holds(address);
        let networks = if own && outgoing {
            &rule.hosts
        } else {
            &rule.networks
        };
        networks.holds(address) || rule.internet && !own && !self.known.holds(address)
    }
}
