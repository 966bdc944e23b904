"""Another embedder for stored documents: its vectors are made beside the questions, and then searched."""

import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import LIBRARY
from house import document, documents_of, until

QUESTION = "When is the launch date?"
DIMENSIONS = 48
STATIC = '[embedding]\nprovider = "static"\n'


class Endpoint(ThreadingHTTPServer):
    """Embeds as OpenAI's protocol has it, by the words that texts share. More than one text waits for the gate."""

    def __init__(self):
        self.gate, self.texts = threading.Event(), []
        super().__init__(("127.0.0.1", 0), Embed)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def section(self) -> str:
        url = f"http://127.0.0.1:{self.server_port}"
        return f'[embedding]\nprovider = "openai"\nbase_url = "{url}"\nmodel = "words"\ndimensions = {DIMENSIONS}\n'


class Embed(BaseHTTPRequestHandler):
    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        self.server.texts += texts
        if len(texts) > 1:
            self.server.gate.wait()
        data = [{"index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
        content = json.dumps({"data": data}).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # who asked was killed

    def log_message(self, *_):
        pass


def vector(text: str) -> list[float]:
    numbers = [0.1] * DIMENSIONS
    for word in text.lower().split():
        numbers[zlib.crc32(word.encode()) % DIMENSIONS] += 1
    return numbers


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.gate.set()
    endpoint.shutdown()


def test_another_embedder_takes_over_while_people_ask(new_house, provider, token, endpoint):
    house, twin = new_house(provider.issuer), new_house(provider.issuer)
    plain = house.config.read_text()
    pipeline = house.start().agent_token(house.agent("pipeline", "write:documents"))
    house.store(pipeline, LIBRARY).raise_for_status()

    def asked(of, mode="dense"):
        nodes = of.retrieve(token("alice"), QUESTION, mode=mode, top_k=100).raise_for_status().json()["source_nodes"]
        return [(node["node"]["id_"], node["node"]["text"], node["score"]) for node in nodes]

    before = asked(house)
    house.stop()

    house.config.write_text(plain.replace(STATIC, endpoint.section()))
    refused = house.command("ingest", "--remove", "nothing", json_output=False, expect=1)
    assert "[embedding.former]" in refused.stderr
    changing = endpoint.section() + STATIC.replace("[embedding]", "[embedding.former]")
    house.config.write_text(plain.replace(STATIC, changing))
    house.start()
    until(lambda: endpoint.texts, 20, "texts at the endpoint")
    assert asked(house) == before, "the former vectors are searched until the others are complete"
    house.kill()
    house.start()
    added = document("added", "The launch date of Phoenix was moved.", "engineering", "Public")
    house.store(pipeline, [added]).raise_for_status()
    assert "added" in documents_of(house.retrieve(token("alice"), QUESTION, mode="dense"))
    house.http.delete("/api/documents/eng-atlas", headers={"Authorization": f"Bearer {pipeline}"}).raise_for_status()
    meanwhile = asked(house)

    endpoint.gate.set()
    until(lambda: asked(house) != meanwhile, 30, "another ranking")
    until(lambda: "\nbailiwick_next_vectors_ratio 1\n" in house.http.get("/metrics").text, 5, "the share, and no number")
    kept = [entry for entry in LIBRARY if entry["id"] != "eng-atlas"]
    twin.config.write_text(twin.config.read_text().replace(STATIC, endpoint.section()))
    twin_pipeline = twin.start().agent_token(twin.agent("pipeline", "write:documents"))
    twin.store(twin_pipeline, [*kept, added]).raise_for_status()
    for mode in ["dense", "hybrid", "lexical"]:
        assert asked(house, mode) == asked(twin, mode), mode
    same = house.store(pipeline, kept).raise_for_status().json()
    assert same["documents"] == 0, "what is stored is not embedded by ingesting it again"

    house.stop()
    house.config.write_text(plain.replace(STATIC, endpoint.section()))
    house.start()
    assert asked(house) == asked(twin)
