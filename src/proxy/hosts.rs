//! Which host names a request may carry, and what each says about bucket and region.
//!
//! The patterns of COS's own names come from the official SDKs and Tencent Cloud's pages on
//! domains; each family can be switched off.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{ProxySettings, Reason, Refused};

/// The families of COS names that can be accepted.
pub(super) const FAMILIES: [&str; 3] = ["myqcloud.com", "tencentcos.cn", "tencentci.cn"];

/// `name-APPID`: lower-case letters, digits and `-`, at most 60 characters.
/// Tencent Cloud document 436/14518.
pub(super) fn is_bucket(name: &str) -> bool {
    let Some((short, app_id)) = name.rsplit_once('-') else { return false };
    name.len() <= 60
        && short.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && short.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && is_number(app_id)
}

/// `ap-guangzhou`, `accelerate`, …: the list moves, so only the alphabet is checked.
pub(super) fn is_region(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A host as sent, in lower case, without a final dot; its port apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostName<'t> {
    /// Name or address; IPv6 in brackets.
    pub(super) name: Cow<'t, str>,
    pub(super) port: Option<u16>,
}

impl<'t> HostName<'t> {
    /// `None` for what is not `name`, `name:port` or `[v6]:port`.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let (name, port) = if text.starts_with('[') {
            let end = text.find(']')? + 1;
            let (name, rest) = text.split_at_checked(end)?;
            name.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            match rest {
                "" => (name, None),
                rest => (name, Some(rest.strip_prefix(':')?)),
            }
        } else {
            match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            // `Host: name:` is legal and means no port.
            None | Some("") => None,
            Some(digits) if is_number(digits) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        if !name.starts_with('[') {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            if name.len() > 255 || !name.bytes().all(plain) {
                return None;
            }
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || name.starts_with('.') || name.contains("..") {
            return None;
        }
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        Some(Self { name, port })
    }

    /// The same name and, where a port is missing, the port that `scheme_port` stands for.
    pub(super) fn is_same(&self, other: &HostName<'_>, scheme_port: u16) -> bool {
        self.name == other.name
            && self.port.unwrap_or(scheme_port) == other.port.unwrap_or(scheme_port)
    }
}

/// Which header carries the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenHeader {
    /// `x-cos-security-token`
    Cos,
    /// `x-ci-security-token`: data processing hosts. Tencent Cloud document 436/7728.
    Ci,
}

impl TokenHeader {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cos => "x-cos-security-token",
            Self::Ci => "x-ci-security-token",
        }
    }
}

/// What a host name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site<'n> {
    /// A bucket's own name or custom domain (R1, R2); called by that name upstream.
    Bucket,
    /// A bucket's data processing name (`.ci.`, `.pic.`).
    Processing,
    /// A name of the service, without a bucket, such as `service.cos.myqcloud.com`.
    Service,
    /// `<uin>.cos-control.<region>.myqcloud.com`
    Batch,
    /// `cos.<region>.<family>`: the service list, or a path-style request of old.
    Region,
    /// `bucket.localhost` and the like (R3).
    OwnBucket(&'n str),
    /// The proxy by a name of its own (R4).
    Own,
}

/// The compiled rules.
#[derive(Debug)]
pub(super) struct HostRules {
    families: Vec<&'static str>,
    domains: Vec<String>,
    allowed: Vec<String>,
}

impl HostRules {
    /// Names that are not host names are left out; [`ProxySettings::problems`] tells them.
    pub(super) fn new(settings: &ProxySettings) -> Self {
        let plain = |names: &[String]| {
            names.iter().filter_map(|n| HostName::parse(n)).map(|n| n.name.into_owned()).collect()
        };
        Self {
            families: FAMILIES
                .into_iter()
                .filter(|family| settings.host_families.iter().any(|f| f == family))
                .collect(),
            domains: plain(&settings.domains),
            allowed: plain(&settings.allowed_hosts),
        }
    }

    /// Also takes `name` for a bucket's name: the configured bucket's own, whatever its endpoint.
    pub(super) fn also_bucket(&mut self, name: &str) {
        self.domains.push(name.to_owned());
    }

    /// What `host` is.
    ///
    /// # Errors
    /// 421 for a name that is neither COS's nor the proxy's.
    pub(super) fn read<'n>(&self, host: &'n HostName<'_>) -> Result<Site<'n>, Refused> {
        let name = &*host.name;
        if is_loopback(name) || self.allowed.iter().any(|a| a == name) {
            return Ok(Site::Own);
        }
        if self.domains.iter().any(|d| d == name) {
            return Ok(Site::Bucket);
        }
        for family in &self.families {
            if let Some(labels) = name.strip_suffix(family).and_then(|n| n.strip_suffix('.')) {
                return cos_site(labels, family).ok_or_else(|| self.misdirected(name));
            }
        }
        let own = self.allowed.iter().map(String::as_str).chain(["localhost"]);
        for own in own {
            if let Some(bucket) = name.strip_suffix(own).and_then(|n| n.strip_suffix('.')) {
                return if is_bucket(bucket) {
                    Ok(Site::OwnBucket(bucket))
                } else {
                    Err(Reason::BadBucket.because(&format!("Host: {bucket}.{own}.")))
                };
            }
        }
        Err(self.misdirected(name))
    }

    fn misdirected(&self, name: &str) -> Refused {
        let shown: String = name.chars().take(100).collect();
        let mut known = String::from("localhost, loopback addresses, <bucket>.localhost");
        if !self.families.is_empty() {
            known.push_str(", COS names of ");
            known.push_str(&self.families.join(", "));
        }
        for name in self.allowed.iter().chain(&self.domains).take(16) {
            known.push_str(", ");
            known.push_str(name);
        }
        Reason::Misdirected.because(&format!("Host: {shown}. Accepted: {known}."))
    }
}

fn is_loopback(name: &str) -> bool {
    if name == "localhost" {
        return true;
    }
    match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_canonical().is_loopback()),
        None => name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

/// Regions of the JSON API era whose names have no `cos.` (cos-python-sdk-v5 `format_region`).
const OLD_REGIONS: [&str; 14] = [
    "cn-south",
    "cn-south-2",
    "cn-north",
    "cn-east",
    "cn-southwest",
    "sg",
    "cosgz",
    "cossh",
    "cosbj",
    "costj",
    "coscd",
    "cossgp",
    "coshk",
    "cosca",
];

/// What the labels before a family's name say; `None` for a name that COS does not have.
fn cos_site(labels: &str, family: &str) -> Option<Site<'static>> {
    let mut parts = labels.split('.');
    let (first, second, third) = (parts.next()?, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let ci_family = family == "tencentci.cn";
    match (first, second, third) {
        (name, Some("ci"), Some(region)) if is_region(region) => {
            // MetaInsight is called by the APPID alone.
            (is_bucket(name) || is_number(name)).then_some(Site::Processing)
        }
        _ if ci_family => None,
        (bucket, Some("pic"), Some(region)) if is_bucket(bucket) && is_region(region) => {
            Some(Site::Processing)
        }
        (uin, Some("cos-control"), Some(region)) if is_number(uin) && is_region(region) => {
            Some(Site::Batch)
        }
        ("service", Some("cos" | "cos-internal"), None) => Some(Site::Service),
        ("service", Some("cosrapid"), Some(region)) if is_region(region) => Some(Site::Service),
        ("cos" | "cos-internal", Some(region), None) if is_region(region) => Some(Site::Region),
        (bucket, Some(kind), Some(region)) if is_bucket(bucket) && is_region(region) => {
            let known = matches!(
                kind,
                "cos"
                    | "cos-internal"
                    | "cos-website"
                    | "cos-website-internal"
                    | "cosrapid"
                    | "cosv6"
                    | "cos-cdc"
            );
            known.then_some(Site::Bucket)
        }
        (bucket, Some("file"), None) if is_bucket(bucket) => Some(Site::Bucket),
        (bucket, Some(region), None)
            if is_bucket(bucket) && (OLD_REGIONS.contains(&region) || region == "cosger") =>
        {
            Some(Site::Bucket)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> HostRules {
        HostRules::new(&ProxySettings {
            domains: vec!["static.example.org".to_owned()],
            allowed_hosts: vec!["cos.internal.example:9000".to_owned(), "10.0.0.7".to_owned()],
            ..ProxySettings::default()
        })
    }

    fn read(host: &str) -> String {
        let Some(host) = HostName::parse(host) else { return "not a host".to_owned() };
        match rules().read(&host) {
            Ok(site) => format!("{site:?}"),
            Err(refused) => refused.reason.name().to_owned(),
        }
    }

    #[test]
    fn every_name_of_cos_is_known_for_what_it_is() {
        for (host, site) in [
            ("test-1250000000.cos.ap-guangzhou.myqcloud.com", "Bucket"),
            ("TEST-1250000000.COS.ap-guangzhou.MyQcloud.com:9000", "Bucket"),
            ("test-1250000000.cos.ap-guangzhou.myqcloud.com.", "Bucket"),
            ("test-1250000000.cos.ap-guangzhou.tencentcos.cn", "Bucket"),
            ("test-1250000000.cos-internal.ap-guangzhou.tencentcos.cn", "Bucket"),
            ("test-1250000000.cos.accelerate.myqcloud.com", "Bucket"),
            ("test-1250000000.cos-internal.accelerate.tencentcos.cn", "Bucket"),
            ("test-1250000000.cos-website.ap-guangzhou.myqcloud.com", "Bucket"),
            ("test-1250000000.cos-website-internal.ap-guangzhou.tencentcos.cn", "Bucket"),
            ("test-1250000000.cosrapid.ap-guangzhou.myqcloud.com", "Bucket"),
            ("test-1250000000.cos-cdc.ap-guangzhou.myqcloud.com", "Bucket"),
            ("test-1250000000.file.myqcloud.com", "Bucket"),
            ("test-1250000000.cn-south.myqcloud.com", "Bucket"),
            ("test-1250000000.cosgz.myqcloud.com", "Bucket"),
            ("static.example.org", "Bucket"),
            ("test-1250000000.ci.ap-guangzhou.myqcloud.com", "Processing"),
            ("test-1250000000.ci.ap-guangzhou.tencentci.cn", "Processing"),
            ("1250000000.ci.ap-guangzhou.myqcloud.com", "Processing"),
            ("test-1250000000.pic.ap-guangzhou.myqcloud.com", "Processing"),
            ("service.cos.myqcloud.com", "Service"),
            ("service.cosrapid.ap-guangzhou.myqcloud.com", "Service"),
            ("cos.ap-guangzhou.myqcloud.com", "Region"),
            ("100000000001.cos-control.ap-guangzhou.myqcloud.com", "Batch"),
        ] {
            assert_eq!(read(host), site, "{host}");
        }
    }

    #[test]
    fn the_proxy_answers_by_its_own_names_at_any_port() {
        for host in [
            "localhost",
            "LocalHost:9000",
            "127.0.0.1",
            "127.8.9.1:1",
            "[::1]",
            "[::1]:9000",
            "[::ffff:127.0.0.1]",
            "localhost.",
            "cos.internal.example",
            "cos.internal.example:80",
            "10.0.0.7:1",
        ] {
            assert_eq!(read(host), "Own", "{host}");
        }
        for host in ["test-1250000000.localhost:9000", "test-1250000000.cos.internal.example"] {
            assert_eq!(read(host), "OwnBucket(\"test-1250000000\")", "{host}");
        }
        assert_eq!(read("web.localhost"), "bad-bucket");
    }

    #[test]
    fn any_other_name_is_misdirected() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "128.0.0.1",
            "0.0.0.0",
            "[::2]",
            "127.1",
            "myqcloud.com",
            "evil.myqcloud.com",
            "a.test-1.cos.ap-x.myqcloud.com",
            "test-1.cos.ap_x.myqcloud.com",
            "test-1.cos.ap-x.myqcloud.com.evil.example",
            "test-1.evil.ap-x.myqcloud.com",
            "test.cos.ap-x.myqcloud.com",
            "test-1.cos.ap-x.tencentci.cn",
            "test-1.xmyqcloud.com",
            "vectors.ap-x.internal.tencentcos.com",
        ] {
            assert_eq!(read(host), "misdirected", "{host}");
        }
        for host in [
            "", ":80", "a b", "a:b", "a:99999", "::1", "[::1", "[x]", "a..b", ".a", "a/b", "a@b",
            "ü",
        ] {
            assert_eq!(read(host), "not a host", "{host}");
        }
    }

    #[test]
    fn a_refused_name_is_told_what_would_be_accepted_and_where_to_allow_it() {
        let refused = rules().read(&HostName::parse("evil.example").unwrap()).unwrap_err();
        for part in [
            "evil.example",
            "localhost",
            "tencentcos.cn",
            "cos.internal.example",
            "listen.allowed_hosts",
        ] {
            assert!(refused.message.contains(part), "{part} in {}", refused.message);
        }
    }

    #[test]
    fn a_family_can_be_switched_off() {
        let settings = ProxySettings {
            host_families: vec!["tencentcos.cn".to_owned()],
            ..ProxySettings::default()
        };
        let rules = HostRules::new(&settings);
        let read = |host| rules.read(&HostName::parse(host).unwrap()).is_ok();
        assert!(read("b-1.cos.ap-x.tencentcos.cn"));
        assert!(!read("b-1.cos.ap-x.myqcloud.com"));
    }

    #[test]
    fn bucket_names_are_a_short_name_and_the_appid() {
        for name in ["a-1", "examplebucket-1250000000", "0a-b-1"] {
            assert!(is_bucket(name), "{name}");
        }
        for name in ["", "a", "a-", "-1", "-a-1", "A-1", "a.b-1", "a-b", "a_b-1", "a%2F-1"] {
            assert!(!is_bucket(name), "{name}");
        }
        assert!(!is_bucket(&format!("{}-1", "a".repeat(59))));
    }
}
