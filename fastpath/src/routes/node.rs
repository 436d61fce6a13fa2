//! A node of the trie: which prefixes and children it has, in bitmaps, and where those of one are among all.

use super::network::prefix_mask;

/// Bits of a key that a node decides about.
pub const STRIDE: u8 = 4;

#[derive(Clone, Copy)]
pub struct Node {
    /// Bits of the path to this node.
    pub key: u128,
    /// Which prefixes have a slot: those of one bit, two bits, three and four.
    pub prefixes: u32,
    /// Which of the next four bits have a child.
    pub branches: u16,
    /// Bits of the path.
    pub depth: u8,
    pub slots: u32,
    pub children: u32,
}

/// The next four bits of `key`.
#[inline(always)]
pub fn chunk(key: u128, depth: u8) -> u32 {
    // A half of the key is enough, as no four bits lie in both; a shift of all 128 takes several instructions.
    let half = if depth < 64 { key >> 64 } else { key } as u64;
    ((half << (depth & 63)) >> 60) as u32
}

/// The bit of a prefix of `length` bits, 1 to 4 more than `depth`.
#[inline(always)]
pub fn prefix_bit(key: u128, depth: u8, length: u8) -> u32 {
    let more = u32::from(length - depth);
    (1 << more) - 2 + (chunk(key, depth) >> (u32::from(STRIDE) - more))
}

/// The bits of all prefixes that hold these four bits.
#[inline(always)]
pub fn covering(chunk: u32) -> u32 {
    1 << (chunk >> 3) | 1 << (2 + (chunk >> 2)) | 1 << (6 + (chunk >> 1)) | 1 << (14 + chunk)
}

impl Node {
    pub fn new(key: u128, depth: u8) -> Node {
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
    pub fn place(&self, bit: u32) -> usize {
        (self.prefixes & ((1 << bit) - 1)).count_ones() as usize
    }

    /// Where the child for these four bits is among the node's children.
    #[inline(always)]
    pub fn branch(&self, chunk: u32) -> usize {
        (self.branches & ((1 << chunk) - 1)).count_ones() as usize
    }

    #[inline(always)]
    pub fn child(&self, chunk: u32) -> Option<usize> {
        (self.branches & 1 << chunk != 0).then(|| self.children as usize + self.branch(chunk))
    }

    #[inline(always)]
    pub fn slot(&self, bit: u32) -> Option<usize> {
        (self.prefixes & 1 << bit != 0).then(|| self.slots as usize + self.place(bit))
    }

    #[inline(always)]
    pub fn holds(&self, key: u128) -> bool {
        (key ^ self.key).leading_zeros() >= u32::from(self.depth)
    }
}
