//! What the operator may set about admission and upstream names.

use super::{hosts, origin::Endpoint, routes::RouteSettings};

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
    /// `[[route]]`; with any, what no route allows is refused. Without, the first key set signs all.
    pub routes: Vec<RouteSettings>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            bucket: None,
            region: None,
            endpoint: "https://{bucket}.cos.{region}.myqcloud.com".to_owned(),
            service_endpoint: "https://service.cos.myqcloud.com".to_owned(),
            connect_to: None,
            domains: Vec::new(),
            host_families: hosts::FAMILIES.iter().map(|&family| family.to_owned()).collect(),
            allowed_hosts: Vec::new(),
            path_style: PathStyle::Auto,
            held_body_bytes: 1024 * 1024,
            routes: Vec::new(),
        }
    }
}

/// One setting that cannot work: its key path and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// Key path, for example `upstream.bucket`.
    pub key: &'static str,
    /// What is wrong and what would be right; one line.
    pub problem: String,
}

impl ProxySettings {
    /// Everything that would make requests fail for ever, all at once. Empty when all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut found = Vec::new();
        let mut add = |key, problem: String| found.push(SettingProblem { key, problem });
        if let Some(bucket) = &self.bucket
            && !hosts::is_bucket(bucket)
        {
            add(
                "upstream.bucket",
                format!(
                    "`{bucket}` is not a bucket name with its APPID, such as examplebucket-1250000000"
                ),
            );
        }
        if let Some(region) = &self.region
            && !hosts::is_region(region)
        {
            add(
                "upstream.region",
                format!("`{region}` is not a region name, such as ap-guangzhou"),
            );
        }
        match Endpoint::parse(&self.endpoint) {
            Ok(endpoint) if !endpoint.names_bucket() => add(
                "upstream.endpoint",
                "must contain {bucket}: COS is only called by the bucket's own host name"
                    .to_owned(),
            ),
            Ok(_) => {}
            Err(problem) => add("upstream.endpoint", problem.to_string()),
        }
        match Endpoint::parse(&self.service_endpoint) {
            Ok(endpoint) if endpoint.names_bucket() || endpoint.names_region() => {
                add("upstream.service_endpoint", "takes no {bucket} and no {region}".to_owned());
            }
            Ok(_) => {}
            Err(problem) => add("upstream.service_endpoint", problem.to_string()),
        }
        if let Some(connect_to) = &self.connect_to
            && super::Dial::parse(connect_to).is_none()
        {
            add("upstream.connect_to", format!("`{connect_to}` is not host:port"));
        }
        for family in &self.host_families {
            if !hosts::FAMILIES.contains(&family.as_str()) {
                add(
                    "upstream.host_families",
                    format!("`{family}` is not one of {}", hosts::FAMILIES.join(", ")),
                );
            }
        }
        for name in &self.domains {
            if hosts::HostName::parse(name).is_none() {
                add("upstream.domains", format!("`{name}` is not a host name"));
            }
        }
        for name in &self.allowed_hosts {
            if hosts::HostName::parse(name).is_none() {
                add("listen.allowed_hosts", format!("`{name}` is not a host name"));
            }
        }
        if self.path_style == PathStyle::Key && self.bucket.is_none() {
            add("listen.path_style", "`key` needs upstream.bucket".to_owned());
        }
        found
    }
}
