//! What reached the emulator: a bounded log without secrets, for tests and for the demo's screen.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::faults::Service;
use crate::clock::Timestamp;

/// How many requests the log remembers; the counters remember all.
const CAPACITY: usize = 4096;

/// One request that reached the emulator, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// 1 for the first request ever logged, then counting up without gaps. Set by the log.
    pub number: u64,
    /// When it came, by the emulator's clock.
    pub at: Timestamp,
    /// Where it came to.
    pub service: Service,
    /// What it asked for: a CAM action name (`PutObject`) or an STS action; empty if unreadable.
    pub action: String,
    /// The HTTP method.
    pub method: String,
    /// The request target as it came, signatures and tokens cut out.
    pub target: String,
    /// The `Host` header.
    pub host: String,
    /// The headers as they came, in order, signatures and tokens cut out.
    pub headers: Vec<(String, String)>,
    /// The key id the request was signed with.
    pub secret_id: Option<String>,
    /// The HTTP status of the answer; 0 if the connection was dropped instead.
    pub status: u16,
    /// `ok`, an error code, or the name of the fault that was set.
    pub verdict: String,
}

impl SeenRequest {
    /// A request as it arrived; what it asked for and its fate are filled in later.
    #[must_use]
    pub fn new<B>(service: Service, at: Timestamp, request: &http::Request<B>) -> Self {
        let target = request.uri().to_string();
        Self::of_parts(service, at, request.method().as_str(), &target, request.headers())
    }

    /// The same for a server that reads heads itself: `target` as on the wire.
    #[must_use]
    pub fn of_parts(
        service: Service,
        at: Timestamp,
        method: &str,
        target: &str,
        headers: &http::HeaderMap,
    ) -> Self {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), redact_header(name.as_str(), value.as_bytes()))
            })
            .collect();
        let host = headers.iter().find(|(name, _)| name == "host");
        Self {
            number: 0,
            at,
            service,
            action: String::new(),
            method: method.to_owned(),
            target: redact_target(target),
            host: host.map(|(_, value)| value.clone()).unwrap_or_default(),
            headers,
            secret_id: None,
            status: 0,
            verdict: String::new(),
        }
    }

    /// The value of a header, by lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The log. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SeenLog(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    recent: VecDeque<SeenRequest>,
    total: u64,
    by_action: BTreeMap<(Service, String), u64>,
    by_verdict: BTreeMap<(Service, String), u64>,
}

impl SeenLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a request and gives it its number. The oldest one is forgotten once 4096 are held.
    pub fn record(&self, mut request: SeenRequest) {
        let mut pages = self.lock();
        pages.total += 1;
        request.number = pages.total;
        *pages.by_action.entry((request.service, request.action.clone())).or_default() += 1;
        *pages.by_verdict.entry((request.service, request.verdict.clone())).or_default() += 1;
        if pages.recent.len() == CAPACITY {
            pages.recent.pop_front();
        }
        pages.recent.push_back(request);
    }

    /// The remembered requests with a number above `number` (0: all), oldest first.
    #[must_use]
    pub fn since(&self, number: u64) -> Vec<SeenRequest> {
        self.lock().recent.iter().filter(|seen| seen.number > number).cloned().collect()
    }

    /// How many requests came to `service`, ever.
    #[must_use]
    pub fn count(&self, service: Service) -> u64 {
        sum(&self.lock().by_action, |(known, _)| *known == service)
    }

    /// How many requests asked `service` for `action`, ever.
    #[must_use]
    pub fn count_action(&self, service: Service, action: &str) -> u64 {
        sum(&self.lock().by_action, |(known, asked)| *known == service && asked == action)
    }

    /// How many requests to `service` ended with `verdict` (`ok`, or an error code), ever.
    #[must_use]
    pub fn count_verdict(&self, service: Service, verdict: &str) -> u64 {
        sum(&self.lock().by_verdict, |(known, fate)| *known == service && fate == verdict)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(
    counts: &BTreeMap<(Service, String), u64>,
    wanted: impl Fn(&(Service, String)) -> bool,
) -> u64 {
    counts.iter().filter(|(key, _)| wanted(key)).map(|(_, count)| count).sum()
}

/// A header value fit to be shown: signatures and tokens are replaced.
fn redact_header(name: &str, value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match name {
        "authorization" => redact_authorization(&text),
        "x-cos-security-token"
        | "x-ci-security-token"
        | "x-tc-token"
        | "cookie"
        | "proxy-authorization" => format!("({} bytes)", value.len()),
        _ => text.into_owned(),
    }
}

/// Keeps what an authorization says in the open (id, window, lists) and drops the signature. What
/// is not one of the two known forms may be a bearer token and is dropped whole.
fn redact_authorization(text: &str) -> String {
    for mark in ["q-signature=", "Signature="] {
        if let Some((before, after)) = text.split_once(mark) {
            let kept = after.split_once('&').map_or("", |(_, rest)| rest);
            let joint = if kept.is_empty() { "" } else { "&" };
            return format!("{before}{mark}(cut){joint}{kept}");
        }
    }
    if text == "SKIP" { text.to_owned() } else { format!("({} bytes)", text.len()) }
}

fn redact_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((
                name @ ("q-signature" | "sign" | "x-cos-security-token" | "x-ci-security-token"),
                _,
            )) => format!("{name}=(cut)"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(request: http::request::Builder) -> SeenRequest {
        let request = request.body(()).unwrap();
        SeenRequest::new(Service::Cos, Timestamp::from_unix_seconds(1), &request)
    }

    #[test]
    fn no_signature_and_no_token_is_remembered() {
        let request = seen(
            http::Request::put(
                "/k?q-ak=AKID&q-signature=SECRET1&x-cos-security-token=SECRET2&acl&sign=SECRET3",
            )
            .header("host", "h")
            .header("authorization", "q-ak=AKID&q-signature=SECRET4")
            .header("x-cos-security-token", "SECRET5"),
        );
        let tc3 = seen(
            http::Request::post("/")
                .header("authorization", "TC3-HMAC-SHA256 Credential=AKID/x, Signature=SECRET6")
                .header("x-tc-token", "SECRET7"),
        );
        let bearer = seen(http::Request::get("/sts").header("authorization", "Bearer SECRET8"));
        let shown = format!("{request:?} {tc3:?} {bearer:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(shown.contains("q-ak=AKID") && shown.contains("Credential=AKID"), "{shown}");
        assert_eq!(request.header("host"), Some("h"));
    }

    #[test]
    fn the_log_forgets_old_requests_but_not_their_number() {
        let log = SeenLog::new();
        for action in 0..CAPACITY + 10 {
            let mut request = seen(http::Request::get("/"));
            request.action = if action % 2 == 0 { "GetObject" } else { "PutObject" }.to_owned();
            request.verdict = "ok".to_owned();
            log.record(request);
        }
        let all = log.since(0);
        assert_eq!(all.len(), CAPACITY);
        assert_eq!(all.first().map(|seen| seen.number), Some(11));
        assert_eq!(log.since(CAPACITY as u64 + 9).len(), 1);
        assert_eq!(log.count(Service::Cos), CAPACITY as u64 + 10);
        assert_eq!(log.count_action(Service::Cos, "PutObject"), CAPACITY as u64 / 2 + 5);
        assert_eq!(log.count_verdict(Service::Cos, "ok"), CAPACITY as u64 + 10);
        assert_eq!(log.count(Service::Sts), 0);
    }
}
