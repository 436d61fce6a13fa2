//! A path-compressed trie of four bits a level, its nodes' prefixes and children in bitmaps (after Eatherton, Varghese
//! and Dittia, "Tree bitmap", 2004).
//!
//! A node at depth d, a multiple of four, has the prefixes of d + 1 to d + 4 bits below it, so that the usual lengths
//! end in a node that has other prefixes as well. Levels with one child and no prefix are left out.

use super::blocks::Blocks;
use super::network::{Family, Network, prefix_mask};

const STRIDE: u8 = 4;
/// Nodes from a root to the longest prefix.
const DEEPEST: usize = 128 / STRIDE as usize;

/// What a prefix leads to.
#[derive(Clone, Copy)]
pub struct Slot {
    pub owner: u32,
    /// The caller's.
    pub route: u32,
}

#[derive(Clone, Copy)]
struct Node {
    /// Bits of the path to this node.
    key: u128,
    /// Which prefixes have a slot: those of one bit, two bits, three and four.
    prefixes: u32,
    /// Which of the next four bits have a child.
    branches: u16,
    /// Bits of the path.
    depth: u8,
    slots: u32,
    children: u32,
}

/// The next four bits of `key`.
#[inline(always)]
fn chunk(key: u128, depth: u8) -> u32 {
    // A half of the key is enough, as no four bits lie in both; a shift of all 128 takes several instructions.
    let half = if depth < 64 { key >> 64 } else { key } as u64;
    ((half << (depth & 63)) >> 60) as u32
}

/// The bit of a prefix of `length` bits, 1 to 4 more than `depth`.
#[inline(always)]
fn prefix_bit(key: u128, depth: u8, length: u8) -> u32 {
    let more = u32::from(length - depth);
    (1 << more) - 2 + (chunk(key, depth) >> (u32::from(STRIDE) - more))
}

/// The bits of all prefixes that hold these four bits.
#[inline(always)]
fn covering(chunk: u32) -> u32 {
    1 << (chunk >> 3) | 1 << (2 + (chunk >> 2)) | 1 << (6 + (chunk >> 1)) | 1 << (14 + chunk)
}

impl Node {
    fn new(key: u128, depth: u8) -> Node {
        Node {
            key: key & prefix_mask(depth),
            prefixes: 0,
            branches: 0,
            depth,
            slots: 0,
            children: 0,
        }
    }

    /// Where the slot of this bit is among the node's slots.
    #[inline(always)]
    fn place(&self, bit: u32) -> usize {
        (self.prefixes & ((1 << bit) - 1)).count_ones() as usize
    }

    /// Where the child for these four bits is among the node's children.
    #[inline(always)]
    fn branch(&self, chunk: u32) -> usize {
        (self.branches & ((1 << chunk) - 1)).count_ones() as usize
    }

    #[inline(always)]
    fn child(&self, chunk: u32) -> Option<usize> {
        (self.branches & 1 << chunk != 0).then(|| self.children as usize + self.branch(chunk))
    }

    #[inline(always)]
    fn slot(&self, bit: u32) -> Option<usize> {
        (self.prefixes & 1 << bit != 0).then(|| self.slots as usize + self.place(bit))
    }

    #[inline(always)]
    fn holds(&self, key: u128) -> bool {
        (key ^ self.key).leading_zeros() >= u32::from(self.depth)
    }
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
