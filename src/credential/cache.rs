//! Keeps the current key in a file over a restart, if it is asked to.
//!
//! The file is only as good as its place: mode 0600, best on a tmpfs. It is never needed: whatever
//! is wrong with it is told, and a key is fetched.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    clock::Timestamp,
    secret::{SecretId, SecretKey, SessionToken},
};

use super::{
    Credential, KeySetSettings,
    reveal::{reveal, to_json},
    source_identity::identity,
};

/// A key and its surroundings fit many times.
const LARGEST: u64 = 64 * 1024;
/// A key with less than this share of its life left is not worth beginning with.
const LEAST_REST: f64 = 0.2;
/// A disk that hangs must not hold up a key.
const PATIENCE: Duration = Duration::from_secs(2);

/// One key set's file.
#[derive(Debug, Clone)]
pub(super) struct KeyCache {
    path: PathBuf,
    /// Of the source: a key of another one is not used.
    identity: String,
}

/// Why a kept key is not used, or a key not kept.
#[derive(Debug, thiserror::Error)]
enum CacheFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is a symbolic link")]
    Link,
    #[error("it is not a file")]
    NotFile,
    #[error("it belongs to another user")]
    Owner,
    #[error("others than its owner may use it (mode {mode:03o}): it must be 600")]
    Mode { mode: u32 },
    #[error("it is damaged")]
    Damaged,
    #[error("it took longer than {PATIENCE:?}")]
    TooSlow,
}

/// What stands in the file.
#[derive(Serialize)]
struct Kept<'a> {
    version: u32,
    identity: &'a str,
    secret_id: &'a str,
    secret_key: &'a str,
    token: Option<&'a str>,
    received_at_millis: u64,
    expires_at_millis: u64,
}

#[derive(Deserialize)]
struct ReadBack {
    version: u32,
    identity: String,
    secret_id: String,
    secret_key: String,
    token: Option<String>,
    received_at_millis: u64,
    expires_at_millis: u64,
}

impl Drop for ReadBack {
    fn drop(&mut self) {
        self.secret_key.zeroize();
        self.token.zeroize();
    }
}

const VERSION: u32 = 1;

impl KeyCache {
    /// The cache of a key set, if it has one.
    pub(super) fn of(settings: &KeySetSettings) -> Option<Self> {
        let path = settings.cache_file.clone()?;
        Some(Self { path, identity: identity(settings) })
    }

    /// The key that was kept, if it is of this source and has enough life left.
    pub(super) async fn load(&self, now: Timestamp) -> Option<Credential> {
        let path = self.path.clone();
        let read = bounded(move || read(&path)).await;
        let kept = match read {
            Ok(Some(kept)) => kept,
            Ok(None) => return None,
            Err(fault) => {
                tracing::warn!(
                    target: "cos_auth_proxy::keys",
                    cache_file = %self.path.display(), %fault,
                    "the kept key is not used; one is fetched"
                );
                return None;
            }
        };
        let not_used = |why: &str| {
            tracing::info!(
                target: "cos_auth_proxy::keys", cache_file = %self.path.display(), why,
                "the kept key is not used; one is fetched"
            );
        };
        if kept.identity != self.identity {
            not_used("it came from another source, or the source's settings have changed");
            return None;
        }
        let received_at = Timestamp::from_unix_millis(kept.received_at_millis);
        let expires_at = Timestamp::from_unix_millis(kept.expires_at_millis);
        if expires_at.since(now) < expires_at.since(received_at).mul_f64(LEAST_REST) {
            not_used("too little of its life is left");
            return None;
        }
        let key = kept.key(expires_at, now);
        if key.is_none() {
            not_used("it is damaged");
        }
        key
    }

    /// Keeps `key`. One without a known end is not kept: nobody could say whether it still lives.
    pub(super) async fn keep(&self, key: Arc<Credential>) {
        let Some(expires_at) = key.expires_at else { return };
        let cache = self.clone();
        let written = bounded(move || cache.write(&key, expires_at)).await;
        if let Err(fault) = written {
            tracing::warn!(
                target: "cos_auth_proxy::keys", cache_file = %self.path.display(), %fault,
                "the key cannot be kept over a restart"
            );
        }
    }

    fn write(&self, key: &Credential, expires_at: Timestamp) -> Result<(), CacheFault> {
        let open = reveal(key);
        let text = to_json(&Kept {
            version: VERSION,
            identity: &self.identity,
            secret_id: open.secret_id,
            secret_key: open.secret_key,
            token: open.token,
            received_at_millis: open.received_at.unix_millis(),
            expires_at_millis: expires_at.unix_millis(),
        });
        let text = text.map_err(io::Error::from)?;
        let beside = self.beside();
        let written = create(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            // Whatever stood there is replaced, a link too; nobody sees half of it.
            .and_then(|()| std::fs::rename(&beside, &self.path));
        if written.is_err() {
            let (Ok(()) | Err(_)) = std::fs::remove_file(&beside);
        }
        Ok(written?)
    }

    /// In the same folder, so that the name can be moved.
    fn beside(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
    }
}

impl ReadBack {
    fn key(&self, expires_at: Timestamp, now: Timestamp) -> Option<Credential> {
        Some(Credential {
            id: SecretId::new(&self.secret_id).ok()?,
            secret: SecretKey::new(&self.secret_key).ok()?,
            token: self.token.as_deref().map(SessionToken::new).transpose().ok()?,
            expires_at: Some(expires_at),
            // Its refresh is planned within the life it has left.
            received_at: now,
        })
    }
}

/// What to know about a place for a kept key.
pub(super) fn warning(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    (!is_in_memory(folder)).then(|| {
        format!(
            "cache_file {} is not on a tmpfs: the key will stand on a disk; /run is one",
            path.display()
        )
    })
}

#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    // The field's type differs from one architecture to the next.
    let kind = rustix::fs::statfs(folder).ok().and_then(|about| u64::try_from(about.f_type).ok());
    kind.is_some_and(|kind| kind == TMPFS || kind == RAMFS)
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_folder: &Path) -> bool {
    false
}

async fn bounded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheFault> + Send + 'static,
) -> Result<T, CacheFault> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_panicked)) => Err(CacheFault::Damaged),
        Err(_elapsed) => Err(CacheFault::TooSlow),
    }
}

/// `None` if there is no file.
fn read(path: &Path) -> Result<Option<ReadBack>, CacheFault> {
    // Never through a link, and never waiting for the writer of a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::MLINK) => return Err(CacheFault::Link),
        Err(fault) => return Err(io::Error::from(fault).into()),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(CacheFault::NotFile);
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Err(CacheFault::Owner);
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CacheFault::Mode { mode });
    }
    // Its full size from the start: a growing buffer would leave copies of the key behind.
    let size = usize::try_from(about.len().min(LARGEST)).map_err(|_large| CacheFault::Damaged)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(LARGEST).read_to_end(&mut bytes)?;
    let kept: ReadBack =
        serde_json::from_slice(&bytes).map_err(|_would_repeat_it| CacheFault::Damaged)?;
    if kept.version != VERSION {
        return Err(CacheFault::Damaged);
    }
    Ok(Some(kept))
}

/// A new file that only its owner may read.
fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR);
    let file = match open() {
        // Of a process with our number that was killed while it wrote.
        Err(Errno::EXIST) => {
            std::fs::remove_file(path)?;
            open()
        }
        opened => opened,
    };
    Ok(File::from(file?))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
