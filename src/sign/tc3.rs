//! TC3-HMAC-SHA256, the signature of the STS API.
