//! The operator's upstream: which origin a bucket has, and what a bare path means.

use std::sync::Arc;

use super::{
    Dial, Origin, PathStyle, ProxySettings, Reason, Refused,
    origin::{Endpoint, Scheme, SharedOrigin},
};

/// The compiled upstream settings.
#[derive(Debug)]
pub(super) struct Upstream {
    endpoint: Option<Endpoint>,
    region: Option<String>,
    connect_to: Option<Dial>,
    /// The configured bucket; its origin when the region allows one.
    bucket: Option<(String, Option<SharedOrigin>)>,
    service: Option<SharedOrigin>,
    path_style: PathStyle,
}

impl Upstream {
    pub(super) fn new(settings: &ProxySettings) -> Self {
        let endpoint = Endpoint::parse(&settings.endpoint).ok();
        let connect_to = settings.connect_to.as_deref().and_then(Dial::parse);
        let region = settings.region.clone();
        let origin = |bucket: &str| {
            endpoint
                .as_ref()
                .and_then(|e| e.origin(bucket, region.as_deref(), connect_to.as_ref()))
                .map(Arc::new)
        };
        let bucket = settings.bucket.clone().map(|bucket| {
            let origin = origin(&bucket);
            (bucket, origin)
        });
        let service = Endpoint::parse(&settings.service_endpoint)
            .ok()
            .and_then(|e| e.origin("", None, connect_to.as_ref()))
            .map(Arc::new);
        Self { bucket, service, path_style: settings.path_style, endpoint, region, connect_to }
    }

    /// The bucket whose keys bare paths are; `None` when bare paths begin with a bucket.
    pub(super) fn key_bucket(&self) -> Option<&str> {
        match self.path_style {
            PathStyle::Key | PathStyle::Auto => self.bucket.as_ref().map(|(name, _)| name.as_str()),
            PathStyle::BucketKey => None,
        }
    }

    /// Whether bare paths are keys and yet no bucket is configured.
    pub(super) fn lacks_bucket(&self) -> bool {
        self.path_style == PathStyle::Key && self.bucket.is_none()
    }

    /// The origin of `bucket`, by the endpoint template.
    pub(super) fn bucket_origin(&self, bucket: &str) -> Result<SharedOrigin, Refused> {
        if let Some((name, Some(origin))) = &self.bucket
            && name == bucket
        {
            return Ok(Arc::clone(origin));
        }
        let endpoint = self.endpoint()?;
        let origin = endpoint.origin(bucket, self.region.as_deref(), self.connect_to.as_ref());
        origin.map(Arc::new).ok_or_else(|| Reason::RegionMissing.refused())
    }

    /// The host name of `bucket` without port, by the endpoint template.
    pub(super) fn bucket_host(&self, bucket: &str) -> Result<String, Refused> {
        let host = self.endpoint()?.host(bucket, self.region.as_deref());
        host.ok_or_else(|| Reason::RegionMissing.refused())
    }

    /// The origin that a client named itself.
    pub(super) fn named_origin(&self, name: &str) -> SharedOrigin {
        let configured =
            self.bucket.iter().filter_map(|(_, origin)| origin.as_ref()).chain(&self.service);
        for origin in configured {
            if *origin.server_name == *name {
                return Arc::clone(origin);
            }
        }
        let scheme = self.endpoint.as_ref().map_or(Scheme::Https, |e| e.scheme);
        Arc::new(Origin::new(scheme, name, None, self.connect_to.as_ref()))
    }

    /// The origin of the service list.
    pub(super) fn service_origin(&self) -> Result<SharedOrigin, Refused> {
        self.service.clone().ok_or_else(|| Reason::Internal.refused())
    }

    /// The configured bucket's own name in COS: clients may use it even if no family has it.
    pub(super) fn own_name(&self) -> Option<&str> {
        self.bucket
            .as_ref()
            .and_then(|(_, origin)| origin.as_ref())
            .map(|origin| &*origin.server_name)
    }

    /// The configured bucket, if `host` is its own name.
    pub(super) fn bucket_named(&self, host: &str) -> Option<&str> {
        let (name, origin) = self.bucket.as_ref()?;
        (*origin.as_ref()?.server_name == *host).then_some(name.as_str())
    }

    /// The configured region: where buckets are that are named without one.
    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    fn endpoint(&self) -> Result<&Endpoint, Refused> {
        self.endpoint.as_ref().ok_or_else(|| Reason::Internal.refused())
    }
}
