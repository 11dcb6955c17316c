//! Tags of buckets and objects.
//!
//! Shape: `BucketPutTaggingOptions` and `ObjectPutTaggingOptions` of the Go SDK: `Tagging > TagSet > Tag >
//! Key, Value`.

use super::{
    CosError,
    answer::Answer,
    cos::Exchange,
    encoding::decode_form,
    errors::invalid_argument,
    store::Tags,
    wire::{Body, Head},
    xml::{Element, Node},
};

/// The tags that `x-cos-tagging` gives a new object: `a=1&b=2`, form-encoded.
///
/// # Errors
/// 400 `InvalidArgument` or `InvalidURI` if the header is malformed.
pub(crate) fn from_header(head: &Head) -> Result<Tags, CosError> {
    let Some(header) = head.header("x-cos-tagging") else { return Ok(Tags::new()) };
    let pairs = header.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| invalid_argument("x-cos-tagging is not key=value&…"))?;
            Ok((decode_form(key)?, decode_form(value)?))
        })
        .collect()
}

pub(crate) fn get_bucket_tagging(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| answer(&bucket.tags))
}

pub(crate) fn get_object_tagging(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    answer(&exchange.object()?.tags)
}

pub(crate) async fn put_bucket_tagging(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let tags = from_xml(&exchange.document(body).await?)?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.tags = tags;
        Ok(Answer::empty(204))
    })
}

pub(crate) async fn put_object_tagging(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let tags = from_xml(&exchange.document(body).await?)?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.object_mut(exchange.key)?.tags = tags;
        Ok(Answer::empty(200))
    })
}

pub(crate) fn delete_bucket_tagging(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.tags.clear();
        Ok(Answer::empty(204))
    })
}

pub(crate) fn delete_object_tagging(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.object_mut(exchange.key)?.tags.clear();
        Ok(Answer::empty(204))
    })
}

/// 404 `NoSuchTagSet` without tags, as the official error table has it.
fn answer(tags: &Tags) -> Result<Answer, CosError> {
    if tags.is_empty() {
        return Err(CosError::new(404, "NoSuchTagSet", "The TagSet does not exist."));
    }
    let tag =
        |(key, value): &(String, String)| Element::new("Tag").text("Key", key).text("Value", value);
    let set = tags.iter().map(tag).fold(Element::new("TagSet"), |set, tag| set.child(&tag));
    Ok(Answer::xml(200, Element::new("Tagging").child(&set).into_document()))
}

fn from_xml(document: &[u8]) -> Result<Tags, CosError> {
    let tagging = Node::parse(document, "Tagging")?;
    let set = tagging.child("TagSet");
    let tags = set.into_iter().flat_map(|set| set.children("Tag"));
    tags.map(|tag| Ok((tag.text_of("Key")?.to_owned(), tag.text_of("Value")?.to_owned()))).collect()
}
