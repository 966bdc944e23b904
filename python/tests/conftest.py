"""What tests share; no test sees the variables of whoever runs them."""

import os
from collections.abc import Iterator

import pytest
from acme import POLICY, People, Provider
from peers import BINARY, TOKEN_PATH, House, Peer, issued, peer

from bailiwick import Index, Policy, Verifier


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


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.server.shutdown()


@pytest.fixture(scope="session")
def verifier(provider: Provider) -> Verifier:
    return Verifier(provider.issuer, "bailiwick", clock_skew_seconds=60)


@pytest.fixture(scope="session")
def policy() -> Policy:
    return Policy(POLICY)


@pytest.fixture(scope="session")
def people(provider: Provider, verifier: Verifier, policy: Policy) -> People:
    return People(provider, verifier, policy)


@pytest.fixture
def index(policy: Policy) -> Iterator[Index]:
    index = Index.open(dims=4, attributes=policy.attributes)
    yield index
    index.close()
