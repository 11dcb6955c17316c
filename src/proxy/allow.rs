//! What a route allows: groups of actions, or actions of Cloud Access Management by name.

use std::fmt;

use super::Operation;

/// A set of operations. Operations that need the same action are in it together or not at all.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Allow(u128);

/// Why a word of `allow` names nothing that a route can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowFault {
    /// No group and no action.
    #[error("names no group and no action")]
    Unknown,
    /// An action with `*`.
    #[error("holds a wildcard: name each action, or use the groups")]
    Wildcard,
    /// Another name of an action, known from sample policies.
    #[error("is judged as {0}: write that")]
    Synonym(&'static str),
}

/// The groups: each allows the operations of these actions.
const GROUPS: [(&str, &[Operation]); 4] = [
    (
        "read",
        &[
            Operation::GetObject,
            Operation::HeadObject,
            Operation::GetObjectTagging,
            Operation::OptionsObject,
        ],
    ),
    (
        "list",
        &[
            Operation::GetBucket,
            Operation::GetBucketObjectVersions,
            Operation::HeadBucket,
            Operation::ListMultipartUploads,
            Operation::ListParts,
        ],
    ),
    (
        "write",
        &[
            Operation::PutObject,
            Operation::PostObject,
            Operation::AppendObject,
            Operation::InitiateMultipartUpload,
            Operation::UploadPart,
            Operation::CompleteMultipartUpload,
            Operation::AbortMultipartUpload,
            Operation::PutObjectTagging,
        ],
    ),
    ("delete", &[Operation::DeleteObject, Operation::DeleteObjectTagging]),
];

/// Names that sample policies of Tencent Cloud use beside the action that is asked for.
const SYNONYMS: [(&str, &str); 4] = [
    ("name/cos:PutObject", "name/cos:PutObjectCopy"),
    ("name/cos:UploadPart", "name/cos:UploadPartCopy"),
    ("name/cos:DeleteObject", "name/cos:DeleteMultipleObjects"),
    ("name/cos:PostObjectRestore", "name/cos:RestoreObject"),
];

// One bit for each operation.
const _: () = assert!(Operation::ALL.len() <= 128);

impl Allow {
    /// Reads `read`, `list`, `write`, `delete`, or an action such as `name/cos:PutObjectACL`.
    ///
    /// # Errors
    /// [`AllowFault`] for what is none of these.
    pub fn word(word: &str) -> Result<Self, AllowFault> {
        if let Some((_, operations)) = GROUPS.iter().find(|(name, _)| *name == word) {
            let actions = operations.iter().filter_map(|operation| operation.cam_action());
            return Ok(actions.fold(Self::default(), |all, action| all.with(Self::action(action))));
        }
        let named = Self::action(word);
        if !named.is_empty() {
            return Ok(named);
        }
        if let Some((action, _)) = SYNONYMS.iter().find(|(_, synonym)| *synonym == word) {
            return Err(AllowFault::Synonym(action));
        }
        Err(if word.contains('*') { AllowFault::Wildcard } else { AllowFault::Unknown })
    }

    /// Every word there is, for "did you mean".
    pub fn words() -> impl Iterator<Item = &'static str> {
        GROUPS.iter().map(|(name, _)| *name).chain(Self(u128::MAX).actions())
    }

    /// Whether `operation` is allowed.
    #[must_use]
    pub fn allows(self, operation: Operation) -> bool {
        self.0 & bit(operation) != 0
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What either allows.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a route with a prefix can allow any of it.
    #[must_use]
    pub fn fits_prefix(self) -> bool {
        Operation::ALL.iter().any(|o| self.allows(*o) && Reach::of(*o).fits_prefix())
    }

    /// The actions, each once, in the order of the table of operations.
    pub fn actions(self) -> impl Iterator<Item = &'static str> {
        let first = |operation: &Operation| {
            let same = |other: &&Operation| other.cam_action() == operation.cam_action();
            Operation::ALL.iter().find(same) == Some(operation)
        };
        let allowed = Operation::ALL.iter().filter(move |o| self.allows(**o) && first(o));
        allowed.filter_map(|operation| operation.cam_action())
    }

    /// What is allowed here and not by `other`.
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What both allow.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Only the operations that `wanted` wants.
    pub(super) fn only(self, wanted: impl Fn(Operation) -> bool) -> Self {
        let kept = Operation::ALL.iter().filter(|o| self.allows(**o) && wanted(**o));
        Self(kept.fold(0, |bits, operation| bits | bit(*operation)))
    }

    /// The names to write into a policy: the actions and what else they are called.
    pub(super) fn policy_names(self) -> impl Iterator<Item = &'static str> {
        self.actions().flat_map(|action| {
            let synonym = SYNONYMS.iter().find(|(known, _)| *known == action);
            [Some(action), synonym.map(|(_, synonym)| *synonym)].into_iter().flatten()
        })
    }

    /// The operations of one action.
    fn action(name: &str) -> Self {
        let same = Operation::ALL.iter().filter(|o| o.cam_action() == Some(name));
        Self(same.fold(0, |bits, operation| bits | bit(*operation)))
    }
}

/// The words that say it: groups first, then what is left by action.
impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = *self;
        let mut between = "";
        for (name, _) in GROUPS {
            let group = Self::word(name).unwrap_or_default();
            if group.without(*self).is_empty() {
                left = left.without(group);
                write!(f, "{between}{name}")?;
                between = ", ";
            }
        }
        for action in left.actions() {
            write!(f, "{between}{action}")?;
            between = ", ";
        }
        if between.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

impl fmt::Debug for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Allow({self})")
    }
}

fn bit(operation: Operation) -> u128 {
    1 << (operation as u32)
}

/// What an operation is allowed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// No action stands for it, so no route can allow it.
    Nothing,
    /// The account: any route that lists it.
    Service,
    /// Any route of the bucket.
    AnyOfBucket,
    /// The whole bucket: a route without a prefix.
    Bucket,
    /// The keys that begin with the query's `prefix`.
    List,
    /// Keys in an XML body.
    ManyObjects,
    /// A key in a form that is not read.
    Form,
    /// Data processing: its parameters name further objects of the bucket.
    Processing,
    /// The key in the path.
    Object,
}

impl Reach {
    pub(super) fn of(operation: Operation) -> Self {
        use Operation as Op;
        if matches!(operation, Op::Unknown | Op::Unlisted | Op::BatchJobs) {
            Self::Nothing
        } else if operation == Op::GetService {
            Self::Service
        } else if operation == Op::CiProcess {
            Self::Processing
        } else if operation == Op::HeadBucket {
            Self::AnyOfBucket
        } else if operation == Op::DeleteMultipleObjects {
            Self::ManyObjects
        } else if operation == Op::PostObject {
            Self::Form
        } else if matches!(
            operation,
            Op::GetBucket | Op::GetBucketObjectVersions | Op::ListMultipartUploads
        ) {
            Self::List
        } else if (operation as u32) < (Op::GetObject as u32) {
            // The table of operations has the buckets' before the objects'.
            Self::Bucket
        } else {
            Self::Object
        }
    }

    /// Whether a route with a prefix can allow it.
    pub(super) fn fits_prefix(self) -> bool {
        match self {
            Self::AnyOfBucket | Self::List | Self::ManyObjects | Self::Object => true,
            Self::Nothing | Self::Service | Self::Bucket | Self::Form | Self::Processing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_actions_are_read_and_shown_again() {
        for words in [
            &["read"][..],
            &["list", "delete"],
            &["read", "list", "write", "delete"],
            &["read", "name/cos:PutObjectACL"],
            &["name/ci:*", "name/cos:GetObject"],
        ] {
            let allow =
                words.iter().fold(Allow::default(), |all, w| all.with(Allow::word(w).unwrap()));
            let shown = allow.to_string();
            for word in words {
                assert!(shown.split(", ").any(|shown| shown == *word), "{word} in {shown}");
            }
            assert_eq!(shown.split(", ").count(), words.len(), "{shown}");
        }
        assert_eq!(Allow::default().to_string(), "nothing");
    }

    #[test]
    fn what_names_no_action_is_refused_with_what_would() {
        for (word, fault) in [
            ("raed", AllowFault::Unknown),
            ("GetObject", AllowFault::Unknown),
            ("cos:GetObject", AllowFault::Unknown),
            ("*", AllowFault::Wildcard),
            ("name/cos:*", AllowFault::Wildcard),
            ("name/cos:Get*", AllowFault::Wildcard),
            ("name/cos:DeleteMultipleObjects", AllowFault::Synonym("name/cos:DeleteObject")),
            ("", AllowFault::Unknown),
        ] {
            assert_eq!(Allow::word(word), Err(fault), "{word}");
        }
        for word in Allow::words() {
            assert!(Allow::word(word).is_ok(), "{word}");
        }
    }

    #[test]
    fn an_action_brings_every_operation_that_needs_it() {
        let delete = Allow::word("delete").unwrap();
        assert!(delete.allows(Operation::DeleteMultipleObjects));
        let write = Allow::word("write").unwrap();
        for operation in
            [Operation::PutObjectCopy, Operation::UploadPartCopy, Operation::PutSymlink]
        {
            assert!(write.allows(operation), "{operation:?}");
        }
        assert!(!write.allows(Operation::PutObjectAcl) && !write.allows(Operation::DeleteObject));
        for operation in [Operation::Unknown, Operation::Unlisted, Operation::BatchJobs] {
            assert!(!Allow::words().any(|w| Allow::word(w).unwrap().allows(operation)));
        }
    }

    #[test]
    fn operations_on_buckets_and_on_objects_are_told_apart() {
        for operation in Operation::ALL {
            let of_bucket = operation.name().contains("Bucket");
            match Reach::of(*operation) {
                Reach::Bucket | Reach::AnyOfBucket => assert!(of_bucket, "{operation:?}"),
                Reach::Object => assert!(!of_bucket, "{operation:?}"),
                Reach::List => assert!(
                    of_bucket || *operation == Operation::ListMultipartUploads,
                    "{operation:?}"
                ),
                Reach::Nothing
                | Reach::Service
                | Reach::ManyObjects
                | Reach::Form
                | Reach::Processing => {}
            }
        }
    }

    #[test]
    fn operations_of_one_action_reach_the_same_keys() {
        for one in Operation::ALL {
            for other in Operation::ALL {
                if one.cam_action().is_some() && one.cam_action() == other.cam_action() {
                    let fits = |o: &Operation| Reach::of(*o).fits_prefix();
                    assert_eq!(fits(one), fits(other), "{one:?} {other:?}");
                }
            }
        }
    }
}
