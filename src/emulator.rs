//! An embedded COS and STS on loopback: for the demo and for tests.
//!
//! Shares no code with the signer: it verifies from the documentation, with plain types of its own.

pub mod accounts;
mod acl;
mod address;
mod answer;
mod bucket;
mod conditions;
mod copy;
mod cos;
mod crc64;
mod encoding;
pub mod errors;
pub mod faults;
pub mod key_server;
mod listener;
mod listing;
mod multipart;
mod object;
mod operation;
pub mod policy;
mod seed;
pub mod seen;
mod serve;
mod settings;
mod store;
pub mod sts;
mod tagging;
pub mod tc3_check;
pub mod verify;
mod wire;
mod xml;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::net::TcpListener;

pub use errors::CosError;
pub use settings::EmulatorSettings;

use crate::{clock::Clock, shutdown::Shutdown};

/// Why an emulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be had.
    #[error("the emulator cannot listen on {address}: {source}")]
    Bind {
        /// Where it should listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The folder of objects could not be made.
    #[error("the emulator cannot keep objects in {}: {source}", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder to serve could not be read.
    #[error("the emulator cannot read the folder {}: {source}", folder.display())]
    Seed {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A running emulator. It ends with the [`Shutdown`] it was started with.
#[derive(Clone, Debug)]
pub struct Emulator {
    cos_address: SocketAddr,
    sts_address: SocketAddr,
    key_server_address: SocketAddr,
    accounts: accounts::Accounts,
    faults: faults::Faults,
    seen: seen::SeenLog,
    seeded: usize,
}

impl Emulator {
    /// Starts the object store, the STS API and the key server. Must be called on a tokio runtime;
    /// returns once all of them listen and the seed is in.
    ///
    /// # Errors
    /// What could not be had: a port, the folder for objects, the folder to serve.
    pub async fn start(
        settings: EmulatorSettings,
        clock: Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let accounts = accounts::Accounts::new();
        let faults = faults::Faults::new();
        let seen = seen::SeenLog::new();
        let cos = cos::Cos {
            store: open_store(&settings)?,
            accounts: accounts.clone(),
            faults: faults.clone(),
            seen: seen.clone(),
            clock: clock.clone(),
            domains: settings.domains.clone(),
            verifies: settings.verify,
            answered: AtomicU64::new(1),
        };
        let seeded = fill(&cos, &settings).await?;
        let (cos_listener, cos_address) = bind(settings.cos_bind).await?;
        let shared = || (accounts.clone(), faults.clone(), seen.clone(), clock.clone());
        let refused = |address| move |source| StartError::Bind { address, source };
        let (who, wrong, log, time) = shared();
        let address = settings.sts_bind;
        let sts_address = sts::start_sts(who, wrong, log, time, address, shutdown)
            .await
            .map_err(refused(address))?;
        let (who, wrong, log, time) = shared();
        let address = settings.key_server_bind;
        let key_server_address =
            key_server::start_key_server(who, wrong, log, time, address, shutdown)
                .await
                .map_err(refused(address))?;
        listener::serve(Arc::new(cos), cos_listener, settings.tls, shutdown);
        Ok(Self { cos_address, sts_address, key_server_address, accounts, faults, seen, seeded })
    }

    /// Where the object store listens.
    #[must_use]
    pub fn cos_address(&self) -> SocketAddr {
        self.cos_address
    }

    /// Where the STS API listens.
    #[must_use]
    pub fn sts_address(&self) -> SocketAddr {
        self.sts_address
    }

    /// Where the home-made key server and the instance metadata listen.
    #[must_use]
    pub fn key_server_address(&self) -> SocketAddr {
        self.key_server_address
    }

    /// Who exists; nobody at first.
    #[must_use]
    pub fn accounts(&self) -> &accounts::Accounts {
        &self.accounts
    }

    /// What goes wrong on purpose.
    #[must_use]
    pub fn faults(&self) -> &faults::Faults {
        &self.faults
    }

    /// What reached the emulator.
    #[must_use]
    pub fn seen(&self) -> &seen::SeenLog {
        &self.seen
    }

    /// How many objects were made from the seed folder.
    #[must_use]
    pub fn seeded(&self) -> usize {
        self.seeded
    }
}

fn open_store(settings: &EmulatorSettings) -> Result<store::Store, StartError> {
    let folder = settings.data_dir.as_deref();
    store::Store::new(folder).map_err(|source| StartError::Store {
        folder: folder.map_or_else(std::env::temp_dir, ToOwned::to_owned),
        source,
    })
}

/// Makes the buckets and plants the seed; returns how many objects that made.
async fn fill(cos: &cos::Cos, settings: &EmulatorSettings) -> Result<usize, StartError> {
    let now = cos.now();
    cos.store.with_buckets(|buckets| {
        for name in &settings.buckets {
            buckets.insert(name.clone(), store::Bucket::new(&settings.region, now));
        }
    });
    let (Some(folder), Some(bucket)) = (&settings.seed, settings.buckets.first()) else {
        return Ok(0);
    };
    seed::plant(&cos.store, bucket, folder, now)
        .await
        .map_err(|source| StartError::Seed { folder: folder.clone(), source })
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
