//! One object: put, get, head, delete, append.

use md5::{Digest as _, Md5};

use super::{
    CosError,
    acl::Acl,
    answer::Answer,
    conditions::{self, Extent, Verdict},
    cos::Exchange,
    encoding::decode,
    errors::invalid_argument,
    store::{Content, Metadata, Object, Written, hex},
    tagging,
    wire::{Body, BodyError, Head},
};

/// Standard headers kept with an object, as they are written back.
const KEPT: [&str; 6] = [
    "Content-Type",
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Expires",
];
/// `x-cos-*` headers kept with an object, besides `x-cos-meta-*`.
const KEPT_OF_COS: [&str; 3] =
    ["x-cos-storage-class", "x-cos-server-side-encryption", "x-cos-website-redirect-location"];
/// Longest key in bytes, per Tencent Cloud's object overview.
const KEY_LIMIT: usize = 850;

/// What a request says a new object shall have besides its bytes.
pub(crate) struct Wish {
    pub(crate) metadata: Metadata,
    pub(crate) acl: Acl,
    pub(crate) tags: super::store::Tags,
}

impl Wish {
    /// Reads it from the headers.
    ///
    /// # Errors
    /// 400 for a malformed list or tag set, or a key that is too long.
    pub(crate) fn of(exchange: &Exchange<'_>) -> Result<Self, CosError> {
        if exchange.key.len() > KEY_LIMIT {
            return Err(CosError::new(400, "KeyTooLong", "Your key is too long."));
        }
        let acl = Acl::from_headers(&exchange.head.headers)?.unwrap_or_else(Acl::of_bucket);
        Ok(Self {
            metadata: metadata(exchange.head),
            acl,
            tags: tagging::from_header(exchange.head)?,
        })
    }

    /// The object.
    pub(crate) fn object(self, exchange: &Exchange<'_>, content: Content, etag: String) -> Object {
        let Self { metadata, acl, tags } = self;
        let modified_at = exchange.now;
        Object { content, etag, modified_at, metadata, acl, tags, appending: None }
    }
}

fn metadata(head: &Head) -> Metadata {
    let mut metadata = Metadata::new();
    for name in KEPT.iter().chain(&KEPT_OF_COS) {
        if let Some(value) = head.headers.get(*name).filter(|value| !value.is_empty()) {
            metadata.push(((*name).to_owned(), value.as_bytes().to_vec()));
        }
    }
    if !head.headers.contains_key("content-type") {
        metadata.push(("Content-Type".to_owned(), b"application/octet-stream".to_vec()));
    }
    for (name, value) in &head.headers {
        if name.as_str().starts_with("x-cos-meta-") {
            metadata.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
        }
    }
    metadata
}

/// Reads a body into a file, checking `Content-MD5`.
///
/// # Errors
/// 400 `IncompleteBody`, `BadDigest`, `InvalidDigest`; nothing is kept then.
pub(crate) async fn receive(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Written, CosError> {
    let mut writer = exchange.store().writer().await?;
    while let Some(piece) = body.piece().await.map_err(body_error)? {
        writer.write(&piece).await?;
    }
    let written = writer.finish().await?;
    check_md5(exchange.head, &written.md5)?;
    Ok(written)
}

/// Compares `Content-MD5`, if it was sent, with the hash of what came.
///
/// # Errors
/// 400 `BadDigest` or `InvalidDigest`.
pub(crate) fn check_md5(head: &Head, md5: &[u8; 16]) -> Result<(), CosError> {
    use base64::Engine as _;
    let Some(claimed) = head.header("content-md5").filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let claimed = base64::engine::general_purpose::STANDARD.decode(claimed).unwrap_or_default();
    if claimed.len() != 16 {
        return Err(CosError::new(
            400,
            "InvalidDigest",
            "The Content-MD5 you specified is invalid.",
        ));
    }
    if claimed != md5 {
        let message = "The Content-MD5 you specified did not match what we received.";
        return Err(CosError::new(400, "BadDigest", message));
    }
    Ok(())
}

/// What COS answers to a body that cannot be read.
pub(crate) fn body_error(error: BodyError) -> CosError {
    match error {
        BodyError::Incomplete => CosError::new(
            400,
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        ),
        BodyError::Malformed => CosError::new(400, "InvalidRequest", error.to_string()),
        BodyError::TooLong => {
            CosError::new(400, "XMLSizeLimit", "The XML you provided is too large.")
        }
    }
}

pub(crate) async fn put(exchange: &Exchange<'_>, body: &mut Body<'_>) -> Result<Answer, CosError> {
    let wish = Wish::of(exchange)?;
    refuse_overwrite(exchange)?;
    let written = receive(exchange, body).await?;
    let object = wish.object(exchange, written.content, hex(&written.md5));
    let answer = Answer::empty(200)
        .header("ETag", quoted(&object.etag))
        .header("x-cos-hash-crc64ecma", object.content.crc.to_string());
    exchange.install(object)?;
    Ok(answer)
}

/// `x-cos-forbid-overwrite: true` (doc 436/7749). The documentation read for this names no error
/// code; status and code follow the other object stores that have such a header.
pub(crate) fn refuse_overwrite(exchange: &Exchange<'_>) -> Result<(), CosError> {
    let forbidden = exchange.head.header("x-cos-forbid-overwrite") == Some("true");
    if forbidden && exchange.object().is_ok() {
        let message = "The object already exists and may not be overwritten.";
        return Err(CosError::new(409, "FileAlreadyExists", message));
    }
    Ok(())
}

/// GET and HEAD.
pub(crate) fn get(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let object = exchange.object()?;
    if conditions::judge(exchange.head, "", &object)? == Verdict::NotModified {
        let answer = Answer::empty(304).header("ETag", quoted(&object.etag));
        return Ok(answer.header("Last-Modified", http_date(&object)));
    }
    let size = object.content.size;
    let range = exchange.head.header("range").filter(|_| exchange.head.method == "GET");
    let answer = match conditions::extent(range, size)? {
        Extent::Whole => Answer::content(200, object.content.read(0, size)),
        Extent::Part { start, last } => {
            Answer::content(206, object.content.read(start, last - start + 1))
                .header("Content-Range", format!("bytes {start}-{last}/{size}"))
        }
    };
    Ok(overridden(exchange, described(answer, &object)))
}

fn described(mut answer: Answer, object: &Object) -> Answer {
    for (name, value) in &object.metadata {
        // COS tells the storage class only of what is not STANDARD.
        if !(name == "x-cos-storage-class" && value == b"STANDARD") {
            answer = answer.header(name.clone(), value.clone());
        }
    }
    if object.appending.is_some() {
        answer = answer
            .header("x-cos-object-type", "appendable")
            .header("x-cos-next-append-position", object.content.size.to_string());
    }
    answer
        .header("ETag", quoted(&object.etag))
        .header("Last-Modified", http_date(object))
        .header("Accept-Ranges", "bytes")
        .header("x-cos-hash-crc64ecma", object.content.crc.to_string())
}

/// `response-content-type` and its like (doc 436/7753).
fn overridden(exchange: &Exchange<'_>, mut answer: Answer) -> Answer {
    for name in KEPT {
        let parameter = format!("response-{}", name.to_ascii_lowercase());
        // A line break would split the head.
        let value = exchange.query.filled(&parameter).filter(|value| !value.contains(['\r', '\n']));
        if let Some(value) = value {
            answer = answer.replace_header(name, value);
        }
    }
    answer
}

/// Succeeds whether the object exists or not (doc 436/7743).
pub(crate) fn delete(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.objects.remove(exchange.key);
        Ok(Answer::empty(204))
    })
}

/// `POST /key?append&position=N`.
///
/// `x-cos-content-sha1` of the answer is the MD5 of what was appended: the Go SDK checks it so
/// (`ObjectService.Append`).
pub(crate) async fn append(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let wish = Wish::of(exchange)?;
    let position = exchange.query.filled("position");
    let position: u64 = position
        .and_then(|position| position.parse().ok())
        .ok_or_else(|| invalid_argument("position must be a number"))?;
    appendable_at(exchange, position)?;
    let written = receive(exchange, body).await?;
    // Somebody may have appended meanwhile.
    let before = appendable_at(exchange, position)?;
    let mut object = match before {
        Some(before) => before,
        None => Object {
            appending: Some(Md5::new()),
            ..wish.object(exchange, Content::default(), String::new())
        },
    };
    let hash = hash_more(&object, &written.content).await?;
    object.etag = hex(&hash.clone().finalize());
    object.appending = Some(hash);
    object.content.append(&written.content);
    object.modified_at = exchange.now;
    let answer = Answer::empty(200)
        .header("ETag", quoted(&object.etag))
        .header("x-cos-next-append-position", object.content.size.to_string())
        .header("x-cos-content-sha1", hex(&written.md5))
        .header("x-cos-hash-crc64ecma", object.content.crc.to_string());
    exchange.install_if(object, position)?;
    Ok(answer)
}

/// The object to append to, if there is one; it must end at `position`.
fn appendable_at(exchange: &Exchange<'_>, position: u64) -> Result<Option<Object>, CosError> {
    let found = exchange
        .store()
        .with_bucket(exchange.bucket, |bucket| Ok(bucket.objects.get(exchange.key).cloned()))?;
    check_append(found.as_deref(), position)?;
    Ok(found.map(|object| (*object).clone()))
}

/// Whether `position` is where the object ends.
///
/// # Errors
/// 409 `ObjectNotAppendable` or `AppendPositionErr`.
pub(crate) fn check_append(object: Option<&Object>, position: u64) -> Result<(), CosError> {
    if object.is_some_and(|object| object.appending.is_none()) {
        return Err(CosError::new(409, "ObjectNotAppendable", "The object is not appendable"));
    }
    let end = object.map_or(0, |object| object.content.size);
    if end != position {
        let message = format!("The append position is {position}, the object ends at {end}.");
        return Err(CosError::new(409, "AppendPositionErr", message));
    }
    Ok(())
}

/// The hash of the whole object after `next` is added.
async fn hash_more(object: &Object, next: &Content) -> Result<Md5, CosError> {
    let mut hash = object.appending.clone().unwrap_or_default();
    let mut reader = next.read(0, next.size);
    let mut piece = Vec::new();
    while reader.left > 0 {
        reader.next(&mut piece).await.map_err(|error| super::errors::internal(&error))?;
        hash.update(&piece);
    }
    Ok(hash)
}

/// An ETag as it is written.
pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn http_date(object: &Object) -> String {
    httpdate::fmt_http_date(object.modified_at.to_system_time())
}

/// A key as it stands in a path or a copy source: without the one leading slash.
pub(crate) fn key_of(path: &str) -> Result<String, CosError> {
    decode(path.strip_prefix('/').unwrap_or(path))
}
