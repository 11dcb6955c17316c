//! What the operator may set about admission and upstream names.

/// How a bare path on a bare host is read. `listen.path_style`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathStyle {
    /// The whole path is the key of the configured bucket.
    Key,
    /// The first segment is the bucket.
    BucketKey,
    /// `Key` when a bucket is configured, otherwise `BucketKey`.
    #[default]
    Auto,
}

/// Checked settings of the request steps.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// `upstream.bucket`, with its APPID.
    pub bucket: Option<String>,
    /// `upstream.region`; needed for R3 and R4.
    pub region: Option<String>,
    /// `upstream.endpoint`: template with `{bucket}` and `{region}`; its scheme decides http/https.
    pub endpoint: String,
    /// `upstream.service_endpoint`: where `GET /` without a bucket goes.
    pub service_endpoint: String,
    /// `upstream.connect_to`: dial this `host:port` instead; Host and SNI stay.
    pub connect_to: Option<String>,
    /// `upstream.domains`: custom domains that are buckets of this account.
    pub domains: Vec<String>,
    /// `upstream.host_families`: which built-in host patterns R1 and R2 accept
    /// (`myqcloud.com`, `tencentcos.cn`, `tencentci.cn`).
    pub host_families: Vec<String>,
    /// `listen.allowed_hosts`: further names by which clients may call the proxy itself.
    pub allowed_hosts: Vec<String>,
    /// `listen.path_style`
    pub path_style: PathStyle,
    /// `limits.held_body_bytes`
    pub held_body_bytes: usize,
}
