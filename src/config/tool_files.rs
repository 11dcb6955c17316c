//! Takes a key out of the files of Tencent Cloud's own tools, where they can be read.

use std::path::{Path, PathBuf};

use super::{
    environment::Environment,
    found_key::{Found, Look},
    problem::Problems,
};
use crate::{
    clock::Clock,
    credential::{KeyFile, KeyFormat, NoKeyThere},
};

/// The first of the files that holds a key. One that is there and broken is a problem; one that is
/// not there, may not be read or hides its key is passed over.
pub(super) fn look(environment: &dyn Environment, problems: &mut Problems) -> Look {
    let mut look = Look::default();
    let Some(profile) = profile(environment, problems) else { return look };
    let home = environment.get("HOME").map(PathBuf::from);
    let mut absent = Vec::new();
    for file in places(environment, home.as_deref(), &profile) {
        let path = file.path.display().to_string();
        match file.read_now(Clock::system().now()) {
            Ok(key) => {
                let name = match &file.profile {
                    Some(profile) => format!("{path} [{profile}]"),
                    None => path,
                };
                look.found = Some(Found { key, names: vec![name] });
                break;
            }
            Err(NoKeyThere::NoFile) => absent.push(path),
            Err(fault @ (NoKeyThere::Unreadable { .. } | NoKeyThere::NoKey { .. })) => {
                look.passed_over.push(format!("{path} {fault}"));
            }
            Err(fault @ NoKeyThere::Broken { .. }) => {
                problems.add(path, format!("this file {fault}"));
                break;
            }
        }
    }
    if !absent.is_empty() {
        look.passed_over.insert(0, format!("there is no {}", absent.join(", no ")));
    }
    if home.is_none() {
        look.passed_over.push("HOME is not set, so no file below it was looked for".to_owned());
    }
    look
}

/// `None` if a problem was told.
fn profile(environment: &dyn Environment, problems: &mut Problems) -> Option<String> {
    let named = |name: &str| environment.get(name).filter(|profile| is_profile(profile));
    match (named("TENCENTCLOUD_PROFILE"), named("TCCLI_PROFILE")) {
        (Some(one), Some(other)) if one != other => {
            let text = "TENCENTCLOUD_PROFILE and TCCLI_PROFILE are both set and differ: keep one";
            problems.add("environment", text);
            None
        }
        (Some(profile), _) | (None, Some(profile)) => Some(profile),
        (None, None) => Some("default".to_owned()),
    }
}

/// It becomes the name of a file.
fn is_profile(text: &str) -> bool {
    !text.contains('/') && !text.contains(char::is_control)
}

/// In the order in which they are looked into.
fn places(environment: &dyn Environment, home: Option<&Path>, profile: &str) -> Vec<KeyFile> {
    let ini = |path: PathBuf, section: &str| {
        let profile = Some(section.to_owned());
        KeyFile { path, format: KeyFormat::Ini, profile }
    };
    let whole = |path: PathBuf, format| KeyFile { path, format, profile: None };
    let below = |path: &str| home.map(|home| home.join(path));
    // Tencent Cloud's Go SDK reads the variable; the files are those of all SDKs.
    let named = environment.get("TENCENTCLOUD_CREDENTIALS_FILE").map(PathBuf::from);
    let of_tccli = format!(".tccli/{profile}.credential");
    let places = [
        named.map(|path| ini(path, profile)),
        below(".tencentcloud/credentials").map(|path| ini(path, profile)),
        Some(ini("/etc/tencentcloud/credentials".into(), profile)),
        below(&of_tccli).map(|path| whole(path, KeyFormat::Json)),
        below(".cos.conf").map(|path| ini(path, "common")),
        below(".cos.yaml").map(|path| whole(path, KeyFormat::CoscliYaml)),
    ];
    places.into_iter().flatten().collect()
}
