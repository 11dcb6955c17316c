//! A token that the platform keeps in a file and rewrites: read for each call.

use std::path::Path;

use tokio::{fs::File, io::AsyncReadExt};
use zeroize::Zeroizing;

use crate::{credential::error::SourceError, secret::SessionToken};

/// Far more than any token; a path to something else must not fill the memory.
const LONGEST: usize = 64 * 1024;

/// The token in the file as it is now, without white space around it.
pub(super) async fn read(path: &Path) -> Result<SessionToken, SourceError> {
    let refused = |fault: String| SourceError::File { path: path.display().to_string(), fault };
    let broken = |fault: std::io::Error| refused(fault.to_string());
    let file = File::open(path).await.map_err(broken)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).await.map_err(broken)?;
    if bytes.len() > LONGEST {
        return Err(refused("it is larger than 64 KiB".to_owned()));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_no_text| refused("the token is not text".to_owned()))?;
    SessionToken::new(text).map_err(|fault| refused(format!("the token {fault}")))
}
