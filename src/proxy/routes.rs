//! Which key set signs a request, and whether any may: the compiled `[[route]]`s.
//!
//! Deny by default. The longest prefix that begins the key decides alone; within it the first route
//! that allows the operation. What a request does besides (read the source of a copy, rename, run
//! data processing) must be allowed with the same key set.

use std::collections::HashMap;

use super::{
    Operation, Refused,
    allow::{Allow, Reach},
    asked::{Also, Asked, NamedBucket, Span},
    deleted_keys,
    object_key::Key,
    route_denied as denied,
};

/// One `[[route]]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// With its APPID.
    pub bucket: String,
    /// Where the bucket is.
    pub region: String,
    /// What keys begin with; empty: every key, and the bucket itself.
    pub prefix: String,
    /// What is allowed.
    pub allow: Allow,
    /// The key set that signs, as an index into those the operator configured.
    pub keys: usize,
    /// Its name.
    pub keys_name: String,
}

/// The routes, by bucket.
#[derive(Debug)]
pub(super) struct Routes {
    buckets: HashMap<String, BucketRoutes>,
    /// The key set of the first route that lists `GetService`.
    service: Option<usize>,
}

/// The routes of one bucket.
#[derive(Debug)]
pub(super) struct BucketRoutes {
    pub(super) name: String,
    pub(super) region: String,
    /// As in the file.
    pub(super) rules: Vec<Rule>,
    /// Every prefix once, the longest first, with its rules as in the file.
    groups: Vec<(Vec<u8>, Vec<usize>)>,
    /// All rules, as in the file.
    all: Vec<usize>,
    has_prefix: bool,
}

/// What one route allows.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) prefix: String,
    pub(super) allow: Allow,
    pub(super) keys: usize,
    pub(super) keys_name: String,
}

/// A request that a route allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) key_set: usize,
    /// The keys are in the body: hold it and judge again with it.
    pub(super) needs_body: bool,
}

impl Routes {
    /// `None` without routes: then nothing is refused and nothing looked up.
    pub(super) fn new(settings: &[RouteSettings]) -> Option<Self> {
        if settings.is_empty() {
            return None;
        }
        let mut buckets: HashMap<String, BucketRoutes> = HashMap::new();
        for route in settings {
            let bucket = buckets
                .entry(route.bucket.clone())
                .or_insert_with(|| BucketRoutes::of(&route.bucket, &route.region));
            bucket.add(route);
        }
        let lists_buckets = |route: &&RouteSettings| route.allow.allows(Operation::GetService);
        let service = settings.iter().find(lists_buckets).map(|route| route.keys);
        Some(Self { buckets, service })
    }

    /// Judges what is asked.
    ///
    /// # Errors
    /// 403 with what is missing and what there is.
    pub(super) fn judge(&self, asked: &Asked<'_>) -> Result<Verdict, Refused> {
        let reach = Reach::of(asked.operation);
        let settled = |key_set| Ok(Verdict { key_set, needs_body: false });
        if reach == Reach::Nothing {
            return Err(denied::no_action(asked.operation));
        }
        if reach == Reach::Service {
            return self.service.map_or_else(|| Err(denied::service()), settled);
        }
        let bucket = self.bucket(asked.bucket.map_err(denied::host)?)?;
        let candidates = bucket.candidates(reach, asked)?;
        let allowed = || {
            let rules = candidates.iter().filter_map(|at| bucket.rules.get(*at));
            rules.filter(|rule| rule.allow.allows(asked.operation)).map(|rule| rule.keys)
        };
        let Some(first) = allowed().next() else {
            return Err(denied::operation(bucket, reach, asked));
        };
        if reach != Reach::ManyObjects {
            return match allowed().find(|keys| self.allows_also(bucket, *keys, asked)) {
                Some(keys) => settled(keys),
                None => Err(denied::also(bucket, first, asked)),
            };
        }
        let Some(body) = asked.body else {
            return Ok(Verdict { key_set: first, needs_body: true });
        };
        let keys = deleted_keys::read(body)?;
        if keys.iter().any(|key| bucket.has_prefix && Key::Plain(key.as_bytes()).has_dots()) {
            return Err(denied::dots(bucket));
        }
        let grants_all = |set: &usize| keys.iter().all(|key| bucket.may_delete(*set, key));
        match allowed().find(grants_all) {
            Some(set) => settled(set),
            None => {
                let other = keys.iter().find(|key| !bucket.may_delete(first, key));
                Err(denied::deleted(bucket, other.map_or("", String::as_str)))
            }
        }
    }

    fn bucket(&self, named: NamedBucket<'_>) -> Result<&BucketRoutes, Refused> {
        let known = self.buckets.get(named.name);
        let here = |bucket: &&BucketRoutes| named.region.is_none_or(|r| r == bucket.region);
        known.filter(here).ok_or_else(|| denied::bucket(named, known))
    }

    /// Whether the key set may also do what the request does besides its own operation.
    fn allows_also(&self, bucket: &BucketRoutes, keys: usize, asked: &Asked<'_>) -> bool {
        asked.also().all(|also| match also {
            Also::Processing => bucket.grants_whole(keys, Operation::CiProcess),
            Also::Key { operation, bucket: at, readings, .. } => {
                let at = match at {
                    None => Some(bucket),
                    Some(Ok(named)) => self.bucket(named).ok(),
                    Some(Err(_)) => None,
                };
                at.is_some_and(|at| {
                    readings.iter().all(|key| {
                        !(at.has_prefix && key.has_dots()) && at.grants(keys, operation, *key)
                    })
                })
            }
        })
    }
}

impl BucketRoutes {
    fn of(name: &str, region: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: region.to_owned(),
            rules: Vec::new(),
            groups: Vec::new(),
            all: Vec::new(),
            has_prefix: false,
        }
    }

    fn add(&mut self, route: &RouteSettings) {
        let at = self.rules.len();
        let prefix = route.prefix.as_bytes();
        match self.groups.iter_mut().find(|(known, _)| known == prefix) {
            Some((_, rules)) => rules.push(at),
            None => self.groups.push((prefix.to_vec(), vec![at])),
        }
        self.groups.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self.all.push(at);
        self.has_prefix |= !prefix.is_empty();
        self.rules.push(Rule {
            prefix: route.prefix.clone(),
            allow: route.allow,
            keys: route.keys,
            keys_name: route.keys_name.clone(),
        });
    }

    /// The rules that decide.
    fn candidates(&self, reach: Reach, asked: &Asked<'_>) -> Result<&[usize], Refused> {
        match reach {
            Reach::AnyOfBucket | Reach::ManyObjects => Ok(&self.all),
            Reach::Form if self.has_prefix => Err(denied::form(self)),
            Reach::Bucket | Reach::Form | Reach::Processing => Ok(self.whole()),
            Reach::List => Ok(self.group(asked.list_prefix())),
            Reach::Object => {
                let key = asked.key();
                if self.has_prefix && key.has_dots() {
                    return Err(denied::dots(self));
                }
                if asked.span() == Span::Below && asked.spanned().any(|key| self.reaches_past(key))
                {
                    return Err(denied::spans(self));
                }
                Ok(self.group(key))
            }
            Reach::Nothing | Reach::Service => Ok(&[]),
        }
    }

    /// The rules of the longest prefix that begins the key.
    fn group(&self, key: Key<'_>) -> &[usize] {
        let longest = self.groups.iter().find(|(prefix, _)| key.starts_with(prefix));
        longest.map_or(&[], |(_, rules)| rules)
    }

    /// The rules without a prefix.
    fn whole(&self) -> &[usize] {
        self.groups.last().filter(|(prefix, _)| prefix.is_empty()).map_or(&[], |(_, rules)| rules)
    }

    /// Whether another prefix begins with `key`, so that what happens to all below it would
    /// happen to keys of other rules.
    fn reaches_past(&self, key: Key<'_>) -> bool {
        self.groups.iter().any(|(prefix, _)| key.begins(prefix))
    }

    fn grants(&self, keys: usize, operation: Operation, key: Key<'_>) -> bool {
        self.any(self.group(key), keys, operation)
    }

    fn grants_whole(&self, keys: usize, operation: Operation) -> bool {
        self.any(self.whole(), keys, operation)
    }

    /// Whether the key may be deleted, also if COS takes the blanks around it away.
    fn may_delete(&self, keys: usize, key: &str) -> bool {
        [key, key.trim()].iter().all(|key| {
            self.grants(keys, Operation::DeleteMultipleObjects, Key::Plain(key.as_bytes()))
        })
    }

    fn any(&self, rules: &[usize], keys: usize, operation: Operation) -> bool {
        let rules = rules.iter().filter_map(|at| self.rules.get(*at));
        rules.into_iter().any(|rule| rule.keys == keys && rule.allow.allows(operation))
    }
}
