"""One server for the session; no test sees the variables of whoever runs the tests."""

import os
from collections.abc import Iterator

import pytest
from peers import BINARY, TOKEN_PATH, House, Peer, issued, peer


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AUTHSEC_", "BAILIWICK_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A Bailiwick with its authority and vault; its people's provider is away."""
    if not BINARY.exists():
        pytest.fail(f"there is no {BINARY}: build it, or name it in BAILIWICK_BIN")
    house = House(tmp_path_factory.mktemp("house"), "http://127.0.0.1:9").start(ready=False)
    yield house
    house.stop()


@pytest.fixture(scope="session")
def agent(house: House) -> str:
    """The client id of an agent that may read everything in the vault."""
    return str(house.agent("reader", "read:records", "read:metrics"))


@pytest.fixture
def authority() -> Iterator[Peer]:
    """An authority that issues tokens, before a vault that has nothing yet."""
    with peer() as server:
        server.replies[TOKEN_PATH] = issued()
        yield server
