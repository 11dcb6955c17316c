//! An emulator with two buckets, keys for derived policies, and requests signed past the gate.

use std::{
    cell::RefCell, collections::HashMap, io, mem::MaybeUninit, net::SocketAddr, sync::Arc,
    time::Duration,
};

use cos_auth_proxy::{
    clock::{Clock, Timestamp},
    credential::Credential,
    emulator::{
        Emulator, EmulatorSettings,
        accounts::{Account, Grant, Subject},
        policy::Policy,
    },
    http1::{Limits, read_request},
    proxy::{Composer, Gate, ListForm, ProxySettings, Refused, RouteSettings, route_policy},
    secret::{SecretId, SecretKey, SessionToken},
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::requests::{BUCKETS, KEYS, Kind, REGION, Request, Spelled, encoded, host_of};

const PATIENCE: Duration = Duration::from_secs(20);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Allowed,
    Refused,
}

/// A key set of the routes: its key, and its policy as the emulator understands it.
pub(crate) struct KeySet {
    pub(crate) key: Arc<Credential>,
    pub(crate) policy: Policy,
}

pub(crate) struct Stand {
    address: SocketAddr,
    emulator: Emulator,
    clock: Clock,
    shutdown: Shutdown,
    owner: Arc<Credential>,
    kept: RefCell<Option<TcpStream>>,
    /// Multipart uploads under way, by bucket and key.
    uploads: HashMap<(usize, &'static str), String>,
}

pub(crate) fn settings(routes: &[RouteSettings]) -> ProxySettings {
    ProxySettings {
        bucket: Some(BUCKETS[0].to_owned()),
        region: Some(REGION.to_owned()),
        endpoint: "http://{bucket}.cos.{region}.myqcloud.com".to_owned(),
        routes: routes.to_vec(),
        ..ProxySettings::default()
    }
}

impl Stand {
    pub(crate) async fn open() -> Self {
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let settings = EmulatorSettings {
            buckets: BUCKETS.map(str::to_owned).to_vec(),
            region: REGION.to_owned(),
            ..EmulatorSettings::default()
        };
        let emulator = Emulator::start(settings, clock.clone(), &shutdown).await.unwrap();
        emulator.accounts().add_account(Account::example("AKIDowner", "ownersecret"));
        let hour = clock.now() + Duration::from_secs(3600);
        let owner = credential("AKIDowner", "ownersecret", None, hour);
        let address = emulator.cos_address();
        let mut stand = Self {
            address,
            emulator,
            clock,
            shutdown,
            owner,
            kept: RefCell::default(),
            uploads: HashMap::new(),
        };
        for bucket in 0..BUCKETS.len() {
            // A bucket that is not empty cannot be deleted by a request that may delete it.
            stand.as_owner(bucket, "PUT", "/keep").await;
            for key in KEYS {
                let target = format!("/{}?uploads", encoded(key));
                let told = stand.as_owner(bucket, "POST", &target).await;
                let id = told.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap();
                stand.uploads.insert((bucket, key), id.to_owned());
            }
        }
        stand
    }

    pub(crate) async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(PATIENCE).await, "every task ends");
    }

    /// The key that STS would give for the derived policy; `None` where there is nothing to allow.
    pub(crate) fn key_set(
        &self,
        routes: &[RouteSettings],
        keys: usize,
        lists: ListForm,
    ) -> Option<KeySet> {
        let text = route_policy(routes, keys, lists).unwrap()?;
        // Encoded as it is on its way to STS.
        let policy = Policy::parse(&encoded(&text)).unwrap();
        let grant = Grant {
            uin: "100000000001",
            appid: "1250000000",
            policy: Some(policy.clone()),
            duration: 1800,
            subject: Subject::Federated("routes".to_owned()),
        };
        let key = self.emulator.accounts().issue(grant, self.clock.now().unix_seconds());
        let end = Timestamp::from_unix_seconds(key.expires_at);
        let key = credential(&key.secret_id, &key.secret_key, Some(&key.token), end);
        Some(KeySet { key, policy })
    }

    pub(crate) fn spelled(&self, request: &Request) -> Spelled {
        let upload = if let Kind::CopyPart(key, ..) = &request.kind {
            self.uploads[&(request.bucket, *key)].as_str()
        } else {
            ""
        };
        request.spell(upload)
    }

    /// What the emulator says to the request when it is signed with the key, gate or no gate.
    pub(crate) async fn ask(&self, request: &Request, set: &KeySet) -> Fate {
        if !request.is_emulated() {
            let allowed = request.needs().iter().all(|(action, on)| set.policy.allows(action, on));
            return if allowed { Fate::Allowed } else { Fate::Refused };
        }
        let answer = self.send(&self.spelled(request), &set.key).await;
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let denied = answer.contains("<Code>AccessDenied</Code>");
        assert!(status != 501, "the emulator was to judge {request:?}\n{answer}");
        assert!(
            status != 403 || denied || request.is_head(),
            "refused for another reason: {request:?}\n{answer}"
        );
        if status == 403 || denied { Fate::Refused } else { Fate::Allowed }
    }

    async fn as_owner(&self, bucket: usize, method: &'static str, target: &str) -> String {
        let spelled = Spelled {
            method,
            host: host_of(bucket),
            target: target.to_owned(),
            lines: String::new(),
            body: String::new(),
        };
        let answer = self.send(&spelled, &self.owner).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    /// The whole answer.
    async fn send(&self, spelled: &Spelled, key: &Arc<Credential>) -> String {
        let raw = spelled.raw();
        let limits = Limits { head_bytes: 65536, fields: 128, target_bytes: 16384 };
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        let head = read_request(raw.as_bytes(), &mut slots, &limits).unwrap();
        let gate = Gate::new(&settings(&[]));
        let admitted = gate.admit(&head).unwrap();
        let held = Some(spelled.body.as_bytes()).filter(|_| admitted.needs_digest);
        let mut composer = Composer::default();
        let outbound = composer.compose(&admitted, &head, key, held, Vec::new()).unwrap();
        let signed = composer.sign(outbound, key, self.clock.now());
        let bytes = [signed.head(), spelled.body.as_bytes()].concat();
        let exchange = async {
            let kept = self.kept.take();
            if let Some(mut stream) = kept
                && let Ok(answer) = exchange(&mut stream, &bytes, spelled.method == "HEAD").await
            {
                self.kept.replace(Some(stream));
                return answer;
            }
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let answer = exchange(&mut stream, &bytes, spelled.method == "HEAD").await.unwrap();
            self.kept.replace(Some(stream));
            answer
        };
        timeout(PATIENCE, exchange).await.expect("an answer in time")
    }
}

impl Spelled {
    pub(crate) fn raw(&self) -> String {
        let Self { method, host, target, lines, body } = self;
        let length = match *method {
            "PUT" | "POST" => format!("Content-Length: {}\r\n", body.len()),
            _ => String::new(),
        };
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}{length}\r\n")
    }

    /// The key set that the gate chooses.
    pub(crate) fn admitted(&self, gate: &Gate) -> Result<usize, Refused> {
        let raw = self.raw();
        let limits = Limits { head_bytes: 65536, fields: 128, target_bytes: 16384 };
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        let head = read_request(raw.as_bytes(), &mut slots, &limits).unwrap();
        let admitted = gate.admit(&head)?;
        if !admitted.needs_body {
            return Ok(admitted.key_set);
        }
        let admitted = gate.admit_with(&head, Some(self.body.as_bytes()))?;
        assert!(!admitted.needs_body);
        Ok(admitted.key_set)
    }
}

impl Request {
    fn is_head(&self) -> bool {
        matches!(&self.kind, Kind::Object("HEAD", ..) | Kind::Bucket("HEAD", ..))
    }
}

fn credential(id: &str, secret: &str, token: Option<&str>, end: Timestamp) -> Arc<Credential> {
    Arc::new(Credential {
        id: SecretId::new(id).unwrap(),
        secret: SecretKey::new(secret).unwrap(),
        token: token.map(|token| SessionToken::new(token).unwrap()),
        expires_at: Some(end),
        received_at: end - Duration::from_secs(1800),
    })
}

/// Sends a request and reads the whole answer; an error if the connection ends first.
async fn exchange(stream: &mut TcpStream, bytes: &[u8], head_only: bool) -> io::Result<String> {
    stream.write_all(bytes).await?;
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if head_only || read.len() >= end + 4 + length {
                return Ok(String::from_utf8_lossy(&read).into_owned());
            }
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
