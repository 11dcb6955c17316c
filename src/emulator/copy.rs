//! Copies: a whole object, or a stretch of one as a part.
//!
//! Shapes: `ObjectCopyResult` and `CopyPartResult` of the Go SDK.

use std::sync::Arc;

use super::{
    CosError,
    address::{self, Address},
    answer::Answer,
    conditions::{self, Extent, Verdict},
    cos::Exchange,
    encoding::Query,
    errors::{internal, invalid_argument},
    listing::iso_date,
    object::{Wish, key_of, quoted, refuse_overwrite},
    store::{Content, Object, Part, Written},
    xml::Element,
};

/// An object named by `x-cos-copy-source`.
struct Source {
    bucket: String,
    key: String,
}

/// `PUT /key` with `x-cos-copy-source`.
pub(crate) fn put_copy(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let wish = Wish::of(exchange)?;
    refuse_overwrite(exchange)?;
    let source = source(exchange)?;
    let replaced = directive(exchange, "x-cos-metadata-directive")?;
    let tags_replaced = directive(exchange, "x-cos-tagging-directive")?;
    let class = exchange.head.header("x-cos-storage-class").map(str::to_owned);
    let mut object = wish.object(exchange, source.content.clone(), source.etag.clone());
    if !replaced {
        // The class of the copy is the request's, STANDARD if it names none (doc 436/10881).
        object.metadata.clone_from(&source.metadata);
        object.metadata.retain(|(name, _)| name != "x-cos-storage-class");
        if let Some(class) = class {
            object.metadata.push(("x-cos-storage-class".to_owned(), class.into_bytes()));
        }
    }
    if !tags_replaced {
        object.tags.clone_from(&source.tags);
    }
    let document = Element::new("CopyObjectResult")
        .text("ETag", quoted(&object.etag))
        .text("LastModified", iso_date(object.modified_at))
        .text("CRC64", object.content.crc.to_string())
        .into_document();
    let crc = object.content.crc.to_string();
    exchange.install(object)?;
    Ok(Answer::xml(200, document).header("x-cos-hash-crc64ecma", crc))
}

/// `PUT /key?partNumber&uploadId` with `x-cos-copy-source`: the part, and the answer.
///
/// The bytes are copied, since a part's ETag is their hash.
pub(crate) async fn part(exchange: &Exchange<'_>) -> Result<(Part, Answer), CosError> {
    let source = source(exchange)?;
    let size = source.content.size;
    let range = exchange.head.header("x-cos-copy-source-range");
    let (start, length) = match conditions::extent(range, size)? {
        Extent::Whole if range.is_some() => return Err(conditions::invalid_range()),
        Extent::Whole => (0, size),
        Extent::Part { start, last } => (start, last - start + 1),
    };
    let Written { content, md5 } = copied(exchange, &source.content, start, length).await?;
    let document = Element::new("CopyPartResult")
        .text("ETag", quoted(&super::store::hex(&md5)))
        .text("LastModified", iso_date(exchange.now))
        .into_document();
    let answer = Answer::xml(200, document).header("x-cos-hash-crc64ecma", content.crc.to_string());
    Ok((Part { content, md5, modified_at: exchange.now }, answer))
}

async fn copied(
    exchange: &Exchange<'_>,
    content: &Content,
    start: u64,
    length: u64,
) -> Result<Written, CosError> {
    let mut reader = content.read(start, length);
    let mut writer = exchange.store().writer().await?;
    let mut piece = Vec::new();
    while reader.left > 0 {
        reader.next(&mut piece).await.map_err(|error| internal(&error))?;
        writer.write(&piece).await?;
    }
    writer.finish().await
}

/// The source, which the caller must be allowed to read, and whose conditions must hold.
fn source(exchange: &Exchange<'_>) -> Result<Arc<Object>, CosError> {
    let header = exchange.head.header("x-cos-copy-source").unwrap_or_default();
    let source = parse(exchange, header)?;
    let region =
        exchange.store().with_bucket(&source.bucket, |bucket| Ok(bucket.region.clone()))?;
    exchange.authorise(&["name/cos:GetObject"], &region, &source.bucket, &source.key)?;
    let object = exchange.store().object(&source.bucket, &source.key)?;
    match conditions::judge(exchange.head, "x-cos-copy-source-", &object)? {
        Verdict::Proceed => Ok(object),
        Verdict::NotModified => Err(conditions::precondition_failed()),
    }
}

/// `<bucket>.cos.<region>.myqcloud.com/<percent-encoded key>[?versionId=…]`.
fn parse(exchange: &Exchange<'_>, header: &str) -> Result<Source, CosError> {
    let malformed = || invalid_argument("x-cos-copy-source is not <bucket host>/<key>");
    let (host, rest) = header.split_once('/').ok_or_else(malformed)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if Query::parse(query)?.filled("versionId").is_some_and(|version| version != "null") {
        return Err(CosError::new(404, "NoSuchVersion", "The emulator keeps no versions."));
    }
    let Address::Bucket { bucket, .. } = address::parse(host, exchange.domains()) else {
        return Err(malformed());
    };
    let key = key_of(path)?;
    if key.is_empty() { Err(malformed()) } else { Ok(Source { bucket, key }) }
}

/// Whether a directive says `Replaced` rather than `Copy`.
fn directive(exchange: &Exchange<'_>, name: &str) -> Result<bool, CosError> {
    match exchange.head.header(name) {
        None | Some("") => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("copy") => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("replaced") => Ok(true),
        Some(_) => Err(invalid_argument(format!("{name} must be Copy or Replaced"))),
    }
}
