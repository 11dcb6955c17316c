//! Lists: objects, versions, uploads, parts, buckets.
//!
//! Shapes, of the Go SDK: `BucketGetResult`, `BucketGetObjectVersionsResult`,
//! `ListMultipartUploadsResult`, `ObjectListPartsResult`, `ServiceGetResult`; element order as in its
//! tests. `Encoding-Type`, `Encoding-type` and `CommonPrefixs` are spelt as COS spells them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{
    CosError,
    acl::owner,
    answer::Answer,
    cos::{Exchange, OWNER},
    encoding::encode_key,
    errors::invalid_argument,
    object::quoted,
    store::{Object, hex},
    xml::Element,
};
use crate::clock::Timestamp;

/// Most entries of one answer.
const PAGE: u64 = 1000;

/// What a list is asked for.
struct Selection<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    marker: &'a str,
    limit: usize,
    encode: bool,
}

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
struct Page<'a, T> {
    entries: Vec<(&'a str, &'a T)>,
    common_prefixes: Vec<&'a str>,
    /// Where the next page starts, if there is one.
    next_marker: Option<&'a str>,
}

impl<'a> Selection<'a> {
    fn of(exchange: &'a Exchange<'_>, marker: &str, limit: &str) -> Result<Self, CosError> {
        let query = exchange.query;
        let encode = match query.filled("encoding-type") {
            None => false,
            Some("url") => true,
            Some(_) => return Err(invalid_argument("encoding-type must be url")),
        };
        let limit = query.number(limit, PAGE)?.min(PAGE);
        Ok(Self {
            prefix: query.get("prefix").unwrap_or_default(),
            delimiter: query.get("delimiter").unwrap_or_default(),
            marker: query.get(marker).unwrap_or_default(),
            limit: usize::try_from(limit).unwrap_or(1000),
            encode,
        })
    }

    fn written(&self, text: &str) -> String {
        if self.encode { encode_key(text) } else { text.to_owned() }
    }

    fn page<'t, T>(&self, all: &'t BTreeMap<String, T>) -> Page<'t, T> {
        let start = if self.marker < self.prefix {
            Bound::Included(self.prefix)
        } else {
            Bound::Excluded(self.marker)
        };
        let mut page = Page { entries: Vec::new(), common_prefixes: Vec::new(), next_marker: None };
        let mut last = None;
        let matching = all
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(self.prefix));
        for (key, entry) in matching {
            let group = self.group(key);
            if group.is_some_and(|group| Some(group) == last || group == self.marker) {
                continue;
            }
            if page.entries.len() + page.common_prefixes.len() == self.limit {
                page.next_marker = last;
                return page;
            }
            match group {
                Some(group) => page.common_prefixes.push(group),
                None => page.entries.push((key, entry)),
            }
            last = Some(group.unwrap_or(key));
        }
        page
    }

    /// The common prefix a key falls into, delimiter included.
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = key.strip_prefix(self.prefix)?;
        let at = rest.find(self.delimiter)?;
        key.get(..self.prefix.len() + at + self.delimiter.len())
    }
}

/// `GET /`: version 1 of the list, the only one that native requests are documented to have.
pub(crate) fn objects(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let selection = Selection::of(exchange, "marker", "max-keys")?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        let page = selection.page(&bucket.objects);
        let mut list = Element::new("ListBucketResult")
            .text("Name", exchange.bucket)
            .optional("EncodingType", selection.encode.then_some("url"))
            .text("Prefix", selection.written(selection.prefix))
            .text("Marker", selection.written(selection.marker))
            .text("MaxKeys", selection.limit.to_string())
            .optional("Delimiter", Some(selection.delimiter).filter(|text| !text.is_empty()))
            .text("IsTruncated", page.next_marker.is_some().to_string());
        if let Some(next) = page.next_marker {
            list = list.text("NextMarker", selection.written(next));
        }
        for (key, object) in page.entries {
            let entry = Element::new("Contents").text("Key", selection.written(key));
            list = list.child(&described(entry, object).child(&owner()));
        }
        for prefix in page.common_prefixes {
            let prefix = selection.written(prefix);
            list = list.child(&Element::new("CommonPrefixes").text("Prefix", prefix));
        }
        Ok(Answer::xml(200, list.into_document()))
    })
}

/// `GET /?versions`: a bucket without versioning, so each object is its own only version.
pub(crate) fn versions(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let selection = Selection::of(exchange, "key-marker", "max-keys")?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        let page = selection.page(&bucket.objects);
        let mut list = Element::new("ListVersionsResult")
            .text("Name", exchange.bucket)
            .optional("EncodingType", selection.encode.then_some("url"))
            .text("Prefix", selection.written(selection.prefix))
            .text("KeyMarker", selection.written(selection.marker))
            .text("VersionIdMarker", "")
            .text("MaxKeys", selection.limit.to_string())
            .text("IsTruncated", page.next_marker.is_some().to_string());
        if let Some(next) = page.next_marker {
            list = list.text("NextKeyMarker", selection.written(next));
        }
        for (key, object) in page.entries {
            let entry = Element::new("Version")
                .text("Key", selection.written(key))
                .text("VersionId", "null")
                .text("IsLatest", "true");
            list = list.child(&described(entry, object).child(&owner()));
        }
        for prefix in page.common_prefixes {
            let prefix = selection.written(prefix);
            list = list.child(&Element::new("CommonPrefixes").text("Prefix", prefix));
        }
        Ok(Answer::xml(200, list.into_document()))
    })
}

fn described(entry: Element, object: &Object) -> Element {
    let class = object.metadata.iter().find(|(name, _)| name == "x-cos-storage-class");
    let class = class.map_or("STANDARD".into(), |(_, class)| String::from_utf8_lossy(class));
    entry
        .text("LastModified", iso_date(object.modified_at))
        .text("ETag", quoted(&object.etag))
        .text("Size", object.content.size.to_string())
        .text("StorageClass", class)
}

/// `GET /?uploads`. One key may have several uploads; they are told in the order of their ids.
pub(crate) fn uploads(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    let selection = Selection::of(exchange, "key-marker", "max-uploads")?;
    let id_marker = exchange.query.get("upload-id-marker").unwrap_or_default();
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        let mut shown = Vec::new();
        let mut prefixes: Vec<&str> = Vec::new();
        let mut next = None;
        for ((key, id), upload) in &bucket.uploads {
            let key = key.as_str();
            let seen = key < selection.marker
                || (key == selection.marker && (id_marker.is_empty() || id.as_str() <= id_marker));
            if !key.starts_with(selection.prefix) || (!selection.marker.is_empty() && seen) {
                continue;
            }
            let group = selection.group(key);
            if group.is_some_and(|group| prefixes.contains(&group) || group == selection.marker) {
                continue;
            }
            if shown.len() + prefixes.len() == selection.limit {
                next = shown.last().map(|(key, id, _)| (*key, *id));
                break;
            }
            match group {
                Some(group) => prefixes.push(group),
                None => shown.push((key, id.as_str(), upload)),
            }
        }
        let mut list = Element::new("ListMultipartUploadsResult")
            .text("Bucket", exchange.bucket)
            .text("Encoding-Type", if selection.encode { "url" } else { "" })
            .text("KeyMarker", selection.written(selection.marker))
            .text("UploadIdMarker", id_marker)
            .text("MaxUploads", selection.limit.to_string())
            .text("Prefix", selection.written(selection.prefix))
            .text("Delimiter", selection.delimiter)
            .text("IsTruncated", next.is_some().to_string());
        if let Some((key, id)) = next {
            list =
                list.text("NextKeyMarker", selection.written(key)).text("NextUploadIdMarker", id);
        }
        for prefix in prefixes {
            let prefix = selection.written(prefix);
            list = list.child(&Element::new("CommonPrefixs").text("Prefix", prefix));
        }
        for (key, id, upload) in shown {
            let entry = Element::new("Upload")
                .text("Key", selection.written(key))
                .text("UploadId", id)
                .child(&initiator(&upload.initiator))
                .child(&owner())
                .text("StorageClass", "STANDARD")
                .text("Initiated", iso_date(upload.initiated_at));
            list = list.child(&entry);
        }
        Ok(Answer::xml(200, list.into_document()))
    })
}

/// `GET /key?uploadId`.
pub(crate) fn parts(exchange: &Exchange<'_>, id: &str) -> Result<Answer, CosError> {
    let marker = exchange.query.number("part-number-marker", 0)?;
    let limit = exchange.query.number("max-parts", PAGE)?.min(PAGE);
    exchange.with_upload(id, |upload| {
        let mut rest = upload.parts.range(marker + 1..).peekable();
        let mut list = Element::new("ListPartsResult")
            .text("Bucket", exchange.bucket)
            .text("Encoding-type", "")
            .text("Key", exchange.key)
            .text("UploadId", id)
            .child(&owner())
            .text("PartNumberMarker", marker.to_string())
            .child(&initiator(&upload.initiator));
        let mut last = marker;
        for (number, part) in rest.by_ref().take(usize::try_from(limit).unwrap_or(1000)) {
            last = *number;
            list = list.child(
                &Element::new("Part")
                    .text("PartNumber", number.to_string())
                    .text("LastModified", iso_date(part.modified_at))
                    .text("ETag", quoted(&hex(&part.md5)))
                    .text("Size", part.content.size.to_string()),
            );
        }
        let truncated = rest.peek().is_some();
        if truncated {
            list = list.text("NextPartNumberMarker", last.to_string());
        }
        let document = list
            .text("StorageClass", "STANDARD")
            .text("MaxParts", limit.to_string())
            .text("IsTruncated", truncated.to_string())
            .into_document();
        Ok(Answer::xml(200, document))
    })
}

/// `GET /` of the service host: the buckets, of one region if the host names one.
pub(crate) fn buckets(exchange: &Exchange<'_>, region: Option<&str>) -> Answer {
    let list = exchange.store().with_buckets(|buckets| {
        let wanted = buckets
            .iter()
            .filter(|(_, bucket)| region.is_none_or(|region| bucket.region == region));
        wanted.fold(Element::new("Buckets"), |list, (name, bucket)| {
            let created_at = humantime::format_rfc3339_seconds(bucket.created_at.to_system_time());
            list.child(
                &Element::new("Bucket")
                    .text("Name", name)
                    .text("Location", &bucket.region)
                    .text("CreationDate", created_at.to_string()),
            )
        })
    });
    let result = Element::new("ListAllMyBucketsResult").child(&owner()).child(&list);
    Answer::xml(200, result.into_document())
}

fn initiator(uin: &str) -> Element {
    let id =
        if uin.is_empty() { OWNER.to_owned() } else { format!("qcs::cam::uin/{uin}:uin/{uin}") };
    Element::new("Initiator").text("ID", id).text("DisplayName", uin)
}

/// `2019-08-16T10:45:53.000Z`.
pub(crate) fn iso_date(at: Timestamp) -> String {
    humantime::format_rfc3339_millis(at.to_system_time()).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn walk(
        all: &BTreeMap<String, u8>,
        prefix: &str,
        delimiter: &str,
        limit: usize,
    ) -> Vec<String> {
        let mut marker = String::new();
        let mut found = Vec::new();
        loop {
            let selection = Selection { prefix, delimiter, marker: &marker, limit, encode: false };
            let page = selection.page(all);
            assert!(page.entries.len() + page.common_prefixes.len() <= limit);
            found.extend(page.entries.iter().map(|(key, _)| (*key).to_owned()));
            found.extend(page.common_prefixes.iter().map(|prefix| (*prefix).to_owned()));
            let Some(next) = page.next_marker else { return found };
            assert!(next > marker.as_str(), "{next:?} is not behind {marker:?}");
            marker = next.to_owned();
        }
    }

    proptest! {
        #[test]
        fn paging_finds_every_entry_and_group_once_whatever_the_page_size(
            keys in prop::collection::btree_set("[a/]{1,6}", 0..40),
            prefix in "[a/]{0,2}",
            delimiter in prop::sample::select(vec!["", "/", "a/"]),
            limit in 1_usize..7,
        ) {
            let all: BTreeMap<String, u8> = keys.iter().cloned().map(|key| (key, 0)).collect();
            let mut expected = BTreeSet::new();
            for key in keys.iter().filter(|key| key.starts_with(&prefix)) {
                let rest = key.strip_prefix(&prefix).unwrap();
                let cut = (!delimiter.is_empty()).then(|| rest.find(delimiter)).flatten();
                expected.insert(cut.map_or(key.clone(), |at| {
                    key.get(..prefix.len() + at + delimiter.len()).unwrap().to_owned()
                }));
            }
            let mut found = walk(&all, &prefix, delimiter, limit);
            found.sort();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
