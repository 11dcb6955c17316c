//! Least privilege without a file: what a permanent key is turned into.

use std::time::Duration;

use super::settings::{
    FederationTokenSettings, ParentKey, SourceSettings, StaticSettings, StsSettings,
};

/// What a local program does with one bucket: reading, listing, writing and deleting objects, and
/// looking at the bucket. Not: changing the bucket itself. Names by Tencent Cloud doc 436/31923.
const BUCKET_ACTIONS: [&str; 31] = [
    "GetObject",
    "HeadObject",
    "OptionsObject",
    "GetObjectACL",
    "GetObjectTagging",
    "GetObjectRetention",
    "GetBucket",
    "HeadBucket",
    "GetBucketObjectVersions",
    "ListMultipartUploads",
    "ListParts",
    "GetBucketLocation",
    "GetBucketACL",
    "GetBucketVersioning",
    "GetBucketTagging",
    "PutObject",
    "PostObject",
    "AppendObject",
    "PutObjectCopy",
    "InitiateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "PutObjectACL",
    "PutObjectTagging",
    "PostObjectRestore",
    "RestoreObject",
    "DeleteObject",
    "DeleteMultipleObjects",
    "DeleteObjectTagging",
];

/// Why a key found in the environment cannot be used by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AutoError {
    /// A temporary key lost its token.
    #[error(
        "the secret id is longer than a permanent one, so the key is temporary, but its token is missing: set TENCENTCLOUD_TOKEN too"
    )]
    TokenMissing,
    /// A permanent key, and nothing says what it may be narrowed to.
    #[error(
        "a permanent key is only used to get keys for one bucket, and no bucket is configured: set upstream.bucket (--bucket), or write a [keys] source by hand"
    )]
    NoBucket,
    /// The bucket's name does not end in the account's number.
    #[error("bucket {bucket:?} does not end in -APPID, as examplebucket-1250000000 does")]
    BucketWithoutAppId {
        /// The name that was configured.
        bucket: String,
    },
}

/// The source for a key that was found rather than configured: a triple is used as it is, a
/// permanent key only asks for temporary ones that reach `bucket` and nothing else.
///
/// # Errors
/// [`AutoError`] if the key cannot be used or narrowed.
pub fn automatic(
    key: ParentKey,
    region: &str,
    bucket: Option<&str>,
    sts: StsSettings,
) -> Result<SourceSettings, AutoError> {
    if key.token.is_some() {
        return Ok(SourceSettings::Static(StaticSettings { key, expires_at: None }));
    }
    if key.looks_temporary() {
        return Err(AutoError::TokenMissing);
    }
    let bucket = bucket.ok_or(AutoError::NoBucket)?;
    if app_id(bucket).is_none() {
        return Err(AutoError::BucketWithoutAppId { bucket: bucket.to_owned() });
    }
    Ok(SourceSettings::FederationToken(FederationTokenSettings {
        sts,
        parent: key,
        session_name: "cos-auth-proxy".to_owned(),
        policy: bucket_policy(region, bucket),
        duration: Duration::from_secs(7200),
    }))
}

/// A CAM policy for the objects of exactly one bucket and for looking at the bucket, as JSON.
///
/// `bucket` ends in `-APPID`; a name that does not gives a policy that matches nothing.
#[must_use]
pub fn bucket_policy(region: &str, bucket: &str) -> String {
    let app_id = app_id(bucket).unwrap_or_default();
    let resource = format!("qcs::cos:{region}:uid/{app_id}:{bucket}/");
    serde_json::json!({
        "version": "2.0",
        "statement": [{
            "effect": "allow",
            "action": BUCKET_ACTIONS.map(|action| format!("name/cos:{action}")),
            "resource": [resource, format!("{resource}*")],
        }],
    })
    .to_string()
}

fn app_id(bucket: &str) -> Option<&str> {
    let (name, app_id) = bucket.rsplit_once('-')?;
    let digits = !app_id.is_empty() && app_id.bytes().all(|b| b.is_ascii_digit());
    (!name.is_empty() && digits).then_some(app_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SecretId, SecretKey, SessionToken};

    fn key(id: &str, token: Option<&str>) -> ParentKey {
        ParentKey::new(
            SecretId::new(id).unwrap(),
            SecretKey::new("ExampleSecretKeyExampleSecretKey01").unwrap(),
            token.map(|t| SessionToken::new(t).unwrap()),
        )
    }

    #[test]
    fn the_policy_reaches_one_bucket_and_cannot_change_the_bucket_itself() {
        let text = bucket_policy("ap-guangzhou", "data-set-1250000000");
        let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
        let statement = &policy["statement"][0];
        assert_eq!(
            statement["resource"],
            serde_json::json!([
                "qcs::cos:ap-guangzhou:uid/1250000000:data-set-1250000000/",
                "qcs::cos:ap-guangzhou:uid/1250000000:data-set-1250000000/*",
            ])
        );
        assert_eq!(policy["version"], "2.0");
        for action in statement["action"].as_array().unwrap() {
            let action = action.as_str().unwrap();
            let changes_bucket = action.contains("PutBucket") || action.contains("DeleteBucket");
            assert!(!changes_bucket && !action.contains('*'), "{action}");
        }
    }

    #[test]
    fn a_permanent_key_is_narrowed_and_a_triple_is_used_as_it_is() {
        let permanent = key("AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001", None);
        let sts = StsSettings::default;
        let bucket = Some("b-1250000000");
        let source = automatic(permanent.clone(), "ap-guangzhou", bucket, sts()).unwrap();
        assert_eq!(source.kind(), "federation-token");
        assert_eq!(
            automatic(permanent.clone(), "ap-guangzhou", None, sts()).unwrap_err(),
            AutoError::NoBucket
        );
        let short = automatic(permanent, "ap-guangzhou", Some("bucket"), sts());
        assert!(matches!(short.unwrap_err(), AutoError::BucketWithoutAppId { .. }));
        let triple = key("AKIDtemporary", Some("token"));
        let source = automatic(triple, "ap-guangzhou", None, sts()).unwrap();
        assert_eq!(source.kind(), "static");
    }

    #[test]
    fn a_temporary_key_that_lost_its_token_is_refused() {
        let lost = key(&"x".repeat(68), None);
        let refused = automatic(lost, "ap-guangzhou", Some("b-1250000000"), StsSettings::default());
        assert_eq!(refused.unwrap_err(), AutoError::TokenMissing);
    }
}
