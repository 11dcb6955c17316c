//! May this request pass, and as what?

use std::{borrow::Cow, sync::Arc};

use crate::http1::{Body, RequestHead};

use super::{
    Method, Operation, Origin, ProxySettings, Reason, Refused,
    asked::{self, Asked, HostFault, NamedBucket},
    browser,
    classify::{Level, classify},
    copy_source::CopySource,
    fields, framing,
    hosts::{self, HostName, HostRules, Site, TokenHeader},
    origin::SharedOrigin,
    query::Parameters,
    route_denied,
    routes::{Routes, Verdict},
    target::{Target, collapses_to_root, split_bucket},
    upstream::Upstream,
};

/// The compiled rules of admission.
#[derive(Debug)]
pub struct Gate {
    hosts: HostRules,
    upstream: Upstream,
    held_body_bytes: usize,
    routes: Option<Routes>,
}

/// A request that may pass, with its upstream form.
#[derive(Debug)]
pub struct Admitted<'b> {
    /// Where it goes.
    pub origin: Arc<Origin>,
    /// What it is.
    pub operation: Operation,
    /// Method label.
    pub method: Method,
    /// The key set that signs it, as an index into those the operator configured.
    pub key_set: usize,
    /// Path to write upstream, exact bytes.
    pub path: &'b [u8],
    /// Query to write upstream, exact bytes without `?`, client signature parameters still inside.
    pub query: &'b [u8],
    /// The body must be held (up to the setting) and digested before composing.
    pub needs_digest: bool,
    /// The body must be held and the request admitted again with it, before a key is taken: which
    /// key set signs is told by the keys in it.
    pub needs_body: bool,
    /// GET or HEAD: may be sent again once if a reused connection died before any answer byte.
    pub safe_to_repeat: bool,
    /// A `?` stands in the target, even if nothing follows.
    pub(super) has_query: bool,
    pub(super) token_header: TokenHeader,
    pub(super) copy_source: Option<CopySource<'b>>,
}

/// What the host and the path say together.
struct Place<'b, 'n> {
    origin: SharedOrigin,
    level: Level,
    path: &'b [u8],
    bucket: Named<'n>,
}

/// Who names the bucket.
enum Named<'n> {
    /// The host upstream, or nobody.
    Host,
    /// The request or the settings; the region is the configured one.
    Here(&'n str),
}

impl Gate {
    /// Compiles the settings, which have passed [`ProxySettings::problems`]. A setting that has
    /// not makes the requests that need it fail with [`Reason::Internal`].
    #[must_use]
    pub fn new(settings: &ProxySettings) -> Self {
        let upstream = Upstream::new(settings);
        let mut hosts = HostRules::new(settings);
        if let Some(name) = upstream.own_name() {
            hosts.also_bucket(name);
        }
        Self {
            hosts,
            upstream,
            held_body_bytes: settings.held_body_bytes,
            routes: Routes::new(&settings.routes),
        }
    }

    /// Judges one head.
    ///
    /// # Errors
    /// [`Refused`] with the reason and what to do.
    pub fn admit<'b>(&self, head: &RequestHead<'_, 'b>) -> Result<Admitted<'b>, Refused> {
        self.admit_with(head, None)
    }

    /// Judges one head, and its whole body once that is held.
    ///
    /// # Errors
    /// [`Refused`] with the reason and what to do.
    pub fn admit_with<'b>(
        &self,
        head: &RequestHead<'_, 'b>,
        held: Option<&[u8]>,
    ) -> Result<Admitted<'b>, Refused> {
        let method = known_method(head.method)?;
        let target = Target::parse(head.target)?;
        let host = request_host(head, &target)?;
        let site = self.hosts.read(&host)?;
        browser::check(head, method, &host)?;

        let Place { origin, level, path, bucket } = self.place(site, &host, method, target.path)?;
        if (method.asks_or_destroys() || self.routes.is_some()) && collapses_to_root(path) {
            return Err(Reason::PathCollapses.refused());
        }
        let query = Parameters::new(target.query);
        query.check()?;

        fields::check(head)?;
        let copy_source = match head.field("x-cos-copy-source") {
            Some(value) => Some(CopySource::parse(value, &self.hosts, &self.upstream)?),
            None => None,
        };
        let operation = classify(level, method, query, copy_source.is_some());
        let needs_digest = framing::check(head, method, operation, self.held_body_bytes)?;
        let Verdict { key_set, needs_body } = match &self.routes {
            None => Verdict { key_set: 0, needs_body: false },
            Some(routes) => {
                let asked = Asked {
                    operation,
                    method,
                    bucket: self.bucket(&bucket, level, &origin),
                    path,
                    query,
                    body: held.or(no_body(head.body)),
                    copy: None,
                    rename: None,
                    symlink: None,
                    processes: false,
                };
                routes.judge(&asked.sources(head, copy_source.as_ref(), &self.upstream))?
            }
        };
        if needs_body && longer_than(head.body, self.held_body_bytes) {
            return Err(route_denied::body_too_large());
        }
        Ok(Admitted {
            origin,
            operation,
            method,
            key_set,
            needs_body,
            path,
            query: target.query,
            needs_digest,
            safe_to_repeat: matches!(method, Method::Get | Method::Head),
            has_query: target.has_query,
            token_header: if level == Level::Processing {
                TokenHeader::Ci
            } else {
                TokenHeader::Cos
            },
            copy_source,
        })
    }

    /// The bucket that the routes are asked for.
    fn bucket<'a>(
        &'a self,
        named: &Named<'a>,
        level: Level,
        origin: &'a Origin,
    ) -> Result<NamedBucket<'a>, HostFault> {
        match (named, level) {
            (Named::Here(name), _) => Ok(NamedBucket { name, region: self.upstream.region() }),
            (Named::Host, Level::Service | Level::Batch) => Err(HostFault::NoBucket),
            (Named::Host, _) => asked::named(&origin.server_name, &self.upstream),
        }
    }

    /// Puts together what host and path say about bucket and key.
    fn place<'b: 'n, 'n>(
        &'n self,
        site: Site<'n>,
        host: &HostName<'_>,
        method: Method,
        path: &'b [u8],
    ) -> Result<Place<'b, 'n>, Refused> {
        let by_name = |level| Place {
            origin: self.upstream.named_origin(&host.name),
            level,
            path,
            bucket: Named::Host,
        };
        match site {
            Site::Bucket => Ok(by_name(bucket_or_object(path))),
            Site::Processing => Ok(by_name(Level::Processing)),
            Site::Batch => Ok(by_name(Level::Batch)),
            Site::Service => service_only(method, path).map(|()| by_name(Level::Service)),
            Site::Region if path == b"/" => {
                service_only(method, path).map(|()| by_name(Level::Service))
            }
            Site::Region => {
                let (bucket, path) = bucket_and_path(path)?;
                let origin = self.upstream.named_origin(&format!("{bucket}.{}", host.name));
                Ok(Place { origin, level: bucket_or_object(path), path, bucket: Named::Host })
            }
            Site::OwnBucket(bucket) => self.in_bucket(bucket, path),
            Site::Own => self.own_place(method, path),
        }
    }

    /// A bare path on a name of the proxy itself.
    fn own_place<'b: 'n, 'n>(
        &'n self,
        method: Method,
        path: &'b [u8],
    ) -> Result<Place<'b, 'n>, Refused> {
        if let Some(bucket) = self.upstream.key_bucket() {
            return self.in_bucket(bucket, path);
        }
        if self.upstream.lacks_bucket() {
            return Err(Reason::BucketMissing.refused());
        }
        if path == b"/" {
            service_only(method, path)?;
            return Ok(Place {
                origin: self.upstream.service_origin()?,
                level: Level::Service,
                path,
                bucket: Named::Host,
            });
        }
        let (bucket, path) = bucket_and_path(path)?;
        self.in_bucket(bucket, path)
    }

    /// A path in a bucket of the configured region.
    fn in_bucket<'b, 'n>(&self, bucket: &'n str, path: &'b [u8]) -> Result<Place<'b, 'n>, Refused> {
        let origin = self.upstream.bucket_origin(bucket)?;
        Ok(Place { origin, level: bucket_or_object(path), path, bucket: Named::Here(bucket) })
    }
}

fn known_method(method: &str) -> Result<Method, Refused> {
    match (Method::of(method), method) {
        (Method::Other, "CONNECT") => Err(Reason::ConnectNotSupported.refused()),
        (Method::Other, _) => Err(Reason::MethodNotAllowed.refused()),
        (known, _) => Ok(known),
    }
}

/// The host the request is for: the absolute URL's, else the one `Host`; both must agree.
fn request_host<'b>(
    head: &RequestHead<'_, 'b>,
    target: &Target<'b>,
) -> Result<HostName<'b>, Refused> {
    let mut hosts = head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case("host"));
    let sent = hosts.next().map(|f| f.value);
    if hosts.next().is_some() {
        return Err(Reason::AmbiguousRequest.refused());
    }
    let parse = |text: &'b str| HostName::parse(text).ok_or_else(|| Reason::BadHost.refused());
    let sent = match sent {
        Some(value) => {
            let text = std::str::from_utf8(value).map_err(|_not_text| Reason::BadHost.refused())?;
            Some(parse(text)?)
        }
        None => None,
    };
    match (target.authority, sent) {
        (Some(authority), sent) => {
            let named = parse(authority)?;
            let agrees = sent.is_none_or(|sent| {
                sent.is_same(&named, 80) || (sent.name == named.name && sent.port.is_none())
            });
            if agrees { Ok(named) } else { Err(Reason::HostMismatch.refused()) }
        }
        (None, Some(sent)) => Ok(sent),
        (None, None) => Err(Reason::BadHost.refused()),
    }
}

/// The body of a request that has none.
fn no_body(body: Body) -> Option<&'static [u8]> {
    matches!(body, Body::None | Body::Length(0)).then_some(&[])
}

fn longer_than(body: Body, most: usize) -> bool {
    matches!(body, Body::Length(length) if length > u64::try_from(most).unwrap_or(u64::MAX))
}

fn bucket_or_object(path: &[u8]) -> Level {
    if path == b"/" { Level::Bucket } else { Level::Object }
}

/// Without a bucket there is only the list of buckets.
fn service_only(method: Method, path: &[u8]) -> Result<(), Refused> {
    if method == Method::Get && path == b"/" {
        Ok(())
    } else {
        Err(Reason::BucketMissing.refused())
    }
}

fn bucket_and_path(path: &[u8]) -> Result<(&str, &[u8]), Refused> {
    let (bucket, rest) = split_bucket(path);
    if bucket.is_empty() {
        return Err(Reason::BucketMissing.refused());
    }
    match std::str::from_utf8(bucket) {
        Ok(name) if hosts::is_bucket(name) => Ok((name, rest)),
        _ => {
            let shown = String::from_utf8_lossy(bucket.get(..100).unwrap_or(bucket));
            Err(Reason::BadBucket.because(&format!("First path segment: {}.", Cow::as_ref(&shown))))
        }
    }
}
