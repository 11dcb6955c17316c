"""A wire tap between the proxy and COS, and an oracle that recomputes every signature it sees.

The tap forwards bytes as they are, both ways, and keeps the head of every request. The oracle is
the signer of the official Python SDK: it knows nothing of the product, and the product nothing of
it. A second tap stands in front of STS and learns which key belongs to which SecretId.
"""
import collections
import dataclasses
import http.client
import http.server
import importlib.util
import json
import pathlib
import queue
import socket
import threading
import time
import types
import urllib.parse

import qcloud_cos

PIECE = 256 * 1024
HEAD_MOST = 1024 * 1024
KEPT = 2000

# Fields that belong to one connection, or to the client's own authentication: none goes upstream.
NOT_FORWARDED = {"proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade", "http2-settings"}
# A client's own signature in the query (COS, S3 v2, S3 v4).
QUERY_SIGNATURE = ("q-sign", "q-ak", "q-key", "q-header-list", "q-url-param-list", "x-amz-", "awsaccesskeyid", "signature")


@dataclasses.dataclass(frozen=True)
class Key:
    """What STS handed out. Times are seconds since the epoch."""
    secret: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)
    expires_at: int


@dataclasses.dataclass
class Request:
    """A request head as it was on the wire."""
    method: str
    target: str
    fields: list
    arrived_at: float

    @classmethod
    def parse(cls, head, arrived_at):
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ")
        fields = []
        for line in lines[1:]:
            if line:
                name, value = line.split(":", 1)
                fields.append((name.lower(), value.strip(" \t")))
        return cls(method, target, fields, arrived_at)

    def values(self, name):
        return [value for n, value in self.fields if n == name]

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def parameters(self):
        """Name and value of each query parameter, decoded."""
        query = self.target.partition("?")[2]
        decode = urllib.parse.unquote_plus
        return [(decode(n), decode(v)) for n, _, v in (p.partition("=") for p in query.split("&") if p)]


class Oracle:
    """Recomputes signatures with the official SDK's signer."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.keys = {}
        self.signer = self._own_copy_of_the_signer()

    @staticmethod
    def _own_copy_of_the_signer():
        """The SDK's signer as a module of its own: it is changed below, the clients' one is not."""
        path = pathlib.Path(qcloud_cos.__file__).with_name("cos_auth.py")
        spec = importlib.util.spec_from_file_location("qcloud_cos.cos_auth_of_the_oracle", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # Sign exactly the headers that the request lists, not the SDK's choice of them.
        module.filter_headers = dict
        return module

    def complaints(self, request):
        """What is wrong with this request; nothing, one hopes."""
        try:
            return list(self._complaints(request))
        except Exception as why:  # a request that cannot even be taken apart is a finding, not a crash
            return [f"not understood: {why!r}"]

    def _complaints(self, request):
        authorization = request.values("authorization")
        if len(authorization) != 1:
            yield f"{len(authorization)} Authorization fields"
            return
        said = dict(part.split("=", 1) for part in authorization[0].split("&"))
        listed = [name for name in said["q-header-list"].split(";") if name]
        listed_parameters = {name for name in said["q-url-param-list"].split(";") if name}
        key = self.keys.get(said["q-ak"])
        if key is None:
            yield f"no such key was issued: {said['q-ak']}"
            return
        yield from self._list_complaints(request, listed, listed_parameters)
        yield from self._window_complaints(request, said, key)
        if request.values("x-cos-security-token") != [key.token]:
            yield "the token is not the one issued with this key"
        if self._signature(request, said, set(listed), key) != said["q-signature"]:
            yield "the official signer gets another signature"

    def _list_complaints(self, request, listed, listed_parameters):
        names = [name for name, _ in request.fields]
        host = request.values("host")
        if len(host) != 1 or host[0] not in self.hosts:
            yield f"Host is {host}"
        if "host" not in listed:
            yield "Host is not signed"
        if listed != sorted(listed) or len(set(listed)) != len(listed):
            yield "the list of headers is not sorted, or repeats itself"
        if absent := [name for name in listed if names.count(name) != 1]:
            yield f"signed, but not there once: {absent}"
        if unsigned := [name for name in names if name.startswith(("x-cos-", "x-ci-")) and name not in listed]:
            yield f"not signed: {unsigned}"
        if stray := [name for name in names if name in NOT_FORWARDED or name.startswith("x-amz-")]:
            yield f"should not go upstream: {stray}"
        sent = {urllib.parse.quote(name, safe="-_.~").lower() for name, _ in request.parameters}
        if sent != listed_parameters:
            yield f"parameters sent {sorted(sent)}, signed {sorted(listed_parameters)}"
        if strays := [name for name in sent if name.startswith(QUERY_SIGNATURE)]:
            yield f"a signature in the query went upstream: {strays}"

    @staticmethod
    def _window_complaints(request, said, key):
        start, end = (int(second) for second in said["q-sign-time"].split(";"))
        if said["q-key-time"] != said["q-sign-time"]:
            yield "q-key-time is not q-sign-time"
        if not start <= request.arrived_at <= end + 1:
            yield f"signed for {start} to {end}, arrived at {request.arrived_at}"
        if end > key.expires_at:
            yield f"signed until {end}, the key ends at {key.expires_at}"
        if request.arrived_at > key.expires_at:
            yield f"the key ended at {key.expires_at}, the request arrived at {request.arrived_at}"

    def _signature(self, request, said, listed, key):
        start, end = (int(second) for second in said["q-sign-time"].split(";"))
        # The SDK signs from a minute before now; so "now" is a minute after the start.
        self.signer.time = types.SimpleNamespace(time=lambda: start + 60)
        config = qcloud_cos.CosConfig(
            Region="ap-guangzhou", SecretId=said["q-ak"], SecretKey=key.secret, SignHost="host" in listed)
        headers = {n: v.encode("latin-1").decode("utf-8") for n, v in request.fields if n in listed}
        # The URL is not looked at while `host` is among the headers.
        signed = types.SimpleNamespace(method=request.method, url="http://none/", headers=headers)
        path = urllib.parse.unquote(request.path)
        self.signer.CosS3Auth(config, path, dict(request.parameters), expire=end - start - 60)(signed)
        return dict(part.split("=", 1) for part in signed.headers["Authorization"].split("&"))["q-signature"]


class Tap:
    """Forwards connections to COS and lets the oracle judge each request."""

    def __init__(self, upstream, oracle):
        host, port = upstream.rsplit(":", 1)
        self.upstream = (host, int(port))
        self.oracle = oracle
        self.requests = collections.deque(maxlen=KEPT)
        self.disagreements = []
        self.agreed = 0
        self._heads = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        for job in (self._accept, self._judge):
            threading.Thread(target=job, daemon=True).start()

    def stop(self):
        self._listener.close()
        self._heads.put(None)

    def settle(self):
        """Waits until everything that arrived is judged."""
        self._heads.join()

    def last(self, method=None):
        """The newest request, or the newest with this method."""
        self.settle()
        return next(r for r in reversed(self.requests) if method in (None, r.method))

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.upstream, timeout=10)
            except OSError:
                client.close()
                continue
            for side in (client, server):
                side.settimeout(None)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Each direction ends by itself; the sockets close when both directions let them go.
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._responses, args=(server, client), daemon=True).start()

    def _judge(self):
        while (head := self._heads.get()) is not None:
            data, arrived_at = head
            try:
                request = Request.parse(data, arrived_at)
            except ValueError as why:
                self.disagreements.append((data, [f"not a request head: {why}"]))
            else:
                self.requests.append(request)
                if complaints := self.oracle.complaints(request):
                    self.disagreements.append((request, complaints))
                else:
                    self.agreed += 1
            self._heads.task_done()

    def _requests(self, client, server):
        wire = Wire(client, server)
        try:
            while head := wire.head():
                self._heads.put((head, time.time()))
                server.sendall(head)
                wire.body(head)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            end_abruptly(client, server)
        except ValueError as why:
            self.disagreements.append((bytes(wire.held[:200]), [f"not HTTP: {why}"]))
            end_abruptly(client, server)

    @staticmethod
    def _responses(server, client):
        piece = memoryview(bytearray(PIECE))
        try:
            while count := server.recv_into(piece):
                client.sendall(piece[:count])
            client.shutdown(socket.SHUT_WR)
        except OSError:
            end_abruptly(client, server)


class Wire:
    """Reads requests off a connection; hands bodies on as they come."""

    def __init__(self, source, sink):
        self.source, self.sink, self.held = source, sink, bytearray()

    def head(self):
        """The next head, or nothing at the end of the connection."""
        return self._until(b"\r\n\r\n", may_end=True)

    def body(self, head):
        fields = Request.parse(head, 0).fields
        codings = [value.lower() for name, value in fields if name == "transfer-encoding"]
        lengths = [value for name, value in fields if name == "content-length"]
        if codings and lengths or len(codings) > 1 or len(lengths) > 1:
            raise ValueError(f"framed twice: {codings} {lengths}")
        if codings:
            self._chunks()
        elif lengths:
            self._bytes(int(lengths[0]))

    def _chunks(self):
        while True:
            line = self._until(b"\r\n")
            self.sink.sendall(line)
            size = int(line.split(b";")[0].strip(), 16)
            if size == 0:
                break
            self._bytes(size + 2)
        while (line := self._until(b"\r\n")) != b"\r\n":
            self.sink.sendall(line)
        self.sink.sendall(line)

    def _bytes(self, left):
        here = bytes(self.held[:left])
        del self.held[:left]
        self.sink.sendall(here)
        left -= len(here)
        piece = memoryview(bytearray(min(left, PIECE)))
        while left:
            count = self.source.recv_into(piece[:left])
            if not count:
                raise OSError("ended inside a body")
            self.sink.sendall(piece[:count])
            left -= count

    def _until(self, end, may_end=False):
        while (at := self.held.find(end)) < 0:
            if len(self.held) > HEAD_MOST:
                raise ValueError("no end of a line or head")
            got = self.source.recv(PIECE)
            if not got:
                if may_end and not self.held:
                    return b""
                raise OSError("ended inside a head")
            self.held += got
        found = bytes(self.held[:at + len(end)])
        del self.held[:at + len(end)]
        return found


def end_abruptly(*sockets):
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class StsTap:
    """Stands in front of STS and notes every key that it hands out."""

    def __init__(self, upstream, keys):
        address = urllib.parse.urlsplit(upstream).netloc

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                onward = http.client.HTTPConnection(address, timeout=10)
                try:
                    onward.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        onward.putheader(name, value)
                    onward.endheaders(body)
                    answer = onward.getresponse()
                    text = answer.read()
                finally:
                    onward.close()
                note(json.loads(text)["Response"])
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        def note(response):
            if credentials := response.get("Credentials"):
                keys[credentials["TmpSecretId"]] = Key(
                    credentials["TmpSecretKey"], credentials["Token"], response["ExpiredTime"])

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
