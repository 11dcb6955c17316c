//! From the bytes of a head to a signed head: the steps of `proxy` in order, without waiting.

use std::{mem::MaybeUninit, sync::Arc};

use crate::{
    clock::Timestamp,
    credential::{Credential, NoKey},
    http1::{self, Body, FieldSlots, RequestHead, Version},
    proxy::{Answered, Origin, Refused, Signed},
};

use super::{record::Record, worker::Worker};

/// All that is needed to carry out a request, independent of the bytes it came in.
pub(super) struct Prepared {
    pub(super) origin: Arc<Origin>,
    pub(super) signed: Signed,
    /// The key set that signs it, and the key it was signed with.
    pub(super) key_set: usize,
    pub(super) key: Arc<Credential>,
    /// By how much the clock was corrected when it was signed.
    pub(super) offset_millis: i64,
    pub(super) client: ClientSide,
    pub(super) safe_to_repeat: bool,
}

/// Which key signs.
pub(super) enum With {
    /// The one to sign with now; with little life left, one that is under way is worth a wait.
    Usual,
    /// The one to sign with now, however near its end.
    WhatThereIs,
    This(Arc<Credential>),
}

/// What the client said about its side of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientSide {
    pub(super) body: Body,
    pub(super) answered: Answered,
    pub(super) expects_continue: bool,
}

/// Why there is no signed head yet.
pub(super) enum Halt {
    /// The head itself cannot be trusted: answer and close.
    Broken(Refused),
    /// The request may not pass.
    Refused(Refused, ClientSide),
    /// No usable key in this key set now: wait for one, then prepare again.
    NoKey { no_key: NoKey, key_set: usize, client: ClientSide },
    /// The key is about to end: wait for the next if one is under way, then prepare again.
    NearlyOver { key: Arc<Credential>, key_set: usize },
    /// The body must be held first: hold it, then prepare again with it.
    Hold(ClientSide),
}

/// Admits, takes the key, composes and signs. `head` ends with its blank line.
pub(super) fn prepare(
    worker: &Worker,
    record: &mut Record<'_>,
    head: &[u8],
    held: Option<&[u8]>,
    with: &With,
) -> Result<Prepared, Halt> {
    let mut slots: FieldSlots<'_> = [const { MaybeUninit::uninit() }; 128];
    let head = http1::read_request(head, &mut slots, &worker.settings.request_limits)
        .map_err(|fault| Halt::Broken(fault.into()))?;
    record.target(head.target);
    let client = client_side(&head);
    let refused = |refused| Halt::Refused(refused, client);

    let admitted = worker.gate.admit_with(&head, held).map_err(refused)?;
    record.operation = admitted.operation;
    record.method = admitted.method;

    if admitted.needs_body {
        return Err(Halt::Hold(client));
    }
    let (now, offset_millis) = (worker.clock.now(), worker.clock.offset_millis());
    let key_set = admitted.key_set;
    let key = choose(worker, key_set, with, now, client)?;
    let repeatable = match client.body {
        Body::Length(n) => n > 0 && n <= worker.settings.replay_body_bytes as u64,
        Body::None | Body::Chunked | Body::UntilClose => false,
    };
    if (admitted.needs_digest || repeatable) && held.is_none() {
        return Err(Halt::Hold(client));
    }
    let held = held.filter(|_| admitted.needs_digest);
    let mut composer = worker.composer.borrow_mut();
    let outbound =
        composer.compose(&admitted, &head, &key, held, worker.buffers.head()).map_err(refused)?;
    let signed = composer.sign(outbound, &key, now);
    Ok(Prepared {
        origin: admitted.origin,
        signed,
        key_set,
        key,
        offset_millis,
        client,
        safe_to_repeat: admitted.safe_to_repeat,
    })
}

fn choose(
    worker: &Worker,
    key_set: usize,
    with: &With,
    now: Timestamp,
    client: ClientSide,
) -> Result<Arc<Credential>, Halt> {
    let keys = worker.keys(key_set);
    if let With::This(key) = with {
        return Ok(Arc::clone(key));
    }
    let key = keys.to_sign(now).map_err(|no_key| Halt::NoKey { no_key, key_set, client })?;
    if matches!(with, With::Usual) && keys.is_nearly_over(&key, now) {
        return Err(Halt::NearlyOver { key, key_set });
    }
    Ok(key)
}

fn client_side(head: &RequestHead<'_, '_>) -> ClientSide {
    ClientSide {
        body: head.body,
        answered: Answered {
            version: head.version,
            keep_alive: head.keep_alive,
            to_head: head.method == "HEAD",
        },
        expects_continue: head.expects_continue,
    }
}

impl ClientSide {
    /// For a head that could not be read, or not to its end: the answer must suit any client, and
    /// one that says HEAD takes a body for the next answer.
    pub(super) fn unknown(head: &[u8]) -> Self {
        let to_head = head.starts_with(b"HEAD ");
        Self {
            body: Body::None,
            answered: Answered { version: Version::Http11, keep_alive: false, to_head },
            expects_continue: false,
        }
    }
}
