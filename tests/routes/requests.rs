//! Requests of every kind on the keys of two buckets.

use cos_auth_proxy::proxy::{Allow, RouteSettings};
use proptest::{prelude::*, sample::select};

pub(crate) const BUCKETS: [&str; 2] = ["one-1250000000", "two-1250000000"];
pub(crate) const REGION: &str = "ap-guangzhou";

/// Prefixes and keys that lie inside each other, beside each other, and across each other.
pub(crate) const PREFIXES: [&str; 8] = ["", "a", "a/", "a/b/", "a/b/c", "ab/", "c d+/", "目/"];
pub(crate) const KEYS: [&str; 10] =
    ["a", "a/x", "a/b/x", "a/b/c", "a/b/cd", "ab/y", "c d+/z", "c", "目/é", "z"];

/// One request, before it is spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) bucket: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Method and sub-resource, with its action, on a key.
    Object(&'static str, &'static str, &'static str, &'static str),
    /// The same on the bucket.
    Bucket(&'static str, &'static str, &'static str),
    /// The same with a prefix, or without the parameter.
    List(&'static str, &'static str, Option<&'static str>),
    /// To this key from that key of a bucket.
    Copy(&'static str, usize, &'static str),
    CopyPart(&'static str, usize, &'static str),
    /// Header, source and target.
    Linked(&'static str, &'static str, &'static str),
    DeleteMany(Vec<&'static str>),
    Service,
}

/// Method, query and action of what is done to a key (Tencent Cloud documents 436/7731, 436/31923).
pub(crate) const ON_OBJECTS: [(&str, &str, &str); 22] = [
    ("GET", "", "GetObject"),
    ("HEAD", "", "HeadObject"),
    ("GET", "acl", "GetObjectACL"),
    ("GET", "tagging", "GetObjectTagging"),
    ("GET", "uploadId=u", "ListParts"),
    ("PUT", "", "PutObject"),
    ("PUT", "acl", "PutObjectACL"),
    ("PUT", "tagging", "PutObjectTagging"),
    ("PUT", "partNumber=1&uploadId=u", "UploadPart"),
    ("POST", "uploads", "InitiateMultipartUpload"),
    ("POST", "uploadId=u", "CompleteMultipartUpload"),
    ("POST", "append&position=0", "AppendObject"),
    ("DELETE", "uploadId=u", "AbortMultipartUpload"),
    ("DELETE", "tagging", "DeleteObjectTagging"),
    ("DELETE", "", "DeleteObject"),
    // Not of the emulator, which answers 501 to anybody: judged by the policy alone.
    ("GET", "retention", "GetObjectRetention"),
    ("PUT", "retention", "PutObjectRetention"),
    ("GET", "symlink", "GetObject"),
    ("POST", "select&select-type=2", "GetObject"),
    ("POST", "restore", "PostObjectRestore"),
    ("HEAD", "preflight", "PutObject"),
    ("OPTIONS", "", "OptionsObject"),
];

/// The same for buckets.
pub(crate) const ON_BUCKETS: [(&str, &str, &str); 17] = [
    ("HEAD", "", "HeadBucket"),
    ("GET", "location", "GetBucketLocation"),
    ("GET", "versioning", "GetBucketVersioning"),
    ("GET", "acl", "GetBucketACL"),
    ("PUT", "acl", "PutBucketACL"),
    ("GET", "tagging", "GetBucketTagging"),
    ("PUT", "tagging", "PutBucketTagging"),
    ("DELETE", "tagging", "DeleteBucketTagging"),
    ("PUT", "", "PutBucket"),
    ("DELETE", "", "DeleteBucket"),
    // Judged by the policy alone.
    ("GET", "cors", "GetBucketCORS"),
    ("PUT", "lifecycle", "PutBucketLifecycle"),
    ("DELETE", "policy", "DeleteBucketPolicy"),
    ("GET", "website", "GetBucketWebsite"),
    ("GET", "inventory", "ListBucketInventory"),
    ("PUT", "encryption", "PutBucketEncryption"),
    ("GET", "intelligent-tiering&id=1", "GetBucketIntelligentTiering"),
];

const LISTS: [(&str, &str); 3] = [
    ("", "GetBucket"),
    ("versions", "GetBucketObjectVersions"),
    ("uploads", "ListMultipartUploads"),
];

/// What routes may allow here.
const WORDS: [&str; 18] = [
    "read",
    "list",
    "write",
    "delete",
    "name/cos:GetObject",
    "name/cos:PutObject",
    "name/cos:DeleteObject",
    "name/cos:UploadPart",
    "name/cos:GetObjectACL",
    "name/cos:PutObjectACL",
    "name/cos:RenameObject",
    "name/cos:PostObjectRestore",
    "name/cos:GetObjectRetention",
    "name/cos:GetBucket",
    "name/cos:HeadBucket",
    "name/cos:GetBucketACL",
    "name/cos:PutBucketTagging",
    "name/cos:GetService",
];

pub(crate) fn allow(words: &[&str]) -> Allow {
    words.iter().fold(Allow::default(), |all, word| all.with(Allow::word(word).unwrap()))
}

pub(crate) fn route(bucket: usize, prefix: &str, words: &[&str], keys: usize) -> RouteSettings {
    RouteSettings {
        bucket: BUCKETS[bucket].to_owned(),
        region: REGION.to_owned(),
        prefix: prefix.to_owned(),
        allow: allow(words),
        keys,
        keys_name: format!("set{keys}"),
    }
}

/// Up to eight routes of three key sets.
pub(crate) fn routes() -> impl Strategy<Value = Vec<RouteSettings>> {
    let words = prop::collection::vec(select(&WORDS[..]), 0..4);
    let one = (0..2_usize, select(&PREFIXES[..]), words, 0..3_usize)
        .prop_map(|(bucket, prefix, words, keys)| route(bucket, prefix, &words, keys));
    prop::collection::vec(one, 1..9)
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let key = || select(&KEYS[..]);
    let prefix = prop_oneof![
        Just(None),
        select(&KEYS[..]).prop_map(Some),
        select(&PREFIXES[..]).prop_map(Some)
    ];
    let kind = prop_oneof![
        8 => (select(&ON_OBJECTS[..]), key()).prop_map(|((method, query, action), key)| Kind::Object(method, query, action, key)),
        2 => select(&ON_BUCKETS[..]).prop_map(|(method, query, action)| Kind::Bucket(method, query, action)),
        3 => (select(&LISTS[..]), prefix).prop_map(|((query, action), prefix)| Kind::List(query, action, prefix)),
        2 => (key(), 0..2_usize, key()).prop_map(|(to, bucket, from)| Kind::Copy(to, bucket, from)),
        1 => (key(), 0..2_usize, key()).prop_map(|(to, bucket, from)| Kind::CopyPart(to, bucket, from)),
        1 => (select(&["rename", "symlink"][..]), key(), key()).prop_map(|(how, from, to)| Kind::Linked(how, from, to)),
        2 => prop::collection::vec(key(), 1..4).prop_map(Kind::DeleteMany),
        1 => Just(Kind::Service),
    ];
    (0..2_usize, kind).prop_map(|(bucket, kind)| Request { bucket, kind })
}

/// Method, target, further header lines and body.
pub(crate) struct Spelled {
    pub(crate) method: &'static str,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) lines: String,
    pub(crate) body: String,
}

impl Request {
    /// `upload` is a multipart upload under way on the key of a [`Kind::CopyPart`].
    pub(crate) fn spell(&self, upload: &str) -> Spelled {
        let host = host_of(self.bucket);
        let plain = |method, target: String| Spelled {
            method,
            host: host.clone(),
            target,
            lines: String::new(),
            body: String::new(),
        };
        let with_query = |key: &str, query: &str| {
            let mark = if query.is_empty() { "" } else { "?" };
            format!("/{}{mark}{query}", encoded(key))
        };
        let source = |bucket: usize, key: &str| {
            format!("x-cos-copy-source: {}/{}\r\n", host_of(bucket), encoded(key))
        };
        match &self.kind {
            Kind::Object(method, query, _, key) => {
                let sent = plain(method, with_query(key, query));
                let lines =
                    if *query == "acl" && *method == "PUT" { "x-cos-acl: private\r\n" } else { "" };
                Spelled { lines: lines.to_owned(), ..sent }
            }
            Kind::Bucket(method, query, _) => plain(method, with_query("", query)),
            Kind::List(query, _, prefix) => {
                let prefix = prefix.map(|prefix| format!("prefix={}", encoded(prefix)));
                let parts = [Some((*query).to_owned()).filter(|q| !q.is_empty()), prefix];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                plain("GET", with_query("", &parts.join("&")))
            }
            Kind::Copy(to, bucket, from) => {
                Spelled { lines: source(*bucket, from), ..plain("PUT", with_query(to, "")) }
            }
            Kind::CopyPart(to, bucket, from) => {
                let target = with_query(to, &format!("partNumber=1&uploadId={upload}"));
                Spelled { lines: source(*bucket, from), ..plain("PUT", target) }
            }
            Kind::Linked(how, from, to) => {
                let name = if *how == "rename" {
                    "x-cos-rename-source: /"
                } else {
                    "x-cos-symlink-target: "
                };
                let lines = format!("{name}{}\r\n", encoded(from));
                Spelled { lines, ..plain("PUT", with_query(to, how)) }
            }
            Kind::DeleteMany(keys) => {
                let objects: String =
                    keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
                let body = format!("<Delete>{objects}</Delete>");
                Spelled { body, ..plain("POST", "/?delete".to_owned()) }
            }
            Kind::Service => {
                let host = "service.cos.myqcloud.com".to_owned();
                Spelled { host, ..plain("GET", "/".to_owned()) }
            }
        }
    }

    /// Whether the emulator carries it out, so that it can be asked itself.
    pub(crate) fn is_emulated(&self) -> bool {
        match &self.kind {
            Kind::Object(method, query, ..) => {
                let others = ["retention", "symlink", "select", "restore", "preflight"];
                *method != "OPTIONS" && !others.iter().any(|other| query.starts_with(other))
            }
            Kind::Bucket(_, query, _) => {
                let others = ["cors", "lifecycle", "policy", "website", "inventory", "encryption"];
                !others.contains(query) && !query.starts_with("intelligent")
            }
            Kind::Linked(..) => false,
            Kind::List(..)
            | Kind::Copy(..)
            | Kind::CopyPart(..)
            | Kind::DeleteMany(_)
            | Kind::Service => true,
        }
    }

    /// What a policy must allow for it: actions with resources.
    pub(crate) fn needs(&self) -> Vec<(String, String)> {
        let on = |action: &str, bucket: usize, key: &str| {
            (format!("name/cos:{action}"), resource(bucket, key))
        };
        match &self.kind {
            Kind::Object(_, _, action, key) => vec![on(action, self.bucket, key)],
            Kind::Bucket(_, _, action) => vec![on(action, self.bucket, "")],
            Kind::Copy(to, bucket, from) => {
                vec![on("PutObject", self.bucket, to), on("GetObject", *bucket, from)]
            }
            Kind::CopyPart(to, bucket, from) => {
                vec![on("UploadPart", self.bucket, to), on("GetObject", *bucket, from)]
            }
            Kind::Linked("rename", from, to) => vec![
                on("RenameObject", self.bucket, to),
                on("RenameObject", self.bucket, from),
                on("GetObject", self.bucket, from),
            ],
            Kind::Linked(_, from, to) => {
                vec![on("PutObject", self.bucket, to), on("GetObject", self.bucket, from)]
            }
            Kind::DeleteMany(keys) => {
                keys.iter().map(|key| on("DeleteObject", self.bucket, key)).collect()
            }
            Kind::List(..) | Kind::Service => Vec::new(),
        }
    }

    /// A rename moves what lies below the keys too: the gate is stricter there than any policy.
    pub(crate) fn is_stricter_here(&self, routes: &[RouteSettings]) -> bool {
        let Kind::Linked("rename", from, to) = &self.kind else { return false };
        let bucket = BUCKETS[self.bucket];
        let longer = |key: &str, r: &RouteSettings| {
            r.bucket == bucket && r.prefix.starts_with(key) && r.prefix.len() > key.len()
        };
        routes.iter().any(|r| longer(from, r) || longer(to, r))
    }
}

pub(crate) fn host_of(bucket: usize) -> String {
    format!("{}.cos.{REGION}.myqcloud.com", BUCKETS[bucket])
}

pub(crate) fn resource(bucket: usize, key: &str) -> String {
    format!("qcs::cos:{REGION}:uid/1250000000:{}/{key}", BUCKETS[bucket])
}

pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
