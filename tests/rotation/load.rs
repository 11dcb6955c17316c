//! What programs do through a proxy while its keys change: every kind of request, small and large,
//! quick and slow. Every answer's bytes are checked; nothing is tried twice.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use md5::{Digest as _, Md5};

use crate::{
    client::{Answer, Client, Paced},
    sources::{BUCKET, REGION},
};

/// Between two rounds of a worker, so that many proxies share a small machine.
const BREATH: Duration = Duration::from_millis(100);
/// One slow transfer takes longer than a key lives.
const SLOW_PIECES: usize = 70;
const SLOW_PAUSE: Duration = Duration::from_millis(200);
const SLOW_FRAME: Duration = Duration::from_millis(100);

/// What the workers of one proxy have done.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: AtomicU64,
    pub(crate) failures: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Tally {
    /// No worker begins another round.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }
}

/// The kinds of workers; each has a connection of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    Small,
    Large,
    SlowUp,
    SlowDown,
    /// Requests that can be sent again, and whose errors name their cause.
    Repeatable,
}

pub(crate) struct Worker {
    client: Client,
    tally: Arc<Tally>,
    dice: fastrand::Rng,
    /// Before its keys: all proxies share one bucket.
    folder: &'static str,
}

impl Worker {
    pub(crate) fn new(
        client: Client,
        tally: Arc<Tally>,
        dice: fastrand::Rng,
        folder: &'static str,
    ) -> Self {
        Self { client, tally, dice, folder }
    }

    /// Works until it is told to stop, or something fails. Ends between two rounds.
    pub(crate) async fn work(mut self, job: Job) {
        while !self.tally.stop.load(Ordering::Relaxed) {
            let round = match job {
                Job::Small => self.small().await,
                Job::Large => self.large().await,
                Job::SlowUp => self.slow_up().await,
                Job::SlowDown => self.slow_down().await,
                Job::Repeatable => self.repeatable().await,
            };
            if let Err(failure) = round {
                self.tally.failures.lock().unwrap().push(format!("{}: {failure}", self.folder));
                return;
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// A script's requests.
    async fn small(&mut self) -> Result<(), String> {
        let name = format!("{}/small/{}", self.folder, self.dice.u32(..50));
        let key = &format!("/{name}%20a+b.txt");
        let content = self.content(4096);
        self.expect(&format!("PUT {key}"), content.clone(), 200).await?;
        let got = self.expect(&format!("GET {key}"), "", 200).await?;
        same(key, &got, &content)?;
        let head = self.expect(&format!("HEAD {key}"), "", 200).await?;
        same(key, &head, &[])?;
        let list = format!("GET /?prefix={}%2Fsmall%2F&max-keys=1000", self.folder);
        let list = self.expect(&list, "", 200).await?;
        holds(&list, &format!("<Key>{name} a+b.txt</Key>"))?;
        self.expect(&format!("DELETE {key}"), "", 204).await?;
        let gone = self.expect(&format!("GET {key}"), "", 404).await?;
        holds(&gone, "<Code>NoSuchKey</Code>")
    }

    async fn repeatable(&mut self) -> Result<(), String> {
        // Three of them work in one folder.
        let key = format!("/{}/repeatable/{}", self.folder, self.dice.u64(..));
        let content = self.content(4096);
        self.expect(&format!("PUT {key}"), content.clone(), 200).await?;
        let got = self.expect(&format!("GET {key}"), "", 200).await?;
        same(&key, &got, &content)?;
        let range = [("range", "bytes=100-199")];
        let range = self.send(&format!("GET {key}"), &range, "", 206).await?;
        same("a range", &range, &content[100..200])?;
        let name = key.trim_start_matches('/');
        let list = self.expect(&format!("GET /?prefix={name}"), "", 200).await?;
        holds(&list, &format!("<Key>{name}</Key>"))?;
        let body =
            format!("<Delete><Quiet>true</Quiet><Object><Key>{name}</Key></Object></Delete>");
        self.expect("POST /?delete", body, 200).await?;
        let gone = self.expect(&format!("GET {key}"), "", 404).await?;
        holds(&gone, "<Code>NoSuchKey</Code>")
    }

    /// An SDK's requests: by range, copied, in parts, many at once.
    async fn large(&mut self) -> Result<(), String> {
        let content = self.content(400_000);
        let [one, copy, parts] =
            ["one", "copy", "parts"].map(|name| format!("/{}/large/{name}", self.folder));
        self.expect(&format!("PUT {one}"), content.clone(), 200).await?;
        let got = self.expect(&format!("GET {one}"), "", 200).await?;
        same(&one, &got, &content)?;
        let range = [("range", "bytes=1000-1999")];
        let range = self.send(&format!("GET {one}"), &range, "", 206).await?;
        same("a range", &range, &content[1000..2000])?;
        let source = format!("{BUCKET}.cos.{REGION}.myqcloud.com{one}");
        let headers = [("x-cos-copy-source", source.as_str())];
        let copied = self.send(&format!("PUT {copy}"), &headers, "", 200).await?;
        holds(&copied, "ETag")?;
        let got = self.expect(&format!("GET {copy}"), "", 200).await?;
        same(&copy, &got, &content)?;
        self.multipart(&parts, &content).await?;
        let named =
            |key: &str| format!("<Object><Key>{}</Key></Object>", key.trim_start_matches('/'));
        let body = format!("<Delete><Quiet>true</Quiet>{}{}</Delete>", named(&one), named(&copy));
        let deleted = self.expect("POST /?delete", body, 200).await?;
        if deleted.windows(7).any(|w| w == b"<Error>") {
            return Err(format!("POST /?delete: {}", String::from_utf8_lossy(&deleted)));
        }
        self.expect(&format!("HEAD {copy}"), "", 404).await.map(drop)
    }

    async fn multipart(&mut self, key: &str, content: &Bytes) -> Result<(), String> {
        let begun = self.expect(&format!("POST {key}?uploads"), "", 200).await?;
        let begun = String::from_utf8_lossy(&begun).into_owned();
        let (_, rest) = begun.split_once("<UploadId>").ok_or("no UploadId")?;
        let (upload, _) = rest.split_once("</UploadId>").ok_or("no UploadId")?;
        let mut listed = String::from("<CompleteMultipartUpload>");
        for (number, part) in (1..).zip(content.chunks(150_000)) {
            let line = format!("PUT {key}?partNumber={number}&uploadId={upload}");
            self.expect(&line, content.slice_ref(part), 200).await?;
            let tag: String = Md5::digest(part).iter().map(|byte| format!("{byte:02x}")).collect();
            write!(listed, "<Part><PartNumber>{number}</PartNumber><ETag>\"{tag}\"</ETag></Part>")
                .unwrap();
        }
        listed.push_str("</CompleteMultipartUpload>");
        let done = self.expect(&format!("POST {key}?uploadId={upload}"), listed, 200).await?;
        holds(&done, "ETag")?;
        let got = self.expect(&format!("GET {key}"), "", 200).await?;
        same(key, &got, content)
    }

    /// An upload that outlasts its key.
    async fn slow_up(&mut self) -> Result<(), String> {
        let key = format!("/{}/slow/up", self.folder);
        let content = self.content(SLOW_PIECES * 300);
        let body = Paced::in_pieces(content.clone(), content.len() / SLOW_PIECES, SLOW_PAUSE);
        let line = format!("PUT {key}");
        let answer = self.client.exchange(&line, &[], body, Duration::ZERO).await?;
        self.checked(&line, answer, 200)?;
        let got = self.expect(&format!("GET {key}"), "", 200).await?;
        same(&key, &got, &content)
    }

    /// A download that outlasts its key.
    async fn slow_down(&mut self) -> Result<(), String> {
        let key = format!("/{}/slow/down", self.folder);
        let content = self.content(8 << 20);
        self.expect(&format!("PUT {key}"), content.clone(), 200).await?;
        let line = format!("GET {key}");
        // The proxy and the kernel hold some of it; what is left takes the time.
        let nothing = Paced::whole(Bytes::new());
        let answer = self.client.exchange(&line, &[], nothing, SLOW_FRAME).await?;
        let got = self.checked(&line, answer, 200)?;
        same(&key, &got, &content)
    }

    /// Bytes that no other object has, up to `most` of them.
    fn content(&mut self, most: usize) -> Bytes {
        let mut content = vec![0; most - self.dice.usize(..most / 4)];
        self.dice.fill(&mut content);
        content.into()
    }

    async fn expect(
        &mut self,
        line: &str,
        body: impl Into<Bytes>,
        status: u16,
    ) -> Result<Bytes, String> {
        self.send(line, &[], body, status).await
    }

    async fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        status: u16,
    ) -> Result<Bytes, String> {
        let answer = self.client.send(line, headers, body).await?;
        self.checked(line, answer, status)
    }

    fn checked(&self, line: &str, answer: Answer, status: u16) -> Result<Bytes, String> {
        if answer.status != status || answer.reason.is_some() {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(format!("{line}: {} {:?} {body}", answer.status, answer.reason));
        }
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
        Ok(answer.body)
    }
}

fn same(what: &str, got: &[u8], expected: &[u8]) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: {} bytes came, {} other ones were expected", got.len(), expected.len()))
}

fn holds(body: &[u8], text: &str) -> Result<(), String> {
    let body = String::from_utf8_lossy(body);
    if body.contains(text) {
        return Ok(());
    }
    Err(format!("no {text:?} in {body}"))
}
