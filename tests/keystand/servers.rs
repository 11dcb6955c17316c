//! One source's servers: an STS and a key server of the emulator with a gate in front of each, and
//! the harm that can be done to both.

use std::net::SocketAddr;

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
use tokio_rustls::TlsAcceptor;

use crate::gate::{Gate, Mode};

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
}

pub(crate) struct Servers {
    pub(crate) accounts: Accounts,
    pub(crate) sts: SocketAddr,
    pub(crate) key_server: SocketAddr,
    gates: [Gate; 2],
    faults: Faults,
    key_life: i64,
}

impl Servers {
    /// Servers that know `accounts`, whose keys live `key_life` seconds.
    pub(crate) async fn open(
        accounts: &Accounts,
        key_life: u64,
        tls: Option<&TlsAcceptor>,
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
        let gates = [sts, key_server].map(|server| Gate::open(server, tls.cloned(), shutdown));
        let [sts, key_server] = gates.each_ref().map(Gate::address);
        let key_life = i64::try_from(key_life).unwrap();
        Self { accounts: accounts.clone(), sts, key_server, gates, faults, key_life }
    }

    /// From now on. What cannot be done to a server is left to others.
    pub(crate) fn harm(&self, harm: Harm) {
        match harm {
            Harm::Gate(mode) | Harm::TlsGate(mode) => self.gates.iter().for_each(|g| g.set(mode)),
            Harm::Server(fault) => self.spoil(fault),
            Harm::EndsAfter(percent) => {
                let now = self.accounts.now_unix(&Clock::system());
                let end = now.saturating_add_signed(self.key_life * percent / 100);
                self.spoil(Fault::ExpiresAt(end));
            }
            Harm::Name | Harm::Distrust => {}
        }
    }

    /// Everything works again.
    pub(crate) fn mend(&self) {
        self.gates.iter().for_each(|gate| gate.set(Mode::Open));
        for service in [Service::Sts, Service::KeyServer] {
            self.faults.clear(service);
        }
    }

    fn spoil(&self, fault: Fault) {
        for service in [Service::Sts, Service::KeyServer] {
            self.faults.until_cleared(service, fault);
        }
    }
}
