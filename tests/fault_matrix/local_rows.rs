//! The rows of sources that ask no server: what they read, and what a command does.

use cos_auth_proxy::credential::RetryClass::{Operator, Parent, Throttled, Transient};

use super::{Given, Row, Trouble, YEAR_2262, at_start, failed, refused, same};
use crate::{
    servers::Harm,
    spoilt::{Spoilt, Written},
};

const NOBODY_IS_ASKED: &str = "nobody is asked: only what holds the key can be absent";
const NOTHING_IS_WAITED_FOR: &str = "it is read once at the start, and nothing is waited for";
const OTHER_TEXT: &str = "whatever stands there instead of a key is refused as one";
const END_NOT_KNOWN: &str = "a key that is given has no end that anybody told; COS tells";

const NOTHING_ELSE_IS_WAITED_FOR: &str = "all that could be waited for is what never comes";
const ONE_PLACE: &str = "there is one place where it can stop";
const AN_ERROR: &str = "an error in the place of a key is an error, whatever it says";
const WHAT_STANDS_THERE: &str =
    "what stands in the file is the key, whichever ends first: an operator put it there";

/// A key that is given.
pub(super) const STATIC: &[Row] = &[
    at_start(Trouble::Missing, Given::Secret(Spoilt::Nothing), &["cannot be read", "not found"]),
    at_start(Trouble::Unreadable, Given::Secret(Spoilt::LinkToItself), &["cannot be read"]),
    at_start(Trouble::Directory, Given::Secret(Spoilt::Folder), &["cannot be read", "directory"]),
    at_start(Trouble::Empty, Given::Secret(Spoilt::Text("\n")), &["empty"]),
    at_start(Trouble::TooLarge, Given::Secret(Spoilt::Large(100_000)), &["larger than 64 KiB"]),
    at_start(Trouble::NotText, Given::Secret(Spoilt::Binary), &["not text"]),
    at_start(
        Trouble::WrongFields,
        Given::Secret(Spoilt::Text("two words\nand lines")),
        &["secret_key"],
    ),
    at_start(Trouble::TokenLess, Given::NoToken, &["temporary key", "token"]),
    same(Trouble::Refused, Trouble::Missing, NOBODY_IS_ASKED),
    same(Trouble::DnsFailure, Trouble::Missing, NOBODY_IS_ASKED),
    same(Trouble::ConnectTimeout, Trouble::Missing, NOTHING_IS_WAITED_FOR),
    same(Trouble::TlsTimeout, Trouble::Missing, NOTHING_IS_WAITED_FOR),
    same(Trouble::AnswerTimeout, Trouble::Missing, NOTHING_IS_WAITED_FOR),
    same(Trouble::HeadTimeout, Trouble::Missing, NOTHING_IS_WAITED_FOR),
    same(Trouble::BodyTimeout, Trouble::Missing, NOTHING_IS_WAITED_FOR),
    same(Trouble::SlowDrip, Trouble::Missing, NOTHING_IS_WAITED_FOR),
    same(Trouble::Status500, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::Html200, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::Throttled, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::OperatorError, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::Truncated, Trouble::TokenLess, "a key cut short lacks its last part"),
    same(Trouble::Oversized, Trouble::TooLarge, "a file is the answer of this source"),
    same(Trouble::OlderKey, Trouble::TokenLess, END_NOT_KNOWN),
    same(Trouble::ExpiredKey, Trouble::TokenLess, END_NOT_KNOWN),
    same(Trouble::KeyOfYear2262, Trouble::TokenLess, END_NOT_KNOWN),
    same(Trouble::ShortKey, Trouble::TokenLess, END_NOT_KNOWN),
];

/// A key whose parts stand in files while the process runs.
pub(super) const STATIC_FILES: &[Row] = &[
    failed(Trouble::Missing, Harm::File(Spoilt::Nothing), Parent, &["cannot read", "not found"]),
    failed(Trouble::Unreadable, Harm::File(Spoilt::LinkToItself), Parent, &["cannot read"]),
    failed(Trouble::Directory, Harm::File(Spoilt::Folder), Parent, &["it is not a file"]),
    failed(Trouble::NotAFile, Harm::File(Spoilt::Pipe), Parent, &["it is not a file"]),
    failed(Trouble::Empty, Harm::File(Spoilt::Text("")), Parent, &["empty"]),
    failed(Trouble::NotText, Harm::File(Spoilt::Binary), Parent, &["not text"]),
    failed(Trouble::Oversized, Harm::File(Spoilt::Large(100_000)), Parent, &["larger than 64 KiB"]),
    failed(
        Trouble::WrongFields,
        Harm::File(Spoilt::Text("two words\nand lines")),
        Parent,
        &["cannot read"],
    ),
    same(Trouble::Refused, Trouble::Missing, NOBODY_IS_ASKED),
    same(Trouble::DnsFailure, Trouble::Missing, NOBODY_IS_ASKED),
    same(Trouble::ConnectTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::TlsTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::AnswerTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::HeadTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::BodyTimeout, Trouble::Empty, "a writer who has not begun"),
    same(Trouble::SlowDrip, Trouble::Empty, "a writer who has not begun"),
    same(Trouble::Truncated, Trouble::Empty, "a part is one word: cut short it is another one"),
    same(Trouble::Status500, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::Html200, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::Throttled, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::OperatorError, Trouble::WrongFields, OTHER_TEXT),
    same(Trouble::OlderKey, Trouble::Missing, END_NOT_KNOWN),
    same(Trouble::ExpiredKey, Trouble::Missing, END_NOT_KNOWN),
    same(Trouble::KeyOfYear2262, Trouble::Missing, END_NOT_KNOWN),
    same(Trouble::ShortKey, Trouble::Missing, END_NOT_KNOWN),
];

/// A file that is watched.
pub(super) const FILE: &[Row] = &[
    failed(Trouble::Missing, Harm::File(Spoilt::Nothing), Parent, &["cannot read", "not found"]),
    failed(Trouble::Unreadable, Harm::File(Spoilt::LinkToItself), Parent, &["cannot read"]),
    failed(Trouble::Directory, Harm::File(Spoilt::Folder), Parent, &["it is not a file"]),
    failed(Trouble::NotAFile, Harm::File(Spoilt::Pipe), Parent, &["it is not a file"]),
    failed(Trouble::Empty, Harm::File(Spoilt::Text("")), Parent, &["it holds no key"]),
    failed(Trouble::NotText, Harm::File(Spoilt::Binary), Parent, &["not text"]),
    failed(Trouble::Oversized, Harm::File(Spoilt::Large(100_000)), Parent, &["larger than 64 KiB"]),
    failed(
        Trouble::Html200,
        Harm::File(Spoilt::Text("<html>\nPlease sign in\n</html>\n")),
        Parent,
        &["line 1 is neither"],
    ),
    failed(Trouble::Truncated, Harm::Written(Written::Half), Parent, &["not JSON"]),
    failed(
        Trouble::WrongFields,
        Harm::Written(Written::Without("TmpSecretKey")),
        Parent,
        &["no secret key"],
    ),
    failed(
        Trouble::TokenLess,
        Harm::Written(Written::Without("Token")),
        Parent,
        &["no session token", "temporary key"],
    ),
    failed(
        Trouble::OperatorError,
        Harm::Written(Written::Error("AuthFailure.UnauthorizedOperation")),
        Parent,
        &["AuthFailure.UnauthorizedOperation"],
    ),
    refused(Trouble::ExpiredKey, Harm::Written(Written::EndsAfter(-1)), &["expired at"]),
    refused(Trouble::KeyOfYear2262, Harm::Written(Written::EndsAt(YEAR_2262)), &["2262"]),
    refused(Trouble::ShortKey, Harm::Written(Written::EndsAfter(5)), &["at least 60 s"]),
    same(Trouble::OlderKey, Trouble::ShortKey, WHAT_STANDS_THERE),
    same(Trouble::Refused, Trouble::Missing, NOBODY_IS_ASKED),
    same(Trouble::DnsFailure, Trouble::Missing, NOBODY_IS_ASKED),
    same(Trouble::ConnectTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::TlsTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::AnswerTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::HeadTimeout, Trouble::NotAFile, NOTHING_ELSE_IS_WAITED_FOR),
    same(Trouble::BodyTimeout, Trouble::Truncated, "a writer who stopped half-way"),
    same(Trouble::SlowDrip, Trouble::Truncated, "a writer who is slow is half-way for long"),
    same(Trouble::Status500, Trouble::OperatorError, AN_ERROR),
    same(Trouble::Throttled, Trouble::OperatorError, AN_ERROR),
];

/// A command that prints a key.
pub(super) const EXEC: &[Row] = &[
    failed(
        Trouble::Missing,
        Harm::Program(Spoilt::Nothing),
        Operator,
        &["cannot be started", "not found"],
    ),
    failed(
        Trouble::NotExecutable,
        Harm::Program(Spoilt::Text("exit 0")),
        Operator,
        &["cannot be started", "permission denied"],
    ),
    failed(Trouble::Directory, Harm::Program(Spoilt::Folder), Operator, &["cannot be started"]),
    failed(
        Trouble::ExitCode,
        Harm::Script("echo 'vault: sealed' >&2; exit 3"),
        Transient,
        &["exit status: 3", "vault: sealed"],
    ),
    failed(Trouble::Killed, Harm::Script("kill -9 $$"), Transient, &["signal: 9"]),
    failed(Trouble::PrintsNothing, Harm::Script("exit 0"), Transient, &["not JSON"]),
    failed(Trouble::AnswerTimeout, Harm::Script("sleep 600"), Transient, &["within 800ms"]),
    failed(
        Trouble::BodyTimeout,
        Harm::Script("printf '{\"Response\":'; sleep 600"),
        Transient,
        &["within 800ms"],
    ),
    failed(
        Trouble::SlowDrip,
        Harm::Script("while printf ' '; do sleep 0.1; done"),
        Transient,
        &["within 800ms"],
    ),
    failed(
        Trouble::Oversized,
        Harm::Script("while echo 0123456789abcdef; do :; done"),
        Transient,
        &["more than 64 KiB"],
    ),
    failed(
        Trouble::Html200,
        Harm::Script("echo '<html>Please sign in</html>'"),
        Transient,
        &["not JSON"],
    ),
    failed(Trouble::Truncated, Harm::Written(Written::Half), Transient, &["not JSON"]),
    failed(
        Trouble::WrongFields,
        Harm::Written(Written::Without("TmpSecretKey")),
        Transient,
        &["no secret key"],
    ),
    failed(
        Trouble::TokenLess,
        Harm::Written(Written::Without("Token")),
        Transient,
        &["no session token", "temporary key"],
    ),
    failed(
        Trouble::OperatorError,
        Harm::Written(Written::Error("AuthFailure.UnauthorizedOperation")),
        Operator,
        &["AuthFailure.UnauthorizedOperation", "(request r-1)"],
    ),
    failed(
        Trouble::Throttled,
        Harm::Written(Written::Error("RequestLimitExceeded")),
        Throttled,
        &["RequestLimitExceeded", "(request r-1)"],
    ),
    refused(Trouble::OlderKey, Harm::Written(Written::EndsAfter(50)), &["before the one in use"]),
    refused(Trouble::ExpiredKey, Harm::Written(Written::EndsAfter(-1)), &["expired at"]),
    refused(Trouble::KeyOfYear2262, Harm::Written(Written::EndsAt(YEAR_2262)), &["2262"]),
    refused(Trouble::ShortKey, Harm::Written(Written::EndsAfter(5)), &["at least 60 s"]),
    same(Trouble::Refused, Trouble::Missing, "a program is what is called"),
    same(Trouble::DnsFailure, Trouble::Missing, "a program is found by its path"),
    same(Trouble::ConnectTimeout, Trouble::AnswerTimeout, ONE_PLACE),
    same(Trouble::TlsTimeout, Trouble::AnswerTimeout, ONE_PLACE),
    same(Trouble::HeadTimeout, Trouble::BodyTimeout, "its output has no head"),
    same(Trouble::Status500, Trouble::ExitCode, "its exit code is its status"),
];
