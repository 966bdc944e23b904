"""The FastAPI example, from a vault's records to an answer."""

import asyncio
import importlib.util
from types import ModuleType
from typing import Any

import httpx
import pytest
from acme import Provider
from peers import ROOT, House

EXAMPLE = ROOT / "examples" / "fastapi" / "main.py"


class Backend:
    """The example, asked as over HTTP."""

    def __init__(self, module: ModuleType) -> None:
        self.transport = httpx.ASGITransport(module.app)

    def ask(self, token: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        async def post() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self.transport, base_url="http://backend", headers=headers
            ) as http:
                question = {"query": "Who is Alice, and who is Bob?"}
                return await http.post("/api/rag/query", json=question)

        return asyncio.run(post())


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fastapi_example", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def backend(
    house: House, agent: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    for name, value in {
        "OIDC_ISSUER": provider.issuer,
        "OIDC_AUDIENCE": "bailiwick",
        "BAILIWICK_CONFIG": str(ROOT / "examples" / "acme" / "bailiwick.toml"),
        "BAILIWICK_URL": house.url,
        "BAILIWICK_CLIENT_ID": agent,
    }.items():
        monkeypatch.setenv(name, value)
    return Backend(loaded())


def test_two_people_are_answered_from_what_each_may_read(
    backend: Backend, provider: Provider
) -> None:
    alice = backend.ask(provider.token(department="engineering", user_clearance="TopSecret"))
    bob = backend.ask(provider.token(department="sales", user_clearance="Internal"))
    assert (alice.status_code, bob.status_code) == (200, 200)
    assert "Alice Vance" in alice.json()["response"]
    assert "Vance" not in bob.text
    assert "TopSecret" not in alice.json()["response"], "labels are no business of the model"
    assert "Bob Miller" in bob.json()["response"]
    assert len(alice.json()["source_nodes"]) == len(bob.json()["source_nodes"]) == 1


@pytest.mark.parametrize(
    "claims",
    [{}, {"department": "people", "user_clearance": "TopSecret"}, {"department": "engineering"}],
)
def test_who_may_read_nothing_gets_one_and_the_same_answer(
    backend: Backend, provider: Provider, claims: dict[str, Any]
) -> None:
    answer = backend.ask(provider.token(**claims))
    assert answer.status_code == 200
    assert answer.json() == {
        "response": "Nothing that you may read answers this.",
        "source_nodes": [],
    }


def test_bad_tokens_are_told_apart_as_expired_or_not(backend: Backend, provider: Provider) -> None:
    claims: dict[str, Any] = {"department": "engineering", "user_clearance": "TopSecret"}
    for token, detail in [
        (provider.token(lifetime=-600, **claims), "Token has expired"),
        (provider.token(aud="another", **claims), "Invalid token"),
        (provider.token(**claims)[:-8] + "AAAAAAAA", "Invalid token"),
        ("garbage", "Invalid token"),
    ]:
        answer = backend.ask(token)
        assert (answer.status_code, answer.json()) == (401, {"detail": detail})
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_without_a_token_there_is_no_answer(backend: Backend) -> None:
    assert backend.ask(None).status_code in (401, 403)


def test_it_is_as_short_as_promised() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
