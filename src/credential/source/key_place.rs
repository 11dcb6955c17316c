//! Where a key stands on disk, so that it can be read again: an operator may rotate it there.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::{Clock, Timestamp},
    credential::{Credential, SourceError, settings::ParentKey},
    secret::{BadSecret, SecretId, SecretKey, SessionToken},
};

use super::{
    key_text::{self, About, KeyFormat, TextFault},
    small_files::{self, Content, Read},
    watch::{SETTLED_AFTER, Watch},
};

/// A file that holds a whole key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The file; links are followed at each read.
    pub path: PathBuf,
    /// Its form.
    pub format: KeyFormat,
    /// The section to look into, if it has several.
    pub profile: Option<String>,
}

/// Where the parts of a key stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// All in one file.
    Whole(KeyFile),
    /// Each alone in a file of its own; one without a file was given otherwise and stays.
    Parts {
        /// File with the SecretId.
        id: Option<PathBuf>,
        /// File with the SecretKey.
        secret: Option<PathBuf>,
        /// File with the token.
        token: Option<PathBuf>,
    },
}

/// A key as it stands somewhere, and its end if that stands there too.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) key: ParentKey,
    pub(super) expires_at: Option<Timestamp>,
}

/// Why no key stands there: the file, and what is wrong with it.
#[derive(Debug)]
pub(super) struct PlaceFault {
    path: PathBuf,
    fault: String,
    /// It may be whole nevertheless.
    unfinished: bool,
    /// It is there and holds no key, rather than a broken one.
    no_key: bool,
}

impl PlaceFault {
    pub(super) fn into_error(self) -> SourceError {
        SourceError::File { path: self.path.display().to_string(), fault: self.fault }
    }
}

impl KeyFile {
    /// The key that stands in the file at this moment, for a check of the settings. It remembers
    /// its place.
    ///
    /// # Errors
    /// [`NoKeyThere`], which names no content.
    pub fn read_now(&self, now: Timestamp) -> Result<ParentKey, NoKeyThere> {
        let about = std::fs::metadata(&self.path);
        if about.is_err_and(|fault| fault.kind() == std::io::ErrorKind::NotFound) {
            return Err(NoKeyThere::NoFile);
        }
        let content =
            small_files::read(&self.path).map_err(|fault| NoKeyThere::Unreadable { fault })?;
        let place = KeyPlace::Whole(self.clone());
        // Nobody rotates a key while the settings are read; what is torn heals with the next read.
        let standing = place.key(&[Ok(content)], None, true, now).map_err(
            |PlaceFault { fault, no_key, .. }| {
                if no_key { NoKeyThere::NoKey { fault } } else { NoKeyThere::Broken { fault } }
            },
        )?;
        Ok(standing.key.standing_at(place))
    }
}

/// Why a file gives no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKeyThere {
    /// There is no such file.
    #[error("is not there")]
    NoFile,
    /// It may not be read, or is none.
    #[error("cannot be read ({fault})")]
    Unreadable {
        /// What the system said.
        fault: String,
    },
    /// It is for something else, or hides its key.
    #[error("gives no key: {fault}")]
    NoKey {
        /// What it is instead.
        fault: String,
    },
    /// There is a key in it that cannot be used.
    #[error("holds a key that cannot be used: {fault}")]
    Broken {
        /// What is wrong with it.
        fault: String,
    },
}

impl KeyPlace {
    /// Whether there is nothing to read again.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.files().is_empty()
    }

    /// The files to read, in the order in which [`KeyPlace::key`] wants what they hold.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Whole(file) => vec![file.path.clone()],
            Self::Parts { id, secret, token } => {
                [id, secret, token].into_iter().flatten().cloned().collect()
            }
        }
    }

    /// The key that stands there now. What looks half written is looked at again a moment later.
    pub(super) async fn settled(
        &self,
        watch: &Watch,
        given: Option<&ParentKey>,
        clock: &Clock,
    ) -> Result<Standing, PlaceFault> {
        let contents = watch.read().await;
        let standing = self.key(&contents, given, false, clock.now());
        if !standing.as_ref().is_err_and(|fault| fault.unfinished) {
            return standing;
        }
        tokio::time::sleep(SETTLED_AFTER).await;
        let again = watch.read().await;
        let stands_still = contents.iter().map(bytes).eq(again.iter().map(bytes));
        self.key(&again, given, stands_still, clock.now())
    }

    /// The key in `contents`. `given` has the parts that stand in no file; `finished` says that
    /// nobody is writing.
    fn key(
        &self,
        contents: &[Read],
        given: Option<&ParentKey>,
        finished: bool,
        now: Timestamp,
    ) -> Result<Standing, PlaceFault> {
        match self {
            Self::Whole(file) => {
                let content = taken(&file.path, contents.first())?;
                let about = About {
                    format: file.format,
                    profile: file.profile.as_deref(),
                    finished,
                    now,
                    written_at: content.written_at.min(now),
                };
                let read = key_text::parse(&content.bytes, about).map_err(|fault| PlaceFault {
                    path: file.path.clone(),
                    unfinished: fault == TextFault::Unfinished,
                    no_key: fault.is_no_key(),
                    fault: fault.to_string(),
                })?;
                let Credential { id, secret, token, expires_at, received_at: _ } = read;
                Ok(Standing { key: ParentKey::new(id, secret, token), expires_at })
            }
            Self::Parts { id, secret, token } => {
                let mut contents = contents.iter();
                let mut next = |path: &Option<PathBuf>| {
                    path.as_deref().map(|path| (path.to_owned(), contents.next()))
                };
                let (id, secret, token) = (next(id), next(secret), next(token));
                parts(id, secret, token, given)
            }
        }
    }
}

fn bytes(read: &Read) -> Option<&[u8]> {
    read.as_ref().ok().map(|content| content.bytes.as_slice())
}

type Part<'a> = Option<(PathBuf, Option<&'a Read>)>;

fn parts(
    id: Part<'_>,
    secret: Part<'_>,
    token: Part<'_>,
    given: Option<&ParentKey>,
) -> Result<Standing, PlaceFault> {
    let nowhere = |what: &str| PlaceFault {
        path: PathBuf::from("the key"),
        fault: format!("its {what} stands nowhere"),
        unfinished: false,
        no_key: false,
    };
    let id = match (id, given) {
        (Some((path, content)), _) => part(&path, content, SecretId::new)?,
        (None, Some(given)) => given.id.clone(),
        (None, None) => return Err(nowhere("secret id")),
    };
    let secret = match (secret, given) {
        (Some((path, content)), _) => Arc::new(part(&path, content, SecretKey::new)?),
        (None, Some(given)) => Arc::clone(&given.secret),
        (None, None) => return Err(nowhere("secret key")),
    };
    let token = match (token, given) {
        (Some((path, content)), _) => Some(Arc::new(part(&path, content, SessionToken::new)?)),
        (None, given) => given.and_then(|given| given.token.clone()),
    };
    Ok(Standing { key: ParentKey { id, secret, token, place: None }, expires_at: None })
}

fn part<T>(
    path: &Path,
    content: Option<&Read>,
    make: impl Fn(&str) -> Result<T, BadSecret>,
) -> Result<T, PlaceFault> {
    let refused = |fault: String| PlaceFault {
        path: path.to_owned(),
        fault,
        unfinished: false,
        no_key: false,
    };
    let content = taken(path, content)?;
    let text = std::str::from_utf8(&content.bytes)
        .map_err(|_position| refused("it is not text (UTF-8)".to_owned()))?;
    make(text).map_err(|fault| refused(format!("it {fault}")))
}

fn taken<'a>(path: &Path, content: Option<&'a Read>) -> Result<&'a Content, PlaceFault> {
    let fault = match content {
        Some(Ok(content)) => return Ok(content),
        Some(Err(fault)) => fault.clone(),
        None => "it was not read".to_owned(),
    };
    Err(PlaceFault { path: path.to_owned(), fault, unfinished: false, no_key: false })
}

/// A place, and the last good key that was read from it.
#[derive(Debug)]
pub(in crate::credential) struct Remembered {
    place: KeyPlace,
    watch: Watch,
    last: Mutex<Option<ParentKey>>,
}

impl ParentKey {
    /// The same key, which is read again from `place` whenever it signs a call.
    #[must_use]
    pub fn standing_at(mut self, place: KeyPlace) -> Self {
        let watch = Watch::new(place.files());
        self.place = Some(Arc::new(Remembered { place, watch, last: Mutex::new(None) }));
        self
    }

    /// Where it stands, if it is read again from there.
    #[must_use]
    pub fn place(&self) -> Option<&KeyPlace> {
        self.place.as_deref().map(|remembered| &remembered.place)
    }

    /// The key as it stands in its files now. What cannot be read, or is half written, is told in
    /// the log, and the last good one serves on.
    pub(super) async fn as_it_stands(&self, clock: &Clock) -> Self {
        let Some(remembered) = &self.place else { return self.clone() };
        let read = remembered.place.settled(&remembered.watch, Some(self), clock).await;
        let last = || remembered.last.lock().unwrap_or_else(PoisonError::into_inner);
        let held = last().clone().unwrap_or_else(|| self.clone());
        match read {
            Ok(Standing { key, .. }) => {
                if key.id != held.id {
                    tracing::info!(
                        target: "cos_auth_proxy::keys",
                        secret_id = key.id.short(), instead_of = held.id.short(),
                        "the key that asks for keys was replaced on disk"
                    );
                }
                *last() = Some(key.clone());
                key
            }
            Err(fault) => {
                tracing::warn!(
                    target: "cos_auth_proxy::keys",
                    secret_id = held.id.short(), error = %fault.into_error(),
                    "the key that asks for keys cannot be read again; the last good one serves on"
                );
                held
            }
        }
    }
}
