"""Groups that a token does not carry: looked up, remembered, and never taken for "no groups"."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import LIBRARY, PEOPLE
from house import bearer, documents_of
from provider import Provider
from test_contract import problem
from test_on_behalf import Assistant, read

TRAP = "http://127.0.0.1:9/graph/alice/getMemberObjects"
# Entra's overage: the token says that there are groups, and not which.
OVERAGE = {
    "user_clearance": "TopSecret",
    "projects": [],
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": TRAP}},
}
MEMBERS = {
    "erin": OVERAGE | {"userinfo": {"groups": ["engineering"]}},
    "frank": OVERAGE | {"userinfo": {}},
    "grace": {"user_clearance": "TopSecret", "projects": [], "hasgroups": True, "userinfo": {"groups": ["sales", "people"]}},
    "heidi": {"user_clearance": "TopSecret", "groups": ["finance"], "userinfo": {"groups": ["sales"]}},
    "crowded": OVERAGE | {"userinfo": {"groups": ["engineering"] + [f"g{n}" for n in range(5000)]}},
}
ERIN = {"eng-handbook", "eng-atlas", "eng-phoenix", "eng-zephyr"} - {d["id"] for d in LIBRARY if "project_id" in d["metadata"]}


@pytest.fixture
def members(tmp_path):
    provider = Provider(PEOPLE | MEMBERS, tmp_path)
    yield provider
    provider.stop()


@pytest.fixture
def grouped(members, new_house):
    """A server whose department rule reads `groups`, which are looked up as this says."""

    def start(**groups):
        house = new_house(members.issuer)
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in groups.items())
        text = house.config.read_text().replace('claim = "department"', 'claim = "groups"')
        house.config.write_text(text + f"\n[identity.groups]\n{lines}")
        house.start()
        house.pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
        house.store(house.pipeline, LIBRARY).raise_for_status()
        return house

    return start


def me(house, token):
    return house.http.get("/api/me", headers=bearer(token))


def test_groups_come_from_userinfo_and_the_tokens_own_stay(members, grouped):
    house = grouped(source="userinfo")
    assert read(house, members.sign_in("erin").access) == ERIN
    grace = members.sign_in("grace").access
    assert read(house, grace) == {"sales-list", "sales-q2", "hr-leave"}
    assert me(house, grace).json()["claims"]["groups"] == ["sales", "people"]
    assert read(house, members.sign_in("heidi").access) == {"fin-budget", "fin-audit"}, "hers are in her token"
    assert members.control("stats")["userinfo"] == 2, "once for each person, however often they ask"


def test_what_the_source_does_not_know_stays_missing_and_opens_nothing(members, grouped):
    house = grouped(source="userinfo")
    frank = members.sign_in("frank").access
    assert read(house, frank) == set()
    assert "groups" in me(house, frank).json()["missing"]
    assert read(house, members.sign_in("crowded").access) == set(), "more than a claim may carry"


@pytest.mark.parametrize("manner", ["other", "huge", "redirect", "broken"])
def test_a_source_that_misbehaves_opens_nothing_and_is_left_alone(members, grouped, manner):
    house = grouped(source="userinfo")
    members.control(f"userinfo?as={manner}")
    erin = members.sign_in("erin").access
    for _ in range(5):
        assert read(house, erin) == set()
    assert "groups" in me(house, erin).json()["missing"]
    assert members.control("stats")["userinfo"] == 1
    members.control("userinfo?as=right")
    time.sleep(5.2)
    assert read(house, erin) == ERIN, "and recovers"


def test_where_groups_are_required_nobody_is_answered_with_less(members, grouped):
    house = grouped(source="userinfo", required=True)
    members.control("userinfo?as=broken")
    problem(house.retrieve(members.sign_in("erin").access, "launch"), 503)
    assert read(house, members.sign_in("heidi").access) == {"fin-budget", "fin-audit"}
    problem(house.retrieve("garbage", "launch"), 401)


def test_an_answer_is_remembered_for_as_long_as_configured(members, grouped):
    house = grouped(source="userinfo", cache_seconds=1)
    erin = members.sign_in("erin").access
    assert read(house, erin) == ERIN
    members.control("userinfo?as=other")
    time.sleep(1.2)
    assert read(house, erin) == set(), "what was known is not known for ever"


def test_an_agent_asks_with_the_groups_that_were_looked_up(members, grouped, tmp_path):
    house = grouped(source="userinfo")
    agent = Assistant(house, tmp_path, "--read", "clearance_level<=Public")
    assert read(house, agent.act_for(members.sign_in("erin").access)) == {"eng-handbook"}


def test_groups_come_from_a_server_of_ones_own(members, grouped, monkeypatch):
    asked = []

    class People(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            known = "sub=erin" in self.path
            body = json.dumps({"sub": "erin", "groups": ["engineering"]}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body if known else b"{}")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), People)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GROUPS_TOKEN", "opensesame")
    try:
        house = grouped(source="http", url=f"http://127.0.0.1:{server.server_port}/groups", token_env="GROUPS_TOKEN")
        erin, grace = members.sign_in("erin").access, members.sign_in("grace").access
        assert read(house, erin) == ERIN
        assert read(house, grace) == set()
    finally:
        server.shutdown()
    assert len(asked) == 2 and all(authorization == "Bearer opensesame" for _, authorization in asked)
    assert "opensesame" not in house.log_path.read_text() and house.token_leaks(erin, grace) == []
    assert members.control("stats")["userinfo"] == 0


def test_groups_come_from_a_file(members, grouped, tmp_path):
    file = tmp_path / "groups.json"
    file.write_text(json.dumps({"frank": {"groups": ["finance"]}}))
    house = grouped(source="file", file=str(file))
    assert read(house, members.sign_in("frank").access) == {"fin-budget", "fin-audit"}
    assert read(house, members.sign_in("erin").access) == set()


@pytest.mark.parametrize(
    "lines, named",
    [
        ('source = "ldap"', "source"),
        ('source = "http"', "url"),
        ('source = "userinfo"\nclaims = ["sub"]', "claims"),
        ('source = "userinfo"\nretries = 3', "retries"),
    ],
)
def test_a_source_that_cannot_work_is_a_configuration_error(new_house, provider, lines, named):
    house = new_house(provider.issuer)
    house.config.write_text(house.config.read_text() + f"\n[identity.groups]\n{lines}\n")
    run = house.command("serve", json_output=False, expect=1)
    assert named in run.stderr, run.stderr
