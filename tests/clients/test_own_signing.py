"""Programs that sign themselves: the official SDK with keys of `keys once` and of the key endpoint."""
import json
import subprocess
import urllib.request

import pytest
from qcloud_cos import CosConfig, CosS3Client, CosServiceError
from stand import Process, Stand, binary


@pytest.fixture(scope="module")
def own_stand():
    """With keys that outlive the window of 10,000 s that the SDK signs for."""
    stand = Stand(key_life=20_000)
    yield stand
    stand.stop()


def once(stand, form):
    done = subprocess.run(
        [binary(), "keys", "once", "--config", stand.config, "--format", form], capture_output=True, text=True, timeout=60,
        env={"TENCENTCLOUD_SECRET_ID": stand.secret_id, "TENCENTCLOUD_SECRET_KEY": stand.secret_key})
    assert done.returncode == 0, done.stderr
    return done.stdout


def sdk(stand, **key):
    """Straight to COS, past the proxy."""
    host, port = stand.tap.upstream
    return CosS3Client(CosConfig(Region=stand.region, Scheme="http", IP=host, Port=port, Timeout=30, **key), retry=0)


def there_and_back(client, bucket, name):
    client.put_object(bucket, b"signed by the program itself", name)
    assert client.get_object(bucket, name)["Body"].get_raw_stream().read() == b"signed by the program itself"


@pytest.mark.parametrize("form", ["json", "env", "credential-process"])
def test_a_key_of_keys_once_signs_in_the_official_sdk(own_stand, form):
    stand = own_stand
    said = once(stand, form)
    if form == "env":
        # As a shell understands it.
        shell = subprocess.run(
            ["sh", "-c", 'eval "$1"; printf "%s\\n%s\\n%s" "$TENCENTCLOUD_SECRET_ID" "$TENCENTCLOUD_SECRET_KEY" "$TENCENTCLOUD_TOKEN"', "sh", said],
            capture_output=True, text=True, timeout=10, check=True)
        secret_id, secret_key, token = shell.stdout.split("\n")
    elif form == "json":
        key = json.loads(said)["credentials"]
        secret_id, secret_key, token = key["tmpSecretId"], key["tmpSecretKey"], key["sessionToken"]
    else:
        key = json.loads(said)
        assert key["Version"] == 1
        secret_id, secret_key, token = key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"]
    there_and_back(sdk(stand, SecretId=secret_id, SecretKey=secret_key, Token=token), stand.bucket, f"own/{form}")


@pytest.fixture
def endpoint(own_stand, tmp_path):
    """A proxy of its own that hands out keys; only its key endpoint is used."""
    stand = own_stand
    config = tmp_path / "config.toml"
    config.write_text(stand.config.read_text() + '\n[key_endpoint]\naddress = "127.0.0.1:0"\nmargin = "1s"\n')
    proxy = Process(["run", "--config", config], tmp_path / "proxy.log", {
        "TENCENTCLOUD_SECRET_ID": stand.secret_id, "TENCENTCLOUD_SECRET_KEY": stand.secret_key})

    def address():
        for line in proxy.log_text().splitlines():
            if '"message":"listening"' in line:
                return json.loads(line)["key_endpoint"]
        return None
    yield proxy.wait_for(address)
    assert proxy.stop() == 0
    logs = proxy.log_text()
    assert not [what for what, secret in stand.secrets() if secret in logs], "a secret is in the logs"


def test_the_official_sdk_signs_with_keys_of_the_endpoint(own_stand, endpoint):
    stand = own_stand
    with urllib.request.urlopen(f"http://{endpoint}/sts", timeout=10) as answer:
        key = json.load(answer)
    assert key["startTime"] <= key["expiredTime"] and key["requestId"]
    key = key["credentials"]
    client = sdk(stand, SecretId=key["tmpSecretId"], SecretKey=key["tmpSecretKey"], Token=key["sessionToken"])
    there_and_back(client, stand.bucket, "own/endpoint")


def test_a_key_for_a_scope_reaches_that_scope_and_nothing_else(own_stand, endpoint):
    stand = own_stand
    scope = [{"action": f"name/cos:{action}", "bucket": stand.bucket, "region": stand.region, "prefix": "own/scope/*"}
             for action in ("PutObject", "GetObject")]
    asked = urllib.request.Request(f"http://{endpoint}/sts", json.dumps(scope).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        key = json.load(answer)["credentials"]
    client = sdk(stand, SecretId=key["tmpSecretId"], SecretKey=key["tmpSecretKey"], Token=key["sessionToken"])
    there_and_back(client, stand.bucket, "own/scope/a")
    with pytest.raises(CosServiceError) as refused:
        client.put_object(stand.bucket, b"x", "own/elsewhere")
    assert refused.value.get_error_code() == "AccessDenied"


def test_metadata_is_answered_as_a_machine_of_the_cloud_would(endpoint):
    base = f"http://{endpoint}/latest/meta-data/cam/security-credentials/"
    with urllib.request.urlopen(base, timeout=10) as answer:
        roles = answer.read().decode().split()
    assert roles == ["default"]
    with urllib.request.urlopen(base + roles[0], timeout=10) as answer:
        key = json.load(answer)
    assert key["Code"] == "Success" and key["TmpSecretId"] and key["TmpSecretKey"] and key["Token"] and key["ExpiredTime"]
