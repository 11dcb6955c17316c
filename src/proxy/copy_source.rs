//! `x-cos-copy-source`: names of the proxy in it become the bucket's name in COS.

use super::{
    Reason, Refused,
    hosts::{self, HostName, HostRules, Site},
    target::split_bucket,
    upstream::Upstream,
};

/// The source of a copy, read once; what is judged is what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CopySource<'b> {
    /// A COS name already.
    AsSent(&'b [u8]),
    /// `host` followed by `rest` (`/key?versionId=…`, exact bytes).
    At {
        host: String,
        rest: &'b [u8],
        /// Where the source named a bucket of the configured region; else the host tells it.
        bucket: Option<String>,
    },
}

impl<'b> CopySource<'b> {
    /// Reads `bucket.cos.region.myqcloud.com/key`, a name of the proxy in place of the host,
    /// `/bucket/key` or `bucket/key`.
    pub(super) fn parse(
        value: &'b [u8],
        rules: &HostRules,
        upstream: &Upstream,
    ) -> Result<Self, Refused> {
        if let [b'/', ..] = value {
            let (bucket, rest) = split_bucket(value);
            return at_bucket(bucket, rest, upstream);
        }
        let end = memchr::memchr(b'/', value).ok_or_else(bad)?;
        let (host, rest) = value.split_at(end);
        let host = std::str::from_utf8(host).map_err(|_not_text| bad())?;
        if hosts::is_bucket(host) {
            return at_bucket(host.as_bytes(), rest, upstream);
        }
        let host = HostName::parse(host).ok_or_else(bad)?;
        match rules.read(&host).map_err(|refused| named(&refused))? {
            Site::Bucket if host.port.is_none() => with_key(rest).map(|_| Self::AsSent(value)),
            Site::Bucket => {
                let host = host.name.clone().into_owned();
                Ok(Self::At { host, rest: with_key(rest)?, bucket: None })
            }
            Site::OwnBucket(bucket) => at_bucket(bucket.as_bytes(), rest, upstream),
            Site::Own => match upstream.key_bucket() {
                Some(bucket) => at_bucket(bucket.as_bytes(), rest, upstream),
                None => {
                    let (bucket, rest) = split_bucket(rest);
                    at_bucket(bucket, rest, upstream)
                }
            },
            Site::Region => {
                let (bucket, rest) = split_bucket(rest);
                let bucket = bucket_name(bucket)?;
                let host = format!("{bucket}.{}", host.name);
                Ok(Self::At { host, rest: with_key(rest)?, bucket: None })
            }
            Site::Processing | Site::Service | Site::Batch => Err(bad()),
        }
    }

    /// The source's bucket, if it is one of the configured region.
    pub(super) fn bucket(&self) -> Option<&str> {
        match self {
            Self::AsSent(_) => None,
            Self::At { bucket, .. } => bucket.as_deref(),
        }
    }

    /// The host that COS is told; empty for one that is not text.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::AsSent(value) => {
                let host = value.split(|&b| b == b'/').next().unwrap_or_default();
                std::str::from_utf8(host).unwrap_or_default()
            }
            Self::At { host, .. } => host,
        }
    }

    /// The path behind the host, without a version.
    pub(super) fn path(&self) -> &'b [u8] {
        let rest = match self {
            Self::AsSent(value) => {
                let start = memchr::memchr(b'/', value).unwrap_or(value.len());
                value.get(start..).unwrap_or_default()
            }
            Self::At { rest, .. } => rest,
        };
        rest.split(|&b| b == b'?').next().unwrap_or_default()
    }
}

fn at_bucket<'b>(
    bucket: &[u8],
    rest: &'b [u8],
    upstream: &Upstream,
) -> Result<CopySource<'b>, Refused> {
    let bucket = bucket_name(bucket)?;
    let host = upstream.bucket_host(bucket)?;
    Ok(CopySource::At { host, rest: with_key(rest)?, bucket: Some(bucket.to_owned()) })
}

fn bucket_name(bucket: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(bucket).ok().filter(|b| hosts::is_bucket(b)).ok_or_else(bad)
}

/// A source without a key is a bucket, which cannot be copied.
fn with_key(rest: &[u8]) -> Result<&[u8], Refused> {
    let no_key = matches!(rest, [] | [b'/'] | [b'/', b'?', ..]);
    if no_key { Err(bad()) } else { Ok(rest) }
}

fn bad() -> Refused {
    Reason::BadCopySource.refused()
}

fn named(refused: &Refused) -> Refused {
    Reason::BadCopySource.because(&refused.message)
}
