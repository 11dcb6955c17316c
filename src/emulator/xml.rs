//! The XML that COS speaks: writing answers, reading small request bodies.

use std::fmt::Write as _;

use quick_xml::{Reader, escape::resolve_xml_entity, events::BytesRef, events::Event, name::QName};

use super::CosError;

/// An element of an answer under construction: children are written as they are added.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    name: &'static str,
    attributes: &'static str,
    inner: String,
}

impl Element {
    /// An element without children.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: "", inner: String::new() }
    }

    /// An element with attributes, written as they are: ` a="b"`, with the leading space.
    pub(crate) fn with_attributes(name: &'static str, attributes: &'static str) -> Self {
        Self { name, attributes, inner: String::new() }
    }

    /// Adds `<name>value</name>` with the value escaped.
    pub(crate) fn text(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let value = escape(value.as_ref());
        // Writing to a String cannot fail.
        let _ = writeln!(self.inner, "\t<{name}>{value}</{name}>");
        self
    }

    /// Adds `<name>value</name>` if there is a value.
    pub(crate) fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds an element with children.
    pub(crate) fn child(mut self, child: &Self) -> Self {
        let Self { name, attributes, inner } = child;
        let _ = writeln!(self.inner, "\t<{name}{attributes}>");
        for line in inner.split_inclusive('\n') {
            // A value may hold line breaks; only lines that open or close an element are indented.
            if line.starts_with("\t<") || line.starts_with("\t\t") {
                self.inner.push('\t');
            }
            self.inner.push_str(line);
        }
        let _ = writeln!(self.inner, "\t</{name}>");
        self
    }

    /// The whole document, with COS's single-quoted declaration.
    pub(crate) fn into_document(self) -> String {
        let Self { name, attributes, inner } = self;
        format!("<?xml version='1.0' encoding='utf-8' ?>\n<{name}{attributes}>\n{inner}</{name}>\n")
    }
}

/// Escapes text for an element's content. Line feeds stay; a carriage return, a tab and control
/// characters become numeric references, so that a reader gets the same key back.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            control if control < ' ' => {
                let _ = write!(escaped, "&#{};", u32::from(control));
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// An element of a request body. Namespaces and attributes are dropped: COS ignores them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    name: String,
    text: String,
    children: Vec<Self>,
}

/// Elements nested deeper than this are not of any COS body.
const DEEPEST: usize = 16;

impl Node {
    /// Parses a whole document whose root element must be `root`.
    ///
    /// # Errors
    /// 400 `MalformedXML`, also for a document type declaration: no COS body has one.
    pub(crate) fn parse(document: &[u8], root: &str) -> Result<Self, CosError> {
        let text = std::str::from_utf8(document).map_err(|_not_utf8| malformed())?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = vec![Self::default()];
        loop {
            let event = reader.read_event().map_err(|_syntax| malformed())?;
            let innermost = open.last_mut().ok_or_else(malformed)?;
            match event {
                Event::Start(tag) => {
                    if open.len() > DEEPEST {
                        return Err(malformed());
                    }
                    open.push(Self::named(tag.name()));
                }
                Event::Empty(tag) => innermost.children.push(Self::named(tag.name())),
                Event::End(_) => {
                    let closed = open.pop().ok_or_else(malformed)?;
                    open.last_mut().ok_or_else(malformed)?.children.push(closed);
                }
                Event::Text(text) => innermost.text.push_str(&text.xml10_content()),
                Event::CData(text) => innermost.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => innermost.text.push_str(&resolve(&reference)?),
                Event::DocType(_) => return Err(malformed()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        let document = open.pop().filter(|_| open.is_empty()).ok_or_else(malformed)?;
        let mut roots = document.children.into_iter();
        match (roots.next(), roots.next()) {
            (Some(node), None) if node.name == root => Ok(node),
            _ => Err(malformed()),
        }
    }

    fn named(name: QName<'_>) -> Self {
        let name = name.0.rsplit(':').next().unwrap_or_default();
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that name, in order.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name.
    ///
    /// # Errors
    /// 400 `MalformedXML` if there is none.
    pub(crate) fn text_of(&self, name: &str) -> Result<&str, CosError> {
        self.child(name).map(|child| child.text.as_str()).ok_or_else(malformed)
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, CosError> {
    match reference.resolve_char_ref().map_err(|_bad| malformed())? {
        Some(character) => Ok(character.to_string()),
        None => resolve_xml_entity(reference).map(str::to_owned).ok_or_else(malformed),
    }
}

fn malformed() -> CosError {
    CosError::new(
        400,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_body_is_read_with_entities_spaces_and_prefixes() {
        let document = b"<?xml version='1.0'?>\n<ns:Delete xmlns:ns='urn:x'>\n <Quiet>true</Quiet>\
            <Object><Key> a&amp;b&#30446;&lt;<![CDATA[<c>]]></Key></Object><Object/></ns:Delete>";
        let delete = Node::parse(document, "Delete").unwrap();
        assert_eq!(delete.text_of("Quiet").unwrap(), "true");
        let objects: Vec<_> = delete.children("Object").collect();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0].text_of("Key").unwrap(), " a&b目<<c>");
        assert!(objects[1].text_of("Key").is_err());
    }

    #[test]
    fn what_is_not_one_well_formed_document_of_the_right_kind_is_refused() {
        for bad in [
            "",
            "<Delete>",
            "<Delete></Object>",
            "<Other/>",
            "<Delete/><Delete/>",
            "<!DOCTYPE x [<!ENTITY e 'v'>]><Delete>&e;</Delete>",
            "<Delete>&nosuch;</Delete>",
            "</Delete>",
        ] {
            assert_eq!(
                Node::parse(bad.as_bytes(), "Delete").unwrap_err().code,
                "MalformedXML",
                "{bad}"
            );
        }
        let deep = format!("<Delete>{}{}</Delete>", "<a>".repeat(40), "</a>".repeat(40));
        assert!(Node::parse(deep.as_bytes(), "Delete").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let key = "a&b<c>\"d\"\r\u{1}e\tf\ng";
        let inner = Element::new("Contents").text("Key", key);
        let document = Element::new("ListBucketResult").child(&inner).into_document();
        let list =
            Node::parse(document.replace("&#1;", "?").as_bytes(), "ListBucketResult").unwrap();
        assert_eq!(
            list.child("Contents").unwrap().text_of("Key").unwrap(),
            key.replace('\u{1}', "?")
        );
    }
}
