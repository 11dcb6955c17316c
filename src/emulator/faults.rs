//! What goes wrong on purpose: the faults a test sets, handed out one request at a time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Which of the emulator's servers a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The object store.
    Cos,
    /// The STS API.
    Sts,
    /// The home-made key server and the instance metadata.
    KeyServer,
}

impl Service {
    const COUNT: usize = 3;

    /// A short lower-case name, for logs and screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cos => "cos",
            Self::Sts => "sts",
            Self::KeyServer => "key-server",
        }
    }
}

/// One thing that goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is handled as usual, after this wait.
    Slow(Duration),
    /// The connection is reset (RST) before any byte of the answer.
    Reset,
    /// The connection is closed (FIN) before any byte of the answer.
    Close,
    /// This HTTP status, with the service's usual body for it.
    Status(u16),
    /// HTTP 200 with an HTML page, as captive portals answer.
    Html200,
    /// The service's rate limit: COS 503 `SlowDown`, STS `RequestLimitExceeded`, key server 429.
    Throttle,
    /// The service's own error form with this code.
    ErrorCode(&'static str),
    /// The usual answer and its full declared length, but the connection ends after this many
    /// bytes of the body.
    TruncateBody(u64),
    /// An answer larger than anybody should read: 8 MiB where a few hundred bytes are usual.
    Oversized,
    /// The usual answer, its body sent one byte at a time with this wait before each.
    DripBody(Duration),
    /// The usual answer without one field that it must have.
    WrongFields,
    /// The usual key, said to end at this instant (whole seconds since the epoch).
    ExpiresAt(u64),
}

/// The faults that wait for requests. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<[Plan; Service::COUNT]>>);

#[derive(Debug, Default)]
struct Plan {
    /// Faults for so many next requests, first in, first out.
    next: VecDeque<(u32, Fault)>,
    /// The fault of every request once `next` is empty.
    standing: Option<Fault>,
    given: u64,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `requests` requests to `service` get `fault`, after what was queued before.
    pub fn for_next(&self, service: Service, requests: u32, fault: Fault) {
        if requests > 0 {
            self.with(service, |plan| plan.next.push_back((requests, fault)));
        }
    }

    /// Every request to `service` gets `fault` until [`Faults::clear`], once the queued ones have
    /// been given.
    pub fn until_cleared(&self, service: Service, fault: Fault) {
        self.with(service, |plan| plan.standing = Some(fault));
    }

    /// Nothing goes wrong with `service` any more.
    pub fn clear(&self, service: Service) {
        self.with(service, |plan| {
            plan.next.clear();
            plan.standing = None;
        });
    }

    /// The fault of the request that just came to `service`. Call it once per request.
    #[must_use]
    pub fn next(&self, service: Service) -> Option<Fault> {
        self.with(service, |plan| {
            let fault = match plan.next.front_mut() {
                Some((left, fault)) => {
                    let fault = *fault;
                    *left -= 1;
                    if *left == 0 {
                        plan.next.pop_front();
                    }
                    Some(fault)
                }
                None => plan.standing,
            };
            plan.given += u64::from(fault.is_some());
            fault
        })
    }

    /// How many faults `service` has been given so far.
    #[must_use]
    pub fn given(&self, service: Service) -> u64 {
        self.with(service, |plan| plan.given)
    }

    fn with<T>(&self, service: Service, act: impl FnOnce(&mut Plan) -> T) -> T {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [cos, sts, key_server] = &mut *plans;
        act(match service {
            Service::Cos => cos,
            Service::Sts => sts,
            Service::KeyServer => key_server,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_faults_come_in_order_then_the_standing_one_until_cleared() {
        let faults = Faults::new();
        faults.until_cleared(Service::Sts, Fault::Throttle);
        faults.for_next(Service::Sts, 2, Fault::Reset);
        faults.for_next(Service::Sts, 1, Fault::Status(500));
        faults.for_next(Service::Sts, 0, Fault::Html200);
        let given: Vec<_> = (0..5).map(|_| faults.clone().next(Service::Sts)).collect();
        assert_eq!(
            given,
            [Fault::Reset, Fault::Reset, Fault::Status(500), Fault::Throttle, Fault::Throttle]
                .map(Some)
        );
        assert_eq!(faults.next(Service::Cos), None, "services do not share faults");
        faults.clear(Service::Sts);
        assert_eq!(faults.next(Service::Sts), None);
        assert_eq!(faults.given(Service::Sts), 5);
    }
}
