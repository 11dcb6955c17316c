//! Conditional requests and ranges (RFC 9110, sections 13 and 14).

use std::time::UNIX_EPOCH;

use super::{CosError, store::Object, wire::Head};

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Proceed,
    /// `If-None-Match` or `If-Modified-Since` does not hold: 304 for a reader.
    NotModified,
}

/// Judges `If-*` headers that begin with `prefix` (empty, or `x-cos-copy-source-`).
///
/// # Errors
/// 412 `PreconditionFailed`.
pub(crate) fn judge(head: &Head, prefix: &str, object: &Object) -> Result<Verdict, CosError> {
    let header = |name: &str| head.header(&format!("{prefix}{name}"));
    let modified_at = object.modified_at.unix_seconds();
    match (header("if-match"), header("if-unmodified-since").and_then(unix_seconds)) {
        (Some(tags), _) if !lists(tags, &object.etag) => return Err(precondition_failed()),
        (None, Some(limit)) if modified_at > limit => return Err(precondition_failed()),
        _ => {}
    }
    match (header("if-none-match"), header("if-modified-since").and_then(unix_seconds)) {
        (Some(tags), _) if lists(tags, &object.etag) => Ok(Verdict::NotModified),
        (None, Some(limit)) if modified_at <= limit => Ok(Verdict::NotModified),
        _ => Ok(Verdict::Proceed),
    }
}

/// 412 `PreconditionFailed`.
pub(crate) fn precondition_failed() -> CosError {
    CosError::new(412, "PreconditionFailed", "At least one of the pre-conditions does not hold.")
}

/// Whether a list of entity tags names `etag`; tags without quotes are taken too.
fn lists(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == etag
    })
}

fn unix_seconds(date: &str) -> Option<u64> {
    let at = httpdate::parse_http_date(date).ok()?;
    at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Which bytes a `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All: there is no range, or one that HTTP says to ignore.
    Whole,
    /// From `start` to `last`, both inside the object.
    Part {
        /// The first byte's offset.
        start: u64,
        /// The last byte's offset.
        last: u64,
    },
}

/// Reads a `Range` for an object of `size` bytes. Several ranges at once are ignored.
///
/// # Errors
/// 416 `InvalidRange` if no byte of the object is in the range.
pub(crate) fn extent(range: Option<&str>, size: u64) -> Result<Extent, CosError> {
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(Extent::Whole);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (number(first), number(last), first.trim(), last.trim()) {
        (Some(start), None, _, "") => (start, u64::MAX),
        (Some(start), Some(last), _, _) if start <= last => (start, last),
        (None, Some(count), "", _) if count > 0 => (size.saturating_sub(count), u64::MAX),
        (None, Some(0), "", _) => return Err(invalid_range()),
        _ => return Ok(Extent::Whole),
    };
    if start >= size {
        return Err(invalid_range());
    }
    Ok(Extent::Part { start, last: end.min(size - 1) })
}

/// 416 `InvalidRange`.
pub(crate) fn invalid_range() -> CosError {
    CosError::new(416, "InvalidRange", "The requested range cannot be satisfied.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_object_or_refused_or_ignored() {
        let part = |start, last| Ok(Extent::Part { start, last });
        for (range, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-", part(2, 9)),
            ("bytes=2-100", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-30", part(0, 9)),
            ("bytes=10-", Err(invalid_range())),
            ("bytes=-0", Err(invalid_range())),
            ("bytes=5-2", Ok(Extent::Whole)),
            ("bytes=a-b", Ok(Extent::Whole)),
            ("bytes=0-1,3-4", Ok(Extent::Whole)),
            ("lines=0-1", Ok(Extent::Whole)),
        ] {
            assert_eq!(extent(Some(range), 10), expected, "{range}");
        }
        assert_eq!(extent(Some("bytes=0-"), 0), Err(invalid_range()));
        assert_eq!(extent(None, 10), Ok(Extent::Whole));
    }
}
