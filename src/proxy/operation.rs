//! The operations of COS: names, policy actions, and what their bodies need.

macro_rules! operations {
    ($($variant:ident, $name:literal, $action:expr;)*) => {
        /// A COS operation (see the table in `docs/SEMANTICS.md`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Operation {
            /// Every operation, for metrics and documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in Tencent Cloud's documents; also the metric label.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The CAM action a policy must allow for it, on the target (copies also read their
            /// source); `None` where there is no one action.
            #[must_use]
            pub fn cam_action(self) -> Option<&'static str> {
                let action: &'static str = match self { $(Self::$variant => $action,)* };
                (!action.is_empty()).then_some(action)
            }
        }
    };
}

macro_rules! cos {
    ($action:literal) => {
        concat!("name/cos:", $action)
    };
}

// Names and actions: the `Action` constants of cos-nodejs-sdk-v5 `sdk/base.js`, methods of
// cos-go-sdk-v5, Tencent Cloud documents 598/57092, 598/69901 and 436/31923.
operations! {
    Unknown, "Unknown", "";
    Unlisted, "Unlisted", "";
    GetService, "GetService", cos!("GetService");
    BatchJobs, "BatchJobs", "";
    CiProcess, "CiProcess", "name/ci:*";
    PutBucket, "PutBucket", cos!("PutBucket");
    HeadBucket, "HeadBucket", cos!("HeadBucket");
    GetBucket, "GetBucket", cos!("GetBucket");
    DeleteBucket, "DeleteBucket", cos!("DeleteBucket");
    GetBucketObjectVersions, "GetBucketObjectVersions", cos!("GetBucketObjectVersions");
    ListMultipartUploads, "ListMultipartUploads", cos!("ListMultipartUploads");
    GetBucketLocation, "GetBucketLocation", cos!("GetBucketLocation");
    DeleteMultipleObjects, "DeleteMultipleObjects", cos!("DeleteObject");
    PostObject, "PostObject", cos!("PostObject");
    GetBucketAcl, "GetBucketACL", cos!("GetBucketACL");
    PutBucketAcl, "PutBucketACL", cos!("PutBucketACL");
    GetBucketCors, "GetBucketCORS", cos!("GetBucketCORS");
    PutBucketCors, "PutBucketCORS", cos!("PutBucketCORS");
    DeleteBucketCors, "DeleteBucketCORS", cos!("DeleteBucketCORS");
    GetBucketLifecycle, "GetBucketLifecycle", cos!("GetBucketLifecycle");
    PutBucketLifecycle, "PutBucketLifecycle", cos!("PutBucketLifecycle");
    DeleteBucketLifecycle, "DeleteBucketLifecycle", cos!("DeleteBucketLifecycle");
    GetBucketVersioning, "GetBucketVersioning", cos!("GetBucketVersioning");
    PutBucketVersioning, "PutBucketVersioning", cos!("PutBucketVersioning");
    GetBucketPolicy, "GetBucketPolicy", cos!("GetBucketPolicy");
    PutBucketPolicy, "PutBucketPolicy", cos!("PutBucketPolicy");
    DeleteBucketPolicy, "DeleteBucketPolicy", cos!("DeleteBucketPolicy");
    GetBucketTagging, "GetBucketTagging", cos!("GetBucketTagging");
    PutBucketTagging, "PutBucketTagging", cos!("PutBucketTagging");
    DeleteBucketTagging, "DeleteBucketTagging", cos!("DeleteBucketTagging");
    GetBucketReplication, "GetBucketReplication", cos!("GetBucketReplication");
    PutBucketReplication, "PutBucketReplication", cos!("PutBucketReplication");
    DeleteBucketReplication, "DeleteBucketReplication", cos!("DeleteBucketReplication");
    GetBucketWebsite, "GetBucketWebsite", cos!("GetBucketWebsite");
    PutBucketWebsite, "PutBucketWebsite", cos!("PutBucketWebsite");
    DeleteBucketWebsite, "DeleteBucketWebsite", cos!("DeleteBucketWebsite");
    GetBucketInventory, "GetBucketInventory", cos!("GetBucketInventory");
    ListBucketInventory, "ListBucketInventory", cos!("ListBucketInventory");
    PutBucketInventory, "PutBucketInventory", cos!("PutBucketInventory");
    DeleteBucketInventory, "DeleteBucketInventory", cos!("DeleteBucketInventory");
    PostBucketInventory, "PostBucketInventory", cos!("PostBucketInventory");
    GetBucketLogging, "GetBucketLogging", cos!("GetBucketLogging");
    PutBucketLogging, "PutBucketLogging", cos!("PutBucketLogging");
    GetBucketEncryption, "GetBucketEncryption", cos!("GetBucketEncryption");
    PutBucketEncryption, "PutBucketEncryption", cos!("PutBucketEncryption");
    DeleteBucketEncryption, "DeleteBucketEncryption", cos!("DeleteBucketEncryption");
    GetBucketDomain, "GetBucketDomain", cos!("GetBucketDomain");
    PutBucketDomain, "PutBucketDomain", cos!("PutBucketDomain");
    DeleteBucketDomain, "DeleteBucketDomain", cos!("DeleteBucketDomain");
    GetBucketDomainCertificate, "GetBucketDomainCertificate", cos!("GetBucketDomainCertificate");
    PutBucketDomainCertificate, "PutBucketDomainCertificate", cos!("PutBucketDomainCertificate");
    DeleteBucketDomainCertificate, "DeleteBucketDomainCertificate", cos!("DeleteBucketDomainCertificate");
    GetBucketOrigin, "GetBucketOrigin", cos!("GetBucketOrigin");
    PutBucketOrigin, "PutBucketOrigin", cos!("PutBucketOrigin");
    DeleteBucketOrigin, "DeleteBucketOrigin", cos!("DeleteBucketOrigin");
    GetBucketReferer, "GetBucketReferer", cos!("GetBucketReferer");
    PutBucketReferer, "PutBucketReferer", cos!("PutBucketReferer");
    GetBucketAccelerate, "GetBucketAccelerate", cos!("GetBucketAccelerate");
    PutBucketAccelerate, "PutBucketAccelerate", cos!("PutBucketAccelerate");
    GetBucketIntelligentTiering, "GetBucketIntelligentTiering", cos!("GetBucketIntelligentTiering");
    PutBucketIntelligentTiering, "PutBucketIntelligentTiering", cos!("PutBucketIntelligentTiering");
    ListBucketIntelligentTiering, "ListBucketIntelligentTiering", cos!("ListBucketIntelligentTiering");
    DeleteBucketIntelligentTiering, "DeleteBucketIntelligentTiering", cos!("DeleteBucketIntelligentTiering");
    GetBucketObjectLockConfiguration, "GetBucketObjectLockConfiguration", cos!("GetBucketObjectLockConfiguration");
    PutBucketObjectLockConfiguration, "PutBucketObjectLockConfiguration", cos!("PutBucketObjectLockConfiguration");
    GetBucketNotification, "GetBucketNotification", cos!("GetBucketNotification");
    PutBucketNotification, "PutBucketNotification", cos!("PutBucketNotification");
    GetBucketAccessMonitor, "GetBucketAccessMonitor", cos!("GetBucketAccessMonitor");
    GetObject, "GetObject", cos!("GetObject");
    HeadObject, "HeadObject", cos!("HeadObject");
    PreflightPutObject, "PreflightPutObject", cos!("PutObject");
    OptionsObject, "OptionsObject", cos!("OptionsObject");
    UploadPartCopy, "UploadPartCopy", cos!("UploadPart");
    UploadPart, "UploadPart", cos!("UploadPart");
    PutObjectAcl, "PutObjectACL", cos!("PutObjectACL");
    PutObjectTagging, "PutObjectTagging", cos!("PutObjectTagging");
    PutObjectRetention, "PutObjectRetention", cos!("PutObjectRetention");
    PutSymlink, "PutSymlink", cos!("PutObject");
    RenameObject, "RenameObject", cos!("RenameObject");
    PutObjectCopy, "PutObjectCopy", cos!("PutObject");
    PutObject, "PutObject", cos!("PutObject");
    InitiateMultipartUpload, "InitiateMultipartUpload", cos!("InitiateMultipartUpload");
    CompleteMultipartUpload, "CompleteMultipartUpload", cos!("CompleteMultipartUpload");
    AppendObject, "AppendObject", cos!("AppendObject");
    PostObjectRestore, "PostObjectRestore", cos!("PostObjectRestore");
    SelectObjectContent, "SelectObjectContent", cos!("GetObject");
    ListParts, "ListParts", cos!("ListParts");
    GetObjectAcl, "GetObjectACL", cos!("GetObjectACL");
    GetObjectTagging, "GetObjectTagging", cos!("GetObjectTagging");
    GetObjectRetention, "GetObjectRetention", cos!("GetObjectRetention");
    GetSymlink, "GetSymlink", cos!("GetObject");
    AbortMultipartUpload, "AbortMultipartUpload", cos!("AbortMultipartUpload");
    DeleteObjectTagging, "DeleteObjectTagging", cos!("DeleteObjectTagging");
    DeleteObject, "DeleteObject", cos!("DeleteObject");
}

impl Operation {
    /// Takes a body of unknown length (`Transfer-Encoding: chunked`).
    /// Tencent Cloud document 436/7749 for PutObject; official SDKs send it for the other two.
    pub(super) fn takes_chunked(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart | Self::AppendObject)
    }

    /// Is in effect refused without `Content-MD5`: every XML or JSON document that the official
    /// SDKs send with one (cos-go-sdk-v5 sets it for all of these).
    pub(super) fn wants_digest(self) -> bool {
        self == Self::DeleteMultipleObjects || {
            let name = self.name();
            (name.starts_with("PutBucket") && self != Self::PutBucket)
                || matches!(
                    self,
                    Self::PutObjectAcl
                        | Self::PutObjectTagging
                        | Self::PutObjectRetention
                        | Self::PostObjectRestore
                        | Self::PostBucketInventory
                )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_semantics_lists_exactly_the_operations() {
        let document = include_str!("../../docs/SEMANTICS.md");
        let (_, table) = document.split_once("| operation | CAM action |").unwrap();
        let documented: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = Operation::ALL
            .iter()
            .map(|op| {
                let action =
                    op.cam_action().map_or("none".to_owned(), |action| format!("`{action}`"));
                format!("| `{}` | {action} |", op.name())
            })
            .collect();
        assert_eq!(documented, expected);
    }

    #[test]
    fn labels_are_unique_and_digests_are_wanted_where_documents_are_put() {
        let names: std::collections::BTreeSet<_> =
            Operation::ALL.iter().map(|op| op.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        for op in [
            Operation::PutBucketCors,
            Operation::PutObjectTagging,
            Operation::DeleteMultipleObjects,
        ] {
            assert!(op.wants_digest(), "{op:?}");
        }
        for op in [Operation::PutBucket, Operation::PutObject, Operation::CompleteMultipartUpload] {
            assert!(!op.wants_digest(), "{op:?}");
        }
    }
}
