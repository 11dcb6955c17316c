//! What is remembered of one request for metrics and the access line, whatever its end.

use tokio::time::Instant;

use crate::{
    metrics::{Ended, Meter, Origin},
    proxy::{Method, Operation},
};

/// Counts a request from its head to its end; also when the connection's task is dropped.
pub(super) struct Record<'w> {
    meter: &'w Meter,
    started_at: Instant,
    access: Option<AccessLine>,
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) status: u16,
    pub(super) origin: Origin,
    pub(super) first_byte_at: Option<Instant>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

#[derive(Default)]
struct AccessLine {
    path: String,
    request_id: String,
}

impl<'w> Record<'w> {
    /// Starts counting; a request that ends without an answer counts as the client's going.
    pub(super) fn start(meter: &'w Meter, access_log: bool) -> Self {
        meter.request_started();
        Self {
            meter,
            started_at: Instant::now(),
            access: access_log.then(AccessLine::default),
            operation: Operation::Unknown,
            method: Method::Other,
            status: 499,
            origin: Origin::ClientGone,
            first_byte_at: None,
            request_bytes: 0,
            response_bytes: 0,
        }
    }

    /// The target for the access line; its query may carry a client's signature and stays out.
    pub(super) fn target(&mut self, target: &[u8]) {
        if let Some(line) = &mut self.access {
            let path = target.split(|b| *b == b'?').next().unwrap_or_default();
            line.path = String::from_utf8_lossy(path).into_owned();
        }
    }

    pub(super) fn answered(&mut self, status: u16, origin: Origin, request_id: Option<&[u8]>) {
        self.status = status;
        self.origin = origin;
        if let (Some(line), Some(id)) = (&mut self.access, request_id) {
            line.request_id = String::from_utf8_lossy(id).into_owned();
        }
    }

    /// The client left before the answer was complete.
    pub(super) fn client_gone(&mut self) {
        self.meter.client_gone();
        self.status = 499;
        self.origin = Origin::ClientGone;
    }

    pub(super) fn request_bytes(&mut self, n: usize) {
        self.request_bytes += n as u64;
        self.meter.request_bytes(n as u64);
    }

    pub(super) fn response_bytes(&mut self, n: usize) {
        self.response_bytes += n as u64;
        self.meter.response_bytes(n as u64);
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let duration = self.started_at.elapsed();
        let first_byte = self.first_byte_at.map(|at| at.duration_since(self.started_at));
        self.meter.request_ended(&Ended {
            operation: self.operation as usize,
            method: self.method as usize,
            status: self.status,
            origin: self.origin,
            duration,
            first_byte,
        });
        if let Some(line) = &self.access {
            tracing::info!(
                target: "cos_auth_proxy::access",
                method = self.method.name(),
                operation = self.operation.name(),
                path = %line.path,
                status = self.status,
                origin = ?self.origin,
                request_bytes = self.request_bytes,
                response_bytes = self.response_bytes,
                duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                request_id = %line.request_id,
            );
        }
    }
}
