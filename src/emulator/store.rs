//! Buckets and objects: bytes in files, everything else in memory.
//!
//! A file's name is a number, so that no key ever meets the file system. An object is a list of
//! stretches of files: a copy, an append and the completion of a multipart upload share files
//! instead of copying bytes. A file goes when nothing refers to it any more.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use md5::{Digest as _, Md5};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::{CosError, acl::Acl, crc64, errors::internal};
use crate::clock::Timestamp;

/// Bytes read from a file at a time.
const PIECE: usize = 128 * 1024;

/// All buckets, and the folder their bytes are in.
#[derive(Debug)]
pub(crate) struct Store {
    folder: Folder,
    next_file: AtomicU64,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

#[derive(Debug)]
enum Folder {
    Temporary(tempfile::TempDir),
    Given(PathBuf),
}

/// A bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) region: String,
    pub(crate) created_at: Timestamp,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    /// By key, then by upload id: the order of a listing.
    pub(crate) uploads: BTreeMap<(String, String), Upload>,
    pub(crate) acl: Acl,
    pub(crate) tags: Tags,
}

/// Tags, in the order given.
pub(crate) type Tags = Vec<(String, String)>;

/// An object as it is visible to readers: never changed in place while somebody reads it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) content: Content,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified_at: Timestamp,
    pub(crate) metadata: Metadata,
    pub(crate) acl: Acl,
    pub(crate) tags: Tags,
    /// The hash so far, if it was made by appending.
    pub(crate) appending: Option<Md5>,
}

/// The headers that are stored with an object and come back with it.
pub(crate) type Metadata = Vec<(String, Vec<u8>)>;

/// A multipart upload in progress.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) initiated_at: Timestamp,
    pub(crate) metadata: Metadata,
    pub(crate) acl: Acl,
    pub(crate) tags: Tags,
    pub(crate) initiator: String,
    pub(crate) parts: BTreeMap<u64, Part>,
}

/// An uploaded part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) content: Content,
    pub(crate) md5: [u8; 16],
    pub(crate) modified_at: Timestamp,
}

/// Bytes, as stretches of files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    stretches: Vec<Stretch>,
    /// In bytes.
    pub(crate) size: u64,
    /// CRC-64/XZ of the whole: `x-cos-hash-crc64ecma`.
    pub(crate) crc: u64,
}

#[derive(Clone, Debug)]
struct Stretch {
    file: Arc<Blob>,
    offset: u64,
    length: u64,
}

/// A file that goes with its last user.
#[derive(Debug)]
struct Blob {
    path: PathBuf,
}

impl Drop for Blob {
    fn drop(&mut self) {
        // At worst a file stays in a folder that goes with the emulator.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Store {
    /// An empty store in `folder`, or in a temporary folder that goes with it.
    pub(crate) fn new(folder: Option<&Path>) -> io::Result<Self> {
        let folder = match folder {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                Folder::Given(path.to_owned())
            }
            None => Folder::Temporary(tempfile::Builder::new().prefix("cos-emulator-").tempdir()?),
        };
        Ok(Self { folder, next_file: AtomicU64::new(1), buckets: Mutex::default() })
    }

    /// Runs `change` on all buckets; nothing is awaited under the lock.
    pub(crate) fn with_buckets<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Bucket>) -> T,
    ) -> T {
        change(&mut self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `change` on one bucket.
    ///
    /// # Errors
    /// 404 `NoSuchBucket`, or what `change` says.
    pub(crate) fn with_bucket<T>(
        &self,
        bucket: &str,
        change: impl FnOnce(&mut Bucket) -> Result<T, CosError>,
    ) -> Result<T, CosError> {
        self.with_buckets(|buckets| change(buckets.get_mut(bucket).ok_or_else(no_such_bucket)?))
    }

    /// The object under a key.
    ///
    /// # Errors
    /// 404 `NoSuchBucket` or `NoSuchKey`.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Result<Arc<Object>, CosError> {
        self.with_bucket(bucket, |bucket| bucket.object(key))
    }

    /// Begins a new file. What is written is nobody's until the caller puts it into an object; if
    /// the writer is dropped, the file goes.
    ///
    /// # Errors
    /// 500 `InternalError` if the file cannot be made.
    pub(crate) async fn writer(&self) -> Result<Writer, CosError> {
        let folder = match &self.folder {
            Folder::Temporary(folder) => folder.path(),
            Folder::Given(path) => path,
        };
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{number:016x}"));
        let file = File::create(&path).await.map_err(|error| internal(&error))?;
        let blob = Blob { path };
        Ok(Writer { file, blob, md5: Md5::new(), crc: crc64::Digest::new(), size: 0 })
    }
}

impl Bucket {
    /// An empty private bucket.
    pub(crate) fn new(region: &str, created_at: Timestamp) -> Self {
        Self {
            region: region.to_owned(),
            created_at,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            acl: Acl::default(),
            tags: Tags::new(),
        }
    }

    /// The object under a key.
    ///
    /// # Errors
    /// 404 `NoSuchKey`.
    pub(crate) fn object(&self, key: &str) -> Result<Arc<Object>, CosError> {
        self.objects.get(key).cloned().ok_or_else(no_such_key)
    }

    /// The object under a key, to change its tags or access list. Who reads it keeps the old one.
    ///
    /// # Errors
    /// 404 `NoSuchKey`.
    pub(crate) fn object_mut(&mut self, key: &str) -> Result<&mut Object, CosError> {
        self.objects.get_mut(key).map(Arc::make_mut).ok_or_else(no_such_key)
    }
}

/// A file being written and hashed.
pub(crate) struct Writer {
    file: File,
    blob: Blob,
    md5: Md5,
    crc: crc64::Digest,
    size: u64,
}

/// What a finished writer leaves.
pub(crate) struct Written {
    pub(crate) content: Content,
    pub(crate) md5: [u8; 16],
}

impl Writer {
    /// Adds bytes.
    ///
    /// # Errors
    /// 500 `InternalError`, for example when the disk is full.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), CosError> {
        self.md5.update(bytes);
        self.crc.write(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).await.map_err(|error| internal(&error))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// 500 `InternalError`, for example when the disk is full.
    pub(crate) async fn finish(mut self) -> Result<Written, CosError> {
        self.file.flush().await.map_err(|error| internal(&error))?;
        let stretch = Stretch { file: Arc::new(self.blob), offset: 0, length: self.size };
        let stretches = if self.size == 0 { Vec::new() } else { vec![stretch] };
        let content = Content { stretches, size: self.size, crc: self.crc.sum64() };
        Ok(Written { content, md5: self.md5.finalize().into() })
    }
}

impl Content {
    /// Adds the bytes of `next` behind these.
    pub(crate) fn append(&mut self, next: &Self) {
        self.stretches.extend_from_slice(&next.stretches);
        self.crc = crc64::combine(self.crc, next.crc, next.size);
        self.size += next.size;
    }

    /// Reads `length` bytes from `start` on. Both must lie inside.
    pub(crate) fn read(&self, start: u64, length: u64) -> Reader {
        let mut skip = start;
        let mut left = length;
        let mut stretches = Vec::new();
        for stretch in &self.stretches {
            let skipped = skip.min(stretch.length);
            let taken = left.min(stretch.length - skipped);
            skip -= skipped;
            left -= taken;
            if taken > 0 {
                let offset = stretch.offset + skipped;
                stretches.push(Stretch { file: stretch.file.clone(), offset, length: taken });
            }
        }
        stretches.reverse();
        Reader { stretches, open: None, left: length - left }
    }
}

/// Reads stretches of files one after the other.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Last first.
    stretches: Vec<Stretch>,
    /// The current file with the bytes still to be read from it.
    open: Option<(File, Arc<Blob>, u64)>,
    /// Bytes still to come.
    pub(crate) left: u64,
}

impl Reader {
    /// Fills `buffer` with the next piece, at most 128 KiB; leaves it empty at the end.
    pub(crate) async fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        if self.open.as_ref().is_none_or(|(_, _, left)| *left == 0) {
            let Some(stretch) = self.stretches.pop() else { return Ok(()) };
            let mut file = File::open(&stretch.file.path).await?;
            file.set_max_buf_size(PIECE);
            if stretch.offset > 0 {
                file.seek(io::SeekFrom::Start(stretch.offset)).await?;
            }
            self.open = Some((file, stretch.file, stretch.length));
        }
        let Some((file, _, left)) = &mut self.open else { return Ok(()) };
        let most = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
        buffer.reserve_exact(most);
        let count = file.take(most as u64).read_buf(buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= count as u64;
        self.left -= count as u64;
        Ok(())
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// 404 `NoSuchBucket`.
pub(crate) fn no_such_bucket() -> CosError {
    CosError::new(404, "NoSuchBucket", "The specified bucket does not exist.")
}

fn no_such_key() -> CosError {
    CosError::new(404, "NoSuchKey", "The specified key does not exist.")
}
