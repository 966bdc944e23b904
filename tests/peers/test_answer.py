"""Answers by a language model: streamed, cited, and told nothing that is not text."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import LIBRARY
from house import bearer


class Model(ThreadingHTTPServer):
    """An OpenAI-compatible chat endpoint that says `pieces` and may then hang up."""

    def __init__(self):
        self.prompts, self.pieces, self.breaks = [], [], False
        self.begins = threading.Event()
        self.begins.set()
        super().__init__(("127.0.0.1", 0), Chat)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Chat(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.prompts.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.begins.wait(30)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in self.server.pieces:
            chunk = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if not self.server.breaks:
            self.wfile.write(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')

    def log_message(self, *_):
        pass


@pytest.fixture
def model():
    model = Model()
    yield model
    model.shutdown()


@pytest.fixture
def own_house(new_house, provider, model):
    house = new_house(provider.issuer)
    answer = f'provider = "openai"\nbase_url = "{model.url}"\nmodel = "stub"'
    house.config.write_text(house.config.read_text().replace('provider = "extractive"', answer))
    house.start()
    pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
    house.store(pipeline, LIBRARY).raise_for_status()
    return house


def events(house, token) -> list[tuple[str, dict]]:
    headers = bearer(token) | {"Accept": "text/event-stream"}
    answer = house.http.post("/api/rag/query", json={"query": "launch date of Phoenix"}, headers=headers)
    found = re.findall(r"^event: ?(\w+)\ndata: ?(.*)$", answer.text, re.MULTILINE)
    return [(name, json.loads(data)) for name, data in found]


def test_an_answer_keeps_only_citations_of_its_sources(own_house, model, token):
    model.pieces = ["On 14 ", "March [", "1] and never [9", "9]."]
    answer = own_house.query(token("alice"), "launch date of Phoenix").json()
    assert answer["response"].startswith("On 14 March [1] and never") and "99" not in answer["response"]
    told = events(own_house, token("alice"))
    assert [told[0][0], told[-1][0]] == ["sources", "done"]
    assert "".join(data["text"] for name, data in told if name == "token") == answer["response"]


def test_the_model_reads_permitted_text_and_no_security_attributes(own_house, model, token):
    model.pieces = ["Nothing."]
    own_house.query(token("alice"), "launch date of Phoenix", top_k=50).raise_for_status()
    (prompt,) = model.prompts
    assert "14 March" in prompt
    for hidden in ("clearance", "TopSecret", "Secret", "spiffe://", "eyJ", *(doc["text"] for doc in LIBRARY[4:])):
        assert hidden not in prompt, hidden


def test_the_model_is_not_asked_when_nothing_may_be_read(own_house, model, token):
    answer = own_house.query(token("dave"), "launch date of Phoenix").json()
    assert answer["source_nodes"] == [] and answer["response"] and model.prompts == []


def test_a_model_that_hangs_up_ends_in_an_error_and_not_in_done(own_house, model, token):
    model.pieces, model.breaks = ["On 14 "], True
    names = [name for name, _ in events(own_house, token("alice"))]
    assert names[0] == "sources" and names[-1] == "error" and "done" not in names, names
    whole = own_house.query(token("alice"), "launch date of Phoenix")
    assert whole.status_code == 503 and "On 14" not in whole.text


def test_sources_arrive_before_the_model_begins_and_proxies_keep_the_stream_open(own_house, model, token):
    model.pieces = ["On 14 March [1]."]
    model.begins.clear()
    headers = bearer(token("alice")) | {"Accept": "text/event-stream"}
    question = {"query": "launch date of Phoenix"}
    with own_house.http.stream("POST", "/api/rag/query", json=question, headers=headers) as answer:
        assert answer.headers["x-accel-buffering"] == "no" and "no-store" in answer.headers["cache-control"]
        lines = answer.iter_lines()
        assert next(lines) == "event: sources"
        comment = next(line for line in lines if line.startswith(":"))
        assert comment.strip() == ":", "a comment while the model thinks"
        model.begins.set()
        assert "event: done" in list(lines)
