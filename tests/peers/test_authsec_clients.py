"""The AuthSec clients as published on PyPI, unmodified, in LIVE mode.

Their mock fallbacks are faults of these clients: after any refusal they invent records.
So every LIVE test also asserts that the client did not fall back, and what a fallback looks like is pinned once.
"""

import asyncio
import re
import uuid

import jwt
import pytest
from authsec_langchain import AuthsecClient, AuthsecConfig, DelegationError
from authsec_llamaindex import AuthSecClient, AuthSecSecureReader
from authsec_sdk import (
    DelegationClient,
    DelegationTokenExpired,
    DelegationTokenNotFound,
)
from authsec_sdk import DelegationError as SdkDelegationError
from house import METRICS, RECORDS, until

PERMISSIONS = {"read:records", "read:metrics"}


@pytest.fixture(scope="module")
def reader_agent(house):
    return house.agent("reader", *sorted(PERMISSIONS))


@pytest.fixture
def revoked(house):
    name = f"revoked-{uuid.uuid4().hex[:8]}"
    client_id = house.agent(name, *PERMISSIONS)
    house.command("agents", "revoke", name, json_output=False)
    return client_id


@pytest.fixture
def lapsed(house):
    name = f"lapsed-{uuid.uuid4().hex[:8]}"
    client_id = house.command("agents", "create", name, "--auth", "client-id")["client_id"]
    house.command("agents", "delegate", name, "--allow", "read:records", "--expires", "1s")
    until(lambda: house.delegation(client_id).status_code != 200, 5, "the delegation lapses")
    return client_id


def langchain(house, client_id):
    return AuthsecClient(AuthsecConfig(base_url=house.url, client_id=client_id))


def sdk(house, client_id):
    return DelegationClient(client_id=client_id, userflow_url=f"{house.url}/authsec/uflow")


# -- authsec-langchain-sdk ---------------------------------------------------


def test_langchain_gets_a_token_that_our_keys_verify(house, reader_agent):
    with langchain(house, reader_agent) as client:
        token = client.get_delegation_token()
        assert client.get_delegation_token() == token, "the client did not understand expires_at"
        assert client._cached_delegation_expires > 0
    key = jwt.PyJWKClient(f"{house.url}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key.key, algorithms=["RS256"], issuer=house.url, audience=house.url)
    assert claims["sub"] == "spiffe://acme.example/agent/reader"
    assert set(claims["permissions"]) == PERMISSIONS == set(claims["scope"].split())


@pytest.mark.parametrize(
    "who, status",
    [("revoked", 401), ("lapsed", 410), ("unknown", 404), ("malformed", 400)],
)
def test_langchain_raises_its_own_error(house, request, who, status):
    client_id = {"unknown": str(uuid.uuid4()), "malformed": "no-uuid"}.get(who) or request.getfixturevalue(who)
    with langchain(house, client_id) as client, pytest.raises(DelegationError, match=f"failed: {status} "):
        client.get_delegation_token()


# -- authsec-sdk -------------------------------------------------------------


def test_sdk_pulls_a_token_and_reads_the_vault_with_it(house, reader_agent):
    async def work():
        client = sdk(house, reader_agent)
        info = await client.pull_token()
        assert client.spiffe_id == "spiffe://acme.example/agent/reader"
        assert client.has_all_permissions(*PERMISSIONS) and not client.is_expired
        assert 300 < client.expires_in_seconds <= 1800
        assert client.decode_token_claims()["client_id"] == reader_agent
        records = await client.request_json("GET", f"{house.url}/secure-vault/records")
        metrics = await client.request("GET", f"{house.url}/secure-vault/metrics")
        return info, records, metrics

    info, records, metrics = asyncio.run(work())
    assert info["status"] == "active" and info["workspace_id"] == info["tenant_id"]
    assert records == {"status": "success", "code": 200, "data": RECORDS}
    assert metrics.ok and metrics.json()["data"] == METRICS


@pytest.mark.parametrize(
    "who, error, text",
    [
        ("revoked", SdkDelegationError, "HTTP 401: invalid_client"),
        ("lapsed", DelegationTokenExpired, "Delegation token has expired"),
        ("unknown", DelegationTokenNotFound, "No active delegation token found"),
        ("malformed", SdkDelegationError, "HTTP 400: Invalid client_id format"),
    ],
)
def test_sdk_raises_its_typed_error(house, request, who, error, text):
    client_id = {"unknown": str(uuid.uuid4()), "malformed": "no-uuid"}.get(who) or request.getfixturevalue(who)
    with pytest.raises(error, match=re.escape(text)) as raised:
        asyncio.run(sdk(house, client_id).pull_token())
    assert raised.type is error


def test_sdk_that_holds_a_revoked_token_gets_401_at_once_and_no_new_one(house):
    client_id = house.agent("short-lived", "read:records")

    async def work():
        client = sdk(house, client_id)
        assert (await client.request("GET", f"{house.url}/secure-vault/records")).ok
        await asyncio.to_thread(house.command, "agents", "revoke", "short-lived", json_output=False)
        # The client answers a 401 by pulling once more; that is refused as well.
        with pytest.raises(SdkDelegationError, match="HTTP 401"):
            await client.request("GET", f"{house.url}/secure-vault/records")

    asyncio.run(work())


# -- authsec-llamaindex ------------------------------------------------------


def live_reader(house, client_id):
    client = AuthSecClient(base_url=house.url, client_id=client_id)
    assert not client.mock_mode
    return client, AuthSecSecureReader(client)


def test_llamaindex_reads_records_live(house, reader_agent):
    client, reader = live_reader(house, reader_agent)
    documents = reader.load_data("secure-vault/records", "read:records")
    assert not client.mock_mode, "the client fell back to its mock"
    assert [doc.metadata["record_index"] for doc in documents] == [0, 1]
    assert [doc.metadata["clearance_required"] for doc in documents] == ["TopSecret", "Internal"]
    assert "Alice Vance" in documents[0].text


def test_llamaindex_reads_metrics_live(house, reader_agent):
    client, reader = live_reader(house, reader_agent)
    (document,) = reader.load_data("secure-vault/metrics", "read:metrics")
    assert not client.mock_mode, "the client fell back to its mock"
    assert document.metadata["confidentiality"] == "RESTRICTED"
    assert "$4.2M USD" in document.text


def test_llamaindex_invents_records_when_it_is_refused(house, revoked):
    """The client's fault, pinned so that nobody takes these records for ours."""
    client, reader = live_reader(house, revoked)
    documents = reader.load_data("secure-vault/records", "read:records")
    assert client.mock_mode
    assert all(doc.metadata["ingestion_auth"] == "AuthSec AI Verified" for doc in documents)


def test_the_mock_token_of_llamaindex_opens_nothing_here(house):
    mock = AuthSecClient()
    assert mock.mock_mode
    token = mock.get_delegation_token()
    for path in ("/secure-vault/records", "/secure-vault/metrics"):
        assert house.http.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert house.store(token, [{"id": "mock", "text": "invented", "metadata": {}}]).status_code == 401
