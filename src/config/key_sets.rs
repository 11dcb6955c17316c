//! Turns `[keys.NAME]`, or nothing at all, into the settings of the credential room.

use zeroize::Zeroizing;

use super::{
    environment::Environment,
    found_key::{self, Found},
    keys::AVAILABLE_SOURCES,
    layers::Layers,
    problem::Problems,
    refresh::refresh,
    scope,
    upstream::readable,
};
use crate::credential::{
    AssumeRoleSettings, AutoError, DEFAULT_STS_REGION, Endpoint, FederationTokenSettings,
    HttpMethod, HttpSettings, KeySetSettings, RequestHeader, SettingProblem, SourceSettings,
    StaticSettings, StsSettings, automatic, bucket_policy,
};
use crate::proxy::{ListForm, RouteSettings};

/// How a key set was understood, for `check` and the first log line. Names of places only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNote {
    /// The key set.
    pub set: String,
    /// The source that is used.
    pub source: &'static str,
    /// `auto` chose it.
    pub chosen_by_auto: bool,
    /// Variables and files that hold the parts of the key it starts from.
    pub found_in: Vec<String>,
    /// Server that is asked, without anything that could be a secret.
    pub endpoint: Option<String>,
    /// The policy that is sent to STS, as JSON.
    pub policy: Option<String>,
}

/// The names of all key sets; `default` without a file.
pub(super) fn names(layers: &Layers) -> Vec<String> {
    match layers.key_sets() {
        [] => vec!["default".to_owned()],
        names => names.to_vec(),
    }
}

/// The key set that signs every request where there are no routes: the only one, or `default`.
pub(super) fn signing(layers: &Layers, names: &[String], problems: &mut Problems) -> usize {
    let default = names.iter().position(|name| name == "default");
    if let ([_, second, ..], None, []) = (names, default, layers.routes()) {
        let origin = layers.origin(&format!("keys.{second}.source"));
        problems.add_at(
            &origin,
            format!(
                "[keys.{second}] is a second key set: name one of them default, which signs every \
                 request, or say with [[route]] which requests each one signs"
            ),
        );
    }
    default.unwrap_or(0)
}

/// All key sets; one without a file.
pub(super) fn key_sets(
    layers: &Layers,
    environment: &dyn Environment,
    routes: &[RouteSettings],
    problems: &mut Problems,
) -> (Vec<KeySetSettings>, Vec<KeyNote>) {
    let names = names(layers);
    let built = names.iter().enumerate().filter_map(|(index, name)| {
        let set = Set { name, index, layers, environment, routes };
        set.build(problems)
    });
    built.unzip()
}

struct Set<'a> {
    name: &'a str,
    index: usize,
    layers: &'a Layers,
    environment: &'a dyn Environment,
    routes: &'a [RouteSettings],
}

impl Set<'_> {
    fn build(&self, problems: &mut Problems) -> Option<(KeySetSettings, KeyNote)> {
        let asked = self.text("source").unwrap_or_else(|| "auto".to_owned());
        if !AVAILABLE_SOURCES.contains(&asked.as_str()) {
            let available = AVAILABLE_SOURCES.join(", ");
            self.refuse(
                "source",
                format!("{asked} is not available in this version; available: {available}"),
                problems,
            );
            return None;
        }
        if !matches!(asked.as_str(), "auto" | "federation-token" | "assume-role") {
            self.cannot_narrow(&asked, problems);
        }
        let sts = self.sts(problems);
        let (source, found_in) = match asked.as_str() {
            "http" => (SourceSettings::Http(self.http(problems)?), Vec::new()),
            "static" => self.fixed(problems)?,
            "federation-token" => self.federation_token(sts?, problems)?,
            "assume-role" => self.assume_role(sts?, problems)?,
            _ => self.automatic(sts?, problems)?,
        };
        let note = self.note(&source, asked == "auto", found_in);
        let name = self.name.to_owned();
        let settings = KeySetSettings { name, source, refresh: refresh(self.layers) };
        for problem in settings.problems() {
            self.translate(&problem, problems);
        }
        Some((settings, note))
    }

    fn automatic(
        &self,
        sts: StsSettings,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let Found { key, names } = self.found(problems)?;
        let bucket = self.layers.text("upstream.bucket");
        let region = self.layers.text("upstream.region");
        if key.token.is_none() && bucket.is_some() && region.is_none() {
            self.need_region(problems);
            return None;
        }
        let permanent = key.token.is_none() && !key.looks_temporary();
        if permanent && !self.layers.routes().is_empty() {
            let settings = FederationTokenSettings {
                sts,
                parent: key,
                session_name: "cos-auth-proxy".to_owned(),
                policy: self.routes_policy(problems)?,
                duration: self.layers.span(&self.path("duration")),
            };
            return Some((SourceSettings::FederationToken(settings), names));
        }
        match automatic(key, &region.unwrap_or_default(), bucket.as_deref(), sts) {
            Ok(source) => Some((source, names)),
            // Told with the other checks of upstream.bucket.
            Err(AutoError::BucketWithoutAppId { .. }) => None,
            Err(fault @ (AutoError::TokenMissing | AutoError::NoBucket)) => {
                problems.add("keys", format!("key of {}: {fault}", names.join(" and ")));
                None
            }
        }
    }

    fn fixed(&self, problems: &mut Problems) -> Option<(SourceSettings, Vec<String>)> {
        let Found { key, names } = self.found(problems)?;
        if key.token.is_none() && key.looks_temporary() {
            self.refuse(
                "source",
                "static found the id of a temporary key (longer than 36 characters) without its \
                 token: set TENCENTCLOUD_TOKEN, token_env or token_file"
                    .to_owned(),
                problems,
            );
        }
        Some((SourceSettings::Static(StaticSettings { key, expires_at: None }), names))
    }

    fn federation_token(
        &self,
        sts: StsSettings,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let found = self.found(problems);
        let usual = if !self.layers.routes().is_empty() { "routes" } else { "bucket" };
        let policy = self.policy(usual, problems);
        let Found { key, names } = found?;
        let settings = FederationTokenSettings {
            sts,
            parent: key,
            session_name: self.text("session_name").unwrap_or_default(),
            policy: policy?,
            duration: self.layers.span(&self.path("duration")),
        };
        Some((SourceSettings::FederationToken(settings), names))
    }

    fn assume_role(
        &self,
        sts: StsSettings,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let found = self.found(problems);
        let policy = self.policy("role", problems);
        let role_arn = self.text("role_arn");
        if role_arn.is_none() {
            let needs = "is not set: assume-role needs qcs::cam::uin/UIN:roleName/NAME".to_owned();
            self.refuse("role_arn", needs, problems);
        }
        let Found { key, names } = found?;
        let settings = AssumeRoleSettings {
            sts,
            parent: key,
            role_arn: role_arn?,
            session_name: self.text("session_name").unwrap_or_default(),
            duration: self.layers.span(&self.path("duration")),
            policy,
            external_id: self.text("external_id"),
        };
        Some((SourceSettings::AssumeRole(settings), names))
    }

    fn http(&self, problems: &mut Problems) -> Option<HttpSettings> {
        let headers = self.headers(problems);
        let bearer_token_file = readable(self.layers, &self.path("bearer_token_file"), problems);
        let ca_file = readable(self.layers, &self.path("ca_file"), problems);
        let Some(text) = self.text("endpoint") else {
            let needs = "is not set: http needs the URL to ask for keys".to_owned();
            self.refuse("endpoint", needs, problems);
            return None;
        };
        let url = self.endpoint(&text, problems)?;
        let post = self.text("method").as_deref() == Some("POST");
        Some(HttpSettings {
            method: if post { HttpMethod::Post } else { HttpMethod::Get },
            headers,
            body: self.text("body").map(Zeroizing::new),
            bearer_token_file,
            timeout: self.layers.span_if_set(&self.path("timeout")),
            ca_file,
            ..HttpSettings::get(url)
        })
    }

    fn headers(&self, problems: &mut Problems) -> Vec<RequestHeader> {
        let mut headers = Vec::new();
        for line in self.layers.list(&self.path("headers")) {
            let (name, value) = line.split_once(':').unwrap_or_default();
            let lower = name.to_ascii_lowercase();
            if ["auth", "token", "secret", "key", "cookie"].iter().any(|w| lower.contains(w)) {
                let text = "would put a secret into this file: write it into a file that \
                            bearer_token_file names";
                self.refuse("headers", text.to_owned(), problems);
            } else if let Some(header) = RequestHeader::new(name.trim(), value.trim()) {
                headers.push(header);
            } else {
                let text = "must be a list of \"Name: value\"".to_owned();
                self.refuse("headers", text, problems);
            }
        }
        headers
    }

    fn sts(&self, problems: &mut Problems) -> Option<StsSettings> {
        let endpoint = match self.text("endpoint") {
            Some(text) => self.endpoint(&text, problems)?,
            None => Endpoint::public_sts(),
        };
        let region = self.text("region").or_else(|| self.layers.text("upstream.region"));
        Some(StsSettings {
            endpoint,
            region: region.unwrap_or_else(|| DEFAULT_STS_REGION.to_owned()),
            ca_file: readable(self.layers, &self.path("ca_file"), problems),
        })
    }

    fn endpoint(&self, text: &str, problems: &mut Problems) -> Option<Endpoint> {
        let refuse = |fault| self.refuse("endpoint", format!("{fault}"), problems);
        Endpoint::new(text).map_err(refuse).ok()
    }

    /// The policy that narrows the key; `None` for the scope "role", or if a problem was told.
    fn policy(&self, usual_scope: &str, problems: &mut Problems) -> Option<String> {
        let scope = self.text("scope");
        if let Some(file) = self.text("policy_file") {
            if scope.is_some() {
                let text = "and scope are both set: keep one".to_owned();
                self.refuse("policy_file", text, problems);
            }
            let read =
                found_key::read(&file).map_err(|fault| vec![format!("names a file that {fault}")]);
            let checked = read.and_then(|text| scope::written_policy(&text).map(|()| text));
            let refuse = |faults: Vec<String>| {
                faults.into_iter().for_each(|fault| self.refuse("policy_file", fault, problems));
            };
            return checked.map_err(refuse).ok().map(|text| text.to_string());
        }
        match scope.as_deref().unwrap_or(usual_scope) {
            "routes" => self.routes_policy(problems),
            "role" => {
                if usual_scope != "role" {
                    let text = "\"role\" is for assume-role: a federation token has no rights \
                                but its policy's";
                    self.refuse("scope", text.to_owned(), problems);
                }
                None
            }
            _ => self.bucket_policy(problems),
        }
    }

    fn routes_policy(&self, problems: &mut Problems) -> Option<String> {
        let form = match self.text("list_form").as_deref() {
            Some("condition") => ListForm::Condition,
            _ => ListForm::Prefix,
        };
        let before = problems.len();
        let policy = scope::routes_policy(self.routes, self.index, self.name, form);
        // Routes with a problem of their own are not here to be counted.
        let told =
            !self.layers.routes().is_empty() && self.routes.len() < self.layers.routes().len();
        let refuse = |fault| {
            if !told {
                self.refuse("scope", fault, problems);
            }
        };
        policy.map_err(refuse).ok().filter(|_| problems.len() == before)
    }

    /// A scope or policy for a source that takes none.
    fn cannot_narrow(&self, source: &str, problems: &mut Problems) {
        for key in ["scope", "policy_file"] {
            if self.layers.is_set(&self.path(key)) {
                let text = format!(
                    "is for federation-token and assume-role: what keys of {source} may do is \
                     decided where they come from. To narrow them, name this key set in a second \
                     one: source = \"assume-role\", via = \"{}\", its role_arn, and there {key}",
                    self.name
                );
                self.refuse(key, text, problems);
            }
        }
    }

    fn bucket_policy(&self, problems: &mut Problems) -> Option<String> {
        let Some(bucket) = self.layers.text("upstream.bucket") else {
            let text = "\"bucket\" needs upstream.bucket (--bucket): keys are narrowed to it; or \
                        write a policy and name it in policy_file";
            self.refuse("scope", text.to_owned(), problems);
            return None;
        };
        let Some(region) = self.layers.text("upstream.region") else {
            self.need_region(problems);
            return None;
        };
        Some(bucket_policy(&region, &bucket))
    }

    fn need_region(&self, problems: &mut Problems) {
        let origin = self.layers.origin("upstream.bucket");
        problems.add_value(
            "upstream.bucket",
            &origin,
            "needs upstream.region (--region) beside it",
        );
    }

    /// The key that `[keys.NAME]` names, otherwise the usual places.
    fn found(&self, problems: &mut Problems) -> Option<Found> {
        if found_key::is_named(self.layers, self.name) {
            return found_key::named(self.layers, self.name, self.environment, problems);
        }
        let before = problems.len();
        let found = found_key::usual(self.environment, problems);
        if found.is_none() && problems.len() == before {
            problems.add(
                "keys",
                "no key was found: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY (and \
                 TENCENTCLOUD_TOKEN for a temporary key), or say in [keys.default] where keys \
                 come from",
            );
        }
        found
    }

    fn note(
        &self,
        source: &SourceSettings,
        chosen_by_auto: bool,
        found_in: Vec<String>,
    ) -> KeyNote {
        let (endpoint, policy) = match source {
            SourceSettings::FederationToken(settings) => {
                (Some(settings.sts.endpoint.to_string()), Some(settings.policy.clone()))
            }
            SourceSettings::AssumeRole(settings) => {
                (Some(settings.sts.endpoint.to_string()), settings.policy.clone())
            }
            SourceSettings::Http(settings) => (Some(settings.url.to_string()), None),
            SourceSettings::Static(_) => (None, None),
        };
        let set = self.name.to_owned();
        KeyNote { set, source: source.kind(), chosen_by_auto, found_in, endpoint, policy }
    }

    /// The room's own findings, under the name that the user knows.
    fn translate(&self, problem: &SettingProblem, problems: &mut Problems) {
        let field = match problem.field {
            "parent" => "source",
            "policy" => "policy_file",
            field => field,
        };
        let path = match field.strip_prefix("refresh.") {
            Some(key) => format!("refresh.{}", key.strip_prefix("refresh_").unwrap_or(key)),
            None => self.path(field),
        };
        let text = problem.problem.replace("refresh_from", "from").replace("refresh_to", "to");
        problems.add_value(&path, &self.layers.origin(&path), format!("is wrong: {text}"));
    }

    fn path(&self, key: &str) -> String {
        format!("keys.{}.{key}", self.name)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.layers.text(&self.path(key))
    }

    fn refuse(&self, key: &str, text: String, problems: &mut Problems) {
        let path = self.path(key);
        problems.add_value(&path, &self.layers.origin(&path), text);
    }
}
