//! Answers of the proxy's own to requests that are not carried out.

use crate::{
    metrics::Origin as Speaker,
    proxy::{self, Refused},
};

use super::{
    buffers::Buffer,
    exchange::After,
    pace::Pace,
    prepare::ClientSide,
    record::Record,
    stream::{Outgoing, Stream, write_out},
    worker::Worker,
};

/// Writes an answer of our own.
pub(super) async fn refuse(
    worker: &Worker,
    client: &mut Stream,
    record: &mut Record<'_>,
    refused: &Refused,
    side: ClientSide,
    resource: &[u8],
) -> After {
    worker.meter.refused(refused.reason as usize);
    record.answered(refused.reason.status(), Speaker::Proxy, None);
    log_refusal(record, refused);
    let mut head = worker.buffers.head();
    proxy::own_answer(refused, side.answered, resource, worker.clock.now(), &mut head);
    let outgoing = Outgoing::new(&head, b"");
    let written = write_out(outgoing, client, &mut Pace::of(&worker.settings)).await;
    worker.buffers.give_head(head);
    match written {
        Ok(()) if side.answered.keep_alive => After::Keep(Buffer::default()),
        Ok(()) => After::Close,
        Err(_) => After::Drop,
    }
}

fn log_refusal(record: &Record<'_>, refused: &Refused) {
    let (reason, operation) = (refused.reason.name(), record.operation.name());
    let message = &refused.message;
    if refused.reason.status() >= 500 {
        tracing::warn!(reason, operation, %message, "answered a request without COS");
    } else {
        tracing::debug!(reason, operation, %message, "refused a request");
    }
}

/// The target in a head that may be malformed, for the error's `Resource`.
pub(super) fn target_of(head: &[u8]) -> &[u8] {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let target = line.split(|b| *b == b' ').nth(1).unwrap_or_default();
    target.split(|b| *b == b'?').next().unwrap_or_default()
}
