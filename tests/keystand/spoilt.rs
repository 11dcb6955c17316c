//! What can be in the place of a file that a source reads. It comes there at once: nobody sees a
//! moment without any.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cos_auth_proxy::emulator::accounts::{Accounts, Grant, Subject, TemporaryKey};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

/// What is there instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoilt {
    Nothing,
    /// A link to itself, which nobody can open, whoever he is.
    LinkToItself,
    Folder,
    /// A pipe that nobody writes.
    Pipe,
    /// This text.
    Text(&'static str),
    /// So many bytes.
    Large(usize),
    /// Bytes that are no UTF-8.
    Binary,
}

impl Spoilt {
    /// Puts it in the place of `file`.
    pub(crate) fn put(self, file: &Path) {
        if self == Self::LinkToItself {
            return point(file, file);
        }
        let instead = fresh(file);
        match self {
            Self::Nothing | Self::LinkToItself => {}
            Self::Folder => fs::create_dir(&instead).unwrap(),
            Self::Pipe => mknodat(CWD, &instead, FileType::Fifo, Mode::RUSR, 0).unwrap(),
            Self::Text(text) => fs::write(&instead, text).unwrap(),
            Self::Large(bytes) => fs::write(&instead, vec![b'x'; bytes]).unwrap(),
            Self::Binary => fs::write(&instead, [0xff, 0xfe, 0x00]).unwrap(),
        }
        point(file, &instead);
    }
}

/// Puts `text` in the place of `file`.
pub(crate) fn write(file: &Path, text: &str) {
    let instead = fresh(file);
    fs::write(&instead, text).unwrap();
    point(file, &instead);
}

/// Makes `file` a link to `target`.
pub(crate) fn point(file: &Path, target: &Path) {
    let link = fresh(file);
    symlink(target, &link).unwrap();
    fs::rename(link, file).unwrap();
}

/// A name beside `file` that nothing has.
fn fresh(file: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    file.with_extension(NEXT.fetch_add(1, Ordering::Relaxed).to_string())
}

/// A new key as somebody wrote it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Whole,
    /// This field is missing.
    Without(&'static str),
    /// Its first half only.
    Half,
    /// It says that it ends after this share of its life, in percent.
    EndsAfter(i64),
    /// It says that it ends at this second.
    EndsAt(u64),
    /// An error of STS in its place.
    Error(&'static str),
}

impl Written {
    /// The text of a file with a whole key in JSON; `accounts` know the key from now on.
    pub(crate) fn text(self, accounts: &Accounts, now: u64) -> String {
        let key = issue(accounts, now);
        let life = i64::try_from(key.expires_at - now).unwrap();
        let expires_at = match self {
            Self::EndsAfter(percent) => now.saturating_add_signed(life * percent / 100),
            Self::EndsAt(second) => second,
            Self::Whole | Self::Without(_) | Self::Half | Self::Error(_) => key.expires_at,
        };
        let mut parts = json!({
            "TmpSecretId": key.secret_id, "TmpSecretKey": key.secret_key, "Token": key.token,
        });
        if let (Self::Without(field), Value::Object(parts)) = (self, &mut parts) {
            parts.remove(field);
        }
        let response = match self {
            Self::Error(code) => json!({"Error": {"Code": code}, "RequestId": "r-1"}),
            Self::Whole | Self::Without(_) | Self::Half | Self::EndsAfter(_) | Self::EndsAt(_) => {
                json!({"Credentials": parts, "ExpiredTime": expires_at})
            }
        };
        let mut text = json!({ "Response": response }).to_string();
        if self == Self::Half {
            text.truncate(text.len() / 2);
        }
        text
    }
}

/// Puts a new key in the place of `folder`, all its parts at once, as Kubernetes does.
pub(crate) fn write_parts(folder: &Path, accounts: &Accounts, now: u64) {
    // Whoever does not know its end signs for an hour, and a strict bucket wants it to live that long.
    let key = TemporaryKey { expires_at: now + 7200, ..(*issue(accounts, now)).clone() };
    accounts.add_temporary(key.clone());
    let instead = fresh(folder);
    fs::create_dir(&instead).unwrap();
    for (part, text) in
        [("secret_id", &key.secret_id), ("secret_key", &key.secret_key), ("token", &key.token)]
    {
        fs::write(instead.join(part), text).unwrap();
    }
    point(folder, &instead);
}

fn issue(accounts: &Accounts, now: u64) -> Arc<TemporaryKey> {
    let subject = Subject::Federated("rotator".to_owned());
    let (uin, appid) = ("100000000001", "1250000000");
    accounts.issue(Grant { uin, appid, policy: None, duration: 600, subject }, now)
}
