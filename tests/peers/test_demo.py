"""`bailiwick demo` from nothing, and what it must answer to whom (examples/acme/questions.toml)."""

import json
import os
import subprocess
import tomllib

import httpx
import pytest
from house import BINARY, ROOT, free_port, stop, until

ACME = ROOT / "examples/acme"
NOTHING = "Nothing that you may read answers this."


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's address; it runs on free ports and a data directory of its own."""
    directory = tmp_path_factory.mktemp("demo")
    url = f"http://127.0.0.1:{free_port()}"
    log = (directory / "demo.log").open("w")
    port = url.rsplit(":", 1)[1]
    command = [BINARY, "demo", "--port", port, "--data-dir", str(directory / "data")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def up():
        assert process.poll() is None, f"the demo ended: {(directory / 'demo.log').read_text()[-2000:]}"
        try:
            ready = httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False
        # The demo says its address when everything is ingested.
        return ready and url in (directory / "demo.log").read_text()

    until(up, 60, "the demo is up")
    yield url, directory
    stop(process)
    log.close()


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
    url, directory = demo
    text = (directory / "demo.log").read_text()
    assert url in text and text.count("bailiwick ask --as") >= 2
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
        assert metadata["ingestion_auth"] == "AuthSec AI Verified"


def test_the_demo_refuses_to_listen_beyond_this_machine(tmp_path):
    text = (ACME / "bailiwick.toml").read_text().replace('listen     = "127.0.0.1', 'listen     = "0.0.0.0')
    assert "0.0.0.0" in text
    config = tmp_path / "bailiwick.toml"
    config.write_text(text)
    command = [BINARY, "--config", config, "demo", "--data-dir", str(tmp_path / "data")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, env=os.environ)
    assert run.returncode == 1 and "loopback" in run.stderr
