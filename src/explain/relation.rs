//! How two texts that should be equal are related.

use super::sent::path_decoded;

/// What makes of the signed text the received one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// `+` became a space.
    PlusBecameSpace,
    /// A space became `+`.
    SpaceBecamePlus,
    /// What was received is encoded once more.
    EncodedOnceMore,
    /// What was received is decoded once more.
    DecodedOnceMore,
    /// Only the case of hexadecimal digits after `%` differs.
    EscapeCase,
    /// Only blanks and line ends differ.
    WhiteSpace,
    /// Only the case of letters differs.
    LetterCase,
    /// None of these.
    Other,
}

/// Compares plain texts: percent-decoded once.
pub(super) fn relate(signed: &str, received: &str) -> Relation {
    let spaced = |text: &str| text.replace('+', " ");
    let bare = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    let decoded = |text: &str| path_decoded(text.as_bytes());
    if spaced(signed) == spaced(received) {
        // Both directions at once count as the one that is seen first.
        let plus_first = signed.bytes().zip(received.bytes()).find(|(a, b)| a != b);
        return match plus_first {
            Some((b'+', _)) => Relation::PlusBecameSpace,
            _ => Relation::SpaceBecamePlus,
        };
    }
    if escapes_raised(signed) == escapes_raised(received) {
        Relation::EscapeCase
    } else if decoded(received) == signed.as_bytes() {
        Relation::EncodedOnceMore
    } else if decoded(signed) == received.as_bytes() {
        Relation::DecodedOnceMore
    } else if bare(signed) == bare(received) {
        Relation::WhiteSpace
    } else if signed.to_lowercase() == received.to_lowercase() {
        Relation::LetterCase
    } else {
        Relation::Other
    }
}

/// `%2f` as `%2F`.
fn escapes_raised(text: &str) -> String {
    let mut left = 0;
    let raise = |c: char| {
        let raised = if left > 0 { c.to_ascii_uppercase() } else { c };
        left = if c == '%' { 2 } else { left - i32::from(left > 0) };
        raised
    };
    text.chars().map(raise).collect()
}

/// What a hop made of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathRelation {
    /// Slashes merged, dot segments resolved, or the last slash added or taken.
    Normalised,
    /// This was put before it.
    PrefixAdded(String),
    /// This was taken from its beginning.
    PrefixRemoved(String),
    /// The query became a part of it.
    QueryInPath,
    /// As texts in general.
    Text(Relation),
}

/// Compares decoded paths.
pub(super) fn relate_paths(signed: &str, received: &str) -> PathRelation {
    let text = relate(signed, received);
    if text != Relation::Other {
        return PathRelation::Text(text);
    }
    let last_slash = |path: &str| path.trim_end_matches('/').to_owned();
    if normalised(signed) == normalised(received)
        || (last_slash(signed) == last_slash(received) && !last_slash(signed).is_empty())
    {
        return PathRelation::Normalised;
    }
    if received.strip_prefix(signed).is_some_and(|rest| rest.starts_with('?')) {
        return PathRelation::QueryInPath;
    }
    match (received.strip_suffix(signed), signed.strip_suffix(received)) {
        (Some(prefix), _) if prefix.starts_with('/') => {
            PathRelation::PrefixAdded(prefix.to_owned())
        }
        (_, Some(prefix)) if prefix.starts_with('/') => {
            PathRelation::PrefixRemoved(prefix.to_owned())
        }
        (_, _) => PathRelation::Text(Relation::Other),
    }
}

/// Slashes merged, dot segments resolved, no slash at the end.
fn normalised(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    segments
}

/// How a `Host` was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostRelation {
    /// Only the port.
    Port,
    /// Only the region: signed, received.
    Region(String, String),
    /// Only the case of letters.
    Case,
    /// Another host.
    Other,
}

/// Compares plain values of `Host`.
pub(super) fn relate_hosts(signed: &str, received: &str) -> HostRelation {
    let name = |host: &str| host.split_once(':').map_or(host, |(name, _)| name).to_owned();
    let (ours, theirs) = (name(signed), name(received));
    if signed.eq_ignore_ascii_case(received) {
        return HostRelation::Case;
    }
    if ours == theirs {
        return HostRelation::Port;
    }
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.split('.').collect(), theirs.split('.').collect());
    let differing: Vec<usize> =
        (0..ours.len().max(theirs.len())).filter(|&at| ours.get(at) != theirs.get(at)).collect();
    // bucket.cos.REGION.myqcloud.com, or cos.REGION.myqcloud.com
    let after_service = |at: usize| {
        at > 0
            && ours.get(at - 1).is_some_and(|label| {
                matches!(*label, "cos" | "cos-internal" | "ci" | "cos-website")
            })
    };
    match differing.as_slice() {
        [at] if after_service(*at) && ours.len() == theirs.len() => {
            let label = |labels: &[&str]| labels.get(*at).copied().unwrap_or_default().to_owned();
            HostRelation::Region(label(&ours), label(&theirs))
        }
        _ => HostRelation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_related_by_what_hops_and_clients_do_to_them() {
        for (signed, received, expected) in [
            ("a+b", "a b", Relation::PlusBecameSpace),
            ("a b", "a+b", Relation::SpaceBecamePlus),
            ("a b", "a%20b", Relation::EncodedOnceMore),
            ("a+b", "a%2Bb", Relation::EncodedOnceMore),
            ("腾", "%e8%85%be", Relation::EncodedOnceMore),
            ("a%2Fb", "a/b", Relation::DecodedOnceMore),
            ("a%2fb", "a%2Fb", Relation::EscapeCase),
            ("a%e7%9b", "a%E7%9B", Relation::EscapeCase),
            ("a", "a\r", Relation::WhiteSpace),
            ("a  b", "a b", Relation::WhiteSpace),
            ("a\r\nb", "a\nb", Relation::WhiteSpace),
            ("Report", "report", Relation::LetterCase),
            ("a", "b", Relation::Other),
            ("", "b", Relation::Other),
        ] {
            assert_eq!(relate(signed, received), expected, "{signed:?} {received:?}");
        }
    }

    #[test]
    fn paths_are_related_by_what_middleboxes_do_to_them() {
        let prefix = |text: &str| PathRelation::PrefixAdded(text.to_owned());
        let removed = |text: &str| PathRelation::PrefixRemoved(text.to_owned());
        for (signed, received, expected) in [
            ("/a//b", "/a/b", PathRelation::Normalised),
            ("/a/./b", "/a/b", PathRelation::Normalised),
            ("/a/../b", "/b", PathRelation::Normalised),
            ("/a/", "/a", PathRelation::Normalised),
            ("/a", "/a/", PathRelation::Normalised),
            ("/k", "/b-1/k", prefix("/b-1")),
            ("/b-1/k", "/k", removed("/b-1")),
            ("/k", "/k?acl", PathRelation::QueryInPath),
            ("/a+b", "/a b", PathRelation::Text(Relation::PlusBecameSpace)),
            ("/a", "/b", PathRelation::Text(Relation::Other)),
        ] {
            assert_eq!(relate_paths(signed, received), expected, "{signed} {received}");
        }
    }

    #[test]
    fn hosts_are_related_by_port_and_region() {
        let host = "b-1.cos.ap-guangzhou.myqcloud.com";
        let region = HostRelation::Region("ap-guangzhou".to_owned(), "ap-beijing".to_owned());
        for (received, expected) in [
            ("b-1.cos.ap-guangzhou.myqcloud.com:443", HostRelation::Port),
            ("b-1.cos.ap-beijing.myqcloud.com", region),
            ("B-1.cos.ap-guangzhou.myqcloud.com", HostRelation::Case),
            ("b-2.cos.ap-guangzhou.myqcloud.com", HostRelation::Other),
            ("b-1.cos.ap-guangzhou.tencentcos.cn", HostRelation::Other),
            ("127.0.0.1:9000", HostRelation::Other),
        ] {
            assert_eq!(relate_hosts(host, received), expected, "{received}");
        }
    }
}
