//! One call of the STS API 2018-08-13: signed, sent, read.

use std::time::Duration;

use reqwest::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    clock::Clock,
    credential::{
        Credential, RefreshSettings,
        error::{RetryClass, SourceError},
        settings::{DEFAULT_STS_REGION, ParentKey, StsSettings},
    },
    secret::{SecretId, SecretKey, SessionToken},
    sign::tc3,
};

use super::{
    Fetched,
    http_client::HttpClient,
    reply::{self, ReplyError},
};

const VERSION: &str = "2018-08-13";
const JSON: &str = "application/json";
/// A duration that every role and account allows.
const MODEST_DURATION: u64 = 7200;

/// What is asked, besides the duration.
pub(super) struct Question {
    /// The API's action.
    pub(super) action: &'static str,
    /// Its parameters without `DurationSeconds`.
    pub(super) parameters: Map<String, Value>,
    /// The life to ask for.
    pub(super) duration: Duration,
}

/// Who makes a call.
#[derive(Clone, Copy)]
pub(super) enum Caller<'a> {
    /// Its key signs.
    Key { id: &'a SecretId, secret: &'a SecretKey, token: Option<&'a SessionToken> },
    /// The parameters prove who asks: nothing is signed, and no token goes along.
    Unsigned,
}

impl<'a> From<&'a Credential> for Caller<'a> {
    fn from(key: &'a Credential) -> Self {
        Self::Key { id: &key.id, secret: &key.secret, token: key.token.as_ref() }
    }
}

/// Calls one STS endpoint.
pub(super) struct StsClient {
    http: HttpClient,
    region: String,
    clock: Clock,
}

impl StsClient {
    pub(super) fn new(settings: &StsSettings, refresh: &RefreshSettings, clock: &Clock) -> Self {
        let http = HttpClient {
            endpoint: settings.endpoint.clone(),
            ca_file: settings.ca_file.clone(),
            connect_timeout: refresh.connect_timeout,
            total_timeout: refresh.attempt_timeout,
        };
        Self { http, region: settings.region.clone(), clock: clock.clone() }
    }

    /// Asks with a configured key, as it stands in its files at this moment. There is no other way
    /// for such a key to make a call.
    pub(super) async fn ask_with(
        &self,
        question: &Question,
        key: &ParentKey,
    ) -> Result<Fetched, SourceError> {
        let key = key.as_it_stands(&self.clock).await;
        let ParentKey { id, secret, token, place: _ } = &key;
        self.ask(question, Caller::Key { id, secret, token: token.as_deref() }).await
    }

    /// Asks for a key. A duration above what the role allows is halved, and a region that STS does
    /// not know is replaced by the one the SDKs use, each with a warning.
    pub(super) async fn ask(
        &self,
        question: &Question,
        caller: Caller<'_>,
    ) -> Result<Fetched, SourceError> {
        let mut seconds = question.duration.as_secs();
        let mut region = self.region.as_str();
        loop {
            let fault = match self.ask_once(question, seconds, region, caller).await? {
                Ok(fetched) => return Ok(fetched),
                Err(fault) => fault,
            };
            match &fault {
                ReplyError::Failed { code, .. }
                    if code == "InvalidParameter.OverTimeError" && seconds > MODEST_DURATION =>
                {
                    let shorter = (seconds / 2).max(MODEST_DURATION);
                    tracing::warn!(
                        target: "cos_auth_proxy::keys", asked_seconds = seconds, now_asking_seconds = shorter,
                        "STS does not give keys that live so long; lower duration (the most is 2h with a root account's key, for a role what the role allows)"
                    );
                    seconds = shorter;
                }
                ReplyError::Failed { code, names_region: true, .. }
                    if code.starts_with("InvalidParameterValue")
                        && region != DEFAULT_STS_REGION =>
                {
                    tracing::warn!(
                        target: "cos_auth_proxy::keys", region, now_asking_region = DEFAULT_STS_REGION,
                        "STS does not know the region"
                    );
                    region = DEFAULT_STS_REGION;
                }
                ReplyError::Failed { .. }
                | ReplyError::NotJson { .. }
                | ReplyError::NotObject
                | ReplyError::Missing { .. }
                | ReplyError::Bad { .. } => return Err(fault.from(&self.http.endpoint)),
            }
        }
    }

    async fn ask_once(
        &self,
        question: &Question,
        seconds: u64,
        region: &str,
        caller: Caller<'_>,
    ) -> Result<Result<Fetched, ReplyError>, SourceError> {
        let mut parameters = question.parameters.clone();
        parameters.insert("DurationSeconds".to_owned(), seconds.into());
        let body = Value::Object(parameters).to_string();
        let asked_at = Instant::now();
        let answer = self.http.call(self.request(question.action, region, body, caller)?).await?;
        // The server wrote its date somewhere on the way.
        let age = asked_at.elapsed() / 2;
        let read = reply::parse(&answer.body, self.clock.now());
        if let Some(date) = answer.date {
            let refused_our_time = matches!(&read, Err(fault @ ReplyError::Failed { .. })
                if fault.clone().from(&self.http.endpoint).retry() == RetryClass::Clock);
            if refused_our_time {
                self.clock.adopt(date, age);
            } else {
                self.clock.observe(date, age);
            }
        }
        // By the clock as it is corrected now: a life is measured in the server's time.
        Ok(read.map(|mut fetched| {
            fetched.credential.received_at = self.clock.now();
            fetched
        }))
    }

    fn request(
        &self,
        action: &'static str,
        region: &str,
        body: String,
        caller: Caller<'_>,
    ) -> Result<Request, SourceError> {
        let endpoint = &self.http.endpoint;
        let host = endpoint.host_header();
        let at = self.clock.now();
        let call = tc3::Call {
            method: "POST",
            query: "",
            host: &host,
            content_type: JSON,
            payload: tc3::Payload::Signed(body.as_bytes()),
            at,
            service: "sts",
        };
        let mut headers = HeaderMap::new();
        let authorization = match caller {
            Caller::Unsigned => HeaderValue::from_static("SKIP"),
            Caller::Key { id, secret, token } => {
                if let Some(token) = token {
                    headers.insert(header("x-tc-token"), self.secret_value(token.expose())?);
                }
                self.secret_value(&tc3::authorize(id, secret, &call))?
            }
        };
        headers.insert(HOST, self.value(&host)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(header("x-tc-action"), HeaderValue::from_static(action));
        headers.insert(header("x-tc-version"), HeaderValue::from_static(VERSION));
        headers.insert(header("x-tc-timestamp"), at.unix_seconds().into());
        headers.insert(header("x-tc-region"), self.value(region)?);
        headers.insert(header("x-tc-language"), HeaderValue::from_static("en-US"));
        let mut request = Request::new(Method::POST, endpoint.url());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    fn secret_value(&self, text: &str) -> Result<HeaderValue, SourceError> {
        let mut value = self.value(text)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn value(&self, text: &str) -> Result<HeaderValue, SourceError> {
        HeaderValue::from_str(text).map_err(|_not_ascii| {
            self.http.unreadable("the request cannot be written as HTTP headers")
        })
    }
}

fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// A session name as STS takes it: word characters and `+=,.@-`, others become `-`; 2 to 128 long.
pub(super) fn session_name(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let mut clean: String =
        name.chars().map(|c| if allowed(c) { c } else { '-' }).take(128).collect();
    if clean.len() < 2 {
        clean.insert_str(0, "cos-auth-proxy-");
    }
    clean
}

/// Percent-encoding of everything but the unreserved characters of RFC 3986: how STS wants a policy,
/// also inside a JSON body (Tencent Cloud doc 1312/48195).
pub(super) fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_name_is_made_fit_for_sts() {
        assert_eq!(session_name("cos-auth-proxy-pod/7 ü"), "cos-auth-proxy-pod-7--");
        assert_eq!(session_name(&"x".repeat(200)).len(), 128);
        assert_eq!(session_name(""), "cos-auth-proxy-");
    }

    #[test]
    fn a_policy_is_encoded_like_urllib_does() {
        assert_eq!(
            url_encoded(r#"{"a":["*/é ~"]}"#),
            "%7B%22a%22%3A%5B%22%2A%2F%C3%A9%20~%22%5D%7D"
        );
    }
}
