//! The primitives of `sync` in a test build: the real ones, except inside a model.

use std::{
    cell::Cell,
    ops::Deref,
    sync::{Arc, atomic::Ordering},
};

#[path = "modelled_sync.rs"]
pub(super) mod modelled;
#[path = "../sync.rs"]
mod real;

thread_local! {
    static IN_A_MODEL: Cell<bool> = const { Cell::new(false) };
}

/// While this lives, what is made on this thread belongs to a model.
pub(super) struct InAModel(());

impl InAModel {
    pub(super) fn begin() -> Self {
        IN_A_MODEL.set(true);
        Self(())
    }
}

impl Drop for InAModel {
    fn drop(&mut self) {
        IN_A_MODEL.set(false);
    }
}

/// One of the two, chosen when it is made.
#[derive(Debug)]
enum Switched<R, M> {
    Real(R),
    Modelled(M),
}

fn made<R, M>(real: impl FnOnce() -> R, modelled: impl FnOnce() -> M) -> Switched<R, M> {
    if IN_A_MODEL.get() { Switched::Modelled(modelled()) } else { Switched::Real(real()) }
}

/// A value that was loaded: in production a guard, here the value.
pub(super) struct Loaded<T>(T);

impl<T> Deref for Loaded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

#[derive(Debug)]
pub(super) struct ArcSwapOption<T>(
    Switched<real::ArcSwapOption<T>, modelled::Slot<Option<Arc<T>>>>,
);

impl<T> ArcSwapOption<T> {
    pub(super) fn empty() -> Self {
        Self(made(real::ArcSwapOption::empty, || modelled::Slot::new(None)))
    }

    pub(super) fn load(&self) -> Loaded<Option<Arc<T>>> {
        Loaded(self.load_full())
    }

    pub(super) fn load_full(&self) -> Option<Arc<T>> {
        match &self.0 {
            Switched::Real(slot) => slot.load_full(),
            Switched::Modelled(slot) => slot.load(),
        }
    }

    pub(super) fn store(&self, value: Option<Arc<T>>) {
        match &self.0 {
            Switched::Real(slot) => slot.store(value),
            Switched::Modelled(slot) => slot.store(value),
        }
    }
}

#[derive(Debug)]
pub(super) struct ArcSwap<T>(Switched<real::ArcSwap<T>, modelled::Slot<Arc<T>>>);

impl<T> ArcSwap<T> {
    pub(super) fn from_pointee(value: T) -> Self {
        let value = Arc::new(value);
        let other = Arc::clone(&value);
        Self(made(|| real::ArcSwap::new(value), || modelled::Slot::new(other)))
    }

    /// Replaces the value by what `change` makes of it, at once.
    pub(super) fn rcu<V: Into<Arc<T>>>(&self, mut change: impl FnMut(&Arc<T>) -> V) {
        match &self.0 {
            Switched::Real(slot) => drop(slot.rcu(change)),
            Switched::Modelled(slot) => slot.change(|value| change(value).into()),
        }
    }

    pub(super) fn load(&self) -> Loaded<Arc<T>> {
        Loaded(match &self.0 {
            Switched::Real(slot) => slot.load_full(),
            Switched::Modelled(slot) => slot.load(),
        })
    }

    pub(super) fn store(&self, value: Arc<T>) {
        match &self.0 {
            Switched::Real(slot) => slot.store(value),
            Switched::Modelled(slot) => slot.store(value),
        }
    }
}

impl<T: Default> Default for ArcSwap<T> {
    fn default() -> Self {
        Self::from_pointee(T::default())
    }
}

#[derive(Debug)]
pub(super) struct AtomicBool(Switched<real::AtomicBool, loom::sync::atomic::AtomicBool>);

impl AtomicBool {
    pub(super) fn new(value: bool) -> Self {
        Self(made(|| real::AtomicBool::new(value), || loom::sync::atomic::AtomicBool::new(value)))
    }

    pub(super) fn store(&self, value: bool, order: Ordering) {
        match &self.0 {
            Switched::Real(flag) => flag.store(value, order),
            // The checker does not know that nothing comes between what a swap reads and what it
            // writes: a store beside swaps might be taken for older than it is.
            Switched::Modelled(flag) => drop(flag.swap(value, order)),
        }
    }

    pub(super) fn swap(&self, value: bool, order: Ordering) -> bool {
        match &self.0 {
            Switched::Real(flag) => flag.swap(value, order),
            Switched::Modelled(flag) => flag.swap(value, order),
        }
    }
}

#[derive(Debug)]
pub(super) struct AtomicU64(Switched<real::AtomicU64, loom::sync::atomic::AtomicU64>);

impl AtomicU64 {
    pub(super) fn new(value: u64) -> Self {
        Self(made(|| real::AtomicU64::new(value), || loom::sync::atomic::AtomicU64::new(value)))
    }

    pub(super) fn load(&self, order: Ordering) -> u64 {
        match &self.0 {
            Switched::Real(number) => number.load(order),
            Switched::Modelled(number) => number.load(order),
        }
    }

    pub(super) fn store(&self, value: u64, order: Ordering) {
        match &self.0 {
            Switched::Real(number) => number.store(value, order),
            Switched::Modelled(number) => number.store(value, order),
        }
    }

    pub(super) fn swap(&self, value: u64, order: Ordering) -> u64 {
        match &self.0 {
            Switched::Real(number) => number.swap(value, order),
            Switched::Modelled(number) => number.swap(value, order),
        }
    }

    pub(super) fn fetch_add(&self, more: u64, order: Ordering) -> u64 {
        match &self.0 {
            Switched::Real(number) => number.fetch_add(more, order),
            Switched::Modelled(number) => number.fetch_add(more, order),
        }
    }
}

#[derive(Debug)]
pub(super) struct Notify(Switched<real::Notify, modelled::Bell>);

impl Notify {
    pub(super) fn new() -> Self {
        Self(made(real::Notify::new, modelled::Bell::new))
    }

    pub(super) fn notify_one(&self) {
        match &self.0 {
            Switched::Real(bell) => bell.notify_one(),
            Switched::Modelled(bell) => bell.ring(),
        }
    }

    pub(super) async fn notified(&self) {
        match &self.0 {
            Switched::Real(bell) => bell.notified().await,
            Switched::Modelled(bell) => bell.rung().await,
        }
    }
}

pub(super) mod watch {
    use std::ops::Deref;

    use super::{Loaded, Switched, made, modelled, real};

    #[derive(Debug)]
    pub(in super::super) struct Sender<T>(Switched<real::watch::Sender<T>, modelled::Watched<T>>);

    pub(in super::super) struct Receiver<T>(
        Switched<real::watch::Receiver<T>, modelled::Watcher<T>>,
    );

    impl<T: Clone> Sender<T> {
        pub(in super::super) fn new(value: T) -> Self {
            let other = value.clone();
            Self(made(|| real::watch::Sender::new(value), || modelled::Watched::new(other)))
        }

        pub(in super::super) fn borrow(&self) -> impl Deref<Target = T> {
            Loaded(match &self.0 {
                Switched::Real(sender) => sender.borrow().clone(),
                Switched::Modelled(watched) => watched.value(),
            })
        }

        pub(in super::super) fn send_modify(&self, change: impl FnOnce(&mut T)) {
            self.send_if_modified(|value| {
                change(value);
                true
            });
        }

        pub(in super::super) fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
            match &self.0 {
                Switched::Real(sender) => drop(sender.send_if_modified(change)),
                Switched::Modelled(watched) => watched.change(change),
            }
        }

        pub(in super::super) fn subscribe(&self) -> Receiver<T> {
            Receiver(match &self.0 {
                Switched::Real(sender) => Switched::Real(sender.subscribe()),
                Switched::Modelled(watched) => Switched::Modelled(watched.watch()),
            })
        }
    }

    impl<T: Clone> Receiver<T> {
        pub(in super::super) fn borrow_and_update(&mut self) -> impl Deref<Target = T> {
            Loaded(match &mut self.0 {
                Switched::Real(receiver) => receiver.borrow_and_update().clone(),
                Switched::Modelled(watcher) => watcher.look(),
            })
        }

        pub(in super::super) async fn changed(
            &mut self,
        ) -> Result<(), tokio::sync::watch::error::RecvError> {
            match &mut self.0 {
                Switched::Real(receiver) => receiver.changed().await,
                Switched::Modelled(watcher) => {
                    watcher.changed().await;
                    Ok(())
                }
            }
        }
    }
}
