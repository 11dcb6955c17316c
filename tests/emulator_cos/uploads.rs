//! Multipart uploads, copies, appends, and what is done to many or to the side of objects.

use crate::{
    client::{BUCKET, HOST, Stand},
    crc64, md5_base64, md5_hex,
};

async fn upload_id(stand: &Stand, key: &str, headers: &[(&str, &str)]) -> String {
    let begun = stand.send(&format!("POST /{key}?uploads"), headers, b"").await.ok();
    assert_eq!((begun.one("Bucket"), begun.one("Key")), (BUCKET, key));
    begun.one("UploadId").to_owned()
}

fn completion(parts: &[(u32, &str)]) -> Vec<u8> {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            let etag = etag.replace('"', "&quot;");
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes()
}

#[tokio::test]
async fn parts_become_one_object_with_the_right_hashes() {
    let stand = Stand::open().await;
    let id =
        upload_id(&stand, "big", &[("x-cos-meta-a", "b"), ("Content-Type", "video/mp4")]).await;
    let contents: Vec<Vec<u8>> = (1..=3).map(|part| vec![part; 70_000 * part as usize]).collect();
    let mut etags = Vec::new();
    // Out of order, and one part twice: the last one counts.
    for number in [3, 1, 2, 1] {
        let target = format!("/big?partNumber={number}&uploadId={id}");
        let put = stand.put(&target, &contents[number - 1]).await.ok();
        assert_eq!(put.header("x-cos-hash-crc64ecma"), Some(crc64(&contents[number - 1]).as_str()));
        etags.push((number, put.header("etag").unwrap().to_owned()));
    }
    stand.get("/big").await.refused(404, "NoSuchKey");
    let uploads = stand.get("/?uploads&prefix=b").await.ok();
    assert_eq!((uploads.one("Key"), uploads.one("UploadId")), ("big", id.as_str()));
    let parts = stand.get(&format!("/big?uploadId={id}&max-parts=2")).await.ok();
    assert_eq!(parts.all("PartNumber"), ["1", "2"]);
    assert_eq!(parts.all("Size"), ["70000", "140000"]);
    assert_eq!((parts.one("IsTruncated"), parts.one("NextPartNumberMarker")), ("true", "2"));
    let rest = stand.get(&format!("/big?uploadId={id}&part-number-marker=2")).await.ok();
    assert_eq!((rest.one("PartNumber"), rest.one("IsTruncated")), ("3", "false"));

    etags.sort();
    etags.dedup();
    let quoted: Vec<(u32, &str)> =
        etags.iter().map(|(number, etag)| (*number as u32, etag.as_str())).collect();
    let target = format!("POST /big?uploadId={id}");
    let done = stand.send(&target, &[], &completion(&quoted)).await.ok();
    let whole = contents.concat();
    let hashes: Vec<u8> = contents.iter().flat_map(|part| md5(part)).collect();
    let etag = format!("{}-3", md5_hex(&hashes));
    assert_eq!(done.one("ETag"), format!("&quot;{etag}&quot;"));
    assert_eq!(done.one("Location"), format!("{HOST}/big"));
    let got = stand.get("/big").await.ok();
    assert!(got.body == whole);
    assert_eq!(got.header("etag"), Some(format!("\"{etag}\"").as_str()));
    assert_eq!(got.header("x-cos-hash-crc64ecma"), Some(crc64(&whole).as_str()));
    assert_eq!(got.header("x-cos-meta-a"), Some("b"));
    assert_eq!(got.header("content-type"), Some("video/mp4"));
    let across = stand.send("GET /big", &[("Range", "bytes=69999-210000")], b"").await.ok();
    assert!(across.body == whole[69_999..=210_000]);
    stand.send(&target, &[], &completion(&quoted)).await.refused(404, "NoSuchUpload");
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(bytes).into()
}

#[tokio::test]
async fn a_completion_that_does_not_fit_the_parts_is_refused_and_can_be_repeated() {
    let stand = Stand::open().await;
    let id = upload_id(&stand, "k", &[]).await;
    let (one, two) = (md5_hex(b"one"), md5_hex(b"two"));
    stand.put(&format!("/k?partNumber=1&uploadId={id}"), b"one").await.ok();
    stand.put(&format!("/k?partNumber=2&uploadId={id}"), b"two").await.ok();
    let target = format!("POST /k?uploadId={id}");
    for (parts, code) in [
        (completion(&[(1, &two)]), "InvalidPart"),
        (completion(&[(1, &one), (3, &two)]), "InvalidPart"),
        (completion(&[(2, &two), (1, &one)]), "InvalidPartOrder"),
        (completion(&[(1, &one), (1, &one)]), "InvalidPartOrder"),
        (completion(&[]), "MalformedXML"),
        (b"<CompleteMultipartUpload>".to_vec(), "MalformedXML"),
        (Vec::new(), "MalformedXML"),
    ] {
        stand.send(&target, &[], &parts).await.refused(400, code);
    }
    for number in ["0", "10001", "x", ""] {
        let part = format!("/k?partNumber={number}&uploadId={id}");
        stand.put(&part, b"x").await.refused(400, "InvalidArgument");
    }
    stand.put("/k?partNumber=1&uploadId=none", b"x").await.refused(404, "NoSuchUpload");
    // Parts that are not named are left out.
    stand.send(&target, &[], &completion(&[(2, &two)])).await.ok();
    assert_eq!(stand.get("/k").await.ok().body, b"two");

    let id = upload_id(&stand, "gone", &[]).await;
    let target = format!("DELETE /gone?uploadId={id}");
    assert_eq!(stand.send(&target, &[], b"").await.status, 204);
    stand.send(&target, &[], b"").await.refused(404, "NoSuchUpload");
    assert_eq!(stand.get("/?uploads").await.ok().all("Upload").len(), 0);
}

#[tokio::test]
async fn a_copy_takes_bytes_and_metadata_or_new_metadata() {
    let stand = Stand::open().await;
    let headers = [("x-cos-meta-a", "old"), ("x-cos-tagging", "t=1"), ("Content-Type", "text/x")];
    let etag = stand.send("PUT /目/a%2Bb", &headers, b"0123456789").await.ok();
    let etag = etag.header("etag").unwrap().to_owned();
    let source = format!("{HOST}/%E7%9B%AE/a%2Bb");
    let from = |extra: &[(&'static str, &'static str)]| {
        let mut headers = vec![("x-cos-copy-source".to_owned(), source.clone())];
        headers.extend(extra.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        headers
    };
    let copy = async |key: &str, extra: &[(&'static str, &'static str)]| {
        let headers = from(extra);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        stand.send(&format!("PUT /{key}"), &headers, b"").await
    };
    let done = copy("kept", &[("x-cos-meta-a", "ignored")]).await.ok();
    assert_eq!(done.one("ETag"), etag.replace('"', "&quot;"));
    assert_eq!(done.one("CRC64"), crc64(b"0123456789"));
    let kept = stand.get("/kept").await.ok();
    assert_eq!(
        (kept.body.as_slice(), kept.header("x-cos-meta-a")),
        (&b"0123456789"[..], Some("old"))
    );
    assert_eq!(stand.get("/kept?tagging").await.ok().one("Value"), "1");
    let replaced = [("x-cos-metadata-directive", "Replaced"), ("x-cos-meta-b", "new")];
    copy("replaced", &replaced).await.ok();
    let replaced = stand.get("/replaced").await.ok();
    assert_eq!(
        (replaced.header("x-cos-meta-a"), replaced.header("x-cos-meta-b")),
        (None, Some("new"))
    );
    assert_eq!(replaced.header("content-type"), Some("application/octet-stream"));

    copy("x", &[("x-cos-metadata-directive", "Both")]).await.refused(400, "InvalidArgument");
    let condition = [("x-cos-copy-source-If-Match", "\"other\"")];
    copy("x", &condition).await.refused(412, "PreconditionFailed");
    for (bad, status, code) in [
        (format!("{HOST}/none"), 404, "NoSuchKey"),
        ("other-1250000000.cos.ap-guangzhou.myqcloud.com/k".to_owned(), 404, "NoSuchBucket"),
        (format!("/{BUCKET}/k"), 400, "InvalidArgument"),
        (format!("{BUCKET}/k"), 400, "InvalidArgument"),
        (HOST.to_owned(), 400, "InvalidArgument"),
    ] {
        let headers = [("x-cos-copy-source", bad.as_str())];
        stand.send("PUT /x", &headers, b"").await.refused(status, code);
    }
    // The source may go: the copies keep their bytes.
    stand.send("DELETE /目/a%2Bb", &[], b"").await.ok();
    assert_eq!(stand.get("/kept").await.ok().body, b"0123456789");

    let id = upload_id(&stand, "joined", &[]).await;
    let source = format!("{HOST}/kept");
    let mut etags = Vec::new();
    for (number, range) in [(1, "bytes=0-4"), (2, "bytes=2-3")] {
        let headers = [("x-cos-copy-source", source.as_str()), ("x-cos-copy-source-range", range)];
        let line = format!("PUT /joined?partNumber={number}&uploadId={id}");
        let part = stand.send(&line, &headers, b"").await.ok();
        etags.push(part.one("ETag").replace("&quot;", "\""));
    }
    let parts = completion(&[(1, &etags[0]), (2, &etags[1])]);
    stand.send(&format!("POST /joined?uploadId={id}"), &[], &parts).await.ok();
    assert_eq!(stand.get("/joined").await.ok().body, b"0123423");
}

#[tokio::test]
async fn an_append_goes_to_the_end_or_nowhere() {
    let stand = Stand::open().await;
    let append = async |position: &str, body: &[u8]| {
        stand.send(&format!("POST /log?append&position={position}"), &[], body).await
    };
    append("3", b"x").await.refused(409, "AppendPositionErr");
    let first = append("0", b"hello ").await.ok();
    assert_eq!(first.header("x-cos-next-append-position"), Some("6"));
    assert_eq!(first.header("x-cos-content-sha1"), Some(md5_hex(b"hello ").as_str()));
    append("0", b"again").await.refused(409, "AppendPositionErr");
    append("x", b"again").await.refused(400, "InvalidArgument");
    let second = append("6", b"world").await.ok();
    assert_eq!(second.header("x-cos-next-append-position"), Some("11"));
    assert_eq!(second.header("x-cos-hash-crc64ecma"), Some(crc64(b"hello world").as_str()));
    let got = stand.get("/log").await.ok();
    assert_eq!(got.body, b"hello world");
    assert_eq!(got.header("etag"), Some(format!("\"{}\"", md5_hex(b"hello world")).as_str()));
    assert_eq!(got.header("x-cos-object-type"), Some("appendable"));
    stand.put("/log", b"plain").await.ok();
    append("5", b"x").await.refused(409, "ObjectNotAppendable");
}

#[tokio::test]
async fn many_are_deleted_by_a_body_with_its_digest() {
    let stand = Stand::open().await;
    for key in ["a", "b%26%3C", "%20c", "d"] {
        stand.put(&format!("/{key}"), b"v").await.ok();
    }
    let delete = async |document: &str| {
        let md5 = md5_base64(document.as_bytes());
        stand.send("POST /?delete=", &[("Content-MD5", &md5)], document.as_bytes()).await
    };
    let objects = "<Object><Key>a</Key></Object><Object><Key>b&amp;&#60;</Key></Object>";
    let told = delete(&format!("<Delete>{objects}<Object><Key>none</Key></Object></Delete>")).await;
    assert_eq!(told.ok().all("Key"), ["a", "b&amp;&lt;", "none"]);
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key> c</Key></Object></Delete>";
    assert_eq!(delete(quiet).await.ok().all("Deleted").len(), 0);
    assert_eq!(stand.get("/").await.ok().all("Key"), ["d"]);
    delete("<Delete></Delete>").await.refused(400, "MalformedXML");
    stand.send("POST /?delete", &[], quiet.as_bytes()).await.refused(400, "InvalidRequest");
    let wrong = [("Content-MD5", md5_base64(b"other"))];
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, md5)| (*name, md5.as_str())).collect();
    stand.send("POST /?delete", &wrong, quiet.as_bytes()).await.refused(400, "BadDigest");
}

#[tokio::test]
async fn tags_and_access_lists_are_kept() {
    let stand = Stand::open().await;
    stand.send("PUT /k", &[("x-cos-tagging", "a=1&b=%E7%9B%AE+x")], b"v").await.ok();
    let tags = stand.get("/k?tagging").await.ok();
    assert_eq!((tags.all("Key"), tags.all("Value")), (vec!["a", "b"], vec!["1", "目 x"]));
    let document = "<Tagging><TagSet><Tag><Key>c</Key><Value></Value></Tag></TagSet></Tagging>";
    for (target, absent) in [("/k?tagging", false), ("/?tagging", true)] {
        if absent {
            stand.get(target).await.refused(404, "NoSuchTagSet");
        }
        stand.put(target, document.as_bytes()).await.ok();
        assert_eq!(stand.get(target).await.ok().one("Key"), "c");
        stand.send(&format!("DELETE {target}"), &[], b"").await.ok();
        stand.get(target).await.refused(404, "NoSuchTagSet");
    }
    stand.put("/none?tagging", document.as_bytes()).await.refused(404, "NoSuchKey");

    let acl = stand.get("/k?acl").await.ok();
    assert_eq!((acl.header("x-cos-acl"), acl.one("Permission")), (Some("default"), "FULL_CONTROL"));
    for target in ["/k?acl", "/?acl"] {
        let line = format!("PUT {target}");
        stand.send(&line, &[("x-cos-acl", "public-read")], b"").await.ok();
        let acl = stand.get(target).await.ok();
        assert_eq!(acl.all("Permission"), ["FULL_CONTROL", "READ"]);
        assert_eq!(acl.one("URI"), "http://cam.qcloud.com/groups/global/AllUsers");
        let told = acl.text().to_owned();
        stand.send(&line, &[("x-cos-acl", "private")], b"").await.ok();
        assert_eq!(stand.get(target).await.ok().all("Permission"), ["FULL_CONTROL"]);
        stand.put(target, told.as_bytes()).await.ok();
        assert_eq!(stand.get(target).await.ok().text(), told, "what is told can be put back");
        let other = "id=\"qcs::cam::uin/100000000009:uin/100000000009\"";
        stand.send(&line, &[("x-cos-grant-read", other)], b"").await.ok();
        let id = stand.get(target).await.ok();
        assert_eq!(id.all("ID").last(), Some(&"qcs::cam::uin/100000000009:uin/100000000009"));
        stand.send(&line, &[("x-cos-acl", "secret")], b"").await.refused(400, "InvalidArgument");
    }
}
