"""The reader against a running server."""

import asyncio
import json
import logging
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from llama_index.core.bridge.pydantic import SecretStr
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.readers.base import BasePydanticReader, ReaderConfig
from llama_index.core.schema import MetadataMode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from peers import CLIENT_ID, TOKEN_PATH, House, Peer, issued, vault_answer

from bailiwick.errors import BailiwickError, Denied, RefusedDocument
from bailiwick.vault import PrivateKey
from llama_index.readers.bailiwick import SecureReader

RECORDS = ("secure-vault/records", "read:records")
METRICS = ("secure-vault/metrics", "read:metrics")
KEYS: dict[str, Callable[[], PrivateKey]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+|BEGIN [A-Z ]*PRIVATE KEY")


@pytest.fixture
def reader(house: House, agent: str) -> SecureReader:
    return SecureReader(base_url=house.url, client_id=agent)


def test_class() -> None:
    assert BasePydanticReader.__name__ in [base.__name__ for base in SecureReader.__mro__]


def test_records_become_documents(reader: SecureReader) -> None:
    alice, bob = reader.load_data(*RECORDS)
    assert alice.id_ == "secure-vault/records#USER-001"
    assert alice.text == "Id: USER-001\nName: Alice Vance"
    assert alice.metadata == {
        "clearance": "TopSecret",
        "department": "engineering",
        "source_endpoint": "secure-vault/records",
        "ingestion_auth": "delegation token",
        "ingested_by": "spiffe://acme.example/agent/reader",
        "scope": "read:records",
    }
    assert bob.metadata["department"] == "sales"


def test_one_record_becomes_one_document(reader: SecureReader) -> None:
    (metrics,) = reader.load_data(*METRICS)
    assert metrics.id_ == "secure-vault/metrics#0"
    assert json.loads(metrics.text)["q2_revenue_target"] == "$4.2M USD"
    assert metrics.metadata["confidentiality_level"] == "RESTRICTED"


def test_who_may_read_it_enters_no_embedding_and_no_prompt(reader: SecureReader) -> None:
    for document in [*reader.load_data(*RECORDS), *reader.load_data(*METRICS)]:
        for mode in (MetadataMode.EMBED, MetadataMode.LLM):
            assert document.get_content(mode) == document.text
        assert not re.search("TopSecret|RESTRICTED|spiffe", document.text)


def test_a_main_text_stands_under_its_title(authority: Peer) -> None:
    record = {
        "_id": 7,
        "title": "Tap water",
        "body": "Is soft here.",
        "due_date": "May",
        "department": "ops",
        "scope": "forged",
    }
    authority.replies["/secure-vault/notes"] = vault_answer([record])
    (document,) = SecureReader(base_url=authority.url, client_id=CLIENT_ID).load_data(
        "/secure-vault/notes"
    )
    assert (document.id_, document.text) == ("secure-vault/notes#7", "Tap water\n\nIs soft here.")
    assert document.metadata["due_date"] == "May"
    assert "scope" not in document.metadata


def test_async_gives_the_same_and_does_not_block(reader: SecureReader) -> None:
    async def both() -> None:
        records, metrics = await asyncio.gather(
            reader.aload_data(*RECORDS), reader.aload_data(*METRICS)
        )
        assert records == reader.load_data(*RECORDS)
        assert metrics == list(await reader.alazy_load_data(*METRICS))

    asyncio.run(both())


def test_lazy_asks_nothing_before_the_first_document_is_taken(authority: Peer) -> None:
    reader = SecureReader(base_url=authority.url, client_id=CLIENT_ID)
    documents = reader.lazy_load_data("secure-vault/none")
    assert authority.asked == []
    with pytest.raises(Denied):
        next(iter(documents))


def test_the_scope_is_sent_and_each_has_its_token(house: House, agent: str) -> None:
    reader = SecureReader(base_url=house.url, client_id=agent)
    with pytest.raises(Denied, match=r"403.*ask for the scope"):
        reader.load_data("secure-vault/records", "read:metrics")
    with pytest.raises(Denied, match=r"400.*ask for a scope that is delegated"):
        reader.load_data("secure-vault/records", "write:documents")
    assert len(reader.load_data(*RECORDS)) == 2


@pytest.mark.parametrize("kind", KEYS)
def test_an_agent_proves_itself_by_its_key(house: House, tmp_path: Path, kind: str) -> None:
    key = KEYS[kind]()
    public = tmp_path / "agent.pem"
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    name = f"signs-with-{kind}"
    made = house.command(
        "agents", "create", name, "--auth", "private-key-jwt", "--public-key", str(public)
    )
    house.command("agents", "delegate", name, "--allow", "read:records")

    reader = SecureReader(
        base_url=house.url, client_id=made["client_id"], private_key=SecretStr(pem)
    )
    documents = reader.load_data(*RECORDS)
    assert documents[0].metadata["ingested_by"] == f"spiffe://acme.example/agent/{name}"

    # Neither serialized nor pickled does it keep the key, and without the key it is refused.
    assert not TOKEN.search(f"{reader!r}{reader}{reader.to_json()}{reader.to_dict()}")
    with pytest.raises(Denied, match=r"401.*check the agent's key"):
        pickle.loads(pickle.dumps(reader)).load_data(*RECORDS)
    assert reader.model_copy(deep=True).load_data(*RECORDS) == documents


def test_a_pickle_holds_no_token_and_still_reads(reader: SecureReader) -> None:
    documents = reader.load_data(*RECORDS)
    pickled = pickle.dumps(reader)
    assert not re.search(rb"eyJ[A-Za-z0-9_-]+", pickled)
    assert pickle.loads(pickled).load_data(*RECORDS) == documents


def test_it_survives_serialization(reader: SecureReader) -> None:
    again = SecureReader.from_dict(reader.to_dict())
    assert again.load_data(*RECORDS) == reader.load_data(*RECORDS)


def test_a_pipeline_reads_through_it_and_skips_what_it_has_seen(reader: SecureReader) -> None:
    pipeline = IngestionPipeline(
        readers=[
            ReaderConfig(reader=reader, reader_args=list(RECORDS)),
            ReaderConfig(
                reader=reader, reader_kwargs={"endpoint": METRICS[0], "scope": METRICS[1]}
            ),
        ],
        transformations=[SentenceSplitter(), MockEmbedding(8)],
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
        disable_cache=True,
    )
    nodes = pipeline.run()
    assert {node.ref_doc_id for node in nodes} == {
        "secure-vault/records#USER-001",
        "secure-vault/records#USER-002",
        "secure-vault/metrics#0",
    }
    assert all("clearance" in n.excluded_llm_metadata_keys for n in nodes[:2])
    assert pipeline.run() == []


def test_resources_tell_who_may_read_them(reader: SecureReader) -> None:
    ids = reader.list_resources(*RECORDS)
    assert ids == ["secure-vault/records#USER-001", "secure-vault/records#USER-002"]
    assert reader.get_permission_info(ids[1], "read:records") == {
        "clearance": "Internal",
        "department": "sales",
    }
    assert reader.load_resource(ids[1], "read:records") == reader.load_data(*RECORDS)[1:]
    with pytest.raises(Denied, match="no record"):
        reader.load_resource("secure-vault/records#USER-999", "read:records")


@pytest.mark.parametrize(("lifetime", "requests"), [(59, 2), (90, 1)])
def test_a_token_is_not_used_in_its_last_minute(
    authority: Peer, lifetime: int, requests: int
) -> None:
    authority.replies[TOKEN_PATH] = issued(lifetime)
    authority.replies["/secure-vault/records"] = vault_answer([{"id": "a"}])
    reader = SecureReader(base_url=authority.url, client_id=CLIENT_ID)
    for _ in range(2):
        reader.load_data(*RECORDS)
    assert authority.paths().count(TOKEN_PATH) == requests
    assert authority.asked[0][1] == {"client_id": [CLIENT_ID], "scope": ["read:records"]}


def test_a_token_that_was_refused_is_not_used_again(house: House) -> None:
    reader = SecureReader(base_url=house.url, client_id=house.agent("shut-out", "read:records"))
    reader.load_data(*RECORDS)
    house.command("agents", "revoke", "shut-out", json_output=False)
    with pytest.raises(BailiwickError, match="the vault answered 401"):
        reader.load_data(*RECORDS)
    with pytest.raises(Denied, match="the authority answered 401"):
        reader.load_data(*RECORDS)


def test_two_records_of_one_name_are_refused(authority: Peer) -> None:
    authority.replies["/secure-vault/records"] = vault_answer([{"id": "a"}, {"id": "a"}])
    with pytest.raises(RefusedDocument, match="give each its own"):
        SecureReader(base_url=authority.url, client_id=CLIENT_ID).load_data(*RECORDS)


def test_nothing_is_printed_and_no_log_holds_a_token(
    house: House,
    agent: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reader = SecureReader(base_url=house.url, client_id=agent)
    reader.load_data(*RECORDS)
    asyncio.run(reader.aload_data(*METRICS))
    with pytest.raises(Denied):
        reader.load_data("secure-vault/records", "read:metrics")
    assert capfd.readouterr() == ("", "")
    assert "secure-vault/records" in caplog.text
    assert not TOKEN.search(caplog.text)


def test_the_environment_configures_it_whole_or_not_at_all(
    house: House, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BailiwickError, match="set BAILIWICK_URL"):
        SecureReader()
    monkeypatch.setenv("BAILIWICK_URL", house.url)
    with pytest.raises(BailiwickError, match="set BAILIWICK_CLIENT_ID"):
        SecureReader()
    monkeypatch.setenv("BAILIWICK_CLIENT_ID", agent)
    assert len(SecureReader().load_data(*RECORDS)) == 2
