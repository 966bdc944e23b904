"""In place of authsec-llamaindex 0.1.0: its programs run, and its faults are not ours.

The package itself comes from PyPI, unpacked beside ours.
"""

import ast
import asyncio
import importlib
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.readers.base import ReaderConfig
from llama_index.core.schema import MetadataMode
from peers import CLIENT_ID, ROOT, TOKEN_PATH, House, Peer, Reply, issued, peer, vault_answer

from bailiwick.compat.authsec import AuthSecClient, AuthSecSecureReader
from bailiwick.errors import BailiwickError, Denied, InvalidToken, TokenExpired, Unavailable

PUBLISHED = "authsec-llamaindex==0.1.0"
SHA256 = "a54059f623c82fe60611bdb40e1d4f37fafea6ebd0e73c9ce2407a6e0fcf474c"
RECORDS = ("secure-vault/records", "read:records")
METRICS = ("secure-vault/metrics", "read:metrics")

INGEST = """
import json, sys
from authsec_llamaindex import AuthSecClient, AuthSecSecureReader
client = AuthSecClient()
reader = AuthSecSecureReader(authsec_client=client)
loaded = [
    [document.text, document.metadata]
    for endpoint, scope in json.loads(sys.argv[1])
    for document in reader.load_data(endpoint=endpoint, scope=scope)
]
print("LOADED" + json.dumps([client.mock_mode, loaded]))
"""


def installed(into: Path, *what: str) -> Path:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(into)]
    subprocess.run([*pip, "--disable-pip-version-check", *what], check=True)
    return into


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of PyPI, as it was when this was written."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "lock.txt").write_text(f"{PUBLISHED} --hash=sha256:{SHA256}\n")
    return installed(folder, "--require-hashes", "--only-binary=:all:", f"-r{folder}/lock.txt")


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our distribution of the same module name, installed."""
    folder = tmp_path_factory.mktemp("ours")
    return installed(folder, "--no-build-isolation", str(ROOT / "python" / "authsec-compat"))


def run(program: str, package: Path, *arguments: str, **variables: str) -> str:
    """What a program prints that finds `authsec_llamaindex` in this folder."""
    paths = os.pathsep.join([str(package), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths} | variables,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def live(house: House, agent: str) -> dict[str, str]:
    return {"AUTHSEC_BASE_URL": house.url, "AUTHSEC_AGENT_CLIENT_ID": agent}


def loaded(output: str) -> tuple[bool, list[tuple[str, dict[str, Any]]]]:
    mock_mode, documents = json.loads(output.split("LOADED")[1])
    return mock_mode, documents


# -- its programs ------------------------------------------------------------


def quick_start(published: Path) -> str:
    """The program under "Usage" of the published client."""
    source = (published / "authsec_llamaindex" / "authsec_helper.py").read_text()
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    usage = (ast.get_docstring(classes[0]) or "").split("Usage:")[1]
    return textwrap.dedent(usage)


@pytest.mark.parametrize("mode", ["mock", "live"])
def test_its_quick_start_runs_verbatim(
    house: House, agent: str, published: Path, ours: Path, mode: str
) -> None:
    program = quick_start(published)
    assert "get_delegation_token()" in program
    before, after = "from authsec_llamaindex import AuthSecClient", "print(token)"
    variables = live(house, agent) if mode == "live" else {}
    printed = run(f"{before}\n{program}\n{after}", ours, **variables)
    claims = jwt.decode(printed.strip(), options={"verify_signature": False})
    assert set(claims["permissions"]) == {"read:metrics", "read:records"}
    assert (
        claims["sub"]
        == {
            "mock": "spiffe://authsec.dev/ns/default/sa/ai-agent",
            "live": "spiffe://acme.example/agent/reader",
        }[mode]
    )


@pytest.mark.parametrize("mode", ["mock", "live"])
def test_its_reader_runs_verbatim_on_our_client(
    house: House, agent: str, published: Path, ours: Path, mode: str
) -> None:
    """The published `custom_reader.py`, whose client is now ours."""
    reader = published / "authsec_llamaindex" / "custom_reader.py"
    program = f"""
import authsec_llamaindex, importlib.util, json
spec = importlib.util.spec_from_file_location("authsec_llamaindex.published", {str(reader)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
reader = module.AuthSecSecureReader()
documents = reader.load_data("secure-vault/records", "read:records")
print("LOADED" + json.dumps([reader.client.mock_mode, [[d.text, d.metadata] for d in documents]]))
"""
    variables = live(house, agent) if mode == "live" else {}
    mock_mode, documents = loaded(run(program, ours, **variables))
    assert mock_mode == (mode == "mock")
    assert [text.splitlines()[1] for text, _ in documents] == [
        "Subject: Alice Vance",
        "Subject: Bob Miller",
    ]


def test_in_mock_both_packages_load_the_same(published: Path, ours: Path) -> None:
    collections = json.dumps([RECORDS, METRICS])
    (_, theirs), (mock_mode, own) = (
        loaded(run(INGEST, package, collections)) for package in (published, ours)
    )
    assert mock_mode
    assert [text for text, _ in own] == [text for text, _ in theirs]
    for (_, new), (_, old) in zip(own, theirs, strict=True):
        assert old.pop("ingestion_auth") == "AuthSec AI Verified"
        assert new.pop("ingestion_auth") == "mock"
        assert {name: new.pop(name) for name in old} == old
        assert set(new) == {"scope", "token_jti", "ingested_at"}


def test_its_program_reads_a_server(house: House, agent: str, ours: Path) -> None:
    output = run(INGEST, ours, json.dumps([RECORDS, METRICS]), **live(house, agent))
    assert output.startswith("LOADED"), "something else was printed"
    mock_mode, documents = loaded(output)
    assert not mock_mode
    (text, alice), (_, bob), (metrics, whole) = documents
    assert text == "Record ID: USER-001\nSubject: Alice Vance\nClearance level: TopSecret"
    assert (alice["record_index"], alice["clearance_required"]) == (0, "TopSecret")
    assert (bob["record_index"], bob["clearance_required"]) == (1, "Internal")
    assert json.loads(metrics)["active_users"] == 18450
    assert whole["confidentiality"] == "RESTRICTED"
    assert {m["ingestion_auth"] for _, m in documents} == {"AuthSec AI Verified"}


def test_its_modules_have_our_classes(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ours)
    helper = importlib.import_module("authsec_llamaindex.authsec_helper")
    reader = importlib.import_module("authsec_llamaindex.custom_reader")
    assert helper.AuthSecClient is AuthSecClient
    assert reader.AuthSecSecureReader is AuthSecSecureReader


def test_it_cannot_be_published() -> None:
    project = (ROOT / "python" / "authsec-compat" / "pyproject.toml").read_text()
    assert "Private :: Do Not Upload" in project


# -- its faults --------------------------------------------------------------


def dead() -> AuthSecClient:
    """A client of a server that is not there."""
    with peer() as gone:
        return AuthSecClient(gone.url, CLIENT_ID)


def test_a_dead_server_gives_no_records_and_the_mode_stays() -> None:
    client = dead()
    with pytest.raises(Unavailable):
        client.get_delegation_token()
    with pytest.raises(Unavailable):
        AuthSecSecureReader(client).load_data(*RECORDS)
    with pytest.raises(Unavailable):
        client.request_secure_api("secure-vault/records", "a.b.c")
    assert not client.mock_mode


@pytest.mark.parametrize("mode", ["mock", "live"])
def test_a_scope_opens_its_collection_only(house: House, agent: str, mode: str) -> None:
    client = AuthSecClient() if mode == "mock" else AuthSecClient(house.url, agent)
    reader = AuthSecSecureReader(client)
    with pytest.raises(Denied, match=r"scope|read:records"):
        reader.load_data("secure-vault/records", "read:metrics")
    with pytest.raises(Denied, match="delegated"):
        reader.load_data("secure-vault/records", "write:documents")


@pytest.mark.parametrize("mode", ["mock", "live"])
def test_an_unknown_endpoint_is_no_document(house: House, agent: str, mode: str) -> None:
    client = AuthSecClient() if mode == "mock" else AuthSecClient(house.url, agent)
    with pytest.raises(Denied, match=r"MOCK has no|answered 404"):
        AuthSecSecureReader(client).load_data("secure-vault/nothing", "read:records")


def test_the_scope_leaves_the_process(authority: Peer) -> None:
    authority.replies["/secure-vault/records"] = vault_answer([])
    client = AuthSecClient(authority.url, CLIENT_ID, scope="read:all")
    client.get_delegation_token()
    client.get_delegation_token("read:one")
    AuthSecSecureReader(client).load_data("secure-vault/records", "read:records")
    scopes = [query.get("scope") for path, query, _ in authority.asked if path == TOKEN_PATH]
    assert scopes == [["read:all"], ["read:one"], ["read:records"]]


def test_a_record_without_a_clearance_is_not_labelled(authority: Peer) -> None:
    authority.replies["/secure-vault/records"] = vault_answer([{"id": "a"}])
    authority.replies["/secure-vault/metrics"] = vault_answer({"users": 1})
    reader = AuthSecSecureReader(AuthSecClient(authority.url, CLIENT_ID))
    (record,), (metrics,) = reader.load_data(*RECORDS), reader.load_data(*METRICS)
    assert record.text == "Record ID: a\nSubject: N/A\nClearance level: N/A"
    assert "clearance_required" not in record.metadata
    assert "confidentiality" not in metrics.metadata


def test_ids_are_stable_and_security_stays_out_of_prompts() -> None:
    reader = AuthSecSecureReader()
    first, second = reader.load_data(*RECORDS), reader.load_data(*RECORDS)
    assert [document.id_ for document in first] == [document.id_ for document in second]
    for document in first:
        assert document.get_content(MetadataMode.EMBED) == document.text
        assert document.get_content(MetadataMode.LLM) == document.text


def test_it_fits_a_pipeline_lazily_and_asynchronously() -> None:
    reader = AuthSecSecureReader()
    pipeline = IngestionPipeline(
        readers=[ReaderConfig(reader=reader, reader_args=list(RECORDS))], transformations=[]
    )
    ids = [node.id_ for node in pipeline.run()]
    assert ids == ["secure-vault/records#USER-001", "secure-vault/records#USER-002"]
    assert [document.id_ for document in reader.lazy_load_data(*RECORDS)] == ids
    assert [document.id_ for document in asyncio.run(reader.aload_data(*RECORDS))] == ids


def test_a_live_reader_reads_asynchronously(house: House, agent: str) -> None:
    reader = AuthSecSecureReader(AuthSecClient(house.url, agent))
    texts = [document.text for document in asyncio.run(reader.aload_data(*RECORDS))]
    assert texts == [document.text for document in reader.load_data(*RECORDS)]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"AUTHSEC_BASE_URL": "https://a.example"}, "AUTHSEC_AGENT_CLIENT_ID not set"),
        ({"AUTHSEC_AGENT_CLIENT_ID": CLIENT_ID}, "AUTHSEC_BASE_URL not set"),
        ({"AUTHSEC_MODE": "live"}, "AUTHSEC_BASE_URL and AUTHSEC_AGENT_CLIENT_ID not set"),
        ({"AUTHSEC_MODE": "demo"}, "neither `mock` nor `live`"),
    ],
)
def test_half_a_configuration_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BailiwickError, match=says):
        AuthSecClient()


def test_mock_by_name_asks_nobody(authority: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHSEC_MODE", "mock")
    client = AuthSecClient(authority.url, CLIENT_ID)
    assert client.mock_mode
    assert len(AuthSecSecureReader(client).load_data(*RECORDS)) == 2
    assert authority.asked == []


def test_a_mock_token_is_of_one_mock_and_of_thirty_minutes() -> None:
    client = AuthSecClient()
    token = client.get_delegation_token()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["client_id"] == "00000000-0000-0000-0000-000000000000"
    assert (claims["iss"], claims["status"]) == ("authsec.ai", "active")
    assert 1790 <= claims["exp"] - time.time() <= 1800
    with pytest.raises(InvalidToken):
        AuthSecClient().request_secure_api("secure-vault/records", token)


def test_a_request_goes_nowhere_else(authority: Peer) -> None:
    client = AuthSecClient(authority.url, CLIENT_ID)
    token = client.get_delegation_token()
    with pytest.raises(BailiwickError, match="give a path"):
        client.request_secure_api("https://other.example/secure-vault/records", token)
    with pytest.raises(BailiwickError, match="cannot be sent"):
        client.request_secure_api("secure-vault/records", "a b\r\nX: y")
    assert authority.paths() == [TOKEN_PATH]


def test_an_envelope_comes_as_it_is_and_a_payload_goes(authority: Peer) -> None:
    envelope = {"status": "success", "code": 200, "data": {"saved": 1}}
    authority.replies["/secure-vault/notes"] = Reply(body=envelope)
    client = AuthSecClient(authority.url, CLIENT_ID)
    token = client.get_delegation_token()
    answer = client.request_secure_api("/secure-vault/notes", token, "POST", {"note": "a"})
    assert answer == envelope
    assert authority.asked[-1][2]["Authorization"] == f"Bearer {token}"


def test_a_token_is_kept_until_its_last_minute_and_renewed_on_demand(authority: Peer) -> None:
    client = AuthSecClient(authority.url, CLIENT_ID)
    for _ in range(2):
        client.get_delegation_token()
    assert len(authority.asked) == 1
    client.get_delegation_token(force_refresh=True)
    assert len(authority.asked) == 2
    authority.replies[TOKEN_PATH] = issued(59)
    client.get_delegation_token(force_refresh=True)
    client.get_delegation_token()
    assert len(authority.asked) == 4


def test_a_lapsed_delegation_is_told_apart(authority: Peer) -> None:
    authority.replies[TOKEN_PATH] = Reply(410, {"error": "Delegation token has expired"})
    with pytest.raises(TokenExpired, match="delegate anew"):
        AuthSecSecureReader(AuthSecClient(authority.url, CLIENT_ID)).load_data(*RECORDS)


def test_a_pickle_holds_no_token(house: House, agent: str) -> None:
    reader = AuthSecSecureReader(AuthSecClient(house.url, agent))
    texts = [document.text for document in reader.load_data(*RECORDS)]
    pickled = pickle.dumps(reader)
    assert not re.search(rb"eyJ", pickled)
    assert [d.text for d in pickle.loads(pickled).load_data(*RECORDS)] == texts
    assert pickle.loads(pickle.dumps(AuthSecSecureReader())).client.mock_mode


def test_nothing_is_printed_and_no_log_holds_a_token(
    house: House,
    agent: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    AuthSecSecureReader().load_data(*RECORDS)
    AuthSecSecureReader(AuthSecClient(house.url, agent)).load_data(*RECORDS)
    with pytest.raises(Unavailable):
        dead().get_delegation_token()
    assert capfd.readouterr() == ("", "")
    assert "MOCK" in caplog.text
    assert "eyJ" not in caplog.text
