//! Why a source gave no key, and how soon it is worth asking again.

use std::time::Duration;

/// How a failure is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Network, gateway or server: soon, with jitter.
    Transient,
    /// A rate limit: later, with jitter.
    Throttled,
    /// The server refused our time: at once, after the clock was corrected.
    Clock,
    /// The key or token that asks was refused: after it may have been renewed.
    Parent,
    /// Somebody must mend something: slowly, but for ever.
    Operator,
}

impl RetryClass {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::Transient, Self::Throttled, Self::Clock, Self::Parent, Self::Operator];

    /// The class in logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Clock => "clock",
            Self::Parent => "parent",
            Self::Operator => "operator",
        }
    }
}

/// Why a source gave no key. Never holds a secret or any text of an answer but its error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No connection, or it broke.
    #[error("no answer from {endpoint}: {fault}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// What the network or TLS said.
        fault: String,
    },
    /// Nothing came in time.
    #[error("no answer from {endpoint} within {waited:?}")]
    TimedOut {
        /// Scheme, host and port, or the kind of the source.
        endpoint: String,
        /// The deadline.
        waited: Duration,
    },
    /// An answer with a status that no answer with a key has.
    #[error("{endpoint} answered with status {status}")]
    Status {
        /// Scheme, host and port.
        endpoint: String,
        /// HTTP status.
        status: u16,
    },
    /// An answer without a readable key.
    #[error("{endpoint} answered, but {fault}")]
    Unreadable {
        /// Scheme, host and port.
        endpoint: String,
        /// What is wrong with it; positions and field names, no values.
        fault: String,
    },
    /// An answer that is an error.
    #[error("{endpoint} refused with code {code} (request {request_id}){}", hint(code))]
    Refused {
        /// Scheme, host and port.
        endpoint: String,
        /// The error code, cut to what an error code may consist of.
        code: String,
        /// The server's id of the request, `-` if it gave none.
        request_id: String,
    },
    /// A command that prints keys failed.
    #[error("{program} gave no key: {fault}")]
    Command {
        /// Its path.
        program: String,
        /// How it ended, and the end of what it complained, without anything like a key.
        fault: String,
        /// It ran; otherwise it is not there, or not to be run.
        started: bool,
    },
    /// A file that the source needs cannot be read.
    #[error("cannot read {path}: {fault}")]
    File {
        /// The file.
        path: String,
        /// What the system said, or what is wrong with the content.
        fault: String,
    },
    /// The source that `auto` was left with gives no key, and has given none so far.
    #[error("{fault}; auto asked {kind} because {passed_over}")]
    LastResort {
        /// Its kind.
        kind: &'static str,
        /// Why the sources before it were not taken.
        passed_over: String,
        /// What it failed with.
        #[source]
        fault: Box<Self>,
    },
    /// The instance has no role, or not the one that is meant.
    #[error("{endpoint} {fault}")]
    Role {
        /// Scheme, host and port.
        endpoint: String,
        /// Which roles there are and what to do.
        fault: String,
    },
    /// The key set that makes the call has no key itself.
    #[error("the key set {name}, which makes the call, has no key to make it with: {reason}")]
    ParentWithoutKey {
        /// The other key set.
        name: String,
        /// Why it has none.
        reason: String,
    },
    /// STS refused the key of the key set that makes the call.
    #[error(
        "{endpoint} refused the key of the key set {name}, which makes the call, with code {code} (request {request_id})"
    )]
    ParentRefused {
        /// Scheme, host and port.
        endpoint: String,
        /// The other key set.
        name: String,
        /// The error code, cut to what an error code may consist of.
        code: String,
        /// The server's id of the request, `-` if it gave none.
        request_id: String,
    },
}

impl SourceError {
    /// How this failure is retried.
    #[must_use]
    pub fn retry(&self) -> RetryClass {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unreadable { .. }
            | Self::Command { started: true, .. } => RetryClass::Transient,
            Self::Command { started: false, .. } => RetryClass::Operator,
            Self::Status { status: 429, .. } => RetryClass::Throttled,
            Self::Status { status: 401 | 403, .. }
            | Self::File { .. }
            | Self::ParentWithoutKey { .. }
            | Self::ParentRefused { .. } => RetryClass::Parent,
            Self::Status { status: 400..=499, .. } | Self::Role { .. } => RetryClass::Operator,
            Self::Status { .. } => RetryClass::Transient,
            Self::Refused { code, .. } => retry_of_code(code),
            Self::LastResort { fault, .. } => fault.retry(),
        }
    }

    /// The kind of failure, for logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed-out",
            Self::Status { .. } => "status",
            Self::Unreadable { .. } => "unreadable",
            Self::Refused { .. } => "refused",
            Self::Command { .. } => "command",
            Self::File { .. } => "file",
            Self::LastResort { fault, .. } => fault.label(),
            Self::Role { .. } => "role",
            Self::ParentWithoutKey { .. } => "parent-without-key",
            Self::ParentRefused { .. } => "parent-refused",
        }
    }

    /// The server's id of the request, if it gave one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } | Self::ParentRefused { request_id, .. } => {
                Some(request_id)
            }
            Self::LastResort { fault, .. } => fault.request_id(),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Status { .. }
            | Self::Unreadable { .. }
            | Self::Command { .. }
            | Self::File { .. }
            | Self::Role { .. }
            | Self::ParentWithoutKey { .. } => None,
        }
    }
}

/// The class of an STS error code: the lists of the official Go SDK (`sts/v20180813/errors.go`) and of
/// the common error codes (Tencent Cloud doc 1388/114322). Unknown codes wait for an operator, unless
/// they say that the server is at fault.
fn retry_of_code(code: &str) -> RetryClass {
    match code {
        // A rate limit despite its family: AssumeRole documents it as such.
        "InvalidParameter.OverLimit" => RetryClass::Throttled,
        "AuthFailure.SignatureExpire" => RetryClass::Clock,
        "AuthFailure.TokenFailure" | "InvalidParameter.WebIdentityTokenError" => RetryClass::Parent,
        "InternalError.IllegalRole" => RetryClass::Operator,
        _ => match code.split('.').next().unwrap_or_default() {
            "RequestLimitExceeded" => RetryClass::Throttled,
            "InternalError" | "ServiceUnavailable" | "ResourceUnavailable" => RetryClass::Transient,
            _ => RetryClass::Operator,
        },
    }
}

/// What to do about the codes that people meet most.
fn hint(code: &str) -> &'static str {
    match code {
        "AuthFailure.SignatureFailure" => ": the secret key does not belong to the secret id",
        "AuthFailure.SecretIdNotFound" | "AuthFailure.InvalidSecretId" => {
            ": the key that asks was deleted, disabled or mistyped"
        }
        "AuthFailure.SignatureExpire" => ": the clocks differ by more than 5 minutes",
        "FailedOperation.TempKeyNotAllowed"
        | "InvalidParameter.AccessKeyNotSupport"
        | "UnsupportedOperation" => {
            ": this call needs a permanent key; use assume-role with a temporary one"
        }
        "ResourceNotFound.RoleNotFound" => ": check role_arn",
        "InvalidParameter.OverTimeError" => {
            ": ask for a shorter duration; the most is 2h with a root account's key, 36h with a sub-account's, 12h for a role or what the role itself allows"
        }
        "InvalidParameter.WebIdentityTokenError" => {
            ": the token in the web identity token file is expired or not one that provider_id and the role trust"
        }
        "AuthFailure.TokenFailure" => {
            ": the token of the key that asks has expired or is not its own"
        }
        "AuthFailure.UnauthorizedOperation" | "UnauthorizedOperation" => {
            ": a CAM policy must allow the key that asks to make this call"
        }
        "InvalidParameter.PolicyTooLong" => ": the policy is too long for a temporary key",
        "InvalidParameter.GrantOtherResource" => {
            ": the policy names a resource of another account; check region and bucket"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_documented_code_has_its_class() {
        use RetryClass::{Clock, Operator, Parent, Throttled, Transient};
        for (code, class) in [
            ("RequestLimitExceeded", Throttled),
            ("RequestLimitExceeded.UinLimitExceeded", Throttled),
            ("RequestLimitExceeded.GlobalRegionUinLimitExceeded", Throttled),
            ("InvalidParameter.OverLimit", Throttled),
            ("InternalError", Transient),
            ("InternalError.SystemError", Transient),
            ("InternalError.DbError", Transient),
            ("InternalError.UnknownError", Transient),
            ("InternalError.IllegalRole", Operator),
            ("AuthFailure.SignatureExpire", Clock),
            ("AuthFailure.SignatureFailure", Operator),
            ("AuthFailure.SecretIdNotFound", Operator),
            ("AuthFailure.InvalidSecretId", Operator),
            ("AuthFailure.AccessKeyIllegal", Operator),
            ("AuthFailure.TokenFailure", Parent),
            ("AuthFailure.UnauthorizedOperation", Operator),
            ("UnauthorizedOperation", Operator),
            ("AuthFailure.MFAFailure", Operator),
            ("FailedOperation.TempKeyNotAllowed", Operator),
            ("UnsupportedOperation", Operator),
            ("ResourceNotFound.RoleNotFound", Operator),
            ("InvalidParameter.WebIdentityTokenError", Parent),
            ("InvalidParameter.OverTimeError", Operator),
            ("InvalidParameter.PolicyTooLong", Operator),
            ("InvalidParameterValue", Operator),
        ] {
            assert_eq!(retry_of_code(code), class, "{code}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = SourceError::Refused {
            endpoint: "https://sts.example".to_owned(),
            code: "ResourceNotFound.RoleNotFound".to_owned(),
            request_id: "r-1".to_owned(),
        };
        assert_eq!(
            refused.to_string(),
            "https://sts.example refused with code ResourceNotFound.RoleNotFound (request r-1): check role_arn"
        );
    }
}
