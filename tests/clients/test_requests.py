"""Python's requests: what scripts do that know nothing of COS."""
import hashlib
import io
import os

import pytest
import requests

BLOB = os.urandom(2 * 1024 * 1024 + 3)


class Way:
    """A session aimed at the proxy in one of the four ways."""

    def __init__(self, stand, way):
        self.session = requests.Session()
        self.session.trust_env = False
        self.base = {
            "R1": f"http://{stand.address}",
            "R2": f"http://{stand.host}",
            "R3": f"http://{stand.bucket}.localhost:{stand.port}",
            "R4": f"http://localhost:{stand.port}",
        }[way]
        if way == "R1":
            self.session.headers["Host"] = stand.host
        if way == "R2":
            self.session.proxies = {"http": f"http://{stand.address}"}

    def __call__(self, method, target, **more):
        return self.session.request(method, self.base + target, timeout=30, **more)


@pytest.fixture(params=["R1", "R2", "R3", "R4"])
def http(request, stand):
    way = Way(stand, request.param)
    yield way
    way.session.close()


def test_an_empty_file_is_a_lone_last_chunk(http, stand, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with (tmp_path / "empty").open("rb") as file:
        answer = http("PUT", "/requests/empty", data=file)
    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert answer.status_code == 200, answer.text
    got = http("GET", "/requests/empty")
    assert (got.status_code, got.content) == (200, b"")


def test_a_generator_is_sent_in_chunks(http):
    pieces = [BLOB[n:n + 7777] for n in range(0, len(BLOB), 7777)]
    assert http("PUT", "/requests/generated", data=iter(pieces)).status_code == 200
    assert hashlib.sha256(http("GET", "/requests/generated").content).digest() == hashlib.sha256(BLOB).digest()


def test_a_plus_in_the_path_is_a_plus_and_in_the_query_a_space(http, stand):
    assert http("PUT", "/requests/a b+c", data=b"x").status_code == 200
    assert stand.tap.last().target == "/requests/a%20b+c"
    listed = http("GET", "/", params={"prefix": "requests/a b+c", "marker": ""})
    assert "<Key>requests/a b+c</Key>" in listed.text
    assert stand.tap.last().target == "/?prefix=requests%2Fa+b%2Bc&marker="


def test_one_connection_serves_many_requests(http):
    for n in range(30):
        content = BLOB[:n * 1000]
        assert http("PUT", f"/requests/many{n % 3}", data=content).status_code == 200
        assert http("GET", f"/requests/many{n % 3}").content == content
        assert http("GET", "/requests/absent").status_code == 404
        assert http("HEAD", f"/requests/many{n % 3}").headers["Content-Length"] == str(len(content))


def test_a_client_that_leaves_in_the_middle_hurts_nobody(http):
    assert http("PUT", "/requests/left", data=BLOB).status_code == 200
    for _ in range(10):
        with http("GET", "/requests/left", stream=True) as answer:
            assert len(next(answer.iter_content(1000))) == 1000
    assert http("GET", "/requests/left").content == BLOB


def test_basic_credentials_in_the_url_are_dropped(http, stand):
    assert http("PUT", "/requests/basic", data=b"x", auth=("user", "password")).status_code == 200
    assert not any("basic" in value.lower() for value in stand.tap.last().values("authorization"))


def test_a_form_upload_of_unusual_types(http):
    answer = http("PUT", "/requests/typed", data=io.BytesIO(b"{}"), headers={
        "Content-Type": "application/x-www-form-urlencoded", "X-Cos-Storage-Class": "STANDARD", "X-Own": "not signed", "Accept": "*/*"})
    assert answer.status_code == 200
    assert http("GET", "/requests/typed").headers["Content-Type"] == "application/x-www-form-urlencoded"
