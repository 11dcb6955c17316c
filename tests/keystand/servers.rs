//! One source's servers: an STS and a key server of the emulator with a gate in front of each, what
//! the source reads, and the harm that can be done to all that.

use std::{net::SocketAddr, sync::Mutex};

use cos_auth_proxy::{
    clock::Clock,
    emulator::{
        accounts::Accounts,
        faults::{Fault, Faults, Service},
        key_server::start_key_server,
        seen::SeenLog,
        sts::start_sts,
    },
    shutdown::Shutdown,
};

use crate::{
    gate::{Certificate, Gate, Mode},
    sources::{Place, Source},
    spoilt::{Spoilt, Written, write, write_parts},
};

/// What is done to a source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    /// The gate in front of the source's server.
    Gate(Mode),
    /// The same with https in front of it.
    TlsGate(Mode),
    /// The source is told nothing about the authority that signed the server's certificate.
    Distrust,
    /// The server itself.
    Server(Fault),
    /// The server says that its keys end after this share of their life, in percent.
    EndsAfter(i64),
    /// The name of the server cannot be resolved.
    Name,
    /// The file that the source reads for each call.
    File(Spoilt),
    /// The key that somebody writes down.
    Written(Written),
    /// The program of a command.
    Program(Spoilt),
    /// What it runs.
    Script(&'static str),
    /// The server of the key set that makes the calls of this one.
    Caller(Mode),
}

pub(crate) struct Servers {
    pub(crate) source: Source,
    pub(crate) accounts: Accounts,
    pub(crate) place: Place,
    sts: Gate,
    key_server: Gate,
    faults: Faults,
    key_life: i64,
    /// What is written is not to be overwritten.
    spoilt: Mutex<bool>,
    _folder: tempfile::TempDir,
}

impl Servers {
    /// Servers that know `accounts`, whose keys live `key_life` seconds. With `tls` the one that the
    /// source asks speaks https.
    pub(crate) async fn open(
        source: Source,
        accounts: &Accounts,
        key_life: u64,
        tls: bool,
        shutdown: &Shutdown,
    ) -> Self {
        accounts.set_key_life(Some(key_life));
        let (faults, seen) = (Faults::new(), SeenLog::new());
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let shared = || (accounts.clone(), faults.clone(), seen.clone(), Clock::system());
        let (who, wrong, log, time) = shared();
        let sts = start_sts(who, wrong, log, time, any, shutdown).await.unwrap();
        let (who, wrong, log, time) = shared();
        let key_server = start_key_server(who, wrong, log, time, any, shutdown).await.unwrap();

        let folder = tempfile::tempdir().unwrap();
        let certificate = tls.then(Certificate::new);
        let ca_file = certificate.as_ref().map(|made| {
            let ca_file = folder.path().join("ca.pem");
            std::fs::write(&ca_file, &made.ca_pem).unwrap();
            ca_file
        });
        let gate = |service, server| {
            let asked = certificate.as_ref().filter(|_| source.server() == Some(service));
            let gate = Gate::open(server, asked.map(|made| made.acceptor.clone()), shutdown);
            let port = gate.address().port();
            let url = match asked {
                Some(_) => format!("https://localhost:{port}"),
                None => format!("http://127.0.0.1:{port}"),
            };
            (gate, url)
        };
        let (sts, sts_url) = gate(Service::Sts, sts);
        let (key_server, key_server_url) = gate(Service::KeyServer, key_server);
        let place = Place {
            sts: sts_url,
            key_server: key_server_url,
            ca_file,
            exec_timeout: "1s",
            folder: folder.path().to_owned(),
        };
        place.write_files();
        let (accounts, key_life) = (accounts.clone(), i64::try_from(key_life).unwrap());
        let spoilt = Mutex::new(false);
        let servers = Self {
            source,
            accounts,
            place,
            sts,
            key_server,
            faults,
            key_life,
            spoilt,
            _folder: folder,
        };
        servers.write_a_new_key();
        servers
    }

    /// From now on. What cannot be done to servers and files is left to others.
    pub(crate) async fn harm(&self, harm: Harm) {
        match harm {
            Harm::Gate(mode) | Harm::TlsGate(mode) => self.gate().set(mode).await,
            Harm::Server(fault) => self.spoil(fault),
            Harm::EndsAfter(percent) => {
                let now = self.accounts.now_unix(&Clock::system());
                let end = now.saturating_add_signed(self.key_life * percent / 100);
                self.spoil(Fault::ExpiresAt(end));
            }
            Harm::File(spoilt) => {
                *self.spoilt.lock().unwrap() = true;
                spoilt.put(&self.place.file(self.source).unwrap());
            }
            Harm::Written(written) => {
                *self.spoilt.lock().unwrap() = true;
                self.write(written);
            }
            Harm::Program(spoilt) => spoilt.put(&self.place.program()),
            Harm::Script(script) => write(&self.place.script(), script),
            Harm::Caller(mode) => self.key_server.set(mode).await,
            Harm::Name | Harm::Distrust => {}
        }
    }

    /// Everything works again.
    pub(crate) async fn mend(&self) {
        self.sts.set(Mode::Open).await;
        self.key_server.set(Mode::Open).await;
        if let Some(service) = self.source.server() {
            self.faults.clear(service);
        }
        self.place.write_files();
        *self.spoilt.lock().unwrap() = false;
        self.write_a_new_key();
    }

    /// Does what an operator's rotation does, unless what it writes is spoilt on purpose.
    pub(crate) fn write_a_new_key(&self) {
        let spoilt = self.spoilt.lock().unwrap();
        if self.source.is_written_to() && !*spoilt {
            self.write(Written::Whole);
        }
    }

    fn write(&self, written: Written) {
        let now = self.accounts.now_unix(&Clock::system());
        if self.source == Source::StaticFiles {
            return write_parts(&self.place.parts(), &self.accounts, now);
        }
        write(&self.place.key(), &written.text(&self.accounts, now));
    }

    /// Where the harm is done, as messages name it.
    pub(crate) fn place_of(&self, harm: Harm) -> String {
        match harm {
            Harm::File(_) | Harm::Written(_) if self.source == Source::Exec => {
                self.place.program().display().to_string()
            }
            Harm::File(_) | Harm::Written(_) => {
                self.place.file(self.source).unwrap().display().to_string()
            }
            Harm::Program(_) | Harm::Script(_) => self.place.program().display().to_string(),
            Harm::Caller(_) => format!(":{}", self.key_server.address().port()),
            Harm::Gate(_)
            | Harm::TlsGate(_)
            | Harm::Distrust
            | Harm::Server(_)
            | Harm::EndsAfter(_)
            | Harm::Name => format!(":{}", self.gate().address().port()),
        }
    }

    fn gate(&self) -> &Gate {
        match self.source.server() {
            Some(Service::Sts) => &self.sts,
            Some(Service::KeyServer | Service::Cos) | None => &self.key_server,
        }
    }

    fn spoil(&self, fault: Fault) {
        if let Some(service) = self.source.server() {
            self.faults.until_cleared(service, fault);
        }
    }
}
