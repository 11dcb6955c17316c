"""The official Python SDK, by each of the four ways in, unsigned and signed with dummy keys."""
import hashlib
import io
import os
import urllib.parse

import pytest
from keys import NASTY_KEYS
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosServiceError

UNSIGNED = {"Anonymous": True}
DUMMY = {"SecretId": "dummy", "SecretKey": "dummy"}
DUMMY_TOKEN = {**DUMMY, "Token": "not a real token"}
WAYS = {
    "R1": lambda port: {"IP": "127.0.0.1", "Port": port},
    "R2": lambda port: {"Proxies": {"http": f"http://127.0.0.1:{port}"}},
    "R3": lambda port: {"Endpoint": f"localhost:{port}"},
    "R4": lambda port: {"Domain": f"localhost:{port}", "ServiceDomain": f"localhost:{port}"},
}
BLOB = os.urandom(5 * 1024 * 1024 + 17)


@pytest.fixture(params=[f"{way}-{how}" for way in WAYS for how in ("unsigned", "dummy", "dummy+token")])
def client(request, stand):
    way, how = request.param.split("-")
    keys = {"unsigned": UNSIGNED, "dummy": DUMMY, "dummy+token": DUMMY_TOKEN}[how]
    config = CosConfig(Region=stand.region, Scheme="http", Timeout=30, **keys, **WAYS[way](stand.port))
    # The SDK's own retries would hide failures.
    return CosS3Client(config, retry=0)


@pytest.fixture
def folder(request):
    """A prefix of the test's own."""
    return f"{request.node.name}/"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def body(answer):
    return answer["Body"].get_raw_stream().read()


def test_small_objects_come_back_as_they_went(client, stand, folder):
    for size in (0, 1, 1000, 70_000, 1_100_000):
        answer = client.put_object(stand.bucket, BLOB[:size], f"{folder}{size}", EnableMD5=size % 2 == 0)
        got = client.get_object(stand.bucket, f"{folder}{size}")
        assert sha(body(got)) == sha(BLOB[:size])
        assert got["ETag"] == answer["ETag"] == f'"{hashlib.md5(BLOB[:size]).hexdigest()}"'
        assert got["x-cos-hash-crc64ecma"] and got["x-cos-request-id"]


@pytest.mark.parametrize("key", NASTY_KEYS.values(), ids=NASTY_KEYS)
def test_nasty_keys_are_kept_to_the_letter(client, stand, key):
    content = os.urandom(32) + key.encode()
    client.put_object(stand.bucket, content, key)
    assert body(client.get_object(stand.bucket, key)) == content
    assert int(client.head_object(stand.bucket, key)["Content-Length"]) == len(content)
    # The SDK takes one leading slash of a key as the start of the path.
    stored = key.removeprefix("/")
    listed = client.list_objects(stand.bucket, Prefix=stored, EncodingType="url")
    assert stored in [urllib.parse.unquote(entry["Key"]) for entry in listed["Contents"]]
    client.delete_object(stand.bucket, key)
    with pytest.raises(CosServiceError) as missing:
        client.get_object(stand.bucket, key)
    assert missing.value.get_error_code() == "NoSuchKey"


def test_metadata_and_content_fields_survive(client, stand, folder):
    client.put_object(
        stand.bucket, b"x", f"{folder}m", Metadata={"x-cos-meta-name": "中文 名", "x-cos-meta-plain": "a b+c"},
        ContentType="text/plain; charset=utf-8", CacheControl="max-age=5", ContentDisposition='attachment; filename="a b"')
    head = client.head_object(stand.bucket, f"{folder}m")
    assert head["x-cos-meta-name"].encode("latin-1").decode() == "中文 名"
    assert head["x-cos-meta-plain"] == "a b+c"
    assert head["Content-Type"] == "text/plain; charset=utf-8"
    assert head["Cache-Control"] == "max-age=5"
    assert head["Content-Disposition"] == 'attachment; filename="a b"'


def test_lists_by_prefix_delimiter_and_page(client, stand, folder):
    names = [f"a b+c/{n:02}" for n in range(7)] + ["目录/x", "top"]
    for name in names:
        client.put_object(stand.bucket, b"", folder + name)
    top = client.list_objects(stand.bucket, Prefix=folder, Delimiter="/")
    assert [entry["Key"] for entry in top["Contents"]] == [folder + "top"]
    assert [entry["Prefix"] for entry in top["CommonPrefixes"]] == [f"{folder}a b+c/", f"{folder}目录/"]
    seen, marker = [], ""
    while True:
        page = client.list_objects(stand.bucket, Prefix=f"{folder}a b+c/", MaxKeys=3, Marker=marker)
        seen += [entry["Key"] for entry in page["Contents"]]
        if page["IsTruncated"] == "false":
            break
        marker = page["NextMarker"]
    assert seen == [folder + name for name in names[:7]]


def test_multipart_uploads_and_downloads_in_parallel(client, stand, folder, tmp_path):
    (tmp_path / "up").write_bytes(BLOB)
    client.upload_file(stand.bucket, f"{folder}big", str(tmp_path / "up"), PartSize=1, MAXThread=5, EnableMD5=True)
    got = client.get_object(stand.bucket, f"{folder}big")
    assert sha(body(got)) == sha(BLOB)
    assert got["ETag"].endswith('-6"')
    client.download_file(stand.bucket, f"{folder}big", str(tmp_path / "down"), PartSize=1, MAXThread=5)
    assert sha((tmp_path / "down").read_bytes()) == sha(BLOB)


def test_a_multipart_upload_can_be_listed_and_given_up(client, stand, folder):
    key = f"{folder}part 部"
    upload = client.create_multipart_upload(stand.bucket, key)["UploadId"]
    client.upload_part(stand.bucket, key, BLOB[:1 << 20], 1, upload)
    parts = client.list_parts(stand.bucket, key, upload)["Part"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [("1", str(1 << 20))]
    assert key in [u["Key"] for u in client.list_multipart_uploads(stand.bucket, Prefix=folder)["Upload"]]
    client.abort_multipart_upload(stand.bucket, key, upload)
    with pytest.raises(CosServiceError) as gone:
        client.list_parts(stand.bucket, key, upload)
    assert gone.value.get_error_code() == "NoSuchUpload"


def test_copies_within_the_bucket(client, stand, folder):
    source = f"{folder}来源 a+b%.txt"
    client.put_object(stand.bucket, BLOB[:5000], source)
    where = {"Bucket": stand.bucket, "Key": source, "Region": stand.region}
    client.copy_object(stand.bucket, f"{folder}copy", where)
    assert sha(body(client.get_object(stand.bucket, f"{folder}copy"))) == sha(BLOB[:5000])
    upload = client.create_multipart_upload(stand.bucket, f"{folder}parts")["UploadId"]
    part = client.upload_part_copy(stand.bucket, f"{folder}parts", 1, upload, where, CopySourceRange="bytes=100-199")
    client.complete_multipart_upload(
        stand.bucket, f"{folder}parts", upload, {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert body(client.get_object(stand.bucket, f"{folder}parts")) == BLOB[100:200]


def test_ranges(client, stand, folder):
    client.put_object(stand.bucket, BLOB[:10_000], f"{folder}r")
    for asked, expected in (("bytes=10-19", BLOB[10:20]), ("bytes=-7", BLOB[9993:10_000]), ("bytes=9990-", BLOB[9990:10_000])):
        got = client.get_object(stand.bucket, f"{folder}r", Range=asked)
        assert body(got) == expected
        assert got["Content-Range"].endswith("/10000")
    with pytest.raises(CosServiceError) as outside:
        client.get_object(stand.bucket, f"{folder}r", Range="bytes=20000-")
    assert outside.value.get_status_code() == 416


def test_conditions(client, stand, folder):
    etag = client.put_object(stand.bucket, b"x", f"{folder}c")["ETag"]
    assert body(client.get_object(stand.bucket, f"{folder}c", IfMatch=etag)) == b"x"
    with pytest.raises(CosServiceError) as failed:
        client.get_object(stand.bucket, f"{folder}c", IfMatch='"other"')
    assert failed.value.get_status_code() == 412
    with pytest.raises(CosServiceError) as failed:
        client.get_object(stand.bucket, f"{folder}c", IfUnmodifiedSince="Mon, 01 Jan 2001 00:00:00 GMT")
    assert failed.value.get_status_code() == 412
    # The SDK makes no error of a 304: it gives the fields of the answer.
    assert client.head_object(stand.bucket, f"{folder}c", IfNoneMatch=etag)["ETag"] == etag


def test_many_deletes_at_once(client, stand, folder):
    keys = [f"{folder}{name}" for name in ("a", "b c+d", "目录/e", "<&>\"'")]
    for key in keys:
        client.put_object(stand.bucket, b"x", key)
    answer = client.delete_objects(stand.bucket, {"Object": [{"Key": key} for key in keys], "Quiet": "false"})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == sorted(keys)
    assert "Contents" not in client.list_objects(stand.bucket, Prefix=folder)


def test_a_body_of_unknown_size_is_sent_in_chunks(client, stand, folder):
    class Unsized:
        """A reader whose size the SDK cannot find out."""

        def __init__(self, data):
            self.read = io.BytesIO(data).read

        def __iter__(self):
            return iter(lambda: self.read(50_000), b"")

    for size in (0, 1, 300_000):
        client.put_object(stand.bucket, Unsized(BLOB[:size]), f"{folder}{size}")
        assert sha(body(client.get_object(stand.bucket, f"{folder}{size}"))) == sha(BLOB[:size])


def test_appends_tags_and_the_bucket_itself(client, stand, folder):
    first = client.append_object(stand.bucket, f"{folder}log", 0, b"one\n")
    client.append_object(stand.bucket, f"{folder}log", int(first["x-cos-next-append-position"]), b"two\n")
    assert body(client.get_object(stand.bucket, f"{folder}log")) == b"one\ntwo\n"
    tags = {"TagSet": {"Tag": [{"Key": "kind", "Value": "a b"}]}}
    client.put_object_tagging(stand.bucket, f"{folder}log", tags)
    assert client.get_object_tagging(stand.bucket, f"{folder}log")["TagSet"]["Tag"] == [{"Key": "kind", "Value": "a b"}]
    client.head_bucket(stand.bucket)


def test_an_error_of_cos_reaches_the_caller_whole(client, stand, folder):
    with pytest.raises(CosServiceError) as missing:
        client.get_object(stand.bucket, f"{folder}nothing here")
    assert missing.value.get_status_code() == 404
    assert missing.value.get_error_code() == "NoSuchKey"
    assert missing.value.get_request_id() and missing.value.get_trace_id()


def test_the_list_of_buckets_is_asked_of_the_service(stand):
    config = CosConfig(Region=stand.region, Scheme="http", **UNSIGNED, **WAYS["R2"](stand.port))
    with pytest.raises(CosServiceError) as refused:
        CosS3Client(config, retry=0).list_buckets()
    # COS itself refuses: a federation token made for one bucket may not list all of them.
    assert refused.value.get_error_code() == "AccessDenied"
    assert stand.tap.last().values("host") == [stand.service_host]
