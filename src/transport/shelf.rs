//! Things kept for reuse, as many as were needed lately.

use std::cell::{Cell, RefCell};

/// What one data thread keeps of one kind of thing. The last one put back is the first taken
/// again: it is still in the processor's cache, and what lies below was not needed.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    kept: RefCell<Vec<T>>,
    /// As many at the bottom were not needed since the last sweep.
    unneeded: Cell<usize>,
    most: usize,
}

impl<T> Shelf<T> {
    /// For at most so many things.
    pub(super) const fn new(most: usize) -> Self {
        Self { kept: RefCell::new(Vec::new()), unneeded: Cell::new(0), most }
    }

    pub(super) fn take(&self) -> Option<T> {
        let mut kept = self.kept.borrow_mut();
        let taken = kept.pop();
        self.unneeded.set(self.unneeded.get().min(kept.len()));
        taken
    }

    /// Gives the thing back where there is no room for it.
    pub(super) fn put(&self, thing: T) -> Option<T> {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= self.most {
            return Some(thing);
        }
        kept.push(thing);
        None
    }

    /// Lets go of what was not needed since the last sweep.
    pub(super) fn sweep(&self, let_go: impl FnMut(T)) {
        let mut kept = self.kept.borrow_mut();
        kept.drain(..self.unneeded.get()).for_each(let_go);
        self.unneeded.set(kept.len());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_needed_stays_and_the_rest_goes() {
        let shelf = Shelf::new(4);
        for n in 0..5 {
            assert_eq!(shelf.put(n), (n == 4).then_some(4), "the fifth has no room");
        }
        let gone = |shelf: &Shelf<i32>| {
            let mut gone = Vec::new();
            shelf.sweep(|n| gone.push(n));
            gone
        };
        assert!(gone(&shelf).is_empty(), "it was filled since the last sweep");
        let taken = (shelf.take().unwrap(), shelf.take().unwrap());
        assert_eq!(taken, (3, 2));
        shelf.put(taken.1);
        shelf.put(taken.0);
        assert_eq!(gone(&shelf), [0, 1]);
        assert_eq!(gone(&shelf), [2, 3]);
        assert_eq!(shelf.take(), None);
    }
}
