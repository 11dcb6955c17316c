//! Runs one cell of a source that reads its key once: the process must not start with half a key, and
//! must say which file and why.

use crate::{
    sources::{Place, SECRET_ID, SECRET_KEY, Source},
    table::Given,
};

/// Longer than the 36 characters of a permanent key's id.
const TEMPORARY_ID: &str = "AKIDEXAMPLE-temporary_EXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
const TOKEN: &str = "ExampleToken0123456789";

pub(crate) fn run(source: Source, given: Given, says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "http://127.0.0.1:9".to_owned();
    let place = Place {
        sts: nowhere.clone(),
        key_server: nowhere,
        ca_file: None,
        exec_timeout: "1s",
        folder: folder.path().to_owned(),
    };
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

    if let Given::Secret(spoilt) = given {
        spoilt.put(&path("secret_key"));
    }
    let told = place.load(source, &text(given != Given::NoToken)).unwrap_err();
    for word in says {
        assert!(told.contains(word), "{source:?} {given:?}: no {word:?} in {told:?}");
    }
    for secret in [SECRET_ID, SECRET_KEY, TOKEN, "two words"] {
        assert!(!told.contains(secret), "{source:?} {given:?}: {secret} in {told:?}");
    }
}
