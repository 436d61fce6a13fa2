//! Small arrays in one arena: a node's children, or its slots, side by side.

/// Longest array.
const MOST: usize = 30;

/// Room for `more`, by a quarter of what there is instead of all of it again.
pub fn grow<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        items.reserve_exact(more.max(items.len() / 4).max(64));
    }
}

/// Arrays of up to 30 elements each, known by where they begin. What one leaves is reused for another of its size.
pub struct Blocks<T> {
    pub items: Vec<T>,
    /// Beginnings of what is unused, by size.
    free: [Vec<u32>; MOST + 1],
}

impl<T: Copy> Blocks<T> {
    pub fn new() -> Blocks<T> {
        Blocks {
            items: Vec::new(),
            free: [const { Vec::new() }; MOST + 1],
        }
    }

    /// Where a new array of this size begins, its elements copies of `filler`.
    pub fn allocate(&mut self, size: usize, filler: T) -> u32 {
        if let Some(start) = self.free[size].pop() {
            self.items[start as usize..][..size].fill(filler);
            return start;
        }
        let start = self.items.len();
        grow(&mut self.items, size);
        self.items.resize(start + size, filler);
        start as u32
    }

    pub fn release(&mut self, start: u32, size: usize) {
        if size > 0 {
            self.free[size].push(start);
        }
    }

    /// Inserts `item` at `place` of an array, which moves: where it begins then.
    pub fn insert(&mut self, start: u32, size: usize, place: usize, item: T) -> u32 {
        let new = self.allocate(size + 1, item);
        let (from, to) = (start as usize, new as usize);
        self.items.copy_within(from..from + place, to);
        self.items
            .copy_within(from + place..from + size, to + place + 1);
        self.release(start, size);
        new
    }

    /// Removes the item at `place` of an array, which moves: where it begins then.
    pub fn remove(&mut self, start: u32, size: usize, place: usize) -> u32 {
        let filler = self.items[start as usize];
        let new = if size == 1 {
            0
        } else {
            self.allocate(size - 1, filler)
        };
        let (from, to) = (start as usize, new as usize);
        self.items.copy_within(from..from + place, to);
        self.items
            .copy_within(from + place + 1..from + size, to + place);
        self.release(start, size);
        new
    }

    /// Elements of all arrays that are not unused.
    #[cfg(test)]
    pub fn in_use(&self) -> usize {
        let free = self.free.iter().enumerate();
        self.items.len()
            - free
                .map(|(size, starts)| size * starts.len())
                .sum::<usize>()
    }

    pub fn memory(&self) -> usize {
        let free: usize = self
            .free
            .iter()
            .map(|starts| starts.capacity() * size_of::<u32>())
            .sum();
        self.items.capacity() * size_of::<T>() + free
    }
}
