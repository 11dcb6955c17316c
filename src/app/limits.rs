//! What the operating system lets this process do: open files, and leave no memory behind.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides two for each client connection: listeners, logs, pools at rest.
const OWN_FILES: u64 = 256;

/// Raises the soft limit of open files to the hard one, says so when it cannot hold `connections`
/// clients, and switches core files off: they would hold the keys.
pub(super) fn prepare(connections: usize) {
    let core = getrlimit(Resource::Core);
    // Lowering one's own limit cannot fail.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: core.maximum });
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    let wanted = 2 * connections as u64 + OWN_FILES;
    if let Some(granted) = getrlimit(Resource::Nofile).current
        && granted < wanted
    {
        tracing::warn!(
            open_files = granted,
            wanted,
            "limits.connections may not be reached: raise the limit of open files (ulimit -Hn, LimitNOFILE=) or lower limits.connections"
        );
    }
}
