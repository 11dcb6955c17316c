//! The COS v5 signature (`q-sign-algorithm=sha1`).

use crate::{
    clock::Timestamp,
    secret::{SecretId, SecretKey},
};

/// `KeyTime`: the seconds between which a signature is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// First valid second, Unix time.
    pub start: u64,
    /// Last valid second, Unix time.
    pub end: u64,
}

impl Window {
    /// The window for a signature made at `now` with a key that ends at `key_expires_at`:
    /// starts 60 s back, cut to the whole minute; lasts 3600 s; never past the key.
    #[must_use]
    pub fn covering(_now: Timestamp, _key_expires_at: Option<Timestamp>) -> Self {
        unimplemented!()
    }
}

/// `SignKey` of one secret and one window, ready to sign many requests.
#[derive(Clone)]
pub struct SigningKey {
    window: Window,
}

impl SigningKey {
    /// Derives the key: one HMAC.
    #[must_use]
    pub fn derive(_secret: &SecretKey, window: Window) -> Self {
        Self { window }
    }

    /// The window this key is for.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }
}

/// What is signed, as explicit lists: exactly these headers and these parameters.
#[derive(Debug, Clone, Copy)]
pub struct ToSign<'a> {
    /// Method as sent.
    pub method: &'a str,
    /// Path as on the wire (percent-encoded); decoded here once, `+` stays `+`.
    pub path: &'a [u8],
    /// Query parameters as on the wire, `(name, value)`; decoded here once, `+` is a space.
    pub parameters: &'a [(&'a [u8], &'a [u8])],
    /// Headers as sent; names in any case.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// Buffers kept between signatures so that signing allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {}

impl SigningKey {
    /// Appends the value of the `Authorization` header to `out`.
    pub fn authorize(&self, _id: &SecretId, _request: &ToSign<'_>, _scratch: &mut Scratch, _out: &mut Vec<u8>) {
        unimplemented!()
    }
}
