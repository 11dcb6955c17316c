//! Runs one cell of a source that reads its key once: the process must not start with half a key, and
//! must say which file and why.

use std::path::Path;

use crate::{
    sources::{Place, SECRET_ID, SECRET_KEY, Source},
    table::Spoilt,
};

/// Longer than the 36 characters of a permanent key's id.
const TEMPORARY_ID: &str = "AKIDEXAMPLE-temporary_EXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
const TOKEN: &str = "ExampleToken0123456789";

pub(crate) fn run(source: Source, spoilt: Spoilt, says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let place = Place::plain(nowhere, nowhere, folder.path());
    let path = |name: &str| folder.path().join(name);
    let text = |with_token: bool| {
        let mut text = place.key_set(source, "default");
        for part in ["secret_id", "secret_key", "token"] {
            if with_token || part != "token" {
                text += &format!("{part}_file = \"{}\"\n", path(part).display());
            }
        }
        text
    };
    std::fs::write(path("secret_id"), TEMPORARY_ID).unwrap();
    std::fs::write(path("secret_key"), SECRET_KEY).unwrap();
    std::fs::write(path("token"), format!("{TOKEN}\n")).unwrap();
    place.load(source, &text(true)).unwrap_or_else(|told| panic!("a whole key: {told}"));

    spoil(&path("secret_key"), spoilt);
    let told = place.load(source, &text(spoilt != Spoilt::NoToken)).unwrap_err();
    for word in says {
        assert!(told.contains(word), "{source:?} {spoilt:?}: no {word:?} in {told:?}");
    }
    for secret in [SECRET_ID, SECRET_KEY, TOKEN, "two words"] {
        assert!(!told.contains(secret), "{source:?} {spoilt:?}: {secret} in {told:?}");
    }
}

fn spoil(file: &Path, spoilt: Spoilt) {
    if spoilt == Spoilt::NoToken {
        return;
    }
    std::fs::remove_file(file).unwrap();
    match spoilt {
        Spoilt::Nothing | Spoilt::NoToken => {}
        Spoilt::LinkToItself => std::os::unix::fs::symlink(file, file).unwrap(),
        Spoilt::Folder => std::fs::create_dir(file).unwrap(),
        Spoilt::Text(text) => std::fs::write(file, text).unwrap(),
        Spoilt::Large(bytes) => std::fs::write(file, vec![b'x'; bytes]).unwrap(),
        Spoilt::Binary => std::fs::write(file, [0xff, 0xfe, 0x00]).unwrap(),
    }
}
