//! Loads configurations as a user would write them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test complains")]
#![allow(dead_code, reason = "each test uses its own part of it")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use cos_auth_proxy::config::{self, Inputs, Settings};

pub(crate) type Variables = BTreeMap<String, String>;

pub(crate) const SECRET_KEY: &str = "PlantedSecretKey0123456789abcdef";
pub(crate) const TOKEN: &str = "PlantedTokenPlantedTokenPlantedTokenPlantedToken";
pub(crate) const PERMANENT_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";

pub(crate) fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A key and a bucket: enough to be a good configuration.
pub(crate) fn enough() -> Variables {
    variables(&[
        ("TENCENTCLOUD_SECRET_ID", PERMANENT_ID),
        ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY),
        ("COS_AUTH_PROXY_UPSTREAM_BUCKET", "examplebucket-1250000000"),
        ("COS_AUTH_PROXY_UPSTREAM_REGION", "ap-guangzhou"),
    ])
}

pub(crate) fn with(mut base: Variables, pairs: &[(&str, &str)]) -> Variables {
    base.extend(variables(pairs));
    base
}

pub(crate) struct Folder(pub(crate) tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

pub(crate) fn load(file: Option<&str>, environment: &Variables) -> Result<Settings, String> {
    let folder = Folder::new();
    let file = file.map(|text| folder.file("config.toml", text));
    let inputs = Inputs { file, flags: Vec::new(), environment };
    let place = format!("{}/", folder.0.path().display());
    config::load(&inputs).map_err(|problems| problems.to_string().replace(&place, ""))
}

pub(crate) fn problems(file: &str) -> String {
    load(Some(file), &enough()).unwrap_err()
}
