//! The keys in the body of a multi-delete.
//!
//! Read so strictly that no server can read it otherwise: only the documented elements (Tencent
//! Cloud document 436/8289), no comments, sections, instructions, prefixes or other encodings.

use quick_xml::{
    Reader,
    escape::resolve_xml_entity,
    events::{BytesRef, BytesStart, Event},
};

use super::{Refused, route_denied};

/// The keys, in order.
///
/// # Errors
/// 403 for anything but a plain list of keys.
pub(super) fn read(body: &[u8]) -> Result<Vec<String>, Refused> {
    keys(body).filter(|keys| !keys.is_empty()).ok_or_else(route_denied::unreadable)
}

/// Where the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Delete,
    Object,
    Key,
    /// `Quiet` or `VersionId`: text that names no key.
    Other(&'static str),
    After,
}

fn keys(body: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text);
    let mut place = Place::Before;
    let mut keys = Vec::new();
    // The object's key, once it was read.
    let mut key: Option<String> = None;
    loop {
        place = match (reader.read_event().ok()?, place) {
            (Event::Decl(decl), Place::Before) => {
                let encoding = decl.encoding().transpose().ok()?;
                if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                    return None;
                }
                place
            }
            (Event::Start(tag), _) => open(&tag, place, key.is_some())?,
            (Event::End(tag), _) => {
                let name = tag.name();
                match (place, name.0) {
                    (Place::Delete, "Delete") => Place::After,
                    (Place::Object, "Object") => {
                        keys.push(key.take()?);
                        Place::Delete
                    }
                    (Place::Key, "Key") => {
                        key.get_or_insert_default();
                        Place::Object
                    }
                    (Place::Other("Quiet"), "Quiet") => Place::Delete,
                    (Place::Other("VersionId"), "VersionId") => Place::Object,
                    _ => return None,
                }
            }
            (Event::Text(text), Place::Key) => {
                key.get_or_insert_default().push_str(&text.xml10_content());
                place
            }
            (Event::GeneralRef(reference), Place::Key) => {
                key.get_or_insert_default().push_str(&resolve(&reference)?);
                place
            }
            (Event::Text(_), Place::Other(_)) => place,
            (Event::Text(text), _) if text.xml10_content().trim().is_empty() => place,
            (Event::Eof, Place::After) => return Some(keys),
            _ => return None,
        };
    }
}

fn open(tag: &BytesStart<'_>, place: Place, has_key: bool) -> Option<Place> {
    let name = tag.name();
    // Of attributes only the namespace that S3 clients write.
    let plain = tag.attributes().all(|a| a.is_ok_and(|a| name.0 == "Delete" && a.key.0 == "xmlns"));
    match (place, name.0) {
        _ if !plain => None,
        (Place::Before, "Delete") => Some(Place::Delete),
        (Place::Delete, "Object") => Some(Place::Object),
        (Place::Delete, "Quiet") => Some(Place::Other("Quiet")),
        (Place::Object, "Key") if !has_key => Some(Place::Key),
        (Place::Object, "VersionId") => Some(Place::Other("VersionId")),
        _ => None,
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref().ok()? {
        Some(character) => Some(character.to_string()),
        None => resolve_xml_entity(reference).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for (body, expected) in [
            ("<Delete><Object><Key>a</Key></Object></Delete>", vec!["a"]),
            (
                "<?xml version='1.0' encoding='UTF-8'?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n\
                 <Quiet>true</Quiet>\n<Object>\n<Key> a&amp;b&#30446;&lt; </Key><VersionId>1</VersionId></Object>\
                 <Object><VersionId>2</VersionId><Key>目录/c</Key></Object></Delete>\n",
                vec![" a&b目< ", "目录/c"],
            ),
        ] {
            assert_eq!(keys(body.as_bytes()).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn what_could_be_read_otherwise_is_refused() {
        for body in [
            "",
            "<Delete/>",
            "<Delete></Delete>",
            "<Delete><Object/></Delete>",
            "<Delete><Object></Object></Delete>",
            "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
            "<Delete><Object><Key>a<!-- x -->b</Key></Object></Delete>",
            "<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>",
            "<Delete><Object><Key>a<Key>b</Key></Key></Object></Delete>",
            "<Delete><Object><Key a='b'>a</Key></Object></Delete>",
            "<s:Delete xmlns:s='x'><s:Object><s:Key>a</s:Key></s:Object></s:Delete>",
            "<!DOCTYPE d [<!ENTITY e 'v'>]><Delete><Object><Key>&e;</Key></Object></Delete>",
            "<Delete><Object><Key>&nosuch;</Key></Object></Delete>",
            "<?xml version='1.0' encoding='GBK'?><Delete><Object><Key>a</Key></Object></Delete>",
            "<Delete><?x y?><Object><Key>a</Key></Object></Delete>",
            "<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
            "<Delete><Object><Key>a</Key></Object>",
            "<Delete><Object><key>a</key></Object></Delete>",
            "<Delete>x<Object><Key>a</Key></Object></Delete>",
            "<Delete><Other><Object><Key>a</Key></Object></Other></Delete>",
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(read(b"<Delete><Object><Key>\xff</Key></Object></Delete>").is_err());
    }
}
