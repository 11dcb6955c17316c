//! The XML that COS speaks: writing answers, reading small request bodies.

use std::fmt::Write as _;

/// An element of an answer under construction: children are written as they are added.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    name: &'static str,
    inner: String,
}

impl Element {
    /// An element without children.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, inner: String::new() }
    }

    /// Adds `<name>value</name>` with the value escaped.
    pub(crate) fn text(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let value = escape(value.as_ref());
        // Writing to a String cannot fail.
        let _ = writeln!(self.inner, "\t<{name}>{value}</{name}>");
        self
    }

    /// Adds an element with children.
    pub(crate) fn child(mut self, child: &Self) -> Self {
        let name = child.name;
        let _ = writeln!(self.inner, "\t<{name}>");
        for line in child.inner.split_inclusive('\n') {
            // A value may hold line breaks; only lines that open or close an element are indented.
            if line.starts_with('\t') {
                self.inner.push('\t');
            }
            self.inner.push_str(line);
        }
        let _ = writeln!(self.inner, "\t</{name}>");
        self
    }

    /// The whole document, with COS's single-quoted declaration.
    pub(crate) fn into_document(self) -> String {
        let Self { name, inner } = self;
        format!("<?xml version='1.0' encoding='utf-8' ?>\n<{name}>\n{inner}</{name}>\n")
    }
}

/// Escapes text for an element's content. Control characters that XML 1.0 cannot carry become
/// numeric references, as COS does for keys that hold them; line feeds and tabs stay.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            control if control < ' ' => {
                let _ = write!(escaped, "&#{};", u32::from(control));
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}
