//! Turns every `[[route]]` into what the gate enforces and policies are made of.

use super::{
    layers::Layers,
    nearest::{did_you_mean, nearest},
    problem::Problems,
    upstream::{is_bucket, is_region},
};
use crate::proxy::{Allow, AllowFault, RouteSettings};

/// COS takes no longer key (Tencent Cloud document 436/13324).
const LONGEST_KEY: usize = 850;

/// All routes in their order. `key_sets` are the names that a route may sign with.
pub(super) fn routes(
    layers: &Layers,
    key_sets: &[String],
    problems: &mut Problems,
) -> Vec<RouteSettings> {
    let all = (0..layers.routes().len()).filter_map(|index| {
        let route = Route { index, layers };
        route.build(key_sets, problems)
    });
    let all: Vec<_> = all.collect();
    one_region(layers, &all, problems);
    all
}

struct Route<'a> {
    index: usize,
    layers: &'a Layers,
}

impl Route<'_> {
    fn build(&self, key_sets: &[String], problems: &mut Problems) -> Option<RouteSettings> {
        let before = problems.len();
        let bucket = self.bucket(problems);
        let region = self.region(problems);
        let prefix = self.text("prefix").unwrap_or_default();
        if let Some(fault) = prefix_fault(&prefix) {
            self.refuse("prefix", fault, problems);
        }
        let allow = self.allow(!prefix.is_empty(), problems);
        let keys_name = self.text("keys").unwrap_or_default();
        let keys = key_sets.iter().position(|name| *name == keys_name);
        if keys.is_none() {
            let near = nearest(&keys_name, key_sets.iter().map(String::as_str));
            let there = key_sets.join(", ");
            let text = format!("names no key set; there is: {there}{}", did_you_mean(near));
            self.refuse("keys", &text, problems);
        }
        if problems.len() > before {
            return None;
        }
        Some(RouteSettings {
            bucket: bucket?,
            region: region?,
            prefix,
            allow,
            keys: keys?,
            keys_name,
        })
    }

    fn bucket(&self, problems: &mut Problems) -> Option<String> {
        let bucket = self.text("bucket").or_else(|| self.layers.text("upstream.bucket"));
        match &bucket {
            None => self.refuse("bucket", "is not set, nor upstream.bucket", problems),
            // The configured one is told with the other checks of upstream.bucket.
            Some(name) if self.has("bucket") && !is_bucket(name) => self.refuse(
                "bucket",
                "must be NAME-APPID such as examplebucket-1250000000",
                problems,
            ),
            Some(_) => {}
        }
        bucket
    }

    fn region(&self, problems: &mut Problems) -> Option<String> {
        let region = self.text("region").or_else(|| self.layers.text("upstream.region"));
        match &region {
            None => self.refuse("region", "is not set, nor upstream.region", problems),
            Some(name) if self.has("region") && !is_region(name) => {
                self.refuse("region", "must be a region such as ap-guangzhou", problems);
            }
            Some(_) => {}
        }
        region
    }

    fn allow(&self, has_prefix: bool, problems: &mut Problems) -> Allow {
        let path = self.path("allow");
        if !self.layers.is_set(&path) {
            let text = "is not set: \"read\", \"list\", \"write\", \"delete\" or actions; an empty \
                        list refuses everything below the prefix";
            self.refuse("allow", text, problems);
        }
        let mut all = Allow::default();
        for (at, word) in self.layers.list(&path).iter().enumerate() {
            match Allow::word(word) {
                Ok(allow) => {
                    let is_action = word.contains('/');
                    if has_prefix && is_action && !allow.fits_prefix() {
                        let text = format!(
                            "[{at}] reaches the whole bucket, or keys that are not seen: it needs \
                             a route without prefix"
                        );
                        self.refuse("allow", &text, problems);
                    }
                    all = all.with(allow);
                }
                Err(fault) => {
                    let near = (fault == AllowFault::Unknown).then(|| nearest_word(word)).flatten();
                    let text = format!("[{at}] {fault}{}", did_you_mean(near));
                    self.refuse("allow", &text, problems);
                }
            }
        }
        all
    }

    fn has(&self, key: &str) -> bool {
        self.layers.is_set(&self.path(key))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.layers.text(&self.path(key))
    }

    fn path(&self, key: &str) -> String {
        format!("route[{}].{key}", self.index)
    }

    /// Tells it where the key stands, or else where the route begins.
    fn refuse(&self, key: &str, text: &str, problems: &mut Problems) {
        let path = self.path(key);
        let origin = match self.layers.is_set(&path) {
            true => self.layers.origin(&path),
            false => self
                .layers
                .routes()
                .get(self.index)
                .cloned()
                .unwrap_or_else(|| self.layers.origin(&path)),
        };
        let gap = if text.starts_with('[') { "" } else { " " };
        problems.add_at(&origin, format!("{path}{gap}{text}"));
    }
}

/// A bucket lives in one region: two routes that say otherwise are a mistake.
fn one_region(layers: &Layers, routes: &[RouteSettings], problems: &mut Problems) {
    for (at, route) in routes.iter().enumerate() {
        let others = routes.iter().take(at);
        if others.into_iter().any(|r| r.bucket == route.bucket && r.region != route.region) {
            let path = format!("route[{at}].region");
            let text = "is another one than that of a route of the same bucket";
            problems.add_value(&path, &layers.origin(&path), text);
        }
    }
}

/// Wildcards would widen the policy that is made of the prefix.
fn prefix_fault(prefix: &str) -> Option<&'static str> {
    if prefix.contains(['*', '?']) || prefix.contains("${") {
        Some("must be the beginning of keys as they are: *, ? and ${ mean more in a policy")
    } else if prefix.chars().any(char::is_control) {
        Some("has a control character")
    } else if prefix.starts_with('/') {
        Some("begins with /, and keys do not: leave it out")
    } else if prefix.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some("has a segment . or .., and keys with one are refused")
    } else if prefix.len() > LONGEST_KEY {
        Some("is longer than a key can be (850 bytes)")
    } else {
        None
    }
}

/// Also finds `GetObject` and `cos:GetObject`.
fn nearest_word(word: &str) -> Option<&'static str> {
    let plain = word.trim_start_matches("name/").trim_start_matches("cos:");
    nearest(word, Allow::words()).or_else(|| {
        let bare = |known: &'static str| known.rsplit(':').next().unwrap_or(known);
        let near = nearest(plain, Allow::words().map(bare))?;
        Allow::words().find(|known| bare(known) == near)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_beginnings_of_keys_and_nothing_more() {
        for good in ["", "a", "reports/", "目录/", "a b+c%20/", "a.b/..c/", "2026-"] {
            assert_eq!(prefix_fault(good), None, "{good}");
        }
        let long = "a".repeat(851);
        for bad in ["*", "a*", "a?", "${x}/", "a\n", "/a", "a/../", "./", &long] {
            assert!(prefix_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn mistyped_words_are_understood() {
        for (typed, meant) in [
            ("reed", "read"),
            ("GetObject", "name/cos:GetObject"),
            ("cos:PutObjectAcl", "name/cos:PutObjectACL"),
            ("name/cos:GetObjekt", "name/cos:GetObject"),
        ] {
            assert_eq!(nearest_word(typed), Some(meant), "{typed}");
        }
    }
}
