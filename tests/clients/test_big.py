"""A file of 1 GiB goes up and comes down while keys change; the proxy stays small."""
import hashlib
import random
import time

import pytest
from qcloud_cos import CosConfig, CosS3Client
from stand import QUICK, Stand

SIZE = (64 if QUICK else 1024) << 20
PIECE = 1 << 20
MEMORY_MOST = 40 << 20


@pytest.fixture
def quiet_stand():
    stand = Stand(key_life=6)
    yield stand
    stand.stop()


def test_one_gibibyte_up_and_down_in_little_memory(quiet_stand, tmp_path, say):
    chance, sent = random.Random(1), hashlib.sha256()
    with (tmp_path / "big").open("wb") as file:
        for _ in range(SIZE // PIECE):
            piece = chance.randbytes(PIECE)
            sent.update(piece)
            file.write(piece)
    config = CosConfig(
        Region=quiet_stand.region, Scheme="http", Anonymous=True, Domain=f"localhost:{quiet_stand.port}", Timeout=60)
    client, bucket = CosS3Client(config, retry=0), quiet_stand.bucket

    began, swaps = time.monotonic(), quiet_stand.swaps()
    client.upload_file(bucket, "parts", str(tmp_path / "big"), PartSize=16, MAXThread=4)
    up, swaps_up = time.monotonic() - began, quiet_stand.swaps() - swaps
    (tmp_path / "big").unlink()

    began, swaps = time.monotonic(), quiet_stand.swaps()
    stream = client.get_object(bucket, "parts")["Body"].get_raw_stream()
    received, size = hashlib.sha256(), 0
    while piece := stream.read(PIECE):
        received.update(piece)
        size += len(piece)
    down, swaps_down = time.monotonic() - began, quiet_stand.swaps() - swaps

    assert size == SIZE and received.digest() == sent.digest()
    most = quiet_stand.memory_most()
    say(f"big file: {SIZE >> 20} MiB up in {up:.1f} s ({swaps_up} key swaps), down in {down:.1f} s ({swaps_down} key swaps), "
        f"the proxy's memory at most {most / (1 << 20):.1f} MiB; the official signer agrees with {quiet_stand.agreement()} requests")
    assert swaps_up + swaps_down > 0 or QUICK, "no key changed meanwhile"
    assert most < MEMORY_MOST
