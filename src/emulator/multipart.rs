//! Multipart uploads.
//!
//! Shapes: `InitiateMultipartUploadResult`, `CompleteMultipartUploadOptions`,
//! `CompleteMultipartUploadResult` of the Go SDK. The smallest size of a part is not enforced, so that
//! tests can be small.

use md5::{Digest as _, Md5};

use super::{
    CosError,
    answer::Answer,
    copy,
    cos::Exchange,
    errors::invalid_argument,
    listing,
    object::{Wish, quoted, receive, refuse_overwrite},
    store::{Content, Object, Part, Upload, hex},
    wire::Body,
    xml::{Element, Node},
};

/// Highest part number.
const LAST_PART: u64 = 10_000;

impl Exchange<'_> {
    /// Runs `change` on the upload of this exchange's key.
    ///
    /// # Errors
    /// 404 `NoSuchUpload`, or what `change` says.
    pub(crate) fn with_upload<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Upload) -> Result<T, CosError>,
    ) -> Result<T, CosError> {
        self.store().with_bucket(self.bucket, |bucket| {
            let name = (self.key.to_owned(), id.to_owned());
            change(bucket.uploads.get_mut(&name).ok_or_else(no_such_upload)?)
        })
    }

    fn upload_id(&self) -> &str {
        self.query.get("uploadId").unwrap_or_default()
    }
}

/// `POST /key?uploads`.
pub(crate) fn initiate(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let Wish { metadata, acl, tags } = Wish::of(exchange)?;
    let id = format!("{}{:032x}", exchange.now.unix_millis(), fastrand::u128(..));
    let upload = Upload {
        initiated_at: exchange.now,
        metadata,
        acl,
        tags,
        initiator: exchange.caller.uin.clone(),
        parts: std::collections::BTreeMap::new(),
    };
    let document = Element::new("InitiateMultipartUploadResult")
        .text("Bucket", exchange.bucket)
        .text("Key", exchange.key)
        .text("UploadId", &id)
        .into_document();
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.uploads.insert((exchange.key.to_owned(), id), upload);
        Ok(Answer::xml(200, document))
    })
}

/// `PUT /key?partNumber&uploadId`.
pub(crate) async fn upload_part(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let number = part_number(exchange)?;
    exchange.with_upload(exchange.upload_id(), |_| Ok(()))?;
    let written = receive(exchange, body).await?;
    let answer = Answer::empty(200)
        .header("ETag", quoted(&hex(&written.md5)))
        .header("x-cos-hash-crc64ecma", written.content.crc.to_string());
    let part = Part { content: written.content, md5: written.md5, modified_at: exchange.now };
    keep(exchange, number, part)?;
    Ok(answer)
}

/// `PUT /key?partNumber&uploadId` with `x-cos-copy-source`.
pub(crate) async fn upload_part_copy(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let number = part_number(exchange)?;
    exchange.with_upload(exchange.upload_id(), |_| Ok(()))?;
    let (part, answer) = copy::part(exchange).await?;
    keep(exchange, number, part)?;
    Ok(answer)
}

fn part_number(exchange: &Exchange<'_>) -> Result<u64, CosError> {
    let number = exchange.query.number("partNumber", 0)?;
    if (1..=LAST_PART).contains(&number) {
        Ok(number)
    } else {
        Err(invalid_argument(format!("partNumber must be between 1 and {LAST_PART}")))
    }
}

fn keep(exchange: &Exchange<'_>, number: u64, part: Part) -> Result<(), CosError> {
    exchange.with_upload(exchange.upload_id(), |upload| {
        upload.parts.insert(number, part);
        Ok(())
    })
}

/// `GET /key?uploadId`.
pub(crate) fn list_parts(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    listing::parts(exchange, exchange.upload_id())
}

/// `DELETE /key?uploadId`.
pub(crate) fn abort(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        let name = (exchange.key.to_owned(), exchange.upload_id().to_owned());
        bucket.uploads.remove(&name).ok_or_else(no_such_upload)?;
        Ok(Answer::empty(204))
    })
}

/// `POST /key?uploadId`: the parts named, joined without copying a byte.
pub(crate) async fn complete(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let id = exchange.upload_id();
    exchange.with_upload(id, |_| Ok(()))?;
    let wanted = wanted_parts(&exchange.document(body).await?)?;
    refuse_overwrite(exchange)?;
    let object = exchange.with_upload(id, |upload| joined(exchange, upload, &wanted))?;
    let document = Element::new("CompleteMultipartUploadResult")
        .text("Location", exchange.resource())
        .text("Bucket", exchange.bucket)
        .text("Key", exchange.key)
        .text("ETag", quoted(&object.etag))
        .into_document();
    let answer =
        Answer::xml(200, document).header("x-cos-hash-crc64ecma", object.content.crc.to_string());
    exchange.install(object)?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.uploads.remove(&(exchange.key.to_owned(), id.to_owned()));
        Ok(answer)
    })
}

/// Number and ETag (without quotes) of each part, in order.
fn wanted_parts(document: &[u8]) -> Result<Vec<(u64, String)>, CosError> {
    let request = Node::parse(document, "CompleteMultipartUpload")?;
    let mut wanted: Vec<(u64, String)> = Vec::new();
    for part in request.children("Part") {
        let number = part.text_of("PartNumber")?.trim().parse();
        let number = number.map_err(|_not_a_number| invalid_argument("PartNumber is no number"))?;
        if wanted.last().is_some_and(|(last, _)| *last >= number) {
            let message = "The list of parts was not in ascending order.";
            return Err(CosError::new(400, "InvalidPartOrder", message));
        }
        wanted.push((number, part.text_of("ETag")?.trim().trim_matches('"').to_owned()));
    }
    if wanted.is_empty() {
        return Err(CosError::new(400, "MalformedXML", "The list of parts is empty."));
    }
    Ok(wanted)
}

/// The object: its ETag is the hash of the parts' hashes, `-` and their number.
fn joined(
    exchange: &Exchange<'_>,
    upload: &Upload,
    wanted: &[(u64, String)],
) -> Result<Object, CosError> {
    let mut content = Content::default();
    let mut hash = Md5::new();
    for (number, etag) in wanted {
        let part = upload.parts.get(number).filter(|part| hex(&part.md5) == *etag);
        let part = part.ok_or_else(|| {
            let message = format!("Part {number} could not be found, or its ETag does not match.");
            CosError::new(400, "InvalidPart", message)
        })?;
        content.append(&part.content);
        hash.update(part.md5);
    }
    Ok(Object {
        content,
        etag: format!("{}-{}", hex(&hash.finalize()), wanted.len()),
        modified_at: exchange.now,
        metadata: upload.metadata.clone(),
        acl: upload.acl.clone(),
        tags: upload.tags.clone(),
        appending: None,
    })
}

fn no_such_upload() -> CosError {
    CosError::new(404, "NoSuchUpload", "The specified multipart upload does not exist.")
}
