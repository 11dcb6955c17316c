//! Ways that few requests go, kept apart from the one that most go.

use std::pin::Pin;

/// Takes room for `way` only now. It is then neither part of the room of every request, nor does
/// its code stand between the lines that run for each.
#[cold]
#[inline(never)]
pub(super) fn rarely<'f, T>(
    way: impl Future<Output = T> + 'f,
) -> Pin<Box<dyn Future<Output = T> + 'f>> {
    Box::pin(way)
}
