"""Plain curl, by each of the four ways in."""
import base64
import hashlib
import os
import subprocess

import pytest
from stand import Stand

BLOB = os.urandom(3 * 1024 * 1024 + 1)
WAYS = ("R1", "R2", "R3", "R4")


class Curl:
    """curl, aimed at the proxy in one of the four ways."""

    def __init__(self, stand, way, folder):
        self.stand, self.folder = stand, folder
        proxy, host = stand.address, stand.host
        self.options, self.base = {
            "R1": (["--connect-to", f"{host}:80:{proxy}"], f"http://{host}"),
            "R2": (["-x", f"http://{proxy}"], f"http://{host}"),
            # curl itself takes every name under localhost for the loopback address.
            "R3": ([], f"http://{stand.bucket}.localhost:{stand.port}"),
            "R4": ([], f"http://localhost:{stand.port}"),
        }[way]

    def __call__(self, target, *options, data=b""):
        """Status, header text and body."""
        head, body = self.folder / "head", self.folder / "body"
        head.write_bytes(b"")
        body.write_bytes(b"")
        done = subprocess.run(
            ["curl", "-q", "-sS", "--noproxy", "", "--path-as-is", "--globoff", "-m", "60", *self.options, "-D", head, "-o", body,
             "-w", "%{http_code}", *options, self.base + target],
            input=data, capture_output=True, timeout=90)
        assert done.returncode == 0, done.stderr.decode()
        return int(done.stdout), head.read_bytes().decode("latin-1"), body.read_bytes()

    def put(self, target, content, *options):
        file = self.folder / "up"
        file.write_bytes(content)
        # To a target that ends in a slash -T would add the name of the file.
        how = ["-X", "PUT", "--data-binary", f"@{file}"] if target.endswith("/") else ["-T", file]
        status, _, body = self(target, *how, *options)
        assert status == 200, body


@pytest.fixture(params=WAYS)
def curl(request, stand, tmp_path):
    return Curl(stand, request.param, tmp_path)


def test_uploads_and_downloads(curl):
    for size in (0, 1, 65_536, len(BLOB)):
        curl.put(f"/curl/{size}", BLOB[:size])
        status, _, body = curl(f"/curl/{size}")
        assert (status, hashlib.sha256(body).digest()) == (200, hashlib.sha256(BLOB[:size]).digest())


def test_waits_for_100_continue_and_gets_it(curl):
    curl.put("/curl/expect", BLOB, "-H", "Expect: 100-continue", "--expect100-timeout", "30")
    assert not curl.stand.tap.last("PUT").values("expect")
    status, head, body = curl("/curl/expect")
    assert status == 200 and body == BLOB


def test_uploads_what_comes_from_a_pipe_in_chunks(curl):
    for content in (b"", b"x", BLOB):
        status, _, said = curl("/curl/pipe", "-T", "-", data=content)
        assert status == 200, said
        assert curl("/curl/pipe")[2] == content


def test_ranges_and_heads(curl):
    curl.put("/curl/range", BLOB[:1000])
    status, head, body = curl("/curl/range", "-r", "10-19")
    assert (status, body) == (206, BLOB[10:20]) and "bytes 10-19/1000" in head
    status, head, body = curl("/curl/range", "-I")
    assert status == 200 and "content-length: 1000" in head.lower()


def test_a_304_has_no_body_and_leaves_the_connection_usable(curl):
    curl.put("/curl/304", b"content")
    etag = f'"{hashlib.md5(b"content").hexdigest()}"'
    status, _, body = curl("/curl/304", "-H", f"If-None-Match: {etag}")
    assert (status, body) == (304, b"")
    # Two transfers on one connection: the second would be confused by a stray byte of the first.
    status, _, _ = curl("/curl/304", "-H", f"If-None-Match: {etag}", "--next", "-sS", *curl.options, curl.base + "/curl/304",
                        "--next", "-sS", "-o", "/dev/null", *curl.options, "-w", "")
    assert status == 304


@pytest.mark.parametrize("target", [
    "/a/./b/../c", "/./x", "/../up", "//lead//dbl/", "/%2Flead%2F%2Fdbl", "/lower%e7%9b%ae%e5%bd%95", "/a+b%2Bc%20d",
    "/(1)*'!~@:&=;,$", "/pipe|caret^", "/100%25", "/dir/", "/%3Fquery%23mark",
])
def test_the_target_goes_upstream_byte_by_byte(curl, target):
    content = os.urandom(20)
    curl.put(target, content)
    assert curl.stand.tap.last("PUT").target == target
    assert curl(target)[2] == content
    assert curl(target, "-X", "DELETE")[0] == 204


def test_speaks_http_1_0(curl):
    curl.put("/curl/old", BLOB)
    status, head, body = curl("/curl/old", "-0")
    assert (status, body) == (200, BLOB) and "transfer-encoding" not in head.lower()
    status, head, body = curl("/?prefix=curl/", "-0")
    assert status == 200 and b"<Key>curl/old</Key>" in body and "transfer-encoding" not in head.lower()


def test_lists_with_odd_queries(curl):
    curl.put("/odd/a%20b%2Bc", b"x")
    for query in ("prefix=odd/a+b%2Bc", "prefix=odd%2Fa%20b%2bc&marker=&delimiter", "&prefix=odd/&&max-keys=5", "prefix=odd/&encoding-type=url"):
        status, _, body = curl("/?" + query)
        assert status == 200 and b"odd" in body, (query, body)
        assert curl.stand.tap.last().target == "/?" + query


def test_copies_from_a_source_that_names_the_proxy(curl):
    curl.put("/curl/source%20a%2Bb", BLOB[:100])
    stand, key = curl.stand, "curl/source%20a%2Bb"
    for source in (f"{stand.host}/{key}", f"{stand.bucket}.localhost:{stand.port}/{key}", f"localhost:{stand.port}/{key}",
                   f"127.0.0.1:{stand.port}/{key}", f"/{stand.bucket}/{key}"):
        status, _, body = curl("/curl/copy", "-X", "PUT", "-H", f"x-cos-copy-source: {source}", "-H", "Content-Length: 0")
        assert status == 200, (source, body)
        assert stand.tap.last("PUT").values("x-cos-copy-source") == [f"{stand.host}/{key}"]
        assert curl("/curl/copy")[2] == BLOB[:100]
        assert curl("/curl/copy", "-X", "DELETE")[0] == 204


def test_a_multi_delete_without_a_digest_gets_one(curl):
    curl.put("/curl/del1", b"x")
    text = b"<Delete><Object><Key>curl/del1</Key></Object></Delete>"
    status, _, body = curl("/?delete", "--data-binary", "@-", "-H", "Content-Type: application/xml", data=text)
    assert status == 200 and b"<Deleted>" in body
    assert curl.stand.tap.last("POST").values("content-md5") == [base64.b64encode(hashlib.md5(text).digest()).decode()]
    assert curl("/curl/del1")[0] == 404


def test_header_values_in_utf_8_and_empty_ones(curl):
    curl.put("/curl/meta", b"x", "-H", "x-cos-meta-name: 中文 名", "-H", "Cache-Control;", "-H", "x-cos-meta-EMPTY;")
    _, head, _ = curl("/curl/meta", "-I")
    assert "x-cos-meta-name: 中文 名" in head.encode("latin-1").decode()


@pytest.mark.parametrize("options", [
    ["-u", "user:password"],
    ["-H", "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=0"],
    ["-H", "Authorization: AWS a:b", "-H", "x-amz-security-token: t", "-H", "x-cos-security-token: t"],
    ["-H", "Authorization;"],
    ["-H", "Proxy-Authorization: Basic YTpi", "-H", "Proxy-Connection: keep-alive", "-H", "TE: trailers", "-H", "Connection: TE, x-own", "-H", "x-own: y"],
], ids=["basic", "sigv4", "sigv2-tokens", "empty", "hop-by-hop"])
def test_a_clients_own_authorization_is_replaced(curl, options):
    curl.put("/curl/auth", b"content", *options)
    assert curl("/curl/auth", *options)[2] == b"content"
    assert not curl.stand.tap.last().values("x-own")


@pytest.mark.parametrize("signature", [
    "q-sign-algorithm=sha1&q-ak=dummy&q-sign-time=1;2&q-key-time=1;2&q-header-list=host&q-url-param-list=&q-signature=00",
    "AWSAccessKeyId=a&Signature=b&Expires=1",
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=0",
], ids=["cos", "sigv2", "sigv4"])
def test_a_signature_in_the_query_is_replaced(curl, signature):
    curl.put("/curl/presigned", b"content")
    status, _, body = curl(f"/curl/presigned?response-content-type=text/x&{signature}")
    assert (status, body) == (200, b"content")
    assert curl.stand.tap.last().target == "/curl/presigned?response-content-type=text/x"


def test_what_cannot_be_served_is_refused_before_cos(curl):
    curl.put("/curl/before", b"x")
    seen = len(curl.stand.tap.requests)
    for expected, options in (
        (421, ["-H", "Host: example.com"]),
        (400, ["-H", "Content-Length: 1", "-H", "Transfer-Encoding: chunked", "-X", "PUT"]),
    ):
        if expected == 421 and curl.base == f"http://{curl.stand.host}" and "-x" in curl.options:
            continue  # a request in absolute form is for the host in its target, whatever Host says
        status, head, body = curl("/curl/refused", *options)
        assert status == expected, body
        assert b"<Error>" in body and b"<Code>" in body
    curl.stand.tap.settle()
    assert len(curl.stand.tap.requests) == seen


def test_a_tunnel_is_refused_with_a_reason(curl):
    curl.put("/curl/tunnel", b"x")
    done = subprocess.run(
        ["curl", "-q", "-sS", "-m", "20", "-p", "-x", f"http://{curl.stand.address}", f"http://{curl.stand.host}/curl/tunnel",
         "-w", "%{http_connect}"], capture_output=True, timeout=30)
    assert done.returncode != 0 and done.stdout.strip().endswith((b"405", b"501")), done


def test_path_style_when_it_is_switched_on(tmp_path):
    stand = Stand(path_style="bucket/key")
    try:
        curl = Curl(stand, "R4", tmp_path)
        curl.put(f"/{stand.bucket}/a/b%20c", b"content")
        assert stand.tap.last("PUT").target == "/a/b%20c"
        assert curl(f"/{stand.bucket}/a/b%20c")[2] == b"content"
        assert b"<Key>a/b c</Key>" in curl(f"/{stand.bucket}?prefix=a/")[2]
        assert stand.agreement() == 3
    finally:
        stand.stop()
