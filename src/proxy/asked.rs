//! What a request asks of the routes: its operation, and what it does besides.

use crate::http1::RequestHead;

use super::{
    Method, Operation, copy_source::CopySource, cos_name::CosName, object_key::Key,
    query::Parameters, upstream::Upstream,
};

/// A bucket as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedBucket<'a> {
    pub(super) name: &'a str,
    /// `None` where the host names none: then the bucket's name alone counts.
    pub(super) region: Option<&'a str>,
}

/// Why a host stands for no bucket that routes can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostFault {
    /// A custom domain: its bucket is not told by its name.
    Domain,
    /// A website's name.
    Website,
    /// No bucket at all.
    NoBucket,
}

/// One request, for the routes.
pub(super) struct Asked<'a> {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) bucket: Result<NamedBucket<'a>, HostFault>,
    pub(super) path: &'a [u8],
    pub(super) query: Parameters<'a>,
    /// The whole body, once it is held.
    pub(super) body: Option<&'a [u8]>,
    pub(super) copy: Option<(Result<NamedBucket<'a>, HostFault>, &'a [u8])>,
    pub(super) rename: Option<&'a [u8]>,
    pub(super) symlink: Option<&'a [u8]>,
    pub(super) processes: bool,
}

/// What else must be allowed, with the same key set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Also<'a> {
    /// Data processing on the way in: it writes and reads keys that are not seen here.
    Processing,
    /// An operation on another key.
    Key {
        /// What the key is, for the message.
        role: &'static str,
        operation: Operation,
        /// `None`: the request's own.
        bucket: Option<Result<NamedBucket<'a>, HostFault>>,
        /// Every way in which COS may read it.
        readings: [Key<'a>; 2],
    },
}

/// How far an operation on a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// The key alone.
    Key,
    /// Also what lies below it, as in a folder.
    Below,
}

impl<'a> Asked<'a> {
    pub(super) fn sources(
        mut self,
        head: &RequestHead<'_, 'a>,
        copy: Option<&'a CopySource<'a>>,
        upstream: &'a Upstream,
    ) -> Self {
        self.copy = copy.map(|source| {
            let bucket = match source.bucket() {
                Some(name) => Ok(NamedBucket { name, region: upstream.region() }),
                None => named(source.host(), upstream),
            };
            (bucket, source.path())
        });
        self.rename = head.field("x-cos-rename-source");
        self.symlink = head.field("x-cos-symlink-target");
        self.processes = head.field("pic-operations").is_some();
        self
    }

    /// The key in the path.
    pub(super) fn key(&self) -> Key<'a> {
        Key::Path(without_slash(self.path))
    }

    /// The keys that a list asks for begin so.
    pub(super) fn list_prefix(&self) -> Key<'a> {
        Key::Form(self.query.value("prefix").unwrap_or_default())
    }

    pub(super) fn span(&self) -> Span {
        let folder = self.operation == Operation::DeleteObject && self.query.has("recursive");
        if folder || self.operation == Operation::RenameObject { Span::Below } else { Span::Key }
    }

    /// The keys whose folders are meant too.
    pub(super) fn spanned(&self) -> impl Iterator<Item = Key<'a>> {
        [Some(self.key()), self.rename.map(|key| Key::Path(without_slash(key)))]
            .into_iter()
            .flatten()
    }

    pub(super) fn also(&self) -> impl Iterator<Item = Also<'a>> {
        let copied = self.copy.map(|(bucket, path)| Also::Key {
            role: "the copy's source",
            operation: Operation::GetObject,
            bucket: Some(bucket),
            readings: readings(path),
        });
        let here = |role, operation, value: Option<&'a [u8]>| {
            let of =
                move |value| Also::Key { role, operation, bucket: None, readings: readings(value) };
            value.map(of)
        };
        [
            copied,
            here("the renamed object", Operation::RenameObject, self.rename),
            here("the renamed object", Operation::GetObject, self.rename),
            here("the symlink's target", Operation::GetObject, self.symlink),
            self.processes.then_some(Also::Processing),
        ]
        .into_iter()
        .flatten()
    }
}

/// The bucket that a host name upstream stands for.
pub(super) fn named<'a>(
    host: &'a str,
    upstream: &'a Upstream,
) -> Result<NamedBucket<'a>, HostFault> {
    if let Some(name) = upstream.bucket_named(host) {
        return Ok(NamedBucket { name, region: upstream.region() });
    }
    match CosName::parse(host) {
        Some(CosName { website: true, .. }) => Err(HostFault::Website),
        Some(CosName { bucket, region, .. }) => Ok(NamedBucket { name: bucket, region }),
        None => Err(HostFault::Domain),
    }
}

/// SDKs write the key percent-encoded, some with a slash in front; whether COS takes `+` for a
/// space here is not documented.
fn readings(value: &[u8]) -> [Key<'_>; 2] {
    let key = without_slash(value);
    [Key::Path(key), Key::Form(key)]
}

fn without_slash(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/").unwrap_or(path)
}
