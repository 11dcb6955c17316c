//! Reads small files that hold keys, off the runtime's thread: a network share may hang.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// Larger than any key; a path to something else must not fill the memory.
const LARGEST: usize = 64 * 1024;

/// What stands in a file.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// By the clock of the machine that keeps the file.
    pub(super) written_at: Timestamp,
}

/// A file's content, or why there is none.
pub(super) type Read = Result<Content, String>;

/// Files that are read together, again and again.
#[derive(Debug)]
pub(super) struct Files {
    paths: Arc<[PathBuf]>,
    /// A read that hangs keeps its thread. It must not be joined by others.
    one_at_a_time: Arc<Semaphore>,
}

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths: paths.into(), one_at_a_time: Arc::new(Semaphore::new(1)) }
    }

    /// All of them, in their order. Cancel-safe.
    pub(super) async fn read(&self) -> Vec<Read> {
        let failed = |fault: &str| self.paths.iter().map(|_| Err(fault.to_owned())).collect();
        let Ok(turn) = Arc::clone(&self.one_at_a_time).acquire_owned().await else {
            return failed("the process is ending");
        };
        let paths = Arc::clone(&self.paths);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            paths.iter().map(|path| read(path)).collect()
        });
        reading.await.unwrap_or_else(|_cancelled| failed("the process is ending"))
    }
}

/// One file, at once.
///
/// # Errors
/// What the system said, or that it is no small file.
pub(super) fn read(path: &Path) -> Read {
    let told = |fault: io::Error| fault.kind().to_string();
    // Before it is opened: opening a pipe waits for its writer.
    if !std::fs::metadata(path).map_err(told)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut file = File::open(path).map_err(told)?;
    let written = file.metadata().and_then(|about| about.modified()).map_err(told)?;
    // Its full size from the start: a growing buffer would leave copies of keys behind.
    let mut bytes = Zeroizing::new(vec![0; LARGEST + 1]);
    let mut length = 0;
    loop {
        match file.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(told(fault)),
        }
    }
    if length > LARGEST {
        return Err("it is larger than 64 KiB".to_owned());
    }
    bytes.truncate(length);
    let since_epoch = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    Ok(Content { bytes, written_at: Timestamp::from_unix_millis(millis) })
}
