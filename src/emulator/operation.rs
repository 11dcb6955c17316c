//! Which operation a request is, and the action of Cloud Access Management it needs.
//!
//! Action names: Tencent Cloud doc 436/31923 and the sample policies of each operation's page.

use http::HeaderMap;

use super::encoding::Query;

/// An operation the emulator knows, by its name in the COS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    GetService,
    PutBucket,
    HeadBucket,
    GetBucket,
    DeleteBucket,
    GetBucketObjectVersions,
    ListMultipartUploads,
    GetBucketLocation,
    GetBucketVersioning,
    DeleteMultipleObjects,
    GetBucketACL,
    PutBucketACL,
    GetBucketTagging,
    PutBucketTagging,
    DeleteBucketTagging,
    GetObject,
    HeadObject,
    OptionsObject,
    PutObject,
    PutObjectCopy,
    AppendObject,
    DeleteObject,
    GetObjectACL,
    PutObjectACL,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    InitiateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    /// A sub-resource or method that COS has and the emulator does not.
    NotImplemented,
    /// A method that COS does not have either.
    MethodNotAllowed,
}

/// Sub-resources of a bucket that COS has and the emulator does not (doc 436/7731 and the SDKs).
const OTHER_BUCKET_KEYS: [&str; 17] = [
    "cors",
    "lifecycle",
    "policy",
    "replication",
    "website",
    "inventory",
    "logging",
    "encryption",
    "domain",
    "domaincertificate",
    "origin",
    "referer",
    "accelerate",
    "intelligenttiering",
    "intelligent-tiering",
    "object-lock",
    "notification",
];

/// Sub-resources of an object that COS has and the emulator does not.
const OTHER_OBJECT_KEYS: [&str; 7] =
    ["retention", "symlink", "rename", "restore", "select", "image_process", "ci-process"];

impl Operation {
    /// Classifies a request on a bucket: the key is empty.
    pub(super) fn on_bucket(method: &str, query: &Query) -> Self {
        let has = |name: &str| query.has(name);
        if OTHER_BUCKET_KEYS.iter().any(|name| has(name)) {
            return Self::NotImplemented;
        }
        match method {
            "GET" if has("versions") => Self::GetBucketObjectVersions,
            "GET" if has("uploads") => Self::ListMultipartUploads,
            "GET" if has("location") => Self::GetBucketLocation,
            "GET" if has("versioning") => Self::GetBucketVersioning,
            "GET" if has("acl") => Self::GetBucketACL,
            "PUT" if has("acl") => Self::PutBucketACL,
            "GET" if has("tagging") => Self::GetBucketTagging,
            "PUT" if has("tagging") => Self::PutBucketTagging,
            "DELETE" if has("tagging") => Self::DeleteBucketTagging,
            "PUT" if has("versioning") => Self::NotImplemented,
            "POST" if has("delete") => Self::DeleteMultipleObjects,
            "GET" => Self::GetBucket,
            "HEAD" => Self::HeadBucket,
            "PUT" => Self::PutBucket,
            "DELETE" => Self::DeleteBucket,
            // A form upload: signed in its fields, which this emulator does not read.
            "POST" => Self::NotImplemented,
            "OPTIONS" => Self::OptionsObject,
            _ => Self::MethodNotAllowed,
        }
    }

    /// Classifies a request on an object.
    pub(super) fn on_object(method: &str, query: &Query, headers: &HeaderMap) -> Self {
        let has = |name: &str| query.has(name);
        if OTHER_OBJECT_KEYS.iter().any(|name| has(name)) {
            return Self::NotImplemented;
        }
        let copies = headers.contains_key("x-cos-copy-source");
        match method {
            "PUT" if copies && has("uploadId") => Self::UploadPartCopy,
            "PUT" if has("uploadId") => Self::UploadPart,
            "PUT" if has("acl") => Self::PutObjectACL,
            "PUT" if has("tagging") => Self::PutObjectTagging,
            "PUT" if copies => Self::PutObjectCopy,
            "PUT" => Self::PutObject,
            "POST" if has("uploads") => Self::InitiateMultipartUpload,
            "POST" if has("uploadId") => Self::CompleteMultipartUpload,
            "POST" if has("append") => Self::AppendObject,
            "POST" => Self::NotImplemented,
            "GET" if has("uploadId") => Self::ListParts,
            "GET" if has("acl") => Self::GetObjectACL,
            "GET" if has("tagging") => Self::GetObjectTagging,
            "GET" => Self::GetObject,
            "HEAD" => Self::HeadObject,
            "DELETE" if has("uploadId") => Self::AbortMultipartUpload,
            "DELETE" if has("tagging") => Self::DeleteObjectTagging,
            "DELETE" => Self::DeleteObject,
            "OPTIONS" => Self::OptionsObject,
            _ => Self::MethodNotAllowed,
        }
    }

    /// The actions that allow the operation: any one of them is enough.
    ///
    /// `UploadPartCopy` is allowed by `UploadPart` or by its own name, as both occur in sample
    /// policies. Empty for what needs no permission of its own.
    pub(super) fn actions(self) -> &'static [&'static str] {
        match self {
            Self::GetService => &["name/cos:GetService"],
            Self::PutBucket => &["name/cos:PutBucket"],
            Self::HeadBucket => &["name/cos:HeadBucket"],
            Self::GetBucket => &["name/cos:GetBucket"],
            Self::DeleteBucket => &["name/cos:DeleteBucket"],
            Self::GetBucketObjectVersions => &["name/cos:GetBucketObjectVersions"],
            Self::ListMultipartUploads => &["name/cos:ListMultipartUploads"],
            Self::GetBucketLocation => &["name/cos:GetBucketLocation"],
            Self::GetBucketVersioning => &["name/cos:GetBucketVersioning"],
            Self::DeleteMultipleObjects => {
                &["name/cos:DeleteObject", "name/cos:DeleteMultipleObjects"]
            }
            Self::GetBucketACL => &["name/cos:GetBucketACL"],
            Self::PutBucketACL => &["name/cos:PutBucketACL"],
            Self::GetBucketTagging => &["name/cos:GetBucketTagging"],
            Self::PutBucketTagging => &["name/cos:PutBucketTagging"],
            Self::DeleteBucketTagging => &["name/cos:DeleteBucketTagging"],
            Self::GetObject => &["name/cos:GetObject"],
            Self::HeadObject => &["name/cos:HeadObject"],
            Self::PutObject | Self::PutObjectCopy => &["name/cos:PutObject"],
            Self::AppendObject => &["name/cos:AppendObject"],
            Self::DeleteObject => &["name/cos:DeleteObject"],
            Self::GetObjectACL => &["name/cos:GetObjectACL"],
            Self::PutObjectACL => &["name/cos:PutObjectACL"],
            Self::GetObjectTagging => &["name/cos:GetObjectTagging"],
            Self::PutObjectTagging => &["name/cos:PutObjectTagging"],
            Self::DeleteObjectTagging => &["name/cos:DeleteObjectTagging"],
            Self::InitiateMultipartUpload => &["name/cos:InitiateMultipartUpload"],
            Self::UploadPart => &["name/cos:UploadPart"],
            Self::UploadPartCopy => &["name/cos:UploadPart", "name/cos:UploadPartCopy"],
            Self::ListParts => &["name/cos:ListParts"],
            Self::CompleteMultipartUpload => &["name/cos:CompleteMultipartUpload"],
            Self::AbortMultipartUpload => &["name/cos:AbortMultipartUpload"],
            Self::OptionsObject | Self::NotImplemented | Self::MethodNotAllowed => &[],
        }
    }
}
