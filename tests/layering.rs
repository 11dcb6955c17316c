//! Holds the import table: which room may name which, and who may look at a secret.
//!
//! Reads `src/` as text. Test modules are left out: a test may build what it needs.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic too")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// One room: what it may name (a room, or a path inside one) and what it must not although a path
/// above it is allowed.
struct Row {
    room: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const fn row(room: &'static str, may: &'static [&'static str]) -> Row {
    Row { room, may, never: &[] }
}

/// The same table stands in `ARCHITECTURE.md`.
const TABLE: &[Row] = &[
    row("secret", &[]),
    row("clock", &[]),
    row("shutdown", &[]),
    row("log", &[]),
    row("metrics", &[]),
    row("http1", &[]),
    row("sign", &["secret", "clock"]),
    row("explain", &["sign::canonical", "sign::strict"]),
    row("server", &["shutdown"]),
    row("credential", &["secret", "clock", "sign::tc3", "metrics", "shutdown"]),
    row(
        "proxy",
        &[
            "credential::Credential",
            "credential::KeyReader",
            "credential::NoKey",
            "sign::cos",
            "sign::canonical",
            "sign::strict",
            "secret",
            "clock",
            "http1",
            "metrics",
        ],
    ),
    row(
        "transport",
        &[
            "proxy",
            "explain",
            "http1",
            "credential::KeyReader",
            "credential::Credential",
            "credential::NoKey",
            "clock",
            "metrics",
            "server::Connection",
            "server::ListenAddress",
            "server::Listener",
            "shutdown",
        ],
    ),
    row("telemetry", &["credential::KeyReader", "metrics", "shutdown", "clock", "server", "log"]),
    row("control", &["credential::KeyReader", "metrics", "shutdown", "clock", "server", "log"]),
    row(
        "key_endpoint",
        &[
            "credential::KeyReader",
            "credential::Credential",
            "credential::Narrowing",
            "credential::NotNarrowed",
            "credential::Permission",
            "credential::KeyShape",
            "credential::write_key",
            "shutdown",
            "clock",
            "server",
        ],
    ),
    Row {
        room: "config",
        may: &[
            "secret",
            "clock",
            "credential",
            "proxy",
            "transport",
            "http1::Limits",
            "server",
            "telemetry::TelemetrySettings",
            "control::ControlSettings",
            "key_endpoint::KeyEndpointSettings",
            "key_endpoint::Shape",
            "log",
        ],
        never: &[
            "credential::KeyReader",
            "credential::KeyWriter",
            "credential::Refresher",
            "credential::channel",
            "credential::start",
            "credential::start_all",
            "credential::once",
            "credential::once_of",
            "proxy::Gate",
            "proxy::Composer",
            "server::Listener",
            "server::serve",
            "log::init",
        ],
    },
    row("emulator", &["clock", "shutdown", "server"]),
    row(
        "app",
        &[
            "secret",
            "clock",
            "shutdown",
            "log",
            "metrics",
            "http1",
            "sign",
            "explain",
            "server",
            "credential",
            "proxy",
            "transport",
            "telemetry",
            "control",
            "key_endpoint",
            "config",
        ],
    ),
    row(
        "demo",
        &[
            "emulator",
            "app",
            "config",
            "control::Status",
            "credential::Endpoint",
            "credential::RefreshSettings",
            "credential::SourceSettings",
            "server::ListenAddress",
            "log",
            "shutdown",
            "clock",
        ],
    ),
    row("cli", &["config", "app", "demo", "explain", "log", "shutdown", "clock"]),
    row("main", &["cli", "config::ProcessEnvironment"]),
];

/// Files that may call `.expose(`: those that put a key into a signature or a request.
const EXPOSERS: &[&str] = &[
    "secret.rs",
    "sign/cos.rs",
    "sign/tc3.rs",
    "proxy/compose.rs",
    // Credentials of the control plane's own requests.
    "credential/source/sts_client.rs",
    "credential/source/http.rs",
    "credential/source/web_identity.rs",
    // Copies a configured key into the credential it hands out.
    "credential/source/fixed.rs",
    // The one door through which a whole key leaves in clear.
    "credential/reveal.rs",
];

/// Files that may call `reveal(`: those that hand a whole key on.
const REVEALERS: &[&str] = &[
    "credential/reveal.rs",
    // Writes the key of a key set into the file that its settings name.
    "credential/cache.rs",
    // The shapes of the key endpoint and of `keys once`.
    "credential/shape.rs",
];

#[test]
fn no_room_names_a_room_it_may_not() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = String::new();
    let files = rust_files(&source);
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        if name == "lib.rs" || is_test_file(&name) {
            continue;
        }
        judge(&name, &fs::read_to_string(&file).unwrap(), &mut violations);
    }
    assert!(violations.is_empty(), "\n{violations}");
}

#[test]
fn architecture_md_shows_this_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).unwrap();
    let mut rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| Room | May name |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    for row in TABLE {
        let mut may: Vec<_> = row.may.iter().map(|path| format!("`{path}`")).collect();
        if may.is_empty() {
            may.push("—".to_owned());
        }
        let mut expected = format!("| `{}` | {} |", row.room, may.join(", "));
        let never: Vec<_> = row.never.iter().map(|path| format!("`{path}`")).collect();
        if never.is_empty() {
            expected.push_str(" |");
        } else {
            write!(expected, " {} |", never.join(", ")).unwrap();
        }
        assert_eq!(rows.next(), Some(expected.as_str()), "ARCHITECTURE.md, row {}", row.room);
    }
    assert_eq!(rows.next(), None, "ARCHITECTURE.md has a row that the table has not");
}

#[test]
fn each_kind_of_violation_is_found() {
    for (file, text, expected) in [
        ("sign/cos.rs", "use crate::proxy::Gate;", "sign/cos.rs: sign may not name proxy::Gate"),
        (
            "sign.rs",
            "use crate::{clock, http1::{Body, head::*}};",
            "sign.rs: sign may not name http1::Body",
        ),
        ("proxy/a.rs", "fn f() { crate::config::load(); }", "proxy may not name config::load"),
        (
            "proxy/a.rs",
            "use crate::{credential::{Credential, KeyWriter}};",
            "credential::KeyWriter",
        ),
        ("proxy/a.rs", "use crate::sign::tc3;", "proxy may not name sign::tc3"),
        ("credential/a.rs", "use crate::sign;", "credential may not name sign"),
        ("credential/a.rs", "use crate::sign::*;", "credential may not name sign"),
        ("credential/a.rs", "use crate::sign as s;", "credential may not name sign"),
        (
            "config/a.rs",
            "use crate::credential::KeyReader;",
            "config may not name credential::KeyReader",
        ),
        ("metrics.rs", "use super::clock::Clock;", "metrics may not name clock::Clock"),
        (
            "emulator/x/y.rs",
            "use super::super::super::sign::cos;",
            "emulator may not name sign::cos",
        ),
        ("emulator/x.rs", "impl A { fn f(k: crate::secret::SecretKey) {} }", "secret::SecretKey"),
        ("main.rs", "fn main() { cos_auth_proxy::app::run() }", "main may not name app::run"),
        ("main.rs", "use ::cos_auth_proxy::{cli, app};", "main may not name app"),
        ("utils.rs", "", "utils.rs: room utils has no row in the table"),
        ("attic/old.rs", "", "attic/old.rs: room attic has no row in the table"),
        (
            "proxy/answer.rs",
            "fn f() { key.secret\n    .expose (); }",
            "proxy/answer.rs: calls expose",
        ),
        ("proxy/answer.rs", "let f = SecretKey::expose;", "proxy/answer.rs: calls expose"),
        ("app.rs", "use crate::credential::reveal;", "app.rs: calls reveal"),
        ("app.rs", "fn f() { reveal (key); }", "app.rs: calls reveal"),
    ] {
        let mut violations = String::new();
        judge(file, text, &mut violations);
        assert!(violations.contains(expected), "{file} {text:?} gave {violations:?}");
    }
}

#[test]
fn what_is_allowed_or_not_an_import_is_left_alone() {
    for (file, text) in [
        ("credential/a.rs", "use crate::{clock::{self, Clock}, sign::tc3::{self, authorize}};"),
        ("proxy/a.rs", "use crate::proxy::Gate; use super::Reason; pub(crate) fn f() {}"),
        ("sign/a.rs", "// use crate::proxy::Gate;\n/* crate::app::run() /* x */ crate::app */"),
        ("sign/a.rs", "const A: &str = \"crate::app\\\" crate::app\"; const B: char = '\"';"),
        ("sign/a.rs", "const A: &str = r#\"crate::app \" crate::cli\"#; fn f<'a>(x: &'a str) {}"),
        ("sign/a.rs", "#[cfg(test)]\nmod tests { use crate::proxy::Gate; fn f() { x.expose() } }"),
        ("metrics/a.rs", "mod inner { use super::super::registry; } use super::clocks::X;"),
        ("sign/cos.rs", "fn f() { key.expose(); }"),
        ("proxy/answer.rs", "fn f() { port.expose_port(); expose(); }"),
    ] {
        let mut violations = String::new();
        judge(file, text, &mut violations);
        assert!(violations.is_empty(), "{text:?}: {violations}");
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Files declared as `#[cfg(test)] mod …_tests;`, by the house's naming, and those that only tests
/// and fuzzers compile.
fn is_test_file(name: &str) -> bool {
    let stem = name.trim_end_matches(".rs");
    stem.ends_with("_tests")
        || stem.ends_with("/tests")
        || name.contains("/tests/")
        || name.contains("_tests/")
        || name.starts_with("transport/in_memory")
}

#[test]
fn connections_in_memory_are_compiled_for_tests_and_fuzzers_alone() {
    let face = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transport.rs");
    let face = fs::read_to_string(face).unwrap();
    let declared = "#[cfg(any(test, feature = \"in-memory\"))]\npub mod in_memory;\n";
    assert!(face.contains(declared), "its imports are not judged");
}

/// Writes a line for everything in `text` that `file` (its path below `src/`) may not have.
fn judge(file: &str, text: &str, violations: &mut String) {
    let room = file.split('/').next().unwrap().trim_end_matches(".rs");
    let Some(row) = TABLE.iter().find(|row| row.room == room) else {
        writeln!(violations, "{file}: room {room} has no row in the table").unwrap();
        return;
    };
    let tokens = without_test_modules(&tokens(text));
    for path in named_paths(file, &tokens) {
        let first = path.first().map_or("", String::as_str);
        if first == room || !TABLE.iter().any(|row| row.room == first) {
            continue;
        }
        let name = path.join("::");
        let within = |list: &[&str]| {
            list.iter().any(|item| name == *item || name.starts_with(&format!("{item}::")))
        };
        if !within(row.may) || within(row.never) {
            writeln!(violations, "{file}: {room} may not name {name}").unwrap();
        }
    }
    let exposes =
        tokens.windows(2).any(|pair| (pair[0] == "." || pair[0] == "::") && pair[1] == "expose");
    if exposes && !EXPOSERS.contains(&file) {
        writeln!(violations, "{file}: calls expose").unwrap();
    }
    let reveals = tokens.windows(2).any(|pair| {
        (pair[0] == "reveal" && pair[1] == "(") || (pair[0] == "::" && pair[1] == "reveal")
    });
    // The room's own face passes the function on.
    let passes_on = file == "credential.rs";
    if reveals && !passes_on && !REVEALERS.contains(&file) {
        writeln!(violations, "{file}: calls reveal").unwrap();
    }
}

/// Every path that starts at the crate's root, from its room on; groups in braces are spread out.
fn named_paths(file: &str, tokens: &[String]) -> Vec<Vec<String>> {
    // How many `super` lead from this file's module to the root.
    let depth = file.split('/').count();
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let continues_a_path = at > 0
            && tokens[at - 1] == "::"
            && at > 1
            && is_word(&tokens[at - 2])
            && tokens[at - 2] != "use";
        if continues_a_path {
            continue;
        }
        let mut rest = &tokens[at + 1..];
        match token.as_str() {
            "crate" => {}
            "cos_auth_proxy" if file == "main.rs" => {}
            "super" => {
                let mut supers = 1;
                while let [separator, next, after @ ..] = rest
                    && separator == "::"
                    && next == "super"
                {
                    supers += 1;
                    rest = after;
                }
                // A test module or another inline one is deeper; its paths then name no room.
                if supers < depth {
                    continue;
                }
            }
            _ => continue,
        }
        spread(&mut rest, &mut Vec::new(), &mut paths);
    }
    paths
}

/// Follows `::` from the path `so_far`; leaves `tokens` behind what it used.
fn spread(tokens: &mut &[String], so_far: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let length = so_far.len();
    loop {
        match tokens {
            [separator, next, rest @ ..] if separator == "::" && is_word(next) => {
                if next != "self" {
                    so_far.push(next.clone());
                }
                *tokens = rest;
            }
            [separator, brace, rest @ ..] if separator == "::" && brace == "{" => {
                *tokens = rest;
                group(tokens, so_far, paths);
                break;
            }
            _ => {
                paths.push(so_far.clone());
                break;
            }
        }
    }
    so_far.truncate(length);
}

/// The members of a group in braces, its opening brace already taken.
fn group(tokens: &mut &[String], so_far: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    while let [token, rest @ ..] = tokens {
        if token == "}" {
            *tokens = rest;
            return;
        }
        if token == "," {
            *tokens = rest;
            continue;
        }
        let member = token.clone();
        *tokens = rest;
        let length = so_far.len();
        if is_word(&member) && member != "self" {
            so_far.push(member);
        }
        spread(tokens, so_far, paths);
        so_far.truncate(length);
        // `as name`
        while let [token, rest @ ..] = tokens
            && token != ","
            && token != "}"
        {
            *tokens = rest;
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Leaves out `#[cfg(test)] mod name { … }`.
fn without_test_modules(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().zip(MARK).filter(|(token, mark)| *token == mark).count();
        if marked < MARK.len() {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += MARK.len() + 1;
        let mut depth = 0;
        while at < tokens.len() {
            match tokens[at].as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
    }
    kept
}

/// Words, `::` and single signs; comments, texts and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
        match chars[at] {
            '/' if next(1) == '/' => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            '/' if next(1) == '*' => at = after_comment(&chars, at),
            '"' => at = after_text(&chars, at),
            'r' if (next(1) == '"' || next(1) == '#') && raw_hashes(&chars, at + 1).is_some() => {
                at = after_raw_text(&chars, at + 1);
            }
            // A lifetime has no closing quote right behind its first character.
            '\'' if next(1) == '\\' => {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if next(2) == '\'' => at += 3,
            ':' if next(1) == ':' => {
                tokens.push("::".to_owned());
                at += 2;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let start = at;
                while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                    at += 1;
                }
                let word: String = chars[start..at].iter().collect();
                // The prefix of b"…" or br"…".
                if !(matches!(word.as_str(), "b" | "c") && chars.get(at) == Some(&'"')) {
                    if matches!(word.as_str(), "br" | "cr") && raw_hashes(&chars, at).is_some() {
                        at = after_raw_text(&chars, at);
                    } else {
                        tokens.push(word);
                    }
                }
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                at += 1;
            }
        }
    }
    tokens
}

fn after_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn after_text(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Number of `#` before the quote at `at`, if a raw text begins there.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + hashes) == Some(&'"')).then_some(hashes)
}

fn after_raw_text(chars: &[char], at: usize) -> usize {
    let hashes = raw_hashes(chars, at).unwrap();
    let mut end = at + hashes + 1;
    while end < chars.len() {
        let closes = chars[end] == '"'
            && chars[end + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        end += 1;
        if closes {
            return end + hashes;
        }
    }
    end
}
