//! One bucket: create, delete, head, location, and deleting many objects at once.
//!
//! Shapes: `BucketGetLocationResult`, `BucketGetVersionResult`, `ObjectDeleteMultiOptions` and
//! `ObjectDeleteMultiResult` of the Go SDK.

use super::{
    CosError,
    acl::Acl,
    address::is_bucket_name,
    answer::Answer,
    cos::Exchange,
    store::Bucket,
    wire::Body,
    xml::{Element, Node},
};

/// Most keys of one multi-delete (doc 436/8289).
const DELETE_LIMIT: usize = 1000;

pub(crate) async fn put(exchange: &Exchange<'_>, body: &mut Body<'_>) -> Result<Answer, CosError> {
    // Zone and architecture may be asked for in XML; they make no difference here.
    exchange.document(body).await?;
    let acl = Acl::from_headers(&exchange.head.headers)?.unwrap_or_default();
    if !is_bucket_name(exchange.bucket) {
        let message = "The specified bucket is not valid.";
        return Err(CosError::new(400, "InvalidBucketName", message));
    }
    exchange.store().with_buckets(|buckets| {
        if buckets.contains_key(exchange.bucket) {
            let message = "The requested bucket name is not available.";
            return Err(CosError::new(409, "BucketAlreadyExists", message));
        }
        let bucket = Bucket { acl, ..Bucket::new(exchange.region, exchange.now) };
        buckets.insert(exchange.bucket.to_owned(), bucket);
        Ok(Answer::empty(200).header("Location", format!("/{}", exchange.bucket)))
    })
}

pub(crate) fn delete(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        if bucket.objects.is_empty() && bucket.uploads.is_empty() {
            return Ok(());
        }
        Err(CosError::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty."))
    })?;
    exchange.store().with_buckets(|buckets| buckets.remove(exchange.bucket));
    Ok(Answer::empty(204))
}

pub(crate) fn head(exchange: &Exchange<'_>) -> Answer {
    Answer::empty(200).header("x-cos-bucket-region", exchange.region)
}

pub(crate) fn location(exchange: &Exchange<'_>) -> Answer {
    let document = format!(
        "<?xml version='1.0' encoding='utf-8' ?>\n<LocationConstraint>{}</LocationConstraint>\n",
        exchange.region
    );
    Answer::xml(200, document)
}

/// A bucket whose versioning was never switched on has an empty configuration.
pub(crate) fn versioning() -> Answer {
    Answer::xml(200, Element::new("VersioningConfiguration").into_document())
}

/// `POST /?delete`. Each key is judged by itself: what the policy refuses comes back as an `Error`
/// of the answer.
pub(crate) async fn delete_many(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    if exchange.head.header("content-md5").is_none_or(str::is_empty) {
        let message = "Missing required header for this request: Content-MD5";
        return Err(CosError::new(400, "InvalidRequest", message));
    }
    let request = Node::parse(&exchange.document(body).await?, "Delete")?;
    let quiet = request.text_of("Quiet").is_ok_and(|text| text.trim() == "true");
    let keys: Vec<&str> =
        request.children("Object").map(|object| object.text_of("Key")).collect::<Result<_, _>>()?;
    if keys.is_empty() || keys.len() > DELETE_LIMIT {
        return Err(CosError::new(400, "MalformedXML", "Name between 1 and 1000 keys."));
    }
    let mut result = Element::new("DeleteResult");
    for key in keys {
        let actions = exchange.operation.actions();
        if let Err(error) = exchange.authorise(actions, exchange.region, exchange.bucket, key) {
            let error = Element::new("Error")
                .text("Key", key)
                .text("Code", error.code)
                .text("Message", &error.message);
            result = result.child(&error);
            continue;
        }
        exchange.store().with_bucket(exchange.bucket, |bucket| {
            bucket.objects.remove(key);
            Ok(())
        })?;
        if !quiet {
            result = result.child(&Element::new("Deleted").text("Key", key));
        }
    }
    Ok(Answer::xml(200, result.into_document()))
}
