//! Who does pieces of work that do not depend on each other.
//!
//! Model layer: it has no threads of its own, so whoever has some lends them.

/// Makes values, perhaps several at a time. What comes out never depends on who made what.
pub trait Workers: Sync {
    /// What `make` gives for every index below `count`, in the order of the indexes.
    fn map<T: Send>(&self, count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T>;
}

/// One value after the other.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Workers for Alone {
    fn map<T: Send>(&self, count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
        (0..count).map(make).collect()
    }
}
