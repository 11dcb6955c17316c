//! Notices when the content of files changes.
//!
//! By reading them once a second, not by inotify: a read is microseconds for a file of this size,
//! needs no thread and no queue that can overflow, and sees what inotify misses or tells wrongly:
//! writes of another host on NFS, changes below an overlay or a bind mount, Kubernetes' swap of
//! the `..data` link two folders up, a file that appears where no folder was. Nor are size, inode
//! and modification time compared instead: a rewrite within one tick of the clock keeps all three.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::small_files::{Files, Read};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Content counts once it has stood still for this long: somebody may be writing.
pub(super) const SETTLED_AFTER: Duration = Duration::from_millis(100);
/// A file that never stands still is looked at all the same.
const LOOKS_AT_A_MOVING_FILE: u32 = 10;

/// Files, and what was last seen in them.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    fingerprints: RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: Option<u64>,
    next_look_at: Instant,
}

impl Watch {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let state = State { seen: None, next_look_at: Instant::now() };
        Self {
            files: Files::new(paths),
            fingerprints: RandomState::new(),
            state: Mutex::new(state),
        }
    }

    /// Reads the files; what they hold now is no change any more.
    pub(super) async fn read(&self) -> Vec<Read> {
        let contents = self.files.read().await;
        self.state().seen = Some(self.fingerprint(&contents));
        contents
    }

    /// Completes when the files hold something else than what was read last. Cancel-safe.
    pub(super) async fn changed(&self) {
        loop {
            let look_at = self.state().next_look_at;
            tokio::time::sleep_until(look_at).await;
            self.state().next_look_at = Instant::now() + LOOK_EVERY;
            let mut found = self.look().await;
            if self.state().seen == Some(found) {
                continue;
            }
            for _ in 0..LOOKS_AT_A_MOVING_FILE {
                tokio::time::sleep(SETTLED_AFTER).await;
                let again = self.look().await;
                if again == found {
                    break;
                }
                found = again;
            }
            let mut state = self.state();
            if state.seen != Some(found) {
                // Told once, whatever comes of it.
                state.seen = Some(found);
                return;
            }
        }
    }

    async fn look(&self) -> u64 {
        self.fingerprint(&self.files.read().await)
    }

    fn fingerprint(&self, contents: &[Read]) -> u64 {
        let mut hasher = self.fingerprints.build_hasher();
        for content in contents {
            match content {
                Ok(content) => {
                    hasher.write_u8(1);
                    hasher.write_usize(content.bytes.len());
                    hasher.write(&content.bytes);
                }
                Err(_) => hasher.write_u8(0),
            }
        }
        hasher.finish()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stand {
        folder: tempfile::TempDir,
        watch: Watch,
    }

    impl Stand {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let watch = Watch::new(vec![folder.path().join("key")]);
            Self { folder, watch }
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.path().join("key"), text).unwrap();
        }

        async fn changes_within(&self, patience: Duration) -> bool {
            tokio::time::timeout(patience, self.watch.changed()).await.is_ok()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_once_and_standing_still_is_not() {
        let stand = Stand::new();
        stand.write("one");
        stand.watch.read().await;
        assert!(!stand.changes_within(Duration::from_secs(30)).await);
        stand.write("two");
        assert!(stand.changes_within(Duration::from_secs(3)).await);
        assert!(!stand.changes_within(Duration::from_secs(30)).await);
        stand.write("two");
        assert!(!stand.changes_within(Duration::from_secs(30)).await, "written, not changed");
        std::fs::remove_file(stand.folder.path().join("key")).unwrap();
        assert!(stand.changes_within(Duration::from_secs(3)).await, "gone is a change");
        stand.write("two");
        assert!(stand.changes_within(Duration::from_secs(3)).await, "back is a change");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_asks_again_and_again_is_not_kept_from_the_answer() {
        let stand = Stand::new();
        stand.write("one");
        stand.watch.read().await;
        stand.write("two");
        let mut noticed = false;
        for _ in 0..40 {
            noticed |= stand.changes_within(Duration::from_millis(150)).await;
        }
        assert!(noticed);
    }
}
