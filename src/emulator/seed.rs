//! Fills the first bucket from a folder.

use std::{io, path::Path, sync::Arc};

use tokio::io::AsyncReadExt as _;

use super::{
    acl::Acl,
    errors::CosError,
    store::{Object, Store, Tags, hex},
};
use crate::clock::Timestamp;

/// Bytes copied at a time.
const PIECE: usize = 256 * 1024;

/// Copies every regular file below `folder` into `bucket`; returns how many. Names that are not
/// UTF-8 are left out, since keys are UTF-8.
///
/// # Errors
/// What the file system says.
pub(crate) async fn plant(
    store: &Store,
    bucket: &str,
    folder: &Path,
    now: Timestamp,
) -> io::Result<usize> {
    let mut count = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let mut entries = tokio::fs::read_dir(&current).await?;
        while let Some(entry) = entries.next_entry().await? {
            let kind = entry.file_type().await?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Some(key) = key(folder, &entry.path())
            {
                let object = read(store, &entry.path(), now).await?;
                store
                    .with_bucket(bucket, |bucket| {
                        bucket.objects.insert(key, Arc::new(object));
                        Ok(())
                    })
                    .map_err(as_io)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn key(folder: &Path, file: &Path) -> Option<String> {
    let parts = file.strip_prefix(folder).ok()?.components();
    let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

async fn read(store: &Store, file: &Path, now: Timestamp) -> io::Result<Object> {
    let mut source = tokio::fs::File::open(file).await?;
    let mut writer = store.writer().await.map_err(as_io)?;
    let mut piece = vec![0; PIECE];
    loop {
        let count = source.read(&mut piece).await?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
        writer.write(read).await.map_err(as_io)?;
    }
    let written = writer.finish().await.map_err(as_io)?;
    Ok(Object {
        content: written.content,
        etag: hex(&written.md5),
        modified_at: now,
        metadata: vec![("Content-Type".to_owned(), b"application/octet-stream".to_vec())],
        acl: Acl::of_bucket(),
        tags: Tags::new(),
        appending: None,
    })
}

fn as_io(error: CosError) -> io::Error {
    io::Error::other(error.message)
}
