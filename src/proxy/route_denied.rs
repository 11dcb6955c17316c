//! What a request that no route allows is told: what it asked, what there is, what to do.

use std::fmt::Write as _;

use super::{
    Operation, Reason, Refused,
    allow::Reach,
    asked::{Also, Asked, HostFault, NamedBucket},
    routes::BucketRoutes,
};

/// More routes than this are not listed.
const SHOWN: usize = 8;

pub(super) fn no_action(operation: Operation) -> Refused {
    say(&format!(
        "{} stands for no single action, and routes allow actions by name.",
        operation.name()
    ))
}

pub(super) fn service() -> Refused {
    say("The list of buckets needs a route that allows name/cos:GetService.")
}

pub(super) fn host(fault: HostFault) -> Refused {
    say(match fault {
        HostFault::Domain => {
            "A custom domain does not tell its bucket and region. Ask by the bucket's COS name."
        }
        HostFault::Website => {
            "A website's name serves index and error documents in place of the key. Ask by the \
             bucket's COS name."
        }
        HostFault::NoBucket => "The request names no bucket.",
    })
}

pub(super) fn bucket(named: NamedBucket<'_>, known: Option<&BucketRoutes>) -> Refused {
    let NamedBucket { name, region } = named;
    say(&match (known, region) {
        (Some(known), Some(region)) => format!(
            "The routes of bucket {name} are for region {}, and the request names {region}.",
            known.region
        ),
        _ => format!("Bucket {name} has no route."),
    })
}

pub(super) fn operation(bucket: &BucketRoutes, reach: Reach, asked: &Asked<'_>) -> Refused {
    let action = asked.operation.cam_action().unwrap_or_default();
    let name = &bucket.name;
    let (what, fix) = match reach {
        Reach::List => {
            let prefix = asked.list_prefix().shown();
            (
                format!("{action} of keys that begin with \"{prefix}\" in bucket {name}"),
                lists(bucket, asked.operation),
            )
        }
        Reach::Object => {
            (format!("{action} on \"{}\" in bucket {name}", asked.key().shown()), String::new())
        }
        Reach::Bucket | Reach::Form | Reach::Processing => (
            format!("{action} on bucket {name}"),
            " It concerns the whole bucket and needs a route without prefix.".to_owned(),
        ),
        Reach::AnyOfBucket | Reach::ManyObjects | Reach::Nothing | Reach::Service => {
            (format!("{action} on bucket {name}"), String::new())
        }
    };
    say(&format!(
        "{what} ({} {}).{fix} {}",
        asked.method.name(),
        asked.operation.name(),
        listed(bucket)
    ))
}

pub(super) fn also(bucket: &BucketRoutes, first: usize, asked: &Asked<'_>) -> Refused {
    let set = bucket.rules.iter().find(|rule| rule.keys == first);
    let set = set.map_or("", |rule| rule.keys_name.as_str());
    let needs = asked.also().map(|also| match also {
        Also::Processing => {
            "Pic-Operations needs name/ci:* in a route without prefix: it names further keys"
                .to_owned()
        }
        Also::Key { role, operation, readings: [key, _], .. } => format!(
            "{role} (\"{}\") needs {}",
            key.shown(),
            operation.cam_action().unwrap_or_default()
        ),
    });
    let needs: Vec<String> = needs.collect();
    say(&format!(
        "One request is signed with one key set: {}, in a route with the same keys as the target's \
         ({set}). {}",
        needs.join("; "),
        listed(bucket)
    ))
}

pub(super) fn deleted(bucket: &BucketRoutes, key: &str) -> Refused {
    let key: String = key.chars().take(100).collect();
    say(&format!(
        "Every key of a multi-delete needs name/cos:DeleteObject with one key set, and \"{key}\" \
         has it not; nothing was deleted. {}",
        listed(bucket)
    ))
}

pub(super) fn unreadable() -> Refused {
    say("The keys of a multi-delete must be read to be judged, and this body is not a plain list \
         of them: <Delete> with <Object><Key>…</Key></Object> in UTF-8, without comments or \
         sections.")
}

pub(super) fn form(bucket: &BucketRoutes) -> Refused {
    say(&format!(
        "The key of a form upload (PostObject) is inside its body, and bucket {} has routes with a \
         prefix. Upload with PUT.",
        bucket.name
    ))
}

pub(super) fn dots(bucket: &BucketRoutes) -> Refused {
    say(&format!(
        "A key has the segment . or .., and bucket {} has routes with a prefix, which a server \
         that resolves it would leave.",
        bucket.name
    ))
}

pub(super) fn spans(bucket: &BucketRoutes) -> Refused {
    say(&format!(
        "The folder that would be deleted or renamed holds keys of a route with a longer prefix. {}",
        listed(bucket)
    ))
}

pub(super) fn body_too_large() -> Refused {
    Refused {
        reason: Reason::HeldBodyTooLarge,
        message:
            "The keys of a multi-delete must be read to be judged by the routes, and its body \
                  is too large to be held. Delete fewer keys at once, or raise \
                  limits.held_body_bytes."
                .into(),
    }
}

fn say(detail: &str) -> Refused {
    Reason::RouteDenied.because(detail)
}

/// Where lists are allowed.
fn lists(bucket: &BucketRoutes, operation: Operation) -> String {
    let rules = bucket.rules.iter().filter(|rule| rule.allow.allows(operation));
    let mut prefixes: Vec<&str> = rules.map(|rule| rule.prefix.as_str()).collect();
    prefixes.dedup();
    match prefixes.as_slice() {
        [] => String::new(),
        [first, ..] => format!(
            " A list must stay inside a route: send the query parameter prefix={first}, or a \
             longer one."
        ),
    }
}

fn listed(bucket: &BucketRoutes) -> String {
    let mut text = format!("Routes of {}:", bucket.name);
    for (at, rule) in bucket.rules.iter().take(SHOWN).enumerate() {
        let between = if at == 0 { " " } else { "; " };
        let _ = write!(text, "{between}\"{}\" allows {}", rule.prefix, rule.allow);
    }
    if bucket.rules.len() > SHOWN {
        let _ = write!(text, "; and {} more", bucket.rules.len() - SHOWN);
    }
    text.push('.');
    text
}
