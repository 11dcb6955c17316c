"""The oracle itself: it agrees with what the SDK signs, and with nothing else."""
import time
import types

import pytest
from qcloud_cos import CosConfig
from qcloud_cos.cos_auth import CosS3Auth
from recorder import Key, Oracle, Request

HOST = "b-1250000000.cos.ap-guangzhou.myqcloud.com"
ID, SECRET, TOKEN = "AKIDtemporary", "temporary-secret", "the-token"


@pytest.fixture
def oracle():
    oracle = Oracle({HOST})
    oracle.keys[ID] = Key(SECRET, TOKEN, int(time.time()) + 7000)
    return oracle


@pytest.fixture
def request_():
    """A correct request, signed by the SDK as its users do."""
    fields = [("host", HOST), ("x-cos-security-token", TOKEN), ("x-cos-meta-name", "中文 a+b"), ("content-length", "0")]
    signed = types.SimpleNamespace(method="PUT", url=f"http://{HOST}/", headers=dict(fields))
    config = CosConfig(Region="ap-guangzhou", SecretId=ID, SecretKey=SECRET)
    CosS3Auth(config, "/目录/a b+c", {"tagging": "", "note": "a b/c"}, expire=600)(signed)
    wire = "PUT /%E7%9B%AE%E5%BD%95/a%20b+c?tagging&note=a+b%2fc HTTP/1.1\r\n"
    wire += "".join(f"{name}: {value}\r\n" for name, value in [*fields, ("Authorization", signed.headers["Authorization"])])
    return Request.parse((wire + "\r\n").encode(), time.time())


def replaced(request, name, change):
    request.fields = [(n, change(v) if n == name else v) for n, v in request.fields]


def test_agrees_with_what_the_sdk_signs(oracle, request_):
    assert oracle.complaints(request_) == []


@pytest.mark.parametrize("spoil, complaint", [
    (lambda r: setattr(r, "method", "GET"), "another signature"),
    (lambda r: setattr(r, "target", r.target.replace("a%20b+c?", "a%20b%20c?")), "another signature"),
    (lambda r: setattr(r, "target", r.target.replace("a+b", "a-b")), "another signature"),
    (lambda r: setattr(r, "target", r.target + "&extra"), "parameters sent"),
    (lambda r: setattr(r, "target", r.target.split("?")[0]), "parameters sent"),
    (lambda r: replaced(r, "x-cos-meta-name", lambda v: v + "c"), "another signature"),
    (lambda r: replaced(r, "x-cos-security-token", str.upper), "the token"),
    (lambda r: replaced(r, "host", lambda host: host + ":9000"), "Host is"),
    (lambda r: replaced(r, "authorization", lambda a: a.replace(ID, "AKIDother")), "no such key"),
    (lambda r: replaced(r, "authorization", lambda a: a.replace("host;", "")), "Host is not signed"),
    (lambda r: r.fields.append(("x-cos-acl", "private")), "not signed"),
    (lambda r: r.fields.append(("x-amz-acl", "private")), "should not go upstream"),
    (lambda r: r.fields.append(("authorization", "")), "2 Authorization"),
    (lambda r: r.fields.append(("host", HOST)), "Host is"),
    (lambda r: r.fields.remove(("content-length", "0")), "signed, but not there"),
    (lambda r: setattr(r, "arrived_at", r.arrived_at + 700), "signed for"),
    (lambda r: setattr(r, "arrived_at", r.arrived_at - 70), "signed for"),
])
def test_objects_to_every_change(oracle, request_, spoil, complaint):
    spoil(request_)
    assert complaint in "; ".join(oracle.complaints(request_))


def test_objects_to_a_window_beyond_the_keys_end(oracle, request_):
    oracle.keys[ID] = Key(SECRET, TOKEN, int(time.time()) + 300)
    assert "the key ends at" in "; ".join(oracle.complaints(request_))


def test_objects_to_another_secret(oracle, request_):
    oracle.keys[ID] = Key("another-secret", TOKEN, int(time.time()) + 7000)
    assert "another signature" in "; ".join(oracle.complaints(request_))
