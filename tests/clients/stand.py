"""The stand on which the product is tried: COS and STS stand-ins, the wire taps, the proxy."""
import http.client
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from recorder import Oracle, StsTap, Tap

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICK = bool(os.environ.get("COS_AUTH_PROXY_TEST_QUICK"))
START_MOST = 20.0


def binary():
    if named := os.environ.get("COS_AUTH_PROXY_TEST_BINARY"):
        return pathlib.Path(named)
    for profile in ("release", "debug"):
        path = ROOT / "target" / profile / "cos-auth-proxy"
        if path.exists():
            return path
    raise AssertionError("build the product first: cargo build --release")


class Process:
    """A running program of ours, with its logs in a file."""

    def __init__(self, arguments, logs, environment=None, stdout=None):
        self.logs = pathlib.Path(logs)
        with self.logs.open("wb") as file:
            self.process = subprocess.Popen(
                [binary(), *arguments], stdin=subprocess.DEVNULL, stdout=stdout or file, stderr=file,
                env={"PATH": os.environ["PATH"], **(environment or {})})
        self.pid = self.process.pid

    def log_text(self):
        return self.logs.read_text(errors="replace")

    def wait_for(self, what):
        """Waits until `what()` gives something; says what the program logged if it does not."""
        until = time.monotonic() + START_MOST
        while time.monotonic() < until:
            if (found := what()) is not None:
                return found
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log_text()}"
            time.sleep(0.02)
        raise AssertionError(f"not ready after {START_MOST} s:\n{self.log_text()[-4000:]}")

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("does not end on SIGTERM") from None


class Stand:
    """Client → proxy → tap → COS, and proxy → tap → STS."""

    def __init__(self, key_life=10, log_level="info", **more):
        self.folder = tempfile.TemporaryDirectory(prefix="cos-auth-proxy-test-")
        folder = pathlib.Path(self.folder.name)
        self.stand_in = Process(
            ["demo", "--stand-in", "--key-life", f"{key_life}s"], folder / "stand-in.log", stdout=subprocess.PIPE)
        said = json.loads(self.stand_in.process.stdout.readline())
        self.bucket, self.region = said["bucket"], said["region"]
        self.secret_id, self.secret_key = said["secret_id"], said["secret_key"]
        self.host = f"{self.bucket}.cos.{self.region}.myqcloud.com"
        self.service_host = "service.cos.myqcloud.com"
        self.oracle = Oracle({self.host, self.service_host})
        self.tap = Tap(said["cos"], self.oracle)
        self.sts = StsTap(said["sts"], self.oracle.keys)
        self.config = folder / "config.toml"
        self.config.write_text(self._config(log_level, **more))
        self.proxy = Process(["run", "--config", self.config], folder / "proxy.log", {
            "TENCENTCLOUD_SECRET_ID": self.secret_id, "TENCENTCLOUD_SECRET_KEY": self.secret_key})
        listening = self.proxy.wait_for(self._listening)
        self.port, self.telemetry, self.control = (
            int(listening[where].rsplit(":", 1)[1]) for where in ("data", "telemetry", "control"))
        self.address = f"127.0.0.1:{self.port}"
        self.proxy.wait_for(lambda: self.get("/readyz")[0] == 200 or None)

    def _config(self, log_level, **more):
        """Settings for keys that live seconds: a new one after 10 to 20 % of a life."""
        listen = "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
        return f"""
[listen]
address = ["127.0.0.1:0"]
{listen}
[telemetry]
address = "127.0.0.1:0"
[control]
address = "127.0.0.1:0"
[upstream]
bucket = "{self.bucket}"
region = "{self.region}"
endpoint = "http://{{bucket}}.cos.{{region}}.myqcloud.com"
service_endpoint = "http://{self.service_host}"
connect_to = "{self.tap.address}"
[keys.default]
source = "federation-token"
endpoint = "{self.sts.url}"
[refresh]
from = 0.1
to = 0.2
floor = "100ms"
least_remaining_life = "1s"
transient_base = "100ms"
transient_cap_least = "200ms"
transient_cap_most = "500ms"
transient_cap_without_key = "500ms"
wall_clock_tick = "200ms"
[log]
level = "{log_level}"
format = "json"
access = true
"""

    def _listening(self):
        for line in self.proxy.log_text().splitlines():
            if '"message":"listening"' in line:
                return json.loads(line)
        return None

    def get(self, path, port=None):
        """Asks the proxy's telemetry; status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.telemetry, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, name):
        """The sum of a series over its labels."""
        _, text = self.get("/metrics")
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M)
        return sum(float(value) for value in found)

    def swaps(self):
        return int(self.metric("cos_auth_proxy_key_swaps_total"))

    def memory_most(self):
        """The most memory the proxy ever held, in bytes."""
        status = pathlib.Path(f"/proc/{self.proxy.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M).group(1)) * 1024

    def secrets(self):
        """Everything that must never be seen outside a request upstream."""
        yield "the permanent key", self.secret_key
        for key in list(self.oracle.keys.values()):
            yield "a temporary key", key.secret
            yield "a token", key.token

    def agreement(self):
        """How many requests the oracle agreed with; fails if it newly disagrees with one."""
        self.tap.settle()
        found, self.tap.disagreements = self.tap.disagreements, []
        shown = "\n".join(f"{request}: {'; '.join(why)}" for request, why in found[:5])
        assert not found, f"{len(found)} disagreements\n{shown}"
        return self.tap.agreed

    def stop(self):
        """Ends everything; the proxy must have ended well and logged no secret."""
        try:
            code = self.proxy.stop()
        finally:
            self.tap.stop()
            self.sts.stop()
            self.stand_in.stop()
        logs = self.proxy.log_text()
        self.folder.cleanup()
        assert code == 0, f"the proxy ended with {code}:\n{logs[-4000:]}"
        assert "panicked" not in logs, logs[-4000:]
        assert not [what for what, secret in self.secrets() if secret in logs], "a secret is in the logs"
