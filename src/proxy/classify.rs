//! Which COS operation a request is, and the bounded label of its method.

use super::{Operation, query::Parameters};

/// Method label: bounded whatever clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Any other
    Other,
}

impl Method {
    /// Every label.
    pub const ALL: &'static [Self] =
        &[Self::Get, Self::Head, Self::Put, Self::Post, Self::Delete, Self::Options, Self::Other];

    /// The label of a method as sent; case matters.
    #[must_use]
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "PUT" => Self::Put,
            "POST" => Self::Post,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// Whether taking the bucket for an object would give its listing away or delete it.
    pub(super) fn asks_or_destroys(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Delete)
    }

    /// The method itself; `OTHER` for any that is not listed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }
}

/// What a host and path name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// No bucket: the account.
    Service,
    /// Batch jobs of the account.
    Batch,
    /// Data processing hosts.
    Processing,
    /// A bucket, path `/`.
    Bucket,
    /// An object.
    Object,
}

/// The operation: level, then method, then the first sub-resource of the table that is present.
pub(super) fn classify(
    level: Level,
    method: Method,
    query: Parameters<'_>,
    copies: bool,
) -> Operation {
    match level {
        Level::Service if method == Method::Get => Operation::GetService,
        Level::Service => Operation::Unlisted,
        Level::Batch => Operation::BatchJobs,
        Level::Processing => Operation::CiProcess,
        Level::Bucket | Level::Object if query.names().any(|name| is_processing(&name)) => {
            Operation::CiProcess
        }
        Level::Bucket => bucket_operation(method, query),
        Level::Object => object_operation(method, query, copies),
    }
}

/// Data processing keys: `imageMogr2/thumbnail/!50p`, `ci-process`, and the bare ones.
fn is_processing(name: &(impl Iterator<Item = u8> + Clone)) -> bool {
    name.clone().any(|byte| byte == b'/')
        || name.clone().take(3).eq(*b"ci-")
        || ["imageInfo", "exif", "imageAve", "image_process"]
            .iter()
            .any(|whole| name.clone().eq(whole.bytes()))
}

fn bucket_operation(method: Method, query: Parameters<'_>) -> Operation {
    use Operation as Op;
    let row = BUCKET_ROWS.iter().find(|row| query.has(row.0)).map(|row| {
        let id = query.has("id");
        match (method, row.0) {
            (Method::Get, "inventory") if !id => Op::ListBucketInventory,
            (Method::Get, "intelligent-tiering") if !id => Op::ListBucketIntelligentTiering,
            (Method::Get, _) => row.1,
            (Method::Put, _) => row.2,
            (Method::Delete, _) => row.3,
            (Method::Post, "delete") => Op::DeleteMultipleObjects,
            (Method::Post, "inventory") => Op::PostBucketInventory,
            (Method::Post | Method::Head | Method::Options | Method::Other, _) => Op::Unlisted,
        }
    });
    match (row, method) {
        // `Unlisted` rows are sub-resources that do not exist for the method.
        (Some(operation), _) if operation != Op::Unlisted => operation,
        (Some(_), Method::Put | Method::Delete | Method::Post) => Op::Unlisted,
        (_, Method::Put) => Op::PutBucket,
        (_, Method::Head) => Op::HeadBucket,
        (_, Method::Get) => Op::GetBucket,
        (_, Method::Delete) => Op::DeleteBucket,
        (_, Method::Post) => Op::PostObject,
        (_, Method::Options) => Op::OptionsObject,
        (_, Method::Other) => Op::Unlisted,
    }
}

/// Sub-resource, then its GET, PUT and DELETE, in the order of the table.
type BucketRow = (&'static str, Operation, Operation, Operation);

const fn row(name: &'static str, get: Operation, put: Operation, delete: Operation) -> BucketRow {
    (name, get, put, delete)
}

static BUCKET_ROWS: [BucketRow; 25] = {
    use Operation::*;
    [
        row("versions", GetBucketObjectVersions, Unlisted, Unlisted),
        row("uploads", ListMultipartUploads, Unlisted, Unlisted),
        row("location", GetBucketLocation, Unlisted, Unlisted),
        row("delete", Unlisted, Unlisted, Unlisted),
        row("acl", GetBucketAcl, PutBucketAcl, Unlisted),
        row("cors", GetBucketCors, PutBucketCors, DeleteBucketCors),
        row("lifecycle", GetBucketLifecycle, PutBucketLifecycle, DeleteBucketLifecycle),
        row("versioning", GetBucketVersioning, PutBucketVersioning, Unlisted),
        row("policy", GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy),
        row("tagging", GetBucketTagging, PutBucketTagging, DeleteBucketTagging),
        row("replication", GetBucketReplication, PutBucketReplication, DeleteBucketReplication),
        row("website", GetBucketWebsite, PutBucketWebsite, DeleteBucketWebsite),
        row("inventory", GetBucketInventory, PutBucketInventory, DeleteBucketInventory),
        row("logging", GetBucketLogging, PutBucketLogging, Unlisted),
        row("encryption", GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption),
        row("domain", GetBucketDomain, PutBucketDomain, DeleteBucketDomain),
        row(
            "domaincertificate",
            GetBucketDomainCertificate,
            PutBucketDomainCertificate,
            DeleteBucketDomainCertificate,
        ),
        row("origin", GetBucketOrigin, PutBucketOrigin, DeleteBucketOrigin),
        row("referer", GetBucketReferer, PutBucketReferer, Unlisted),
        row("accelerate", GetBucketAccelerate, PutBucketAccelerate, Unlisted),
        row(
            "intelligenttiering",
            GetBucketIntelligentTiering,
            PutBucketIntelligentTiering,
            Unlisted,
        ),
        row(
            "intelligent-tiering",
            GetBucketIntelligentTiering,
            PutBucketIntelligentTiering,
            DeleteBucketIntelligentTiering,
        ),
        row(
            "object-lock",
            GetBucketObjectLockConfiguration,
            PutBucketObjectLockConfiguration,
            Unlisted,
        ),
        row("notification", GetBucketNotification, PutBucketNotification, Unlisted),
        row("accessmonitor", GetBucketAccessMonitor, Unlisted, Unlisted),
    ]
};

fn object_operation(method: Method, query: Parameters<'_>, copies: bool) -> Operation {
    use Operation as Op;
    let first = |rows: &[(&str, Operation)], other| {
        rows.iter().find(|row| query.has(row.0)).map_or(other, |row| row.1)
    };
    match method {
        Method::Get => first(
            &[
                ("uploadId", Op::ListParts),
                ("acl", Op::GetObjectAcl),
                ("tagging", Op::GetObjectTagging),
                ("retention", Op::GetObjectRetention),
                ("symlink", Op::GetSymlink),
            ],
            Op::GetObject,
        ),
        Method::Head => first(&[("preflight", Op::PreflightPutObject)], Op::HeadObject),
        Method::Options => Op::OptionsObject,
        Method::Put if query.has("partNumber") && query.has("uploadId") => {
            if copies {
                Op::UploadPartCopy
            } else {
                Op::UploadPart
            }
        }
        Method::Put => first(
            &[
                ("acl", Op::PutObjectAcl),
                ("tagging", Op::PutObjectTagging),
                ("retention", Op::PutObjectRetention),
                ("symlink", Op::PutSymlink),
                ("rename", Op::RenameObject),
            ],
            if copies { Op::PutObjectCopy } else { Op::PutObject },
        ),
        Method::Post => first(
            &[
                ("uploads", Op::InitiateMultipartUpload),
                ("uploadId", Op::CompleteMultipartUpload),
                ("append", Op::AppendObject),
                ("restore", Op::PostObjectRestore),
                ("select", Op::SelectObjectContent),
            ],
            Op::Unlisted,
        ),
        Method::Delete => first(
            &[("uploadId", Op::AbortMultipartUpload), ("tagging", Op::DeleteObjectTagging)],
            Op::DeleteObject,
        ),
        Method::Other => Op::Unlisted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(level: Level, method: &str, query: &str, copies: bool) -> &'static str {
        classify(level, Method::of(method), Parameters::new(query.as_bytes()), copies).name()
    }

    #[test]
    fn bucket_requests_are_told_apart_by_their_sub_resource() {
        for (method, query, name) in [
            ("GET", "", "GetBucket"),
            ("GET", "prefix=a/&delimiter=/", "GetBucket"),
            ("GET", "list-type=2", "GetBucket"),
            ("HEAD", "", "HeadBucket"),
            ("PUT", "", "PutBucket"),
            ("DELETE", "", "DeleteBucket"),
            ("GET", "versions", "GetBucketObjectVersions"),
            ("GET", "uploads=&prefix=", "ListMultipartUploads"),
            ("GET", "location", "GetBucketLocation"),
            ("POST", "delete=", "DeleteMultipleObjects"),
            ("POST", "", "PostObject"),
            ("PUT", "acl", "PutBucketACL"),
            ("DELETE", "cors", "DeleteBucketCORS"),
            ("GET", "inventory", "ListBucketInventory"),
            ("GET", "inventory&id=a", "GetBucketInventory"),
            ("POST", "inventory&id=a", "PostBucketInventory"),
            ("GET", "intelligent-tiering", "ListBucketIntelligentTiering"),
            ("DELETE", "intelligent-tiering&id=x", "DeleteBucketIntelligentTiering"),
            ("PUT", "object-lock", "PutBucketObjectLockConfiguration"),
            ("DELETE", "versioning", "Unlisted"),
            ("PUT", "delete", "Unlisted"),
            ("GET", "ACL", "GetBucket"),
            ("GET", "ci-process=x", "CiProcess"),
        ] {
            assert_eq!(of(Level::Bucket, method, query, false), name, "{method} {query}");
        }
        assert_eq!(of(Level::Service, "GET", "", false), "GetService");
        assert_eq!(of(Level::Service, "PUT", "", false), "Unlisted");
    }

    #[test]
    fn object_requests_are_told_apart_by_their_sub_resource() {
        for (method, query, copies, name) in [
            ("GET", "", false, "GetObject"),
            ("GET", "versionId=1&response-content-type=a%2Fb", false, "GetObject"),
            ("GET", "uploadId=1", false, "ListParts"),
            ("GET", "imageMogr2/thumbnail/!50p", false, "CiProcess"),
            ("GET", "imageMogr2%2Fthumbnail%2F%2150p=", false, "CiProcess"),
            ("HEAD", "", false, "HeadObject"),
            ("HEAD", "preflight", false, "PreflightPutObject"),
            ("OPTIONS", "", false, "OptionsObject"),
            ("PUT", "", false, "PutObject"),
            ("PUT", "", true, "PutObjectCopy"),
            ("PUT", "partNumber=1&uploadId=2", false, "UploadPart"),
            ("PUT", "partNumber=1&uploadId=2", true, "UploadPartCopy"),
            ("PUT", "acl", false, "PutObjectACL"),
            ("PUT", "rename", false, "RenameObject"),
            ("POST", "uploads", false, "InitiateMultipartUpload"),
            ("POST", "uploadId=2", false, "CompleteMultipartUpload"),
            ("POST", "append&position=0", false, "AppendObject"),
            ("POST", "select&select-type=2", false, "SelectObjectContent"),
            ("POST", "", false, "Unlisted"),
            ("DELETE", "uploadId=2", false, "AbortMultipartUpload"),
            ("DELETE", "", false, "DeleteObject"),
        ] {
            assert_eq!(of(Level::Object, method, query, copies), name, "{method} {query}");
        }
    }
}
