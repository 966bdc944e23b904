"""Rego, OPA and AuthZEN decide as the rules do, and who does not decide lets nobody read."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import opa
import pytest
from conftest import CLAIMS_THAT_OPEN_NOTHING, LIBRARY, MAY_READ
from house import ROOT, House, documents_of, until

# The policy of `house.py`, in Rego, is the demo's.
POLICY = (ROOT / "examples/acme/policy.rego").read_text()
TESTS = """package bailiwick_test

import data.bailiwick

test_nobody if not bailiwick.allow with input as {"claims": {}, "label": {"department": "sales"}}
"""
CLAIMS = '{ department = "department", user_clearance = "clearance_level", projects = "project_id" }'


class Gate(ThreadingHTTPServer):
    """Stands before OPA, also as an AuthZEN server, and distorts what passes."""

    def __init__(self, behind: str):
        self.behind, self.requests = behind, []
        self.heal()
        super().__init__(("127.0.0.1", 0), Passage)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def heal(self):
        self.status, self.delay, self.distort = 200, 0, lambda answer: answer


class Passage(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        time.sleep(self.server.delay)
        answer = self.authzen(request) if self.path == "/access/v1/evaluations" else self.opa(request)
        answer = self.server.distort(answer)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # Bailiwick hangs up on whoever is too slow.

    def opa(self, request) -> dict:
        return httpx.post(self.server.behind + "/v1/data/bailiwick/permitted", json=request).json()

    def authzen(self, request) -> dict:
        assert request["action"] == {"name": "read"} and request["subject"]["type"] == "person"
        resources = [evaluation["resource"] for evaluation in request["evaluations"]]
        labels = [{"id": resource["id"], "attributes": resource["properties"]} for resource in resources]
        asked = {"input": {"claims": request["subject"]["properties"], "labels": labels}}
        permitted = self.opa(asked)["result"]
        return {"evaluations": [{"decision": label["id"] in permitted} for label in labels]}

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rego")
    (folder / "policy.rego").write_text(POLICY)
    (folder / "policy_test.rego").write_text(TESTS)
    return folder


@pytest.fixture(scope="module")
def gate(policy):
    why = opa.missing()
    if why:
        pytest.skip(why)
    server = opa.Opa(policy)
    gate = Gate(server.url)
    gate.server = server
    yield gate
    gate.shutdown()
    server.stop()


@pytest.fixture(scope="module", params=["rego", "opa", "authzen"])
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def own_house(engine, tmp_path_factory, provider, policy, request):
    table = f'files = ["{policy}"]'
    if engine != "rego":
        url = request.getfixturevalue("gate").url
        table = f'url = "{url}"\nmax_age_seconds = 0\ntimeout_ms = 4000\nmax_labels = 4'
    house = governed(tmp_path_factory.mktemp(engine), provider, engine, table)
    yield house
    house.stop()


def governed(folder, provider, engine, table, rules="") -> House:
    """A house where an engine decides, and rules only if they are given."""
    house = House(folder, provider.issuer)
    config = re.sub(r"\[policy\].*?(?=\[embedding\])", "", house.config.read_text(), flags=re.DOTALL)
    config += f'\n[policy]\nengine = "{engine}"\nclaims = {CLAIMS}\n[policy.{engine}]\n{table}\n{rules}\n'
    house.config.write_text(config)
    house.command("config", "check", json_output=False)
    house.start()
    house.pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
    house.store(house.pipeline, LIBRARY).raise_for_status()
    return house


def readable(house: House, token: str) -> set[str]:
    return set(documents_of(house.retrieve(token, "launch", top_k=50).raise_for_status()))


def test_every_person_reads_what_the_rules_let_her_read(own_house, token):
    for person, expected in MAY_READ.items():
        assert readable(own_house, token(person)) == expected, person


def test_claims_that_open_nothing_open_nothing_here_either(own_house, token):
    for person in CLAIMS_THAT_OPEN_NOTHING:
        assert readable(own_house, token(person)) == set(), person


def test_the_policy_explains_itself_and_not_where_it_is(own_house, engine, policy, token):
    why = own_house.http.get("/api/documents/sales-list/why", headers={"Authorization": f"Bearer {token('bob')}"})
    step, *conditions = why.raise_for_status().json()["rules"]
    assert step["holds"] and step["rule"].startswith("policy.")
    assert [one["attribute"] for one in conditions if "claim" in one] == (["department", "clearance_level"] if engine == "rego" else [])
    assert not any(place in why.text for place in ("http://", str(policy), "input.", "line"))


def test_an_engine_is_told_only_the_claims_that_are_listed(gate, own_house, engine, token):
    if engine == "rego":
        return
    gate.requests.clear()
    readable(own_house, token("carol"))
    told = [request.get("input", {}).get("claims") or request["subject"]["properties"] for request in gate.requests]
    assert told and all(claims == {"department": ["sales", "finance"], "user_clearance": "Restricted"} for claims in told)


BROKEN = {
    "slow": dict(delay=6),
    "failing": dict(status=500),
    "refusing": dict(status=403),
    "malformed": dict(distort=lambda answer: b'{"result": [0'),
    "empty": dict(distort=lambda answer: {}),
    "of another type": dict(distort=lambda answer: {"result": {"0": True}, "evaluations": [{"decision": "true"}]}),
    "short of one": dict(distort=lambda answer: {"result": "all", "evaluations": answer.get("evaluations", [0])[1:]}),
    "about an unknown label": dict(
        distort=lambda answer: {"result": [*answer.get("result", []), 4711], "evaluations": [{"decision": True}] * 100}
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_who_does_not_decide_lets_nobody_read(gate, own_house, engine, token, fault):
    if engine == "rego":
        return
    assert readable(own_house, token("alice")) == MAY_READ["alice"]
    for name, value in BROKEN[fault].items():
        setattr(gate, name, value)
    try:
        refused = own_house.retrieve(token("alice"), "launch")
        assert refused.status_code == 503 and refused.headers["Content-Type"] == "application/problem+json"
        # The question is unread, and the next one needs another connection.
        assert refused.headers["Connection"] == "close"
        assert "policy cannot be evaluated" in refused.json()["detail"] and gate.url not in refused.text
        assert own_house.http.get("/api/me", headers={"Authorization": f"Bearer {token('bob')}"}).status_code == 503
    finally:
        gate.heal()
    until(lambda: own_house.retrieve(token("alice"), "launch").status_code == 200, 15, "the server decides again")


def test_a_server_that_is_killed_is_missed_and_found_again(gate, own_house, engine, token):
    if engine == "rego":
        return
    gate.server.process.kill()
    gate.server.process.wait()
    for _ in range(6):
        assert own_house.retrieve(token("alice"), "launch").status_code == 503
    waits = []
    for _ in range(3):
        began = time.monotonic()
        assert own_house.retrieve(token("alice"), "launch").status_code == 503
        waits.append(time.monotonic() - began)
    assert min(waits) < 0.5, "a server that is known to be away is not waited for"
    gate.server.start()
    until(lambda: own_house.retrieve(token("alice"), "launch").status_code == 200, 15, "the server decides again")


def test_decisions_are_logged_with_the_requests_id(gate, own_house, engine, token):
    if engine != "opa":
        return
    answer = own_house.retrieve(token("bob"), "launch")
    lines = own_house.logs(answer.headers["X-Request-ID"], "OPA decided")
    assert all("decision_id" in line for line in lines)


def test_changed_files_are_in_force_without_a_restart(tmp_path, provider, token):
    (tmp_path / "policy.rego").write_text(POLICY)
    house = governed(tmp_path / "house", provider, "rego", f'files = ["{tmp_path / "policy.rego"}"]')
    try:
        assert readable(house, token("bob")) == MAY_READ["bob"]
        (tmp_path / "policy.rego").write_text(POLICY + "\nallow if {\n")
        until(lambda: house.http.get("/readyz").json()["policy"] == "former", 10, "the mistake is seen")
        assert readable(house, token("bob")) == MAY_READ["bob"]
        house.logs("policy.rego, line")
        (tmp_path / "policy.rego").write_text("package bailiwick\n\nallow := false\n")
        until(lambda: readable(house, token("bob")) == set(), 10, "the new policy is in force")
        assert house.http.get("/readyz").json()["policy"] == "current"
    finally:
        house.stop()


def test_rules_and_an_engine_must_both_allow(tmp_path, provider, policy, token):
    rules = '[[policy.rule]]\nattribute = "clearance_level"\nop = "eq"\nclaim = "user_clearance"'
    house = governed(tmp_path, provider, "rego", f'files = ["{policy}"]', rules)
    try:
        assert readable(house, token("bob")) == {"sales-q3"}
        assert readable(house, token("admin")) == MAY_READ["admin"]
    finally:
        house.stop()


def test_the_policys_own_tests_run(tmp_path, provider, policy):
    house = House(tmp_path, provider.issuer)
    config = house.config.read_text().replace('engine = "rules"', f'engine = "rego"\nrego = {{ files = ["{policy}"] }}')
    house.config.write_text(config)
    assert house.command("policy", "test") == [{"name": "data.bailiwick_test.test_nobody", "passed": True}]
    (tmp_path / "wrong.rego").write_text("package bailiwick\n\nallow if {\n\tinput.label.x ==\n}\n")
    house.config.write_text(config.replace(str(policy), str(tmp_path / "wrong.rego")))
    refused = house.command("config", "check", json_output=False, expect=1)
    assert re.search(r"wrong\.rego, line \d+, column \d+: ", refused.stderr)
