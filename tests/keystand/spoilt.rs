//! What can be in the place of a file that a source reads.

use std::{fs, io, path::Path};

/// What is there instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoilt {
    Nothing,
    /// A link to itself, which nobody can open, whoever he is.
    LinkToItself,
    Folder,
    /// This text.
    Text(&'static str),
    /// So many bytes.
    Large(usize),
    /// Bytes that are no UTF-8.
    Binary,
}

impl Spoilt {
    /// Puts it in the place of `file`, whatever is there.
    pub(crate) fn put(self, file: &Path) {
        remove(file);
        match self {
            Self::Nothing => {}
            Self::LinkToItself => std::os::unix::fs::symlink(file, file).unwrap(),
            Self::Folder => fs::create_dir(file).unwrap(),
            Self::Text(text) => fs::write(file, text).unwrap(),
            Self::Large(bytes) => fs::write(file, vec![b'x'; bytes]).unwrap(),
            Self::Binary => fs::write(file, [0xff, 0xfe, 0x00]).unwrap(),
        }
    }
}

/// Puts `text` into `file` at once, whatever was there.
pub(crate) fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    if file.is_dir() {
        fs::remove_dir(file).unwrap();
    }
    fs::rename(new, file).unwrap();
}

fn remove(file: &Path) {
    let removed = match fs::symlink_metadata(file) {
        Ok(about) if about.is_dir() => fs::remove_dir(file),
        Ok(_) => fs::remove_file(file),
        Err(_gone) => Ok(()),
    };
    let (Ok(()) | Err(io::Error { .. })) = removed;
}
