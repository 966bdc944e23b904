"""`bailiwick demo` from nothing, and what it must answer to whom (examples/acme/questions.toml)."""

import json
import os
import re
import socket
import subprocess
import tomllib

import httpx
import pytest
from house import BINARY, ROOT, stop, until

ACME = ROOT / "examples/acme"
NOTHING = "Nothing that you may read answers this."


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's address and what it printed; it chooses free ports."""
    directory = tmp_path_factory.mktemp("demo")
    environment = os.environ | {"TMPDIR": str(directory)}
    with (directory / "demo.log").open("w") as log:
        process = subprocess.Popen([BINARY, "demo", "--port", "0"], cwd=ROOT, env=environment, stdout=log, stderr=log)

    def address():
        text = (directory / "demo.log").read_text()
        assert process.poll() is None, f"the demo ended: {text[-2000:]}"
        return "Ctrl-C" in text and re.search(r"runs at (http://127\.0\.0\.1:\d+)", text)

    url = until(address, 60, "the demo is up").group(1)
    yield url, (directory / "demo.log").read_text()
    stop(process)
    assert process.returncode == 0
    assert [file.name for file in directory.iterdir()] == ["demo.log"], "the demo left its folder behind"


def ask(demo, person: str, text: str, expect: int = 0) -> dict:
    url, _ = demo
    command = [BINARY, "ask", "--as", person, "--server", url, "--json", text]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == expect, run.stdout + run.stderr
    return json.loads(run.stdout)


def questions() -> list[dict]:
    file = ACME / "questions.toml"
    return tomllib.loads(file.read_text())["question"] if file.exists() else []


def test_the_demo_says_where_to_look_and_what_to_try(demo):
    url, text = demo
    assert len(re.findall(r"bailiwick ask .*--as \w+", text)) >= 2
    page = httpx.get(url, follow_redirects=True)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("question", questions(), ids=lambda q: f"{q['as']}: {q['text']}")
def test_everybody_gets_their_own_answer(demo, question):
    answer = ask(demo, question["as"], question["text"])
    seen = json.dumps(answer, ensure_ascii=False)
    for secret in question.get("never", []):
        assert secret not in seen
    if question.get("nothing"):
        assert answer["response"] == NOTHING
    else:
        assert question["answer_contains"] in answer["response"], answer["response"]


def test_what_came_through_the_vault_is_stamped(demo):
    nodes = ask(demo, "carol", "What is the Q2 revenue target?")["source_nodes"]
    stamped = [node["node"]["metadata"] for node in nodes if node["node"]["metadata"].get("source_endpoint")]
    assert stamped, "no source came through the vault"
    for metadata in stamped:
        assert metadata["ingested_by"].startswith("spiffe://acme.example/agent/")
        assert metadata["token_jti"] and metadata["scope"] and metadata["ingested_at"]
        assert metadata["ingestion_auth"]


def test_the_demo_listens_on_loopback_only(demo):
    url, _ = demo
    issuer = httpx.get(f"{url}/app-config.json").json()["issuer"]
    for address in (url, issuer):
        port = int(address.rsplit(":", 1)[1])
        socket.create_connection(("127.0.0.1", port)).close()
        # 127.0.0.2 is this machine too, but only a socket that is bound to every address answers there.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port))
