"""Agents that ask for people: what both may read, as long as both may, and on record with the whole chain."""

import base64
import json
import uuid

import jwt
import pytest
from conftest import MAY_READ
from cryptography.hazmat.primitives.asymmetric import rsa
from house import House, bearer, documents_of, outlast, payload
from test_contract import assertion, keyed_agent, problem

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
INTERNAL = ["--read", "department=engineering", "--read", "clearance_level<=Internal"]


class Assistant:
    """An agent with a key of its own that asks for people."""

    def __init__(self, house: House, directory, *bounds: str):
        self.house, self.name = house, f"assistant-{uuid.uuid4().hex[:8]}"
        self.id, self.key = keyed_agent(house, directory, self.name, "read:records")
        self.spiffe = f"spiffe://acme.example/agent/{self.name}"
        self.delegate(*bounds)

    def delegate(self, *bounds: str):
        self.house.command("agents", "delegate", self.name, *bounds)

    def post(self, path: str, **fields):
        proof = assertion(self.house, self.id, self.key)
        return self.house.http.post(path, data=proof | fields)

    def exchange(self, subject: str, **fields):
        more = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN}
        return self.post("/oauth/token", **more | fields)

    def act_for(self, subject: str) -> str:
        answer = self.exchange(subject)
        assert answer.status_code == 200, answer.text
        assert answer.json()["issued_token_type"] == ACCESS_TOKEN
        return answer.json()["access_token"]


@pytest.fixture
def assistant(house, tmp_path):
    return lambda *bounds: Assistant(house, tmp_path, *bounds)


def refused(answer, status: int, error: str):
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert "access_token" not in answer.json()


def read(house, token) -> set[str]:
    return set(documents_of(house.retrieve(token, "launch", top_k=50)))


# -- what is read ------------------------------------------------------------


def test_an_agent_reads_for_a_person_what_both_may_read(house, assistant, token):
    agent = assistant(*INTERNAL)
    acting = agent.act_for(token("alice"))
    assert read(house, token("alice")) == MAY_READ["alice"]
    assert read(house, acting) == {"eng-atlas", "eng-handbook"}
    assert house.http.get("/api/documents/eng-atlas", headers=bearer(acting)).status_code == 200
    # Secret and within alice's own rights, beyond the agent's: the same 404 as what does not exist.
    beyond = house.http.get("/api/documents/eng-phoenix", headers=bearer(acting))
    absent = house.http.get("/api/documents/never-was", headers=bearer(acting))
    problem(beyond, 404)
    assert beyond.content == absent.content


def test_an_agent_lends_a_person_nothing(house, assistant, token):
    everything = assistant("--read", "clearance_level<=TopSecret")
    for person in ("alice", "bob", "carol", "dave"):
        assert read(house, everything.act_for(token(person))) == MAY_READ[person]
    sales = assistant("--read", "department=sales")
    assert read(house, sales.act_for(token("alice"))) == set()
    answer = house.query(sales.act_for(token("alice")), "launch")
    assert answer.status_code == 200 and answer.json()["source_nodes"] == []


def test_counts_and_answers_are_those_of_the_intersection(house, assistant, token):
    acting = assistant(*INTERNAL).act_for(token("alice"))
    body = house.retrieve(acting, "launch", top_k=50).json()
    assert body["bailiwick"]["labels"] == 2 and body["bailiwick"]["chunks"] == len(body["source_nodes"])
    me = house.http.get("/api/me", headers=bearer(acting)).json()
    assert me["bailiwick"] == body["bailiwick"] and me["subject"] == "alice"
    assert "14 March" not in house.query(acting, "When is the launch of Phoenix?").text


def test_the_token_names_the_person_the_agent_and_the_retrieval_api(house, provider, assistant, token):
    agent = assistant(*INTERNAL)
    claims = payload(agent.act_for(token("alice")))
    hers = payload(token("alice"))
    assert claims["sub"] == "alice" and claims["sub_id"] == {"format": "iss_sub", "iss": provider.issuer, "sub": "alice"}
    assert claims["act"] == {"sub": agent.spiffe, "client_id": agent.id}
    assert claims["aud"] == ["bailiwick"] and claims["scope"] == "read:documents"
    assert claims["exp"] <= min(hers["exp"], claims["iat"] + 1800)
    assert "department" not in claims and "user_clearance" not in claims
    me = house.http.get("/api/me", headers=bearer(agent.act_for(token("alice")))).json()
    assert me["actors"] == [agent.spiffe] and me["claims"]["department"] == "engineering"


def test_it_ends_with_the_persons_token(house, provider, assistant):
    agent = assistant(*INTERNAL)
    brief = provider.sign_in("alice", "urn:bailiwick:brief").access
    acting = agent.act_for(brief)
    assert payload(acting)["exp"] == payload(brief)["exp"]
    outlast(brief)
    assert problem(house.retrieve(acting, "launch"), 401)["detail"] == "Token has expired"
    refused(agent.exchange(brief), 400, "invalid_grant")


def test_several_agents_read_what_all_of_them_may_read(house, assistant, token):
    first = assistant("--read", "department=engineering")
    second = assistant("--read", "clearance_level<=Public")
    acting = second.act_for(first.act_for(token("alice")))
    assert read(house, acting) == {"eng-handbook"}
    claims = payload(acting)
    assert claims["sub"] == "alice"
    assert claims["act"] == {"sub": second.spiffe, "client_id": second.id, "act": {"sub": first.spiffe, "client_id": first.id}}
    back = first.act_for(second.act_for(token("alice")))
    assert read(house, back) == {"eng-handbook"}, "the order does not matter"


def test_a_chain_of_agents_ends_somewhere(house, assistant, token):
    agent = assistant(*INTERNAL)
    acting = token("alice")
    for _ in range(4):
        acting = agent.act_for(acting)
    assert read(house, acting) == {"eng-atlas", "eng-handbook"}
    refused(agent.exchange(acting), 400, "invalid_grant")


def test_an_agent_that_shows_its_client_id_alone_acts_with_a_token_of_its_own(house, token):
    name = f"simple-{uuid.uuid4().hex[:8]}"
    id = house.agent(name, "read:records")
    house.command("agents", "delegate", name, "--allow", "read:records", *INTERNAL)
    form = {
        "grant_type": EXCHANGE,
        "subject_token": token("alice"),
        "subject_token_type": ACCESS_TOKEN,
        "actor_token": house.agent_token(id),
        "actor_token_type": ACCESS_TOKEN,
    }
    answer = house.http.post("/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    assert read(house, answer.json()["access_token"]) == {"eng-atlas", "eng-handbook"}
    for wrong in ({"actor_token": token("bob")}, {"actor_token": "garbage"}):
        refused(house.http.post("/oauth/token", data=form | wrong), 401, "invalid_client")
    refused(house.http.post("/oauth/token", data=form | {"actor_token": answer.json()["access_token"]}), 401, "invalid_client")
    del form["actor_token"]
    refused(house.http.post("/oauth/token", data=form), 401, "invalid_client")


# -- the end of it -----------------------------------------------------------


def test_revoking_any_link_ends_the_token_at_the_next_request(house, assistant, token):
    def links():
        first, second = assistant(*INTERNAL), assistant(*INTERNAL)
        one = first.act_for(token("alice"))
        two = second.act_for(one)
        assert house.retrieve(two, "launch").status_code == 200
        return first, second, one, two

    first, _, one, two = links()
    assert first.post("/oauth/revoke", token=one).status_code == 200
    problem(house.retrieve(one, "launch"), 401)
    problem(house.retrieve(two, "launch"), 401)

    _, second, one, two = links()
    assert second.post("/oauth/revoke", token=two).status_code == 200
    problem(house.retrieve(two, "launch"), 401)
    assert house.retrieve(one, "launch").status_code == 200

    first, _, one, two = links()
    house.command("agents", "revoke", first.name)
    problem(house.retrieve(two, "launch"), 401)

    first, _, one, two = links()
    house.command("agents", "undelegate", first.name)
    first.delegate(*INTERNAL)
    problem(house.retrieve(two, "launch"), 401)

    first, second, one, two = links()
    second.delegate("--allow", "read:records")
    problem(house.retrieve(two, "launch"), 401)
    assert house.retrieve(one, "launch").status_code == 200


def test_whoever_holds_the_persons_token_ends_all_that_was_exchanged_for_it(house, provider, assistant):
    hers, other = provider.sign_in("alice").access, provider.sign_in("alice").access
    agent = assistant(*INTERNAL)
    one, two, kept = agent.act_for(hers), agent.act_for(agent.act_for(hers)), agent.act_for(other)
    assert agent.post("/oauth/revoke", token=hers).status_code == 200
    problem(house.retrieve(one, "launch"), 401)
    problem(house.retrieve(two, "launch"), 401)
    assert house.retrieve(kept, "launch").status_code == 200
    refused(agent.exchange(hers), 400, "invalid_grant")


def test_bounds_that_shrink_shrink_the_tokens_that_are_out(house, assistant, token):
    agent = assistant("--read", "department=engineering")
    acting = agent.act_for(token("alice"))
    assert read(house, acting) == MAY_READ["alice"]
    agent.delegate(*INTERNAL)
    assert read(house, acting) == {"eng-atlas", "eng-handbook"}
    agent.delegate("--read", "clearance_level<=TopSecret")
    assert read(house, acting) == MAY_READ["alice"]


def test_it_outlives_a_killed_server(own_provider, new_house, tmp_path):
    house = new_house(own_provider.issuer).start()
    agent = Assistant(house, tmp_path, *INTERNAL)
    hers = own_provider.sign_in("alice").access
    acting = agent.act_for(hers)
    house.kill()
    house.start()
    assert house.retrieve(acting, "launch").status_code == 200
    assert house.token_leaks(hers, acting) == []


# -- what opens nothing ------------------------------------------------------


def test_an_agent_without_read_bounds_acts_for_nobody(house, assistant, token):
    refused(assistant("--allow", "read:records").exchange(token("alice")), 403, "access_denied")


def test_subjects_that_are_nobodys_token(house, provider, assistant, token):
    agent, other = assistant("--allow", "read:records", *INTERNAL), assistant(*INTERNAL)
    hers = token("alice")
    head, body, signature = hers.split(".")
    claims = payload(hers) | {"department": "sales"}
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subjects = {
        "an ID token": provider.sign_in("alice").id,
        "another audience": provider.sign_in("alice", "urn:elsewhere").access,
        "no signature": f"{head}.{body}.",
        "other claims": f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}",
        "a stranger's key": jwt.encode(claims, stranger, algorithm="RS256", headers={"typ": "at+jwt", "kid": "rsa-1"}),
        "garbage": "garbage",
        "too long": "a" * 20_000,
    }
    for what, subject in subjects.items():
        refused(agent.exchange(subject), 400, "invalid_grant")
        assert "sales" not in agent.exchange(subject).text, what
    refused(agent.exchange(hers, subject_token_type="urn:ietf:params:oauth:token-type:id_token"), 400, "invalid_request")
    refused(agent.exchange(hers, audience="https://elsewhere.example"), 400, "invalid_target")
    refused(agent.exchange(hers, scope="write:documents"), 400, "invalid_scope")
    # An agent's own token names no person: what is exchanged for it reads nothing.
    own = agent.post("/oauth/token", grant_type="client_credentials").json()["access_token"]
    refused(other.exchange(own), 403, "access_denied")
    problem(house.retrieve(own, "launch"), 401)


def test_a_forged_actor_or_person_is_refused(house, assistant, token):
    acting = assistant(*INTERNAL).act_for(token("bob"))
    head, body, signature = acting.split(".")
    for forged in ({"sub": "alice"}, {"act": {"sub": "spiffe://acme.example/agent/pipeline", "client_id": house.client_id}}):
        changed = base64.urlsafe_b64encode(json.dumps(payload(acting) | forged).encode()).decode().rstrip("=")
        problem(house.retrieve(f"{head}.{changed}.{signature}", "launch"), 401)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    headers = jwt.get_unverified_header(acting)
    problem(house.retrieve(jwt.encode(payload(acting) | {"sub": "alice"}, key, "RS256", headers), "launch"), 401)


def test_a_token_for_a_person_writes_nothing_reads_no_vault_and_administers_nothing(house, assistant, token):
    agent = assistant("--allow", "read:records,write:documents", "--read", "clearance_level<=TopSecret")
    acting = bearer(agent.act_for(token("admin")))
    assert house.http.get("/api/me", headers=acting).json()["administrator"] is False
    problem(house.http.get("/api/admin/agents", headers=acting), 401)
    problem(house.http.get("/api/admin/labels", headers=acting), 401)
    problem(house.http.get("/secure-vault/records", headers=acting), 401)
    problem(house.http.delete("/api/documents/eng-handbook", headers=acting), 401)
    assert house.http.post("/api/documents", json={"documents": []}, headers=acting).status_code == 401


def test_a_provider_that_withdraws_its_keys_ends_no_token_before_its_time_but_makes_none(own_provider, new_house, tmp_path):
    house = new_house(own_provider.issuer).start()
    agent = Assistant(house, tmp_path, *INTERNAL)
    hers = own_provider.sign_in("alice").access
    acting = agent.act_for(hers)
    own_provider.control("rotate")
    assert house.retrieve(own_provider.sign_in("alice").access, "launch").status_code == 200
    refused(agent.exchange(hers), 400, "invalid_grant")
    assert house.retrieve(acting, "launch").status_code == 200


# -- on record ---------------------------------------------------------------


def test_the_whole_chain_is_on_record(house, provider, assistant, token):
    first, second = assistant(*INTERNAL), assistant(*INTERNAL)
    acting = second.act_for(first.act_for(token("alice")))
    receipt = house.retrieve(acting, "launch").json()["receipt"]
    events = house.command("audit", "tail", "-n", "100")
    [asked] = [event for event in events if event.get("request_id") == receipt]
    assert (asked["kind"], asked["issuer"], asked["subject"]) == ("retrieved", provider.issuer, "alice")
    assert (asked["agent"], asked["client_id"], asked["jti"]) == (second.name, second.id, payload(acting)["jti"])
    chain = json.dumps(asked)
    assert chain.index(second.spiffe) < chain.index(first.spiffe)
    [issued] = [event for event in events if event["kind"] == "token_issued" and event.get("jti") == asked["jti"]]
    assert (issued["subject"], issued["issuer"]) == ("alice", provider.issuer)
    assert first.spiffe in json.dumps(issued) and second.spiffe in json.dumps(issued)


def test_a_client_learns_by_introspection_for_whom_its_token_is(house, provider, assistant, token):
    agent, other = assistant(*INTERNAL), assistant(*INTERNAL)
    acting = agent.act_for(token("alice"))
    seen = agent.post("/oauth/introspect", token=acting).json()
    assert seen["active"] is True and seen["sub"] == "alice" and seen["act"]["sub"] == agent.spiffe
    assert seen["sub_id"]["iss"] == provider.issuer
    assert other.post("/oauth/introspect", token=acting).json() == {"active": False}
