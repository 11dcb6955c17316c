"""What the tests share: one stand for the whole run, its keys swapped about once a second."""
import socket

import pytest
from stand import Stand


FIGURES = []


@pytest.fixture(scope="session")
def say():
    """Tells a figure that is shown when all tests are done."""
    return FIGURES.append


def pytest_terminal_summary(terminalreporter):
    for figure in FIGURES:
        terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def shared_stand(say):
    stand = Stand(key_life=8, log_level="trace")
    yield stand
    stand.stop()
    say(f"clients: the official signer agrees with {stand.tap.agreed} requests; {len(stand.oracle.keys)} keys")


@pytest.fixture
def stand(shared_stand):
    """The shared stand; afterwards the oracle must agree with every request of the test."""
    before = shared_stand.agreement()
    yield shared_stand
    count = shared_stand.agreement() - before
    assert count > 0, "no request reached COS"


@pytest.fixture(autouse=True)
def names_under_localhost(monkeypatch):
    """`*.localhost` is the loopback address (RFC 6761), which not every resolver knows."""
    real = socket.getaddrinfo

    def getaddrinfo(host, *rest, **named):
        name = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if name and name.endswith(".localhost") else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
