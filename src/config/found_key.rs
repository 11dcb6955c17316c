//! Takes a key out of the environment or out of files. Messages name places, never contents.

use std::{fs::File, io::Read, path::PathBuf};

use zeroize::Zeroizing;

use super::{environment::Environment, layers::Layers, problem::Problems, tool_files};
use crate::{
    credential::{KeyPlace, ParentKey},
    secret::{SecretId, SecretKey, SessionToken},
};

/// A key and the names it was found under, for `check` and the logs.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: ParentKey,
    pub(super) names: Vec<String>,
}

/// What a look into the usual places gave. Neither a key nor a problem: there is none.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) found: Option<Found>,
    /// Why the places before it, or all, gave nothing.
    pub(super) passed_over: Vec<String>,
}

// The two spellings of the pair: SDKs and tools; SCF (Tencent Cloud doc 583/32748).
const PAIRS: [(&str, &str); 2] = [
    ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"),
    ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"),
];

// The spellings of the token: tccli and OpenDAL, Node SDK, Terraform, OpenDAL, SCF.
const TOKENS: [&str; 5] = [
    "TENCENTCLOUD_TOKEN",
    "TENCENTCLOUD_SESSION_TOKEN",
    "TENCENTCLOUD_SECURITY_TOKEN",
    "QCLOUD_SECRET_TOKEN",
    TOKEN_OF_SCF,
];
const TOKEN_OF_SCF: &str = "TENCENTCLOUD_SESSIONTOKEN";

type Text = Zeroizing<String>;

/// A part of a key, and where it was found.
struct Part {
    text: Text,
    name: String,
    /// The file it stands in, which is read again when the key is used.
    file: Option<PathBuf>,
}

/// The key in the places where Tencent Cloud's own tools look: the environment, where each variable
/// may also have `_FILE` at its end and name a file, then the tools' files.
pub(super) fn usual(environment: &dyn Environment, problems: &mut Problems) -> Look {
    let before = problems.len();
    let found = in_environment(environment, problems);
    if found.is_some() || problems.len() > before {
        return Look { found, passed_over: Vec::new() };
    }
    let mut look = tool_files::look(environment, problems);
    look.passed_over.insert(0, "TENCENTCLOUD_SECRET_ID is not set".to_owned());
    look
}

fn in_environment(environment: &dyn Environment, problems: &mut Problems) -> Option<Found> {
    let mut pairs = Vec::new();
    for (id_name, key_name) in PAIRS {
        let before = problems.len();
        let id = variable_or_file(environment, id_name, problems);
        let key = variable_or_file(environment, key_name, problems);
        match (id, key) {
            (Some(id), Some(key)) => pairs.push((id, key)),
            (_, _) if problems.len() > before => return None,
            (None, None) => {}
            (Some(id), None) => {
                problems.add("environment", format!("{} is set, {key_name} is not", id.name));
                return None;
            }
            (None, Some(key)) => {
                problems.add("environment", format!("{} is set, {id_name} is not", key.name));
                return None;
            }
        }
    }
    // SCF sets its own spelling in every function; who writes the other one too means that.
    let both = pairs.len() > 1;
    let (id, key) = pairs.into_iter().next()?;
    let before = problems.len();
    let names = TOKENS.into_iter().filter(|name| !(both && *name == TOKEN_OF_SCF));
    let token = token(names, environment, problems);
    if problems.len() > before {
        return None;
    }
    assemble(id, key, token, problems)
}

/// The key at the places that `[keys.SET]` names. `None` if it names none, or if a problem was told.
pub(super) fn named(
    layers: &Layers,
    set: &str,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Found> {
    let mut part = |name: &str| named_part(layers, set, name, environment, problems);
    let (id, key, token) = (part("secret_id"), part("secret_key"), part("token"));
    match (id, key) {
        (Some(id), Some(key)) => assemble(id, key, token, problems),
        (_, _) => None,
    }
}

/// Whether `[keys.SET]` names any place.
pub(super) fn is_named(layers: &Layers, set: &str) -> bool {
    ["secret_id", "secret_key", "token"].iter().any(|part| {
        ["env", "file"].iter().any(|how| layers.is_set(&format!("keys.{set}.{part}_{how}")))
    })
}

fn token<'a>(
    names: impl Iterator<Item = &'a str>,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Part> {
    let mut found: Option<Part> = None;
    for name in names {
        let Some(part) = variable_or_file(environment, name, problems) else { continue };
        match &found {
            Some(first) if first.text.trim() != part.text.trim() => problems.add(
                "environment",
                format!("{} and {} are both set and differ: keep one", first.name, part.name),
            ),
            Some(_) => {}
            None => found = Some(part),
        }
    }
    found
}

fn variable_or_file(
    environment: &dyn Environment,
    name: &str,
    problems: &mut Problems,
) -> Option<Part> {
    let file_name = format!("{name}_FILE");
    let (text, file) = (environment.get(name), environment.get(&file_name));
    match (text, file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            problems.add("environment", format!("{name} and {file_name} are both set: keep one"));
            None
        }
        (Some(text), None) => {
            Some(Part { text: Zeroizing::new(text), name: name.to_owned(), file: None })
        }
        (None, Some(file)) => match read(&file) {
            Ok(text) => Some(Part { text, name: file_name, file: Some(file.into()) }),
            Err(fault) => {
                problems.add("environment", format!("{file_name} names a file that {fault}"));
                None
            }
        },
    }
}

fn named_part(
    layers: &Layers,
    set: &str,
    part: &str,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Part> {
    let (env_path, file_path) =
        (format!("keys.{set}.{part}_env"), format!("keys.{set}.{part}_file"));
    let (variable, file) = (layers.text(&env_path), layers.text(&file_path));
    match (variable, file) {
        (Some(_), Some(_)) => {
            let text = format!("and {part}_file are both set: keep one");
            problems.add_value(&env_path, &layers.origin(&env_path), text);
            None
        }
        (Some(variable), None) => match environment.get(&variable) {
            Some(text) => Some(Part { text: Zeroizing::new(text), name: variable, file: None }),
            None => {
                let text = "names an environment variable that is not set";
                problems.add_value(&env_path, &layers.origin(&env_path), text);
                None
            }
        },
        (None, Some(file)) => match read(&file) {
            Ok(text) => Some(Part { text, name: file.clone(), file: Some(file.into()) }),
            Err(fault) => {
                let text = format!("names a file that {fault}");
                problems.add_value(&file_path, &layers.origin(&file_path), text);
                None
            }
        },
        (None, None) if part == "token" => None,
        (None, None) => {
            let text = format!("is not set, nor {part}_file: a key needs its id and its secret");
            problems.add_value(&env_path, &layers.origin(&format!("keys.{set}.source")), text);
            None
        }
    }
}

fn assemble(id: Part, key: Part, token: Option<Part>, problems: &mut Problems) -> Option<Found> {
    let mut refuse = |part: &Part, fault| problems.add("key", format!("{} {fault}", part.name));
    let secret_id = SecretId::new(&id.text).map_err(|fault| refuse(&id, fault));
    let secret_key = SecretKey::new(&key.text).map_err(|fault| refuse(&key, fault));
    let session_token = token
        .as_ref()
        .map(|part| SessionToken::new(&part.text).map_err(|fault| refuse(part, fault)))
        .transpose();
    let names = [Some(&id), Some(&key), token.as_ref()];
    let names = names.into_iter().flatten().map(|part| part.name.clone()).collect();
    let place =
        KeyPlace::Parts { id: id.file, secret: key.file, token: token.and_then(|part| part.file) };
    match (secret_id, secret_key, session_token) {
        (Ok(id), Ok(key), Ok(token)) => {
            let key = ParentKey::new(id, key, token);
            let key = if place.is_nowhere() { key } else { key.standing_at(place) };
            Some(Found { key, names })
        }
        (_, _, _) => None,
    }
}

// Larger than any key; a path to something else must not fill the memory.
const LARGEST: u64 = 64 * 1024;

/// The text of a small file.
///
/// # Errors
/// The rest of the sentence "names a file that …".
pub(super) fn read(path: &str) -> Result<Text, String> {
    let cannot = |error: std::io::Error| format!("cannot be read ({})", error.kind());
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err("is larger than 64 KiB".to_owned());
    }
    let text = std::str::from_utf8(&bytes).or(Err("is not text (UTF-8)"))?;
    Ok(Zeroizing::new(text.to_owned()))
}
