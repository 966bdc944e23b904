"""What an attacker would try that no contract names: doubled names, probing, floods, logs."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from conftest import LIBRARY
from house import BINARY, bearer, document, documents_of, eventually, until

JSON = {"Content-Type": "application/json"}


def last_event(house, **wanted) -> dict:
    """The newest audit record with these members."""
    events = [event for event in house.command("audit", "tail") if wanted.items() <= event.items()]
    assert events, f"nothing on record with {wanted}"
    return events[-1]


def without_receipt(answer: httpx.Response) -> dict:
    return {name: value for name, value in answer.raise_for_status().json().items() if name != "receipt"}


@pytest.fixture
def own_house(new_house, provider):
    house = new_house(provider.issuer).start()
    house.pipeline = house.agent_token(house.agent("pipeline", "read:records", "write:documents"))
    house.store(house.pipeline, LIBRARY).raise_for_status()
    return house


# -- what is on record ---------------------------------------------------------


def test_a_document_read_by_id_is_on_record_and_so_is_the_attempt(house, token):
    answer = house.http.get("/api/documents/eng-phoenix", headers=bearer(token("alice"))).raise_for_status()
    event = last_event(house, request_id=answer.headers["x-request-id"])
    assert (event["kind"], event["document_ids"]) == ("retrieved", ["eng-phoenix"])
    assert event["subject"] == "alice" and event["policy_revision"]
    for id in ("eng-phoenix", "no-such-document"):
        answer = house.http.get(f"/api/documents/{id}", headers=bearer(token("bob")))
        assert answer.status_code == 404
        event = last_event(house, request_id=answer.headers["x-request-id"])
        assert event["subject"] == "bob" and "document_ids" not in event


def test_refused_and_empty_writes_are_on_record(house):
    narrow = house.agent_token(house.agent("narrow-writer", "read:records"))
    refused = house.store(narrow, [document("x", "y", "sales", "Public")])
    assert refused.status_code == 403
    event = last_event(house, request_id=refused.headers["x-request-id"])
    assert (event["kind"], event["outcome"], event["agent"]) == ("ingested", "refused", "narrow-writer")
    probe = house.http.delete("/api/documents/is-it-there", headers=bearer(house.pipeline))
    assert probe.status_code == 404
    event = last_event(house, request_id=probe.headers["x-request-id"])
    assert (event["outcome"], event["document_ids"]) == ("refused", ["is-it-there"])


def test_a_refused_write_leaves_few_and_short_ids_on_record(house):
    """A reader of the trail loads what stands in it, and anything may stand in a refused batch."""
    careless = house.agent_token(house.agent("careless-writer", "write:documents"))
    sent = [document(id, "y", "nowhere", "Cosmic") for id in ("x" * 1_000_000, "a\0b", *map(str, range(500)))]
    refused = house.store(careless, sent)
    assert refused.status_code == 422
    event = last_event(house, request_id=refused.headers["x-request-id"])
    assert event["document_ids"] == [str(n) for n in range(100)]
    answer = house.http.delete(f"/api/documents/{'x' * 2000}", headers=bearer(careless))
    assert "document_ids" not in last_event(house, request_id=answer.headers["x-request-id"])


def test_who_hangs_up_early_is_on_record_all_the_same(own_house, token):
    house = own_house
    documents = [document(f"hung-{n}", f"The rackett note {n}. " * 200, "sales", "Public") for n in range(200)]
    body = json.dumps({"documents": documents}).encode()
    head = f"POST /api/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.pipeline}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"

    def stored_after(pause):
        with socket.create_connection(("127.0.0.1", house.port)) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(pause)
        return eventually(lambda: documents_of(house.retrieve(token("bob"), "rackett", mode="lexical")), 10)

    # Who hangs up before a busy machine has read the request has asked for nothing.
    assert any(stored_after(pause) for pause in (0.02, 0.1, 0.5)), "the documents"
    until(lambda: any("hung-0" in event.get("document_ids", []) for event in house.command("audit", "tail")
                      if event["kind"] == "ingested"), 5, "the record")


def test_nothing_is_answered_that_cannot_be_recorded(own_house, token):
    house = own_house
    bob = bearer(token("bob"))
    house.retrieve(token("bob"), "launch").raise_for_status()
    with sqlite3.connect(house.data / "audit.db", isolation_level=None) as trail:
        trail.execute("BEGIN IMMEDIATE")
        for answer in (
            house.http.get("/api/documents/sales-q3", headers=bob, timeout=60),
            house.http.post("/api/rag/query", json={"query": "launch"}, headers=bob, timeout=60),
        ):
            assert answer.status_code == 503 and "sales" not in answer.text, answer.text
        trail.execute("ROLLBACK")
    house.http.get("/api/documents/sales-q3", headers=bob).raise_for_status()


def test_an_agent_without_the_scope_cannot_make_the_server_read_its_body(house):
    narrow = house.agent_token(house.agent("big-sender", "read:records"))
    head = f"POST /api/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {narrow}\r\n"
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 60000000\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


# -- one document, two readings ------------------------------------------------


def test_metadata_with_a_doubled_name_is_refused(house, token):
    both = '{"department": "sales", "clearance_level": "TopSecret", "clearance_level": "Public"}'
    batch = '{"documents": [{"id": "doubled", "text": "The cornett note.", "metadata": %s}]}' % both
    stored = house.http.post("/api/documents", content=batch, headers=bearer(house.pipeline) | JSON)
    assert stored.status_code == 400 and "twice" in stored.json()["detail"], stored.text
    changed = house.http.put("/api/documents/fin-audit/metadata", content=both, headers=bearer(house.pipeline) | JSON)
    assert changed.status_code == 400 and "twice" in changed.json()["detail"], changed.text
    assert "doubled" not in documents_of(house.retrieve(token("bob"), "cornett note"))


def test_a_list_that_names_nobody_is_not_a_document_for_everybody(new_house, provider, token):
    house = new_house(provider.issuer)
    shared = '[[attribute]]\nname = "shared_with"\ntype = "keyword"\noptional = true\nmultiple = true\n\n[policy]'
    rule = '[[policy.rule]]\nattribute = "shared_with"\nop = "any"\nclaim = "sub"\nabsent = "allow"\n\n[embedding]'
    house.config.write_text(house.config.read_text().replace("[policy]", shared).replace("[embedding]", rule))
    house.start()
    pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
    note = document("note", "The gemshorn note.", "sales", "Public")
    note["metadata"]["shared_with"] = []
    assert house.store(pipeline, [note]).status_code == 422
    note["metadata"]["shared_with"] = ["alice"]
    house.store(pipeline, [note]).raise_for_status()
    assert documents_of(house.retrieve(token("bob"), "gemshorn")) == []


def test_quarantine_is_shut_until_somebody_gives_a_label(own_house, token, tmp_path):
    house = own_house
    house.stop()
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "stray.md").write_text("The crumhorn note has no label.")
    run = [BINARY, "--config", house.config, "ingest", notes]
    assert subprocess.run(run, cwd=house.directory, capture_output=True).returncode == 1
    subprocess.run([*run, "--quarantine"], cwd=house.directory, capture_output=True, check=True)
    house.start()
    everybody = ("alice", "bob", "carol", "dave", "admin")
    for person in everybody:
        assert "stray.md" not in documents_of(house.retrieve(token(person), "crumhorn note", top_k=100)), person
        assert house.http.get("/api/documents/stray.md", headers=bearer(token(person))).status_code == 404
    claims = {"department": "sales", "user_clearance": "TopSecret", "projects": ["harbor"]}
    view = house.http.post("/api/admin/view-as", json={"claims": claims}, headers=bearer(token("admin")))
    assert None not in view.raise_for_status().json()["labels"]
    metadata = {"department": "sales", "clearance_level": "Public"}
    house.http.put("/api/documents/stray.md/metadata", json=metadata, headers=bearer(house.pipeline)).raise_for_status()
    assert "stray.md" in documents_of(house.retrieve(token("bob"), "crumhorn note"))


def test_a_second_process_cannot_write_under_a_running_server(own_house, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("A note.")
    run = [BINARY, "--config", own_house.config, "ingest", notes, "--quarantine"]
    second = subprocess.run(run, cwd=own_house.directory, capture_output=True, text=True)
    assert second.returncode == 1 and "another process" in second.stderr, second.stderr


def test_a_document_cannot_steer_the_terminal_of_its_reader(own_house, token):
    house = own_house
    text = "The bassanelli note \x1b]52;c;cm0gLXJm\x07 says \x1b[2J nothing \x9b31m of \u202egnihtyna\u202c value."
    house.store(house.pipeline, [document("steer", text, "sales", "Public")]).raise_for_status()
    run = subprocess.run(
        [BINARY, "--config", house.config, "ask", "--server", house.url, "What does the bassanelli note say?"],
        cwd=house.directory, capture_output=True, text=True, check=True, env=os.environ | {"BAILIWICK_TOKEN": token("bob")},
    )
    assert "bassanelli" in run.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", run.stdout), ascii(run.stdout)


def test_no_proxy_and_no_wire_hears_a_person_who_asks_by_command_line(own_house, token):
    house = own_house
    nowhere = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")}

    def ask(server: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [BINARY, "--config", house.config, "ask", "--server", server, "Anything?"],
            cwd=house.directory, capture_output=True, text=True,
            env=os.environ | nowhere | {"BAILIWICK_TOKEN": token("bob")},
        )

    asked = ask(house.url)
    assert asked.returncode == 0, asked.stderr
    refused = ask("http://bailiwick.example")
    assert refused.returncode != 0 and "in the clear; use https" in refused.stderr


# -- what a person can learn ---------------------------------------------------


def test_a_value_that_only_hidden_documents_have_looks_like_one_that_none_has(house, token):
    for attribute, hidden in (("project_id", "zephyr"), ("department", "people"), ("clearance_level", "Secret")):
        answers = []
        for value in (hidden, "nowhere") if attribute != "clearance_level" else (hidden, "TopSecret"):
            answer = house.query(token("bob"), "launch", where={attribute: value})
            headers = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}
            answers.append((without_receipt(answer), headers))
        assert answers[0] == answers[1], attribute


def test_metrics_hold_no_names_and_do_not_grow_with_guesses(house, token):
    before = house.http.get("/metrics").text
    for n in range(50):
        house.http.get(f"/api/documents/guess-{n}", headers=bearer(token("bob")))
        house.http.get(f"/nowhere/guess-{n}")
        house.http.request(f"GUESS{n}", "/api/me")
    after = house.http.get("/metrics").text
    assert "guess" not in after.lower() and "bob" not in after and "eng-" not in after
    assert len(after.splitlines()) < len(before.splitlines()) + 40


def test_no_other_page_may_read_or_frame_this_one(house, token):
    for origin in ("null", "https://evil.example", house.url + ".evil.example"):
        for method, path in (("OPTIONS", "/oauth/token"), ("OPTIONS", "/api/rag/query"), ("GET", "/api/me")):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = house.http.request(method, path, headers=asked | bearer(token("bob")))
            assert not [name for name in answer.headers if name.startswith("access-control")], (origin, path)
    page = house.http.get("/").headers
    assert "frame-ancestors 'none'" in page["content-security-policy"]
    assert "unsafe" not in page["content-security-policy"] and page["x-content-type-options"] == "nosniff"


# -- floods --------------------------------------------------------------------


def test_guessing_client_ids_is_slowed_down_whatever_the_headers_say(own_house):
    house = own_house
    unknown = "00000000-0000-4000-8000-000000000000"
    answers = [
        house.http.get(
            "/authsec/uflow/sdk/delegation-token",
            params={"client_id": unknown},
            headers={"X-Forwarded-For": f"192.0.2.{n}", "Forwarded": f"for=192.0.2.{n}"},
        )
        for n in range(60)
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses[0] == 404 and statuses[-1] == 429, statuses
    assert int(answers[-1].headers["retry-after"]) >= 1 and answers[-1].json()["error"] == "slow_down"
    assert set(statuses[:50]) == {404}


def test_the_largest_where_and_the_deepest_json_are_cheap(house, token):
    crowd = [f"department-{n}" for n in range(256)]
    every = {name: crowd for name in ("eq", "in", "any", "all", "prefix")}
    started = time.monotonic()
    answer = house.retrieve(token("alice"), "launch", where={"department": every, "project_id": every})
    assert without_receipt(answer)["source_nodes"] == []
    assert house.retrieve(token("alice"), "launch", where={"department": crowd + ["one more"]}).status_code == 400
    for depth in (100, 1000, 100_000):
        deep = '{"query": "launch", "where": {"department": ' + "[" * depth + "]" * depth + "}}"
        answer = house.http.post("/api/rag/retrieve", content=deep, headers=bearer(token("alice")) | JSON)
        assert answer.status_code == 400, depth
    words = " ".join(f"w{n}" for n in range(1600))[:8192]
    house.query(token("alice"), words, top_k=100).raise_for_status()
    assert time.monotonic() - started < 5


def test_too_many_and_too_long_headers_are_refused(house):
    for headers in ([b"X-%d: y" % n for n in range(10_000)], [b"X: " + b"y" * 1_000_000]):
        with socket.create_connection(("127.0.0.1", house.port), timeout=10) as connection:
            try:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"\r\n".join(headers) + b"\r\n\r\n")
                answer = connection.recv(100)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
        assert answer == b"" or re.match(rb"HTTP/1.1 (400|431)", answer), answer
    assert house.http.get("/healthz").status_code == 200


def test_a_request_within_a_body_is_not_a_second_request(house):
    inner = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    smuggled = b"0\r\n\r\n" + inner
    head = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for lengths in (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(smuggled),
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % len(smuggled),
        b"Content-Length: 5\r\nContent-Length: %d\r\n" % len(smuggled),
        b"Transfer-Encoding: identity, chunked, x\r\n",
    ):
        with socket.create_connection(("127.0.0.1", house.port), timeout=2) as connection:
            connection.sendall(head + lengths + b"\r\n" + smuggled)
            answer = b""
            try:
                while piece := connection.recv(4096):
                    answer += piece
            except (TimeoutError, ConnectionResetError):
                pass
        assert b'"status":"ok"' not in answer, lengths


def test_streams_that_nobody_reads_keep_nobody_out(house, token):
    body = json.dumps({"query": "launch", "top_k": 100}).encode()
    head = f"POST /api/rag/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('alice')}\r\n"
    head += f"Accept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    streams = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(600)]
    try:
        for stream in streams:
            stream.sendall(head.encode() + body)
        assert httpx.post(
            f"{house.url}/api/rag/query", json={"query": "launch"}, headers=bearer(token("bob")), timeout=30
        ).status_code == 200
    finally:
        for stream in streams:
            stream.close()


# -- logs ----------------------------------------------------------------------


class Upstream(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps([{"id": "1", "name": "Sackbut"}]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_most_talkative_log_holds_no_token_no_credential_and_no_question(new_house, provider, token, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("UPSTREAM_SECRET", "Bearer upstream-credential-4711")
    house = new_house(provider.issuer)
    collection = (
        '[[vault.collection]]\npath = "secure-vault/live"\nscope = "read:live"\n'
        f'upstream = "http://127.0.0.1:{server.server_port}/records"\n'
        'upstream_header = "authorization"\nupstream_header_env = "UPSTREAM_SECRET"\n\n[admin]'
    )
    house.config.write_text(house.config.read_text().replace("[admin]", collection))
    house.start(log="trace")
    pipeline = house.agent_token(house.agent("pipeline", "read:live", "write:documents"))
    house.store(pipeline, [document("d", "The ophicleide passage.", "sales", "Public")]).raise_for_status()
    house.http.get("/secure-vault/live", headers=bearer(pipeline)).raise_for_status()
    bob = token("bob")
    house.query(bob, "Which serpentine question?").raise_for_status()
    house.http.get(f"/api/me?access_token={bob}")
    house.http.post("/api/rag/query", json={"query": "launch", bob: 1}, headers=bearer(bob))
    house.http.post("/oauth/introspect", data={"token": bob, "client_assertion": pipeline})
    house.stop()
    server.shutdown()
    assert house.token_leaks(bob, pipeline) == []
    log = house.log_path.read_text()
    assert "TRACE" in log and "hyper" in log
    for secret in ("upstream-credential-4711", "serpentine"):
        where = [line[:200] for line in log.splitlines() if secret in line]
        assert not where, where[:3]


def test_an_ordinary_log_holds_no_text_and_no_question(own_house, token):
    house = own_house
    house.stop()
    house.log_path.write_text("")
    house.start(log="info")
    house.store(house.pipeline, [document("d", "The ophicleide passage.", "sales", "Public")]).raise_for_status()
    house.query(token("bob"), "Which serpentine question about the ophicleide?").raise_for_status()
    house.store(house.pipeline, [document("bad", "The ophicleide passage.", "sales", "Cosmic-ophicleide")])
    house.stop()
    log = house.log_path.read_text()
    assert "answered" in log and "serpentine" not in log and "ophicleide" not in log
