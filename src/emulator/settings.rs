//! What an emulator is told when it starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

/// How to start an [`super::Emulator`].
#[derive(Clone, Debug)]
pub struct EmulatorSettings {
    /// Where the object store listens; port 0 takes a free one.
    pub cos_bind: SocketAddr,
    /// Where the STS API listens; port 0 takes a free one.
    pub sts_bind: SocketAddr,
    /// Where the home-made key server and the instance metadata listen; port 0 takes a free one.
    pub key_server_bind: SocketAddr,
    /// The buckets there are at the start, with their `-APPID`.
    pub buckets: Vec<String>,
    /// The region of those buckets.
    pub region: String,
    /// Every file below this folder becomes an object of the first bucket, copied when the emulator
    /// starts. The key is the path below the folder. Symbolic links are left out.
    pub seed: Option<PathBuf>,
    /// Where the bytes of objects are kept; a temporary folder if it is not given. Nothing is read
    /// from it at the start, and each file goes when its object does.
    pub data_dir: Option<PathBuf>,
    /// Serves the object store over TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether signatures and policies are checked. Without, everybody may do everything.
    pub verify: bool,
    /// Custom domains: host and bucket.
    pub domains: Vec<(String, String)>,
}

impl Default for EmulatorSettings {
    /// `examplebucket-1250000000` in `ap-guangzhou`, plain HTTP on free loopback ports, verifying.
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            cos_bind: loopback,
            sts_bind: loopback,
            key_server_bind: loopback,
            buckets: vec!["examplebucket-1250000000".to_owned()],
            region: "ap-guangzhou".to_owned(),
            seed: None,
            data_dir: None,
            tls: None,
            verify: true,
            domains: Vec::new(),
        }
    }
}
