//! The bucket and region that a name of COS tells.

use super::hosts::{FAMILIES, is_bucket};

/// What the labels of a bucket's name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CosName<'n> {
    pub(super) bucket: &'n str,
    /// `None` for names without one, such as those of global acceleration.
    pub(super) region: Option<&'n str>,
    /// A website's name: it serves index and error documents in place of what is asked for.
    pub(super) website: bool,
}

impl<'n> CosName<'n> {
    /// Reads a name that [`super::hosts::HostRules`] took for a bucket's; `None` for a custom
    /// domain and for a name without a bucket.
    pub(super) fn parse(name: &'n str) -> Option<Self> {
        let labels = FAMILIES
            .iter()
            .find_map(|family| name.strip_suffix(family).and_then(|n| n.strip_suffix('.')))?;
        let mut labels = labels.split('.');
        let (bucket, kind, region) = (labels.next()?, labels.next()?, labels.next());
        if !is_bucket(bucket) || labels.next().is_some() {
            return None;
        }
        let region = region.filter(|region| *region != "accelerate");
        Some(Self { bucket, region, website: kind.starts_with("cos-website") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cos_tell_bucket_and_region() {
        for (name, region, website) in [
            ("b-1.cos.ap-x.myqcloud.com", Some("ap-x"), false),
            ("b-1.cos-internal.ap-x.tencentcos.cn", Some("ap-x"), false),
            ("b-1.ci.ap-x.tencentci.cn", Some("ap-x"), false),
            ("b-1.cos.accelerate.myqcloud.com", None, false),
            ("b-1.file.myqcloud.com", None, false),
            ("b-1.cn-south.myqcloud.com", None, false),
            ("b-1.cos-website.ap-x.myqcloud.com", Some("ap-x"), true),
        ] {
            let parsed = CosName::parse(name).unwrap();
            assert_eq!((parsed.bucket, parsed.region, parsed.website), ("b-1", region, website));
        }
        for name in ["static.example.org", "1250000000.ci.ap-x.myqcloud.com", "b-1.example"] {
            assert_eq!(CosName::parse(name), None, "{name}");
        }
    }
}
