//! The table: every source, everything that can go wrong with it, and what is then expected.

#[path = "local_rows.rs"]
mod local_rows;

use std::time::Duration;

use cos_auth_proxy::{credential::RetryClass, emulator::faults::Fault};

use crate::{gate::Mode, servers::Harm, sources::Source, spoilt::Spoilt};

use RetryClass::{Clock, Operator, Parent, Throttled, Transient};

/// What can go wrong, one column each. Every source has a cell in every column up to `DnsFailure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Refused,
    ConnectTimeout,
    TlsTimeout,
    AnswerTimeout,
    HeadTimeout,
    BodyTimeout,
    SlowDrip,
    Status500,
    Html200,
    Truncated,
    Oversized,
    WrongFields,
    OlderKey,
    ExpiredKey,
    KeyOfYear2262,
    ShortKey,
    Throttled,
    OperatorError,
    DnsFailure,
    // What a key in variables or files can be.
    Missing,
    Unreadable,
    Directory,
    Empty,
    TooLarge,
    NotText,
    TokenLess,
    NotAFile,
    // What a command can do.
    NotExecutable,
    ExitCode,
    Killed,
    PrintsNothing,
    // What else the sources that ask a server can meet.
    Untrusted,
    Reset,
    Closed,
    Status503,
    Status429,
    Status404,
    Status403,
    EndBeyondDates,
    ClockRefused,
    ParentRefused,
    ParentWithoutKey,
}

impl Trouble {
    /// The columns in which no source may lack a cell.
    pub(crate) const EVERYWHERE: [Self; 19] = [
        Self::Refused,
        Self::ConnectTimeout,
        Self::TlsTimeout,
        Self::AnswerTimeout,
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::SlowDrip,
        Self::Status500,
        Self::Html200,
        Self::Truncated,
        Self::Oversized,
        Self::WrongFields,
        Self::OlderKey,
        Self::ExpiredKey,
        Self::KeyOfYear2262,
        Self::ShortKey,
        Self::Throttled,
        Self::OperatorError,
        Self::DnsFailure,
    ];
}

/// One row of the table, for a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) trouble: Trouble,
    pub(crate) cell: Cell,
}

/// What a source does in a trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    Run(Run),
    /// The source reads its key once: the process does not start, and says these words.
    AtStart(Given, &'static [&'static str]),
    /// The trouble cannot be told apart from another one of this source, for this reason.
    SameAs(Trouble, &'static str),
}

/// A key in files, each a part, with a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The file of the secret.
    Secret(Spoilt),
    /// The file of the token is not named.
    NoToken,
}

/// One cell that is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) harm: Harm,
    pub(crate) class: RetryClass,
    pub(crate) outcome: Expected,
    /// Words of the message; `|` between two that will do.
    pub(crate) says: &'static [&'static str],
    /// For whom it is a trouble.
    pub(crate) phases: Phases,
}

/// For whom something is a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phases {
    /// For those who hold a key and for those who wait for the first.
    Both,
    /// Only for those who hold a key.
    Held,
    /// Only for those who wait for the first.
    First,
}

/// How each attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// No key came; the message says from where.
    Failed,
    /// A key came and was not taken.
    Refused,
}

const DRIP: Duration = Duration::from_millis(100);
/// Seconds from 1970 to the year 2262, where nanoseconds in 64 bits end.
const YEAR_2262: u64 = 9_223_372_036;

const fn failed(
    trouble: Trouble,
    harm: Harm,
    class: RetryClass,
    says: &'static [&'static str],
) -> Row {
    let run = Run { harm, class, outcome: Expected::Failed, says, phases: Phases::Both };
    Row { trouble, cell: Cell::Run(run) }
}

const fn refused(trouble: Trouble, harm: Harm, says: &'static [&'static str]) -> Row {
    let class = Transient;
    let phases = if matches!(trouble, Trouble::OlderKey) { Phases::Held } else { Phases::Both };
    let run = Run { harm, class, outcome: Expected::Refused, says, phases };
    Row { trouble, cell: Cell::Run(run) }
}

const fn first(
    trouble: Trouble,
    harm: Harm,
    class: RetryClass,
    says: &'static [&'static str],
) -> Row {
    let run = Run { harm, class, outcome: Expected::Failed, says, phases: Phases::First };
    Row { trouble, cell: Cell::Run(run) }
}

const fn same(trouble: Trouble, other: Trouble, because: &'static str) -> Row {
    Row { trouble, cell: Cell::SameAs(other, because) }
}

/// Deadlines at each stage, by the words that name the one for a connection and that for the whole.
const fn timeouts(connect: &'static [&'static str], whole: &'static [&'static str]) -> [Row; 6] {
    let drip = Harm::Server(Fault::DripBody(DRIP));
    [
        failed(Trouble::ConnectTimeout, Harm::Gate(Mode::Deaf), Transient, connect),
        failed(Trouble::TlsTimeout, Harm::TlsGate(Mode::Mute), Transient, connect),
        failed(Trouble::AnswerTimeout, Harm::Gate(Mode::NoAnswer), Transient, whole),
        failed(Trouble::HeadTimeout, Harm::Gate(Mode::HalfHead), Transient, whole),
        failed(Trouble::BodyTimeout, Harm::Gate(Mode::HeadOnly), Transient, whole),
        failed(Trouble::SlowDrip, drip, Transient, whole),
    ]
}

/// Deadlines out of `[refresh]`, as the driver sets them.
const TIMEOUTS: &[Row] = &timeouts(&["no answer", "within 400ms"], &["no answer", "within 800ms"]);
/// Those of the metadata, which are its own.
const TIMEOUTS_OF_METADATA: &[Row] =
    &timeouts(&["no answer", "within 1s"], &["no answer", "within 2s"]);

/// What the network and a server's answers do to any source that asks a server.
const NETWORK: &[Row] = &[
    // Whoever was already waiting in the backlog is reset.
    failed(Trouble::Refused, Harm::Gate(Mode::Shut), Transient, &["no answer", "refused|reset"]),
    failed(Trouble::Truncated, Harm::Server(Fault::TruncateBody(60)), Transient, &["no answer"]),
    failed(Trouble::Oversized, Harm::Server(Fault::Oversized), Transient, &["longer than 64 KiB"]),
    failed(Trouble::WrongFields, Harm::Server(Fault::WrongFields), Transient, &["no secret key"]),
    refused(Trouble::OlderKey, Harm::EndsAfter(50), &["before the one in use"]),
    refused(Trouble::ExpiredKey, Harm::EndsAfter(-1), &["expired at"]),
    refused(
        Trouble::KeyOfYear2262,
        Harm::Server(Fault::ExpiresAt(YEAR_2262)),
        &["2262", "further away than any temporary key"],
    ),
    refused(Trouble::ShortKey, Harm::EndsAfter(5), &["left", "at least 60 s"]),
    failed(Trouble::DnsFailure, Harm::Name, Transient, &["no answer"]),
    failed(Trouble::Reset, Harm::Server(Fault::Reset), Transient, &["no answer"]),
    failed(Trouble::Closed, Harm::Server(Fault::Close), Transient, &["no answer"]),
    failed(Trouble::Status500, Harm::Server(Fault::Status(500)), Transient, &["status 500"]),
    failed(Trouble::Status503, Harm::Server(Fault::Status(503)), Transient, &["status 503"]),
    failed(Trouble::Status429, Harm::Server(Fault::Status(429)), Throttled, &["status 429"]),
    failed(Trouble::Status403, Harm::Server(Fault::Status(403)), Parent, &["status 403"]),
    failed(
        Trouble::EndBeyondDates,
        Harm::Server(Fault::ExpiresAt(u64::MAX)),
        Transient,
        &["no expiry that can be read"],
    ),
];

/// What STS and key servers, which answer in JSON over https, add.
const JSON: &[Row] = &[
    failed(Trouble::Html200, Harm::Server(Fault::Html200), Transient, &["not JSON"]),
    failed(Trouble::Untrusted, Harm::Distrust, Transient, &["certificate"]),
];

/// What STS adds.
const STS: &[Row] = &[
    failed(
        Trouble::Throttled,
        Harm::Server(Fault::Throttle),
        Throttled,
        &["RequestLimitExceeded", "(request "],
    ),
    failed(
        Trouble::OperatorError,
        Harm::Server(Fault::ErrorCode("AuthFailure.UnauthorizedOperation")),
        Operator,
        &["AuthFailure.UnauthorizedOperation", "(request ", "CAM policy"],
    ),
    failed(Trouble::Status404, Harm::Server(Fault::Status(404)), Operator, &["status 404"]),
    failed(
        Trouble::ClockRefused,
        Harm::Server(Fault::ErrorCode("AuthFailure.SignatureExpire")),
        Clock,
        &["AuthFailure.SignatureExpire", "clocks differ"],
    ),
];

/// What the caller's key adds.
const CALLER: &[Row] = &[failed(
    Trouble::ParentRefused,
    Harm::Server(Fault::ErrorCode("AuthFailure.TokenFailure")),
    Parent,
    &["refused with code AuthFailure.TokenFailure", "(request "],
)];

/// What it adds if the key is that of another key set. If that one has a key, its own troubles are
/// none of the one that it calls for.
const OTHER_KEY_SET: &[Row] = &[
    failed(
        Trouble::ParentRefused,
        Harm::Server(Fault::ErrorCode("AuthFailure.TokenFailure")),
        Parent,
        &["refused the key of the key set", "-caller", "AuthFailure.TokenFailure", "(request "],
    ),
    first(
        Trouble::ParentWithoutKey,
        Harm::Caller(Mode::Shut),
        Parent,
        &["-caller", "which makes the call, has no key", "no answer", "refused"],
    ),
];

/// What the identity of a pod adds.
const WEB_IDENTITY: &[Row] = &[failed(
    Trouble::ParentRefused,
    Harm::Server(Fault::ErrorCode("InvalidParameter.WebIdentityTokenError")),
    Parent,
    &["InvalidParameter.WebIdentityTokenError", "token file is expired"],
)];

/// What a token in a file adds.
const TOKEN_FILE: &[Row] = &[
    failed(Trouble::Missing, Harm::File(Spoilt::Nothing), Parent, &["cannot read", "No such file"]),
    failed(Trouble::Unreadable, Harm::File(Spoilt::LinkToItself), Parent, &["cannot read"]),
    failed(Trouble::Directory, Harm::File(Spoilt::Folder), Parent, &["cannot read", "directory"]),
    failed(Trouble::Empty, Harm::File(Spoilt::Text("\n")), Parent, &["cannot read", "empty"]),
    failed(Trouble::TooLarge, Harm::File(Spoilt::Large(100_000)), Parent, &["larger than 64 KiB"]),
    failed(Trouble::NotText, Harm::File(Spoilt::Binary), Parent, &["not text"]),
];

/// What the metadata of an instance adds: a list of roles, then a key.
const METADATA: &[Row] = &[
    failed(
        Trouble::Html200,
        Harm::Server(Fault::Html200),
        Transient,
        &["not a list of role names"],
    ),
    failed(Trouble::Throttled, Harm::Server(Fault::Throttle), Throttled, &["status 429"]),
    failed(
        Trouble::OperatorError,
        Harm::Server(Fault::Status(404)),
        Operator,
        &["shows no role", "none is bound"],
    ),
];

/// What a home-made key server adds.
const KEY_SERVER: &[Row] = &[
    failed(Trouble::Throttled, Harm::Server(Fault::Throttle), Throttled, &["status 429"]),
    failed(
        Trouble::OperatorError,
        Harm::Server(Fault::ErrorCode("ScopeNotAllowed")),
        Operator,
        &["ScopeNotAllowed"],
    ),
    failed(Trouble::Status404, Harm::Server(Fault::Status(404)), Operator, &["status 404"]),
    failed(Trouble::ParentRefused, Harm::Server(Fault::Status(401)), Parent, &["status 401"]),
];

const fn at_start(trouble: Trouble, given: Given, says: &'static [&'static str]) -> Row {
    Row { trouble, cell: Cell::AtStart(given, says) }
}

/// The rows of a source.
pub(crate) fn rows(source: Source) -> Vec<Row> {
    match source {
        Source::Static => local_rows::STATIC.to_vec(),
        Source::StaticFiles => local_rows::STATIC_FILES.to_vec(),
        Source::FederationToken | Source::AssumeRole => {
            [NETWORK, TIMEOUTS, JSON, STS, CALLER].concat()
        }
        Source::AssumeRoleVia => [NETWORK, TIMEOUTS, JSON, STS, OTHER_KEY_SET].concat(),
        Source::WebIdentity => [NETWORK, TIMEOUTS, JSON, STS, WEB_IDENTITY, TOKEN_FILE].concat(),
        Source::InstanceRole | Source::Auto => [NETWORK, TIMEOUTS_OF_METADATA, METADATA].concat(),
        Source::Http => [NETWORK, TIMEOUTS, JSON, KEY_SERVER, TOKEN_FILE].concat(),
        Source::File => local_rows::FILE.to_vec(),
        Source::Exec => local_rows::EXEC.to_vec(),
    }
}
