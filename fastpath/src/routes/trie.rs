//! A path-compressed trie of four bits a level, its nodes' prefixes and children in bitmaps (after Eatherton, Varghese
//! and Dittia, "Tree bitmap", 2004).
//!
//! A node at depth d, a multiple of four, has the prefixes of d + 1 to d + 4 bits below it, so that the usual lengths
//! end in a node that has other prefixes as well. Levels with one child and no prefix are left out.

use super::blocks::Blocks;
use super::network::{Family, Network};
use super::node::{Node, STRIDE, chunk, covering, prefix_bit};

/// Nodes from a root to the longest prefix.
const DEEPEST: usize = 128 / STRIDE as usize;

/// What a prefix leads to.
#[derive(Clone, Copy)]
pub struct Slot {
    pub owner: u32,
    /// The caller's.
    pub route: u32,
}

/// Prefixes of both families.
pub struct Trie {
    nodes: Blocks<Node>,
    slots: Blocks<Slot>,
    /// What a prefix of no bits leads to.
    everything: [Option<Slot>; 2],
}

impl Default for Trie {
    fn default() -> Self {
        let mut nodes = Blocks::new();
        nodes.allocate(2, Node::new(0, 0));
        Trie {
            nodes,
            slots: Blocks::new(),
            everything: [None; 2],
        }
    }
}

impl Trie {
    /// The owner of the longest prefix of `key`.
    #[inline]
    pub fn lookup(&self, family: Family, key: u128) -> Option<u32> {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("popcnt") && std::is_x86_feature_detected!("lzcnt") {
            // SAFETY: the CPU has both.
            return unsafe { self.lookup_counting(family, key) };
        }
        self.search(family, key)
    }

    /// As `search`, with an instruction for each count of bits.
    ///
    /// # Safety
    /// The CPU has POPCNT and LZCNT.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "popcnt,lzcnt")]
    unsafe fn lookup_counting(&self, family: Family, key: u128) -> Option<u32> {
        self.search(family, key)
    }

    #[inline(always)]
    fn search(&self, family: Family, key: u128) -> Option<u32> {
        let mut at = family as usize;
        let mut found = None;
        loop {
            let node = &self.nodes.items[at];
            if !node.holds(key) {
                break;
            }
            let chunk = chunk(key, node.depth);
            let prefixes = node.prefixes & covering(chunk);
            if prefixes != 0 {
                found = Some(node.slots as usize + node.place(prefixes.ilog2()));
            }
            match node.child(chunk) {
                Some(child) => at = child,
                None => break,
            }
        }
        match found {
            Some(slot) => Some(self.slots.items[slot].owner),
            None => self.everything[family as usize].map(|slot| slot.owner),
        }
    }

    /// The slot of exactly this prefix.
    pub fn get(&self, network: Network) -> Option<Slot> {
        if network.length() == 0 {
            return self.everything[network.family() as usize];
        }
        let (node, bit) = self.find(network, |_| ())?;
        self.nodes.items[node]
            .slot(bit)
            .map(|slot| self.slots.items[slot])
    }

    /// The node that has the slot of this prefix, if any has, and the slot's bit. `passed` is told of all nodes before.
    fn find(&self, network: Network, mut passed: impl FnMut(usize)) -> Option<(usize, u32)> {
        let (key, length) = (network.key(), network.length());
        let mut at = network.family() as usize;
        loop {
            let node = &self.nodes.items[at];
            if node.depth >= length || !node.holds(key) {
                return None;
            }
            if length <= node.depth + STRIDE {
                return Some((at, prefix_bit(key, node.depth, length)));
            }
            passed(at);
            at = node.child(chunk(key, node.depth))?;
        }
    }

    /// Sets the slot of a prefix, whether it was there or not.
    pub fn set(&mut self, network: Network, slot: Slot) {
        if network.length() == 0 {
            self.everything[network.family() as usize] = Some(slot);
            return;
        }
        let at = self.make(network);
        let node = self.nodes.items[at];
        let bit = prefix_bit(network.key(), node.depth, network.length());
        if let Some(place) = node.slot(bit) {
            self.slots.items[place] = slot;
            return;
        }
        let size = node.prefixes.count_ones() as usize;
        let slots = self.slots.insert(node.slots, size, node.place(bit), slot);
        let node = &mut self.nodes.items[at];
        (node.slots, node.prefixes) = (slots, node.prefixes | 1 << bit);
    }

    /// The node for a prefix, made where it is missing.
    fn make(&mut self, network: Network) -> usize {
        let (key, length) = (network.key(), network.length());
        let mut at = network.family() as usize;
        loop {
            let node = self.nodes.items[at];
            if length <= node.depth + STRIDE {
                return at;
            }
            let chunk = chunk(key, node.depth);
            at = match node.child(chunk) {
                Some(child) => self.pass(child, key, length),
                None => self.add_child(at, chunk, Node::new(key, (length - 1) & !(STRIDE - 1))),
            };
        }
    }

    fn add_child(&mut self, at: usize, chunk: u32, child: Node) -> usize {
        let node = self.nodes.items[at];
        let size = node.branches.count_ones() as usize;
        let children = self
            .nodes
            .insert(node.children, size, node.branch(chunk), child);
        let node = &mut self.nodes.items[at];
        (node.children, node.branches) = (children, node.branches | 1 << chunk);
        children as usize + node.branch(chunk)
    }

    /// Sees to it that the node at `at` is on the way to a prefix: where it is not, one before it that is takes its
    /// place.
    fn pass(&mut self, at: usize, key: u128, length: u8) -> usize {
        let child = self.nodes.items[at];
        let common = ((key ^ child.key).leading_zeros() as u8)
            .min(child.depth)
            .min(length - 1)
            & !(STRIDE - 1);
        if common < child.depth {
            let mut node = Node::new(key, common);
            node.branches = 1 << chunk(child.key, common);
            node.children = self.nodes.allocate(1, child);
            self.nodes.items[at] = node;
        }
        at
    }

    /// Removes a prefix that is there, and the nodes that only led to it.
    pub fn remove(&mut self, network: Network) {
        if network.length() == 0 {
            self.everything[network.family() as usize] = None;
            return;
        }
        let (mut path, mut length) = ([0; DEEPEST], 0);
        let found = self.find(network, |node| {
            path[length] = node;
            length += 1;
        });
        if let Some((at, bit)) = found {
            self.remove_slot(at, bit);
            self.prune(at, &path[..length], network.key());
        }
    }

    fn remove_slot(&mut self, at: usize, bit: u32) {
        let node = self.nodes.items[at];
        if node.slot(bit).is_some() {
            let size = node.prefixes.count_ones() as usize;
            let slots = self.slots.remove(node.slots, size, node.place(bit));
            let node = &mut self.nodes.items[at];
            (node.slots, node.prefixes) = (slots, node.prefixes & !(1 << bit));
        }
    }

    /// Removes the node at `at`, which `path` leads to, if it has become useless, and then the last of the path.
    fn prune(&mut self, mut at: usize, path: &[usize], key: u128) {
        for parent in path.iter().rev() {
            let node = self.nodes.items[at];
            if node.prefixes != 0 || node.branches.count_ones() > 1 {
                return;
            }
            if node.branches != 0 {
                // The only child takes its place.
                self.nodes.items[at] = self.nodes.items[node.children as usize];
                self.nodes.release(node.children, 1);
                return;
            }
            self.remove_child(*parent, key);
            at = *parent;
        }
    }

    fn remove_child(&mut self, at: usize, key: u128) {
        let node = self.nodes.items[at];
        let chunk = chunk(key, node.depth);
        let size = node.branches.count_ones() as usize;
        let children = self.nodes.remove(node.children, size, node.branch(chunk));
        let node = &mut self.nodes.items[at];
        (node.children, node.branches) = (children, node.branches & !(1 << chunk));
    }

    pub fn memory(&self) -> usize {
        self.nodes.memory() + self.slots.memory()
    }

    #[cfg(test)]
    pub fn nodes_in_use(&self) -> usize {
        self.nodes.in_use()
    }

    #[cfg(test)]
    pub fn slots_in_use(&self) -> usize {
        self.slots.in_use()
    }
}
