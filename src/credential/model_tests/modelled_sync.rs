//! The primitives of `sync` as a model checker sees them: what they promise, and no more.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex as Untracked},
    task::{Poll, Waker},
};

use loom::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// In the place of an `ArcSwap`, and weaker than it: release and acquire, no order with other slots.
/// A load may give an older value wherever the memory model allows that.
#[derive(Debug)]
pub(in super::super) struct Slot<V> {
    newest: AtomicUsize,
    /// All values that were ever stored; the checker decides which of them a load gives.
    values: Untracked<Vec<V>>,
    /// The checker tries another order of two accesses only if nothing read between them. Each
    /// access therefore also takes a turn, which orders nothing.
    turns: AtomicUsize,
}

impl<V: Clone> Slot<V> {
    pub(in super::super) fn new(value: V) -> Self {
        Self {
            newest: AtomicUsize::new(0),
            values: Untracked::new(vec![value]),
            turns: AtomicUsize::new(0),
        }
    }

    pub(in super::super) fn load(&self) -> V {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let number = self.newest.load(Ordering::Acquire);
        self.values.lock().unwrap()[number].clone()
    }

    pub(in super::super) fn store(&self, value: V) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let number = {
            let mut values = self.values.lock().unwrap();
            values.push(value);
            values.len() - 1
        };
        self.newest.store(number, Ordering::Release);
    }

    pub(in super::super) fn change(&self, change: impl FnOnce(&V) -> V) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let number = self.values.lock().unwrap().len();
        let before = self.newest.swap(number, Ordering::AcqRel);
        // The checker stops threads only at its own primitives: nobody looks before this is done.
        let mut values = self.values.lock().unwrap();
        let value = change(&values[before]);
        values.push(value);
    }
}

/// In the place of a `watch` channel whose sender lives on.
#[derive(Debug)]
pub(in super::super) struct Watched<T>(Arc<Mutex<Changes<T>>>);

#[derive(Debug)]
struct Changes<T> {
    value: T,
    count: u32,
    asleep: Vec<Waker>,
}

pub(in super::super) struct Watcher<T> {
    changes: Arc<Mutex<Changes<T>>>,
    seen: u32,
}

impl<T: Clone> Watched<T> {
    pub(in super::super) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Changes { value, count: 0, asleep: Vec::new() })))
    }

    /// Tells the watchers if `change` says so.
    pub(in super::super) fn change(&self, change: impl FnOnce(&mut T) -> bool) {
        let asleep = {
            let mut changes = self.0.lock().unwrap();
            if !change(&mut changes.value) {
                return;
            }
            changes.count += 1;
            mem::take(&mut changes.asleep)
        };
        asleep.into_iter().for_each(Waker::wake);
    }

    pub(in super::super) fn value(&self) -> T {
        self.0.lock().unwrap().value.clone()
    }

    pub(in super::super) fn watch(&self) -> Watcher<T> {
        let seen = self.0.lock().unwrap().count;
        Watcher { changes: Arc::clone(&self.0), seen }
    }
}

impl<T: Clone> Watcher<T> {
    pub(in super::super) fn look(&mut self) -> T {
        let changes = self.changes.lock().unwrap();
        self.seen = changes.count;
        changes.value.clone()
    }

    pub(in super::super) async fn changed(&mut self) {
        poll_fn(|context| {
            let mut changes = self.changes.lock().unwrap();
            if changes.count == self.seen {
                changes.asleep.push(context.waker().clone());
                return Poll::Pending;
            }
            self.seen = changes.count;
            Poll::Ready(())
        })
        .await;
    }
}

/// In the place of a `Notify` that one task waits for. A ring that nobody heard is kept; several are
/// one.
#[derive(Debug)]
pub(in super::super) struct Bell(Mutex<Rings>);

#[derive(Debug)]
struct Rings {
    kept: bool,
    asleep: Option<Waker>,
}

impl Bell {
    pub(in super::super) fn new() -> Self {
        Self(Mutex::new(Rings { kept: false, asleep: None }))
    }

    pub(in super::super) fn ring(&self) {
        let asleep = {
            let mut rings = self.0.lock().unwrap();
            rings.kept = true;
            rings.asleep.take()
        };
        if let Some(waker) = asleep {
            waker.wake();
        }
    }

    pub(in super::super) async fn rung(&self) {
        poll_fn(|context| {
            let mut rings = self.0.lock().unwrap();
            if mem::take(&mut rings.kept) {
                return Poll::Ready(());
            }
            rings.asleep = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
