//! Cryptokey routing (wp 2): which peer an inner address belongs to, by longest prefix, for both families.
//! The same answers as `wgnode/protocol/allowed_ips.py`.

mod blocks;
pub(crate) mod network;
mod node;
mod trie;

use crate::packet::inner::Address;
pub use network::Network;
use std::collections::HashMap;
use trie::{Slot, Trie};

const NONE: u32 = u32::MAX;

/// A network and its place in its owner's list.
#[derive(Clone, Copy)]
struct Route {
    network: Network,
    owner: u32,
    before: u32,
    after: u32,
}

/// The ends of an owner's list, in the order that its networks were added.
#[derive(Clone, Copy)]
struct Held {
    first: u32,
    last: u32,
}

/// Networks and their owners. A network has one owner: given to another, it moves there.
#[derive(Default)]
pub struct Routes {
    trie: Trie,
    routes: Vec<Route>,
    free: Vec<u32>,
    owners: HashMap<u32, Held>,
}

impl Routes {
    pub fn new() -> Routes {
        Routes::default()
    }

    /// Networks of both families.
    pub fn len(&self) -> usize {
        self.routes.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The owner of the longest prefix that holds this address.
    #[inline]
    pub fn lookup(&self, address: Address) -> Option<u32> {
        let (family, key) = network::key(address);
        self.trie.lookup(family, key)
    }

    /// Gives a network to an owner. A network that the owner holds already keeps its place in the owner's order.
    pub fn insert(&mut self, network: Network, owner: u32) {
        if let Some(Slot {
            owner: holder,
            route,
        }) = self.trie.get(network)
        {
            if holder == owner {
                return;
            }
            self.unlink(route);
            self.trie.set(network, Slot { owner, route });
            self.link(route, network, owner);
            return;
        }
        let route = self.free.pop().unwrap_or(self.routes.len() as u32);
        if route as usize == self.routes.len() {
            blocks::grow(&mut self.routes, 1);
            self.routes.push(Route {
                network,
                owner,
                before: NONE,
                after: NONE,
            });
        }
        self.trie.set(network, Slot { owner, route });
        self.link(route, network, owner);
    }

    /// False, and nothing happens, unless the owner holds exactly this network.
    pub fn remove(&mut self, network: Network, owner: u32) -> bool {
        match self.trie.get(network) {
            Some(slot) if slot.owner == owner => {
                self.unlink(slot.route);
                self.free.push(slot.route);
                self.trie.remove(network);
                true
            }
            _ => false,
        }
    }

    /// Removes all of an owner's networks.
    pub fn remove_owner(&mut self, owner: u32) {
        let Some(Held { first, .. }) = self.owners.remove(&owner) else {
            return;
        };
        let mut at = first;
        while at != NONE {
            let route = self.routes[at as usize];
            self.trie.remove(route.network);
            self.free.push(at);
            at = route.after;
        }
    }

    /// An owner's networks in the order they were added.
    pub fn networks(&self, owner: u32) -> impl Iterator<Item = Network> + '_ {
        let mut at = self.owners.get(&owner).map_or(NONE, |held| held.first);
        std::iter::from_fn(move || {
            let route = self.routes.get(at as usize)?;
            at = route.after;
            Some(route.network)
        })
    }

    /// Bytes that are held for the tables, without the allocator's own.
    pub fn memory(&self) -> usize {
        self.trie.memory()
            + self.routes.capacity() * size_of::<Route>()
            + self.free.capacity() * size_of::<u32>()
            + self.owners.capacity() * size_of::<(u32, Held)>()
    }

    /// Appends a route to its owner's list.
    fn link(&mut self, route: u32, network: Network, owner: u32) {
        let held = self.owners.entry(owner).or_insert(Held {
            first: route,
            last: NONE,
        });
        let before = std::mem::replace(&mut held.last, route);
        self.routes[route as usize] = Route {
            network,
            owner,
            before,
            after: NONE,
        };
        if before != NONE {
            self.routes[before as usize].after = route;
        }
    }

    /// Takes a route out of its owner's list.
    fn unlink(&mut self, route: u32) {
        let Route {
            owner,
            before,
            after,
            ..
        } = self.routes[route as usize];
        if before != NONE {
            self.routes[before as usize].after = after;
        }
        if after != NONE {
            self.routes[after as usize].before = before;
        }
        if before == NONE && after == NONE {
            self.owners.remove(&owner);
        } else if let Some(held) = self.owners.get_mut(&owner) {
            held.first = if before == NONE { after } else { held.first };
            held.last = if after == NONE { before } else { held.last };
        }
    }
}

#[cfg(test)]
mod tests;
