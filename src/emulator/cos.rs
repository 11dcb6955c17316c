//! A COS request from head to answer: whose bucket, which operation, may the caller, do it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base64::Engine as _;

use super::{
    CosError,
    accounts::Accounts,
    acl,
    address::{self, Address, appid},
    answer::Answer,
    bucket, copy,
    encoding::Query,
    errors::ErrorPlace,
    faults::Faults,
    listing, multipart, object,
    operation::Operation,
    seen::{SeenLog, SeenRequest},
    store::{Object, Store, no_such_bucket},
    tagging,
    verify::{Caller, Seen, verify},
    wire::{Body, Framing, Head},
};
use crate::clock::{Clock, Timestamp};

/// The owner of every bucket and object.
pub(crate) const OWNER: &str = "qcs::cam::uin/100000000001:uin/100000000001";

/// Longest XML body taken, in bytes: a thousand keys of full length fit.
const DOCUMENT_LIMIT: usize = 2 * 1024 * 1024;

/// The object store's half of the emulator.
pub(crate) struct Cos {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) faults: Faults,
    pub(crate) seen: SeenLog,
    pub(crate) clock: Clock,
    pub(crate) domains: Vec<(String, String)>,
    pub(crate) verifies: bool,
    pub(crate) answered: AtomicU64,
}

/// One request under way, once it is known what it wants and who sent it.
pub(crate) struct Exchange<'a> {
    cos: &'a Cos,
    pub(crate) head: &'a Head,
    pub(crate) operation: Operation,
    pub(crate) bucket: &'a str,
    pub(crate) region: &'a str,
    pub(crate) key: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
}

/// A target split and decoded.
struct Target<'a> {
    path: &'a str,
    query: &'a str,
    key: String,
    parameters: Query,
}

/// What a host and a path stand for.
struct Place {
    bucket: String,
    region: String,
    operation: Operation,
}

impl Cos {
    /// The time on the emulator's clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.accounts.now_unix(&self.clock))
    }

    /// Handles a request; `seen` is told what it was and what became of it.
    pub(crate) async fn respond(
        &self,
        head: &Head,
        body: &mut Body<'_>,
        seen: &mut SeenRequest,
    ) -> Answer {
        let now = self.now();
        match self.handle(head, body, now, seen).await {
            Ok(answer) => {
                "ok".clone_into(&mut seen.verdict);
                self.dressed(answer, now, &self.request_id(now))
            }
            Err(error) => self.refusal(head.header("host"), &head.target, &error, seen),
        }
    }

    /// An error as COS answers it.
    pub(crate) fn refusal(
        &self,
        host: Option<&str>,
        target: &str,
        error: &CosError,
        seen: &mut SeenRequest,
    ) -> Answer {
        let now = self.now();
        let request_id = self.request_id(now);
        let trace_id = encode(&format!("trace {request_id}"));
        error.code.clone_into(&mut seen.verdict);
        let path = origin_form(target).split('?').next().unwrap_or_default();
        let resource = format!("{}{path}", host.unwrap_or_default());
        let document = error.to_xml(ErrorPlace {
            resource: &resource,
            request_id: &request_id,
            trace_id: &trace_id,
            now_unix: now.unix_seconds(),
        });
        let answer = Answer::xml(error.status, document).header("x-cos-trace-id", trace_id);
        self.dressed(answer, now, &request_id)
    }

    /// The headers that every answer of COS has (doc 436/7729).
    fn dressed(&self, answer: Answer, now: Timestamp, request_id: &str) -> Answer {
        answer
            .header("Date", httpdate::fmt_http_date(now.to_system_time()))
            .header("Server", "tencent-cos")
            .header("x-cos-request-id", request_id)
    }

    fn request_id(&self, now: Timestamp) -> String {
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        encode(&format!("{:08x}_{:08x}_{number:x}", now.unix_seconds(), fastrand::u32(..)))
    }

    async fn handle(
        &self,
        head: &Head,
        body: &mut Body<'_>,
        now: Timestamp,
        seen: &mut SeenRequest,
    ) -> Result<Answer, CosError> {
        let target = split(&head.target)?;
        let host = head.header("host").unwrap_or_default();
        let place = self.place(host, head, &target)?;
        seen.action = format!("{:?}", place.operation);
        let request = Seen {
            method: &head.method,
            path: target.path,
            query: target.query,
            headers: &head.headers,
            host,
        };
        let caller = self.caller(&request, &place, now)?;
        seen.secret_id = Some(caller.secret_id.clone()).filter(|id| !id.is_empty());
        let exchange = Exchange {
            cos: self,
            head,
            operation: place.operation,
            bucket: &place.bucket,
            region: &place.region,
            key: &target.key,
            query: &target.parameters,
            caller: &caller,
            now,
        };
        exchange.check_permission()?;
        exchange.check_framing()?;
        exchange.run(body).await
    }

    fn place(&self, host: &str, head: &Head, target: &Target<'_>) -> Result<Place, CosError> {
        let method = head.method.as_str();
        let (bucket, region) = match address::parse(host, &self.domains) {
            Address::Bucket { bucket, region } => (bucket, region),
            Address::Service { region } if target.key.is_empty() && method == "GET" => {
                let region = region.unwrap_or_default();
                return Ok(Place {
                    bucket: String::new(),
                    region,
                    operation: Operation::GetService,
                });
            }
            Address::Service { .. } => return Err(path_style()),
            Address::Accelerate => {
                let message = "The bucket does not support global acceleration.";
                return Err(CosError::new(400, "BucketAccelerateNotEnabled", message));
            }
            Address::Unknown => return Err(no_such_bucket()),
        };
        let collapsed = method == "GET" && collapses(&target.key);
        let operation = if target.key.is_empty() || collapsed {
            Operation::on_bucket(method, &target.parameters)
        } else {
            Operation::on_object(method, &target.parameters, &head.headers)
        };
        let known = self.store.with_bucket(&bucket, |bucket| Ok(bucket.region.clone()));
        let region = match (operation, known, region) {
            (Operation::PutBucket, _, Some(region)) => region,
            (_, Ok(known), Some(region)) if known != region => return Err(no_such_bucket()),
            (_, known, _) => known?,
        };
        Ok(Place { bucket, region, operation })
    }

    fn caller(
        &self,
        request: &Seen<'_>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Caller, CosError> {
        // A pre-flight of a browser is never signed.
        if self.verifies && place.operation != Operation::OptionsObject {
            return verify(&self.accounts, request, now.unix_seconds());
        }
        Ok(Caller {
            secret_id: String::new(),
            policy: None,
            uin: String::new(),
            appid: appid(&place.bucket).to_owned(),
        })
    }
}

impl Exchange<'_> {
    /// The buckets.
    pub(crate) fn store(&self) -> &Store {
        &self.cos.store
    }

    /// Custom domains: host and bucket.
    pub(crate) fn domains(&self) -> &[(String, String)] {
        &self.cos.domains
    }

    /// The object under this exchange's key.
    ///
    /// # Errors
    /// 404 `NoSuchKey` or `NoSuchBucket`.
    pub(crate) fn object(&self) -> Result<Arc<Object>, CosError> {
        self.store().object(self.bucket, self.key)
    }

    /// Makes an object visible under this exchange's key, in one step.
    ///
    /// # Errors
    /// 404 `NoSuchBucket` if the bucket went meanwhile.
    pub(crate) fn install(&self, object: Object) -> Result<(), CosError> {
        self.store().with_bucket(self.bucket, |bucket| {
            bucket.objects.insert(self.key.to_owned(), Arc::new(object));
            Ok(())
        })
    }

    /// Makes an appended object visible, if the one before still ends at `position`.
    ///
    /// # Errors
    /// 409 `AppendPositionErr` if another append came first.
    pub(crate) fn install_if(&self, object: Object, position: u64) -> Result<(), CosError> {
        self.store().with_bucket(self.bucket, |bucket| {
            let before = bucket.objects.get(self.key).map(AsRef::as_ref);
            object::check_append(before, position)?;
            bucket.objects.insert(self.key.to_owned(), Arc::new(object));
            Ok(())
        })
    }

    /// `host/key`, as answers tell it.
    pub(crate) fn resource(&self) -> String {
        format!("{}/{}", self.head.header("host").unwrap_or_default(), self.key)
    }

    /// A small XML body, checked against `Content-MD5`.
    ///
    /// # Errors
    /// 400 `XMLSizeLimit`, `IncompleteBody`, `BadDigest`, `InvalidDigest`.
    pub(crate) async fn document(&self, body: &mut Body<'_>) -> Result<Vec<u8>, CosError> {
        use md5::{Digest as _, Md5};
        let document = body.collect(DOCUMENT_LIMIT).await.map_err(object::body_error)?;
        object::check_md5(self.head, &Md5::digest(&document).into())?;
        Ok(document)
    }

    /// Whether the caller may do any of `actions` on a key; an empty key is the bucket itself.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub(crate) fn authorise(
        &self,
        actions: &[&str],
        region: &str,
        bucket: &str,
        key: &str,
    ) -> Result<(), CosError> {
        let resource = format!("{}{key}", self.bucket_resource(region, bucket));
        if self.owns(bucket) && self.policy_allows(actions, &resource) {
            Ok(())
        } else {
            Err(CosError::access_denied("Access Denied."))
        }
    }

    /// Ends in `/`.
    fn bucket_resource(&self, region: &str, bucket: &str) -> String {
        format!("qcs::cos:{region}:uid/{}:{bucket}/", appid(bucket))
    }

    fn owns(&self, bucket: &str) -> bool {
        !self.cos.verifies || self.caller.appid == appid(bucket)
    }

    fn policy_allows(&self, actions: &[&str], resource: &str) -> bool {
        let Some(policy) = &self.caller.policy else { return true };
        actions.iter().any(|action| policy.allows(action, resource))
    }

    /// Judges the operation's own permission. A multi-delete is judged key by key, the source of a
    /// copy when it is looked up. How a list is judged: [`super::policy::Policy::allows_list`].
    fn check_permission(&self) -> Result<(), CosError> {
        use Operation as Op;
        let actions = self.operation.actions();
        let may = |key: &str| self.authorise(actions, self.region, self.bucket, key);
        let lists = [Op::GetBucket, Op::GetBucketObjectVersions, Op::ListMultipartUploads];
        let judged_elsewhere = [
            Op::DeleteMultipleObjects,
            Op::OptionsObject,
            Op::NotImplemented,
            Op::MethodNotAllowed,
        ];
        if judged_elsewhere.contains(&self.operation) {
            Ok(())
        } else if self.operation == Op::GetService {
            let allowed = self.policy_allows(actions, "*");
            if allowed { Ok(()) } else { Err(CosError::access_denied("Access Denied.")) }
        } else if lists.contains(&self.operation) {
            let bucket = self.bucket_resource(self.region, self.bucket);
            let prefix = self.query.get("prefix");
            let policy = self.caller.policy.as_ref();
            let allowed = policy.is_none_or(|policy| {
                actions.iter().any(|action| policy.allows_list(action, &bucket, prefix))
            });
            if allowed && self.owns(self.bucket) {
                Ok(())
            } else {
                Err(CosError::access_denied("Access Denied."))
            }
        } else {
            may(self.key)
        }
    }

    /// A PUT or POST must say how long it is; chunked is for the bytes of objects.
    fn check_framing(&self) -> Result<(), CosError> {
        let has_body = matches!(self.head.method.as_str(), "PUT" | "POST");
        let streams = matches!(
            self.operation,
            Operation::PutObject | Operation::UploadPart | Operation::AppendObject
        );
        match self.head.framing {
            Framing::Length(_) => Ok(()),
            Framing::Chunked if streams || !has_body => Ok(()),
            Framing::Unstated if !has_body => Ok(()),
            Framing::Chunked | Framing::Unstated => Err(CosError::new(
                411,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            )),
        }
    }

    async fn run(&self, body: &mut Body<'_>) -> Result<Answer, CosError> {
        match self.operation {
            Operation::GetService => {
                let region = Some(self.region).filter(|region| !region.is_empty());
                Ok(listing::buckets(self, region))
            }
            Operation::PutBucket => bucket::put(self, body).await,
            Operation::HeadBucket => Ok(bucket::head(self)),
            Operation::GetBucket => listing::objects(self),
            Operation::DeleteBucket => bucket::delete(self),
            Operation::GetBucketObjectVersions => listing::versions(self),
            Operation::ListMultipartUploads => listing::uploads(self),
            Operation::GetBucketLocation => Ok(bucket::location(self)),
            Operation::GetBucketVersioning => Ok(bucket::versioning()),
            Operation::DeleteMultipleObjects => bucket::delete_many(self, body).await,
            Operation::GetBucketACL => acl::get_bucket_acl(self),
            Operation::PutBucketACL => acl::put_bucket_acl(self, body).await,
            Operation::GetBucketTagging => tagging::get_bucket_tagging(self),
            Operation::PutBucketTagging => tagging::put_bucket_tagging(self, body).await,
            Operation::DeleteBucketTagging => tagging::delete_bucket_tagging(self),
            Operation::GetObject | Operation::HeadObject => object::get(self),
            Operation::PutObject => object::put(self, body).await,
            Operation::PutObjectCopy => copy::put_copy(self),
            Operation::AppendObject => object::append(self, body).await,
            Operation::DeleteObject => object::delete(self),
            Operation::GetObjectACL => acl::get_object_acl(self),
            Operation::PutObjectACL => acl::put_object_acl(self, body).await,
            Operation::GetObjectTagging => tagging::get_object_tagging(self),
            Operation::PutObjectTagging => tagging::put_object_tagging(self, body).await,
            Operation::DeleteObjectTagging => tagging::delete_object_tagging(self),
            Operation::InitiateMultipartUpload => multipart::initiate(self),
            Operation::UploadPart => multipart::upload_part(self, body).await,
            Operation::UploadPartCopy => multipart::upload_part_copy(self).await,
            Operation::ListParts => multipart::list_parts(self),
            Operation::CompleteMultipartUpload => multipart::complete(self, body).await,
            Operation::AbortMultipartUpload => multipart::abort(self),
            Operation::OptionsObject => {
                let message = "This CORS request is not allowed: the bucket has no CORS rules.";
                Err(CosError::new(403, "AccessForbidden", message))
            }
            Operation::NotImplemented => {
                let message = "The emulator does not implement this operation.";
                Err(CosError::new(501, "NotImplemented", message))
            }
            Operation::MethodNotAllowed => {
                let message = "The specified method is not allowed against this resource.";
                Err(CosError::new(405, "MethodNotAllowed", message))
            }
        }
    }
}

/// A target without the scheme and authority of the absolute form.
fn origin_form(target: &str) -> &str {
    let absolute = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
    match absolute {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    }
}

/// Splits and decodes a target.
fn split(target: &str) -> Result<Target<'_>, CosError> {
    let target = origin_form(target);
    if !target.starts_with('/') {
        return Err(CosError::new(400, "InvalidURI", "Could not parse the specified URI."));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = object::key_of(path)?;
    Ok(Target { path, query, key, parameters: Query::parse(query)? })
}

/// Whether a key is nothing once dot segments and empty segments are resolved: the official SDKs
/// refuse to GET such keys, because COS would list the bucket instead.
fn collapses(key: &str) -> bool {
    let mut depth = 0_usize;
    for segment in key.split('/') {
        match segment {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    depth == 0
}

fn path_style() -> CosError {
    CosError::new(
        403,
        "PathStyleDomainForbidden",
        "The bucket you are attempting to access must be addressed using COS virtual-styled domain.",
    )
}

fn encode(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_keeps_its_bytes_and_gives_the_decoded_key() {
        for (target, path, key) in [
            ("/", "/", ""),
            ("/a%20b+c", "/a%20b+c", "a b+c"),
            ("/%2Flead%2F%2Fdbl", "/%2Flead%2F%2Fdbl", "/lead//dbl"),
            ("//lead", "//lead", "/lead"),
            ("/a|b^c(1)*'!", "/a|b^c(1)*'!", "a|b^c(1)*'!"),
            ("http://h:80/k?x", "/k", "k"),
            ("http://h", "/", ""),
            ("/100%25/a%252F", "/100%25/a%252F", "100%/a%2F"),
        ] {
            let split = split(target).unwrap();
            assert_eq!((split.path, split.key.as_str()), (path, key), "{target}");
        }
        assert!(split("*").is_err());
        assert!(split("/%ff").is_err());
    }

    #[test]
    fn a_key_of_dots_and_slashes_collapses() {
        for key in ["/", "./", "a/..", "../..", "//./"] {
            assert!(collapses(key), "{key}");
        }
        for key in ["a", "./a", "../a", "a/../b", "..."] {
            assert!(!collapses(key), "{key}");
        }
    }
}
