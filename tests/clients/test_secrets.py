"""No secret is seen anywhere: logs, metrics, status, error bodies, answers."""
import subprocess
import urllib.parse

import pytest
import requests
from stand import Stand, binary


@pytest.fixture
def talkative_stand():
    stand = Stand(key_life=6, log_level="trace")
    yield stand
    stand.stop()


def traces(stand):
    """Each secret, what it is, and the forms and pieces in which it could be seen."""
    for what, secret in stand.secrets():
        yield what, secret
        yield f"{what}, encoded", urllib.parse.quote(secret, safe="")
        yield f"the start of {what}", secret[:20]
        yield f"the end of {what}", secret[-20:]


def test_no_secret_leaves_the_process_but_to_cos(talkative_stand):
    stand = talkative_stand
    seen = {}
    base = f"http://{stand.address}"
    for n, (method, target, headers) in enumerate([
        ("PUT", "/secret", {}), ("GET", "/secret", {}), ("GET", "/absent", {}), ("GET", "/", {}),
        ("GET", "/secret", {"Range": "bytes=9999-"}), ("GET", "/secret", {"Host": "example.com"}),
        ("GET", "/secret?q-sign-algorithm=sha1&q-ak=x", {}), ("POST", "/?delete", {}), ("PATCH", "/secret", {}),
        ("GET", "/secret", {"If-Match": '"other"'}), ("PUT", "/" + "k" * 3000, {}), ("GET", "/", {"Host": stand.service_host}),
        ("TRACE", "/secret", {}), ("OPTIONS", "/secret", {"Origin": "http://a", "Access-Control-Request-Method": "GET"}),
    ]):
        answer = requests.request(method, base + target, headers=headers, data=b"x" if method == "PUT" else None, timeout=30)
        seen[f"answer {n} to {method} {target}"] = f"{answer.status_code} {answer.headers} {answer.text}"
    swaps = stand.swaps()
    stand.proxy.wait_for(lambda: True if stand.swaps() >= swaps + 2 else None)
    for command in (["status"], ["status", "--json"], ["refresh"], ["check"], ["print-config", "--sources"]):
        done = subprocess.run([binary(), *command, "--config", stand.config, "--control-address", f"127.0.0.1:{stand.control}"],
                              capture_output=True, text=True, timeout=30, env={
                                  "TENCENTCLOUD_SECRET_ID": stand.secret_id, "TENCENTCLOUD_SECRET_KEY": stand.secret_key})
        assert done.returncode == 0, done
        seen[" ".join(command)] = done.stdout + done.stderr
    for path in ("/metrics", "/livez", "/readyz", "/startup", "/"):
        seen[path] = stand.get(path)[1]
    for path in ("/status", "/"):
        seen[f"control {path}"] = stand.get(path, stand.control)[1]
    seen["the logs"] = stand.proxy.log_text()
    stand.agreement()

    assert len(stand.oracle.keys) >= 3
    found = [f"{what} in {where}" for what, trace in traces(stand) for where, text in seen.items() if trace in text]
    assert not found, sorted(set(found))
    assert "q-signature=" not in seen["the logs"], "a signature is as good as the key while it lasts"
