//! Made-up ids, keys and tokens in the shape of real ones. Nothing's safety depends on them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

const ID_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 68 characters with `-` and `_`, as the real ids of temporary keys.
pub(super) fn id() -> String {
    format!("AKID{}-_{}", text(31), text(31))
}

/// Base64 with `/` and `=`, as real temporary keys often are.
pub(super) fn key() -> String {
    loop {
        let bytes: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
        let key = STANDARD.encode(bytes);
        if key.contains('/') {
            return key;
        }
    }
}

/// 200 characters and more as the policy grows, at most 4096.
pub(super) fn token(policy_length: usize) -> String {
    text((200 + policy_length).min(4096))
}

fn text(length: usize) -> String {
    (0..length).map(|_| char::from(fastrand::choice(ID_LETTERS).copied().unwrap_or(b'A'))).collect()
}
