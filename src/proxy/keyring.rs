//! Derived sign keys, kept per key and window: one derivation a minute instead of one a request.

use std::sync::{Arc, Weak};

use crate::{
    credential::Credential,
    sign::cos::{SigningKey, Window},
};

/// Two live keys (current and previous) at the edge of two windows.
const MOST_KEPT: usize = 4;

/// The last few derived keys.
#[derive(Default)]
pub(super) struct Keyring {
    kept: Vec<Derived>,
}

/// The key is held weakly, so that a swap can wipe it; while a `Weak` lives, no other key can have
/// its address.
struct Derived {
    of: Weak<Credential>,
    key: SigningKey,
}

impl Keyring {
    /// The sign key of `credential` for `window`.
    pub(super) fn key(&mut self, credential: &Arc<Credential>, window: Window) -> &SigningKey {
        let same = |d: &Derived| {
            d.key.window() == window && std::ptr::eq(d.of.as_ptr(), Arc::as_ptr(credential))
        };
        let at = match self.kept.iter().position(same) {
            Some(at) => at,
            None => {
                self.kept.retain(|d| d.of.strong_count() > 0);
                if self.kept.len() >= MOST_KEPT {
                    self.kept.remove(0);
                }
                let key = SigningKey::derive(&credential.secret, window);
                self.kept.push(Derived { of: Arc::downgrade(credential), key });
                self.kept.len() - 1
            }
        };
        &self.kept[at].key
    }
}
