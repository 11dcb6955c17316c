//! Which headers a strict signature must list.

/// Whether a header that is sent must be signed: the common allow-list of the official SDKs, all
/// `x-cos-*` and `x-ci-*`. `name` in any case.
#[must_use]
pub fn signs(_name: &[u8]) -> bool {
    unimplemented!()
}
