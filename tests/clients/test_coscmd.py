"""coscmd, the official command line: as a client of a classic proxy, and aimed at *.localhost."""
import os
import pathlib
import subprocess
import sys

import pytest

# What a resolver that knows RFC 6761 does; put into coscmd's interpreter.
RESOLVER = """
import socket
_real = socket.getaddrinfo
def getaddrinfo(host, *rest, **named):
    name = host.decode() if isinstance(host, bytes) else host
    return _real("127.0.0.1" if name and name.endswith(".localhost") else host, *rest, **named)
socket.getaddrinfo = getaddrinfo
"""


class Coscmd:
    """coscmd with a configuration of its own."""

    def __init__(self, stand, way, folder):
        self.stand, self.way, self.folder = stand, way, folder
        (folder / "sitecustomize.py").write_text(RESOLVER)
        where = {"R2": f"region = {stand.region}\nanonymous = True", "R3": f"endpoint = localhost:{stand.port}\nanonymous = False"}[way]
        (folder / "conf").write_text(
            f"[common]\nsecret_id = dummy\nsecret_key = dummy\nbucket = {stand.bucket}\n{where}\n"
            "max_thread = 3\npart_size = 1\nretry = 1\nschema = http\nverify = md5\n")
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder), "LANG": "C.UTF-8"}
        if way == "R2":
            self.environment["http_proxy"] = f"http://{stand.address}"

    def __call__(self, *words):
        program = pathlib.Path(sys.executable).parent / "coscmd"
        done = subprocess.run(
            [sys.executable, program, "-c", self.folder / "conf", "-l", self.folder / "log", *words],
            capture_output=True, text=True, timeout=120, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(params=["R2", "R3"])
def coscmd(request, stand, tmp_path):
    return Coscmd(stand, request.param, tmp_path)


def test_a_small_and_a_multipart_file_go_up_and_come_down(coscmd, tmp_path):
    for name, size in (("小 a+b.txt", 1000), ("big", 3 * 1024 * 1024 + 5), ("empty", 0)):
        content = os.urandom(size)
        (tmp_path / name).write_bytes(content)
        coscmd("upload", name, f"coscmd/{name}")
        coscmd("download", "-f", f"coscmd/{name}", f"{name}.down")
        assert (tmp_path / f"{name}.down").read_bytes() == content
        assert name in coscmd("list", "coscmd/")
        assert str(size) in coscmd("info", f"coscmd/{name}")


def test_copies_and_moves_from_a_source_that_names_the_proxy(coscmd, tmp_path, stand):
    content = os.urandom(5000)
    (tmp_path / "one").write_bytes(content)
    coscmd("upload", "one", "coscmd-copy/one")
    # With an endpoint of its own coscmd names that in the source: BUCKET.localhost:PORT.
    host = stand.host if coscmd.way == "R2" else f"{stand.bucket}.localhost:{stand.port}"
    coscmd("copy", f"{host}/coscmd-copy/one", "coscmd-copy/two")
    coscmd("download", "-f", "coscmd-copy/two", "two")
    assert (tmp_path / "two").read_bytes() == content
    coscmd("move", f"{host}/coscmd-copy/two", "coscmd-copy/three")
    listed = coscmd("list", "coscmd-copy/")
    assert "coscmd-copy/three" in listed and "coscmd-copy/two" not in listed
    coscmd("delete", "-f", "coscmd-copy/three")
    assert "coscmd-copy/three" not in coscmd("list", "coscmd-copy/")


def test_whole_folders_go_up_come_down_and_go(coscmd, tmp_path):
    tree = {"a.txt": b"a", "目录/b c.txt": b"b" * 5000, "deep/er/c+d": b"", "deep/x%20y": b"percent"}
    for name, content in tree.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    coscmd("upload", "-r", "tree", "coscmd-tree")
    coscmd("download", "-r", "-f", "coscmd-tree", "back")
    found = {str(p.relative_to(tmp_path / "back")): p.read_bytes() for p in (tmp_path / "back").rglob("*") if p.is_file()}
    assert {name.removeprefix("coscmd-tree/"): content for name, content in found.items()} == tree
    coscmd("delete", "-r", "-f", "coscmd-tree")
    assert "b c.txt" not in coscmd("list", "-r", "coscmd-tree")
