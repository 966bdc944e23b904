"""A reranker: it orders what the asker may read, sees nothing else, and is missed when it fails."""

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import LIBRARY, MAY_READ
from house import House, bearer, document, documents_of

TEXTS = {entry["id"]: entry["text"] for entry in LIBRARY}


class Reranker(ThreadingHTTPServer):
    """Speaks as Text Embeddings Inference does; the longer a text, the better its score."""

    def __init__(self):
        self.requests, self.status, self.distort = [], 200, lambda ranks: ranks
        self.meanwhile = lambda: None
        super().__init__(("127.0.0.1", 0), Rerank)
        self.url = f"http://127.0.0.1:{self.server_port}/rerank"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def texts(self) -> list[str]:
        return [text for request in self.requests for text in request["texts"]]


class Rerank(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.meanwhile()
        if len(request["texts"]) > 32:
            return self.answer(413, {"error": "batch size > maximum allowed batch size 32"})
        ranks = [{"index": n, "score": len(text) / 1000} for n, text in enumerate(request["texts"])]
        ranks.sort(key=lambda rank: -rank["score"])
        self.answer(self.server.status, self.server.distort(ranks))

    def answer(self, status, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The server hangs up on what is too long.

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def reranker():
    reranker = Reranker()
    yield reranker
    reranker.shutdown()


@pytest.fixture(scope="module")
def own_house(tmp_path_factory, provider, reranker):
    house = House(tmp_path_factory.mktemp("rerank"), provider.issuer)
    rerank = f'\n[rerank]\nprovider = "http"\nurl = "{reranker.url}"\ncandidates = 40\ntimeout_seconds = 2\n'
    house.config.write_text(house.config.read_text() + rerank)
    house.command("config", "check", json_output=False)
    house.start()
    house.pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
    house.store(house.pipeline, LIBRARY).raise_for_status()
    yield house
    house.stop()


@pytest.fixture(autouse=True)
def healthy(reranker):
    reranker.requests.clear()
    reranker.status, reranker.distort = 200, lambda ranks: ranks
    reranker.meanwhile = lambda: None


def test_the_reranker_decides_the_order_and_the_scores(own_house, reranker, token):
    answer = own_house.retrieve(token("alice"), "launch", top_k=2)
    best = sorted(MAY_READ["alice"], key=lambda id: -len(TEXTS[id]))[:2]
    assert documents_of(answer) == best
    scores = [node["score"] for node in answer.json()["source_nodes"]]
    assert scores == pytest.approx([len(TEXTS[id]) / 1000 for id in best])
    (request,) = reranker.requests
    assert request["query"] == "launch" and request["truncate"] is True and request["return_text"] is False


def test_it_sees_no_passage_that_the_asker_may_not_read(own_house, reranker, token):
    for person, readable in MAY_READ.items():
        reranker.requests.clear()
        own_house.query(token(person), "launch date of the project", top_k=50).raise_for_status()
        assert set(reranker.texts()) <= {TEXTS[id] for id in readable}, person
        assert bool(reranker.requests) == bool(readable), person


def test_equal_scores_go_by_chunk_id_and_many_candidates_in_several_requests(own_house, reranker, token):
    notes = [document(f"note-{n:02}", f"Note {n:02} on coffee.", "engineering", "Public") for n in range(60)]
    own_house.store(own_house.pipeline, notes).raise_for_status()
    reranker.distort = lambda ranks: [rank | {"score": 0.5} for rank in ranks]
    found = documents_of(own_house.retrieve(token("alice"), "coffee", top_k=10))
    assert sorted(len(request["texts"]) for request in reranker.requests) == [8, 32]
    assert len(found) == 10 and found == sorted(found)
    for note in notes:
        own_house.http.delete(f"/api/documents/{note['id']}", headers=bearer(own_house.pipeline)).raise_for_status()


@pytest.mark.parametrize(
    "distort",
    [
        lambda ranks: ranks[1:],
        lambda ranks: [ranks[0], *ranks],
        lambda ranks: [rank | {"index": rank["index"] + 1} for rank in ranks],
        lambda ranks: [rank | {"score": float("nan")} for rank in ranks],
        lambda ranks: [rank | {"score": 1e300} for rank in ranks],
        lambda ranks: {"ranks": ranks},
        lambda ranks: b"<html>",
        lambda ranks: b"[" + b" " * (4 << 20) + b"]",
    ],
    ids=["missing", "twice", "out-of-range", "nan", "infinite", "another-shape", "no-json", "too-long"],
)
def test_a_reranker_that_answers_nonsense_is_answered_with_503(own_house, reranker, token, distort):
    reranker.distort = distort
    for answer in (own_house.retrieve(token("alice"), "launch"), own_house.query(token("alice"), "launch")):
        assert answer.status_code == 503 and "reranker" in answer.json()["detail"], answer.text
        assert "source_nodes" not in answer.text


def test_a_reranker_that_is_away_leaves_the_plain_rankings(own_house, reranker, token):
    reranker.status = 500
    assert own_house.retrieve(token("alice"), "launch").status_code == 503
    asked = len(reranker.requests)
    for mode in ("lexical", "dense"):
        assert documents_of(own_house.retrieve(token("alice"), "launch", mode=mode))
    assert len(reranker.requests) == asked


def rogue(house) -> tuple[str, str]:
    name = f"rogue-{uuid.uuid4().hex[:8]}"
    return name, house.agent_token(house.agent(name, "write:documents"))


def hidden_by_quarantine(house, name, _, id):
    house.command("agents", "revoke", name, "--quarantine")


def hidden_by_relabelling(house, _, writer, id):
    metadata = {"department": "hr", "clearance_level": "TopSecret"}
    answer = house.http.put(f"/api/documents/{id}/metadata", json=metadata, headers=bearer(house.pipeline))
    answer.raise_for_status()


def hidden_by_deletion(house, _, writer, id):
    house.http.delete(f"/api/documents/{id}", headers=bearer(writer)).raise_for_status()


def hidden_by_rewriting(house, _, writer, id):
    house.store(writer, [document(id, "Harmless.", "engineering", "Public")]).raise_for_status()


HIDING = [hidden_by_quarantine, hidden_by_relabelling, hidden_by_deletion, hidden_by_rewriting]


@pytest.mark.parametrize("ask", ["retrieve", "query"])
@pytest.mark.parametrize("hide", HIDING, ids=lambda hide: hide.__name__.removeprefix("hidden_by_"))
def test_what_is_withdrawn_while_the_reranker_thinks_is_not_answered(own_house, reranker, token, hide, ask):
    name, writer = rogue(own_house)
    id, text = f"{name}-note", "The zebra launch code is 7391, which is long enough to come first. " * 4
    own_house.store(writer, [document(id, text, "engineering", "Public")]).raise_for_status()
    assert id in documents_of(own_house.retrieve(token("alice"), "zebra launch code", top_k=3))
    reranker.meanwhile = lambda: hide(own_house, name, writer, id)
    answer = getattr(own_house, ask)(token("alice"), "zebra launch code", top_k=3)
    assert any("7391" in sent for sent in reranker.texts()), "the reranker saw it before it was withdrawn"
    found = documents_of(answer)
    assert id not in found and "7391" not in answer.text
    assert len(found) == 3, "the next best candidates take its place"
    trail = own_house.command("audit", "tail", "-n", "100")
    (record,) = [record for record in trail if record.get("request_id") == answer.json()["receipt"]]
    assert record["kind"] == "retrieved" and id not in json.dumps(record)


def test_a_hit_that_was_relabelled_within_reach_has_its_new_label(own_house, reranker, token):
    id = f"note-{uuid.uuid4().hex[:8]}"
    text = "The yak launch code is 8412, which is long enough to come first. " * 4
    other = document(f"{id}-other", "Yaks are restricted.", "engineering", "Restricted")
    own_house.store(own_house.pipeline, [document(id, text, "engineering", "Public"), other]).raise_for_status()
    metadata = {"department": "engineering", "clearance_level": "Restricted"}
    reranker.meanwhile = lambda: own_house.http.put(
        f"/api/documents/{id}/metadata", json=metadata, headers=bearer(own_house.pipeline)
    ).raise_for_status()
    answer = own_house.retrieve(token("alice"), "yak launch code", top_k=50)
    (node,) = [found["node"] for found in answer.json()["source_nodes"] if found["node"]["ref_doc_id"] == id]
    assert node["metadata"]["clearance_level"] == "Restricted"
    hidden_by_deletion(own_house, None, own_house.pipeline, id)
    hidden_by_deletion(own_house, None, own_house.pipeline, f"{id}-other")
