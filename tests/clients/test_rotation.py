"""Thousands of requests while keys change under them: none fails."""
import hashlib
import os
import random
import threading
import time

import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client
from stand import QUICK, Stand

SWAPS = 10 if QUICK else 100
REQUESTS = 500 if QUICK else 5000
LONGEST = 180.0
BLOB = os.urandom(4 * 1024 * 1024)


@pytest.fixture
def rotating_stand():
    # A new key 0.6 to 1.2 s after the one before.
    stand = Stand(key_life=6)
    yield stand
    stand.stop()


class Load:
    """Threads that put, get, list, copy and delete until they are told to stop."""

    def __init__(self, stand):
        self.stand = stand
        self.stop = threading.Event()
        self.done, self.failures = 0, []
        self._lock = threading.Lock()
        jobs = [self._small, self._small, self._small, self._large, self._large, self._slow_up, self._slow_down]
        self.threads = [threading.Thread(target=self._repeat, args=(job, n)) for n, job in enumerate(jobs)]

    def _repeat(self, job, number):
        try:
            for _ in job(number):
                with self._lock:
                    self.done += 1
                if self.stop.is_set():
                    return
        except Exception as why:  # whatever a client can see of a fault counts
            self.failures.append(f"{job.__name__}: {why!r}")

    def _small(self, number):
        """A script's requests, one after the other on one connection."""
        session = requests.Session()
        session.trust_env = False
        base = f"http://{self.stand.address}"
        chance = random.Random(number)
        while True:
            url = f"{base}/small/{number}/{chance.randrange(50)}"
            content = BLOB[:chance.randrange(4096)]
            for method, sent, status, expected in (
                ("PUT", content, 200, None), ("GET", None, 200, content), ("HEAD", None, 200, b""), ("DELETE", None, 204, b""),
                ("GET", None, 404, None),
            ):
                answer = session.request(method, url, data=sent, timeout=30)
                assert answer.status_code == status, f"{method} {answer.status_code} {answer.text[:300]}"
                assert expected is None or answer.content == expected
                yield

    def _large(self, number):
        """The SDK's requests: single, multipart, copied, by range."""
        config = CosConfig(Region=self.stand.region, Scheme="http", Anonymous=True, IP="127.0.0.1", Port=self.stand.port, Timeout=30)
        client, bucket, key = CosS3Client(config, retry=0), self.stand.bucket, f"large/{number}"
        while True:
            client.put_object(bucket, BLOB, key)
            yield
            got = client.get_object(bucket, key)["Body"].get_raw_stream().read()
            assert hashlib.sha256(got).digest() == hashlib.sha256(BLOB).digest()
            yield
            client.copy_object(bucket, f"{key}.copy", {"Bucket": bucket, "Key": key, "Region": self.stand.region})
            yield
            part = client.get_object(bucket, f"{key}.copy", Range="bytes=1000-1999")["Body"].get_raw_stream().read()
            assert part == BLOB[1000:2000]
            yield
            upload = client.create_multipart_upload(bucket, key)["UploadId"]
            yield
            tags = []
            for n in range(3):
                tags.append({"PartNumber": n + 1, "ETag": client.upload_part(bucket, key, BLOB[n << 20:(n + 1) << 20], n + 1, upload)["ETag"]})
                yield
            client.complete_multipart_upload(bucket, key, upload, {"Part": tags})
            yield
            assert client.list_objects(bucket, Prefix=key)["Contents"]
            yield
            client.delete_objects(bucket, {"Object": [{"Key": key}, {"Key": f"{key}.copy"}]})
            yield

    def _slow_up(self, number):
        """Uploads that outlast several keys."""
        def trickle():
            for n in range(20):
                yield BLOB[n * 1000:(n + 1) * 1000]
                self.stop.wait(0.15)
        while True:
            url = f"http://{self.stand.address}/slow/{number}"
            answer = requests.put(url, data=trickle(), timeout=30)
            assert answer.status_code == 200, answer.text
            yield
            assert requests.get(url, timeout=30).content == BLOB[:20_000]
            yield

    def _slow_down(self, number):
        """Downloads that outlast several keys."""
        url = f"http://{self.stand.address}/slow/{number}"
        assert requests.put(url, data=BLOB * 4, timeout=30).status_code == 200
        while True:
            digest = hashlib.sha256()
            with requests.get(url, timeout=30, stream=True) as answer:
                for piece in answer.iter_content(1 << 20):
                    digest.update(piece)
                    self.stop.wait(0.2)
            assert digest.digest() == hashlib.sha256(BLOB * 4).digest()
            yield


def test_no_request_fails_while_a_hundred_keys_change(rotating_stand, say):
    load = Load(rotating_stand)
    before = rotating_stand.swaps()
    began = time.monotonic()
    for thread in load.threads:
        thread.start()
    try:
        while True:
            swaps = rotating_stand.swaps() - before
            enough = swaps >= SWAPS and load.done >= REQUESTS
            if enough or load.failures or time.monotonic() - began > LONGEST:
                break
            time.sleep(0.5)
    finally:
        load.stop.set()
        for thread in load.threads:
            thread.join(timeout=60)
    assert not [thread for thread in load.threads if thread.is_alive()], "a request hangs"
    agreed = rotating_stand.agreement()
    took = time.monotonic() - began
    say(f"rotation: {load.done} requests through {swaps} key swaps, {len(load.failures)} failures "
        f"({took:.0f} s; the official signer agrees with {agreed})")
    assert not load.failures, load.failures[:5]
    assert swaps >= SWAPS and load.done >= REQUESTS and agreed >= load.done
