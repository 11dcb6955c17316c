//! Turns `[keys.NAME]`, or nothing at all, into the settings of the credential room.

mod auto;
mod chain;
mod fitting;
mod local;
mod narrowed;
mod role;
mod web_identity;

use zeroize::Zeroizing;

use super::{
    environment::Environment,
    found_key::{self, Found},
    layers::Layers,
    problem::Problems,
    refresh::refresh,
    upstream::readable,
};
use crate::credential::{
    AutoError, DEFAULT_STS_REGION, Endpoint, FederationTokenSettings, HttpMethod, HttpSettings,
    KeySetSettings, RequestHeader, SettingProblem, SourceSettings, StaticSettings, StsSettings,
    automatic, bucket_policy,
};
use crate::proxy::RouteSettings;

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
    /// The role that is taken.
    pub role: Option<String>,
    /// The key set that makes its calls.
    pub via: Option<String>,
    /// What will work, but is hardly meant.
    pub warnings: Vec<String>,
    /// Why `auto` took none of the sources before this one.
    pub passed_over: Vec<String>,
    /// Where the key is kept over a restart.
    pub cache_file: Option<String>,
}

/// The names of all key sets, `default` without a file: first the one that signs every request
/// where there are no routes, last those that make calls for others.
pub(super) fn names(layers: &Layers, problems: &mut Problems) -> Vec<String> {
    let names = match layers.key_sets() {
        [] => vec!["default".to_owned()],
        names => names.to_vec(),
    };
    chain::signing_first(&names, layers, problems)
}

/// All key sets, in the order of their names.
pub(super) fn key_sets(
    names: &[String],
    layers: &Layers,
    environment: &dyn Environment,
    routes: &[RouteSettings],
    problems: &mut Problems,
) -> (Vec<KeySetSettings>, Vec<KeyNote>) {
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
        self.check_fitting(&asked, problems);
        let sts = self.sts(problems);
        let mut passed_over = Vec::new();
        let (source, found_in) = match asked.as_str() {
            "http" => (SourceSettings::Http(self.http(problems)?), Vec::new()),
            "static" => self.fixed(problems)?,
            "federation-token" => self.federation_token(sts?, problems)?,
            "assume-role" => self.assume_role(sts?, problems)?,
            "web-identity" => self.web_identity(sts, problems)?,
            "instance-role" => (self.instance_role(problems)?, Vec::new()),
            "file" => (self.file(problems)?, Vec::new()),
            "exec" => (self.exec(problems)?, Vec::new()),
            _ => {
                let chosen = self.choose(sts, problems)?;
                passed_over = chosen.passed_over;
                (chosen.source, chosen.found_in)
            }
        };
        let settings = KeySetSettings {
            refresh: refresh(self.layers),
            cache_file: self.cache_file(problems),
            passed_over,
            ..KeySetSettings::new(self.name, source)
        };
        let mut note = note(&settings, asked == "auto", found_in);
        note.warnings.extend(local::warning(&settings.source));
        for problem in settings.problems() {
            self.translate(&problem, problems);
        }
        Some((settings, note))
    }

    fn automatic(
        &self,
        Found { key, names }: Found,
        sts: StsSettings,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let bucket = self.layers.text("upstream.bucket");
        let region = self.layers.text("upstream.region");
        if key.token.is_none() && bucket.is_some() && region.is_none() {
            self.need_region(problems);
            return None;
        }
        match automatic(key, &region.unwrap_or_default(), bucket.as_deref(), sts) {
            Ok(SourceSettings::FederationToken(mut settings)) => {
                settings.duration = self.layers.span(&self.path("duration"));
                if let Some(name) = self.text("session_name") {
                    settings.session_name = name;
                }
                Some((SourceSettings::FederationToken(settings), names))
            }
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
        let policy = self.policy(self.usual_scope(), problems);
        let Found { key, names } = found?;
        let settings = FederationTokenSettings {
            sts,
            parent: key,
            session_name: self.text("session_name").unwrap_or_else(|| "cos-auth-proxy".to_owned()),
            policy: policy?,
            duration: self.layers.span(&self.path("duration")),
        };
        Some((SourceSettings::FederationToken(settings), names))
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
            return self.written_policy(&file, problems);
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
        let look = found_key::usual(self.environment, problems);
        if look.found.is_none() && problems.len() == before {
            problems.add(
                "keys",
                format!(
                    "no key was found: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY (and \
                     TENCENTCLOUD_TOKEN for a temporary key), or say in [keys.{}] where the key \
                     is; {}",
                    self.name,
                    look.passed_over.join("; ")
                ),
            );
        }
        look.found
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

fn note(set: &KeySetSettings, chosen_by_auto: bool, found_in: Vec<String>) -> KeyNote {
    let (endpoint, policy, role) = match &set.source {
        SourceSettings::FederationToken(settings) => {
            (Some(settings.sts.endpoint.to_string()), Some(settings.policy.clone()), None)
        }
        SourceSettings::AssumeRole(settings) => {
            let role = Some(settings.role_arn.clone());
            (Some(settings.sts.endpoint.to_string()), settings.policy.clone(), role)
        }
        SourceSettings::WebIdentity(settings) => {
            (Some(settings.sts.endpoint.to_string()), None, Some(settings.role_arn.clone()))
        }
        SourceSettings::InstanceRole(settings) => {
            let bound = || "the one that is bound to the instance".to_owned();
            let role = settings.role.clone().unwrap_or_else(bound);
            (Some(settings.endpoint.to_string()), None, Some(role))
        }
        SourceSettings::Http(settings) => (Some(settings.url.to_string()), None, None),
        SourceSettings::File(file) => (Some(file.path.display().to_string()), None, None),
        SourceSettings::Exec(command) => (Some(command.program.display().to_string()), None, None),
        SourceSettings::Static(_) => (None, None, None),
    };
    KeyNote {
        set: set.name.clone(),
        source: set.source.kind(),
        chosen_by_auto,
        found_in,
        endpoint,
        policy,
        role,
        via: set.via().map(ToOwned::to_owned),
        warnings: set.warnings(),
        passed_over: set.passed_over.clone(),
        cache_file: set.cache_file.as_ref().map(|path| path.display().to_string()),
    }
}
