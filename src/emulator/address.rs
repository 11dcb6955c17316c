//! Which bucket a Host names.
//!
//! Names of Tencent Cloud doc 436/6224 and of the newer tencentcos.cn family.

/// What a Host stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `<bucket>.cos.<region>.…`: one bucket.
    Bucket {
        /// With its `-APPID`.
        bucket: String,
        /// `None` for a custom domain, which stands for its bucket wherever it is.
        region: Option<String>,
    },
    /// `service.cos.myqcloud.com`, or `cos.<region>.…` at its root: the list of buckets.
    Service {
        /// Only the buckets of this region.
        region: Option<String>,
    },
    /// `<bucket>.cos.accelerate.…`: not enabled on any bucket here.
    Accelerate,
    /// No COS name.
    Unknown,
}

/// Reads a Host. `domains` maps custom domains to buckets.
pub(crate) fn parse(host: &str, domains: &[(String, String)]) -> Address {
    let host = without_port(host).to_ascii_lowercase();
    if let Some((_, bucket)) = domains.iter().find(|(domain, _)| *domain == host) {
        return Address::Bucket { bucket: bucket.clone(), region: None };
    }
    let family = [".myqcloud.com", ".tencentcos.cn", ".tencentci.cn"];
    let Some(name) = family.iter().find_map(|suffix| host.strip_suffix(suffix)) else {
        return Address::Unknown;
    };
    let labels: Vec<&str> = name.split('.').collect();
    match labels.as_slice() {
        ["service", "cos"] => Address::Service { region: None },
        ["cos", region] => Address::Service { region: Some((*region).to_owned()) },
        [_, "cos" | "cos-internal", "accelerate"] => Address::Accelerate,
        [bucket, "cos" | "cos-internal" | "ci" | "pic", region] => {
            Address::Bucket { bucket: (*bucket).to_owned(), region: Some((*region).to_owned()) }
        }
        _ => Address::Unknown,
    }
}

/// The host without `:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The account number in a bucket's name.
pub(crate) fn appid(bucket: &str) -> &str {
    bucket.rsplit_once('-').map_or("", |(_, appid)| appid)
}

/// Whether COS would create a bucket of that name: lower-case letters, digits and `-`, not at the
/// ends, then `-` and the account number.
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let Some((short, appid)) = name.rsplit_once('-') else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !short.is_empty()
        && short.bytes().all(plain)
        && !short.starts_with('-')
        && !short.ends_with('-')
        && !appid.is_empty()
        && appid.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_of_host_names_its_bucket() {
        let bucket = |region: Option<&str>| Address::Bucket {
            bucket: "b-1-1250000000".into(),
            region: region.map(str::to_owned),
        };
        let domains = [("data.example".to_owned(), "b-1-1250000000".to_owned())];
        for host in [
            "b-1-1250000000.cos.ap-guangzhou.myqcloud.com",
            "B-1-1250000000.cos.ap-guangzhou.myqcloud.com:443",
            "b-1-1250000000.cos.ap-guangzhou.tencentcos.cn",
            "b-1-1250000000.cos-internal.ap-guangzhou.tencentcos.cn",
            "b-1-1250000000.ci.ap-guangzhou.myqcloud.com",
        ] {
            assert_eq!(parse(host, &domains), bucket(Some("ap-guangzhou")), "{host}");
        }
        assert_eq!(parse("data.example:8080", &domains), bucket(None));
        assert_eq!(parse("service.cos.myqcloud.com", &[]), Address::Service { region: None });
        assert_eq!(
            parse("cos.ap-beijing.myqcloud.com", &[]),
            Address::Service { region: Some("ap-beijing".into()) }
        );
        assert_eq!(parse("b-1.cos.accelerate.myqcloud.com", &[]), Address::Accelerate);
        for unknown in ["localhost:9000", "127.0.0.1", "myqcloud.com", "a.b.c.d.myqcloud.com", ""] {
            assert_eq!(parse(unknown, &[]), Address::Unknown, "{unknown}");
        }
    }

    #[test]
    fn a_bucket_name_ends_in_an_account_number() {
        assert!(is_bucket_name("examplebucket-1250000000"));
        for bad in
            ["examplebucket", "-1250000000", "a--1250000000", "A-1250000000", "a-12x", "a.b-1"]
        {
            assert!(!is_bucket_name(bad), "{bad}");
        }
    }
}
