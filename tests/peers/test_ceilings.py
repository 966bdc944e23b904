"""How far an agent may write: its ceiling, at every way in, for the label that is and the one that will be.
And what becomes of all that it brought."""

import http.client
import json
import time
import uuid

import pytest
from house import bearer, document, documents_of
from test_contract import problem
from test_on_behalf import Assistant

HR = ["--ceiling", "department=hr", "--ceiling", "clearance_level<=Restricted"]


@pytest.fixture
def writer(house):
    """Makes agents with a ceiling, and returns their names and tokens."""

    def make(*bounds: str) -> tuple[str, str]:
        name = f"writer-{uuid.uuid4().hex[:8]}"
        client_id = house.command("agents", "create", name, "--auth", "client-id")["client_id"]
        house.command("agents", "delegate", name, "--allow", "write:documents", *bounds)
        return name, house.agent_token(client_id)

    return make


def new_id() -> str:
    return f"ceiling-{uuid.uuid4().hex[:8]}"


def beyond(answer, *named: tuple[int, str]) -> dict:
    body = problem(answer, 403)
    assert [(error["index"], error["id"]) for error in body["errors"]] == list(named), answer.text
    assert all("may write" in error["reason"] for error in body["errors"])
    assert body["type"] == "urn:bailiwick:problem:beyond-ceiling"
    return body


def relabel(house, token, id, metadata):
    return house.http.put(f"/api/documents/{id}/metadata", json=metadata, headers=bearer(token))


def remove(house, token, id, **params):
    return house.http.delete(f"/api/documents/{id}", params=params, headers=bearer(token))


def exists(house, id) -> bool:
    """Asked as a writer without a ceiling, by giving it the label that everybody here lacks."""
    answer = relabel(house, house.pipeline, id, {"department": "nowhere", "clearance_level": "TopSecret"})
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200


def test_within_the_ceiling_an_agent_writes_changes_and_removes(house, writer):
    _, token = writer(*HR)
    id = new_id()
    assert house.store(token, [document(id, "Holidays are thirty days.", "hr", "Public")]).status_code == 200
    changed = relabel(house, token, id, {"department": "hr", "clearance_level": "Restricted"})
    assert changed.status_code == 200, changed.text
    assert remove(house, token, id).status_code == 200
    assert remove(house, token, id).status_code == 404


def test_one_document_beyond_the_ceiling_refuses_the_batch_and_is_named(house, writer):
    _, token = writer(*HR)
    good, secret, foreign = new_id(), new_id(), new_id()
    batch = [
        document(good, "Holidays are thirty days.", "hr", "Public"),
        document(secret, "Salaries rise in May.", "hr", "Secret"),
        document(foreign, "The engine is fast.", "workshop", "Public"),
    ]
    beyond(house.store(token, batch), (1, secret), (2, foreign))
    assert not any(exists(house, id) for id in (good, secret, foreign))


def test_the_ceiling_holds_for_the_label_that_a_document_has_now(house, writer):
    _, token = writer(*HR)
    id, mine = new_id(), new_id()
    assert house.store(house.pipeline, [document(id, "The engine is fast.", "workshop", "Public")]).status_code == 200
    disguised = document(id, "The engine is slow.", "hr", "Public")
    beyond(house.store(token, [document(mine, "Holidays.", "hr", "Public"), disguised]), (1, id))
    beyond(relabel(house, token, id, {"department": "hr", "clearance_level": "Public"}), (0, id))
    beyond(remove(house, token, id), (0, id))
    assert not exists(house, mine)
    kept = house.store(house.pipeline, [document(id, "The engine is fast.", "workshop", "Public")])
    assert kept.json()["documents"] == 0, "nothing of it was changed"
    remove(house, house.pipeline, id)


def test_a_document_cannot_be_lifted_out_of_reach(house, writer):
    _, token = writer(*HR)
    id = new_id()
    house.store(token, [document(id, "Holidays are thirty days.", "hr", "Public")]).raise_for_status()
    beyond(relabel(house, token, id, {"department": "hr", "clearance_level": "TopSecret"}), (0, id))
    beyond(relabel(house, token, id, {"department": "garden", "clearance_level": "Public"}), (0, id))
    # What the schema refuses is refused as that, ceiling or not.
    assert relabel(house, token, id, {"department": "hr"}).status_code == 422
    assert remove(house, token, id).status_code == 200


def test_a_label_that_lacks_the_attribute_is_beyond(house, writer):
    _, token = writer("--ceiling", "project_id=phoenix")
    id = new_id()
    beyond(house.store(token, [document(id, "About nothing.", "hr", "Public")]), (0, id))
    assert house.store(token, [document(id, "About Phoenix.", "hr", "Public", "phoenix")]).status_code == 200


@pytest.mark.parametrize("spelling", ["HR", "hr ", "hr\u200b", "*", "%", "hr\" OR 1=1"])
def test_values_are_compared_as_they_are_spelled(house, writer, spelling):
    _, token = writer(*HR)
    id = new_id()
    beyond(house.store(token, [document(id, "Holidays.", spelling, "Public")]), (0, id))


def test_a_refusal_is_on_record_with_the_agent_and_the_documents(house, writer):
    name, token = writer(*HR)
    id = new_id()
    beyond(house.store(token, [document(id, "Secret.", "hr", "TopSecret")]), (0, id))
    last = [event for event in house.command("audit", "tail", "-n", "50") if event.get("agent") == name][-1]
    assert (last["kind"], last["outcome"], last["document_ids"]) == ("ingested", "refused", [id])


def test_without_a_ceiling_an_agent_may_write_every_document(house, writer):
    _, token = writer()
    id = new_id()
    house.store(house.pipeline, [document(id, "The engine is fast.", "workshop", "TopSecret")]).raise_for_status()
    assert remove(house, token, id, replace=True).status_code == 200


def test_a_new_ceiling_is_in_force_for_tokens_that_are_out(house, writer):
    name, token = writer()
    id = new_id()
    assert house.store(token, [document(id, "Fast.", "workshop", "Public")]).status_code == 200
    house.command("agents", "delegate", name, "--allow", "write:documents", *HR)
    beyond(house.store(token, [document(id, "Faster.", "workshop", "Public")]), (0, id))
    # And one that is lifted is not lifted for the tokens that were made under it.
    name, token = writer(*HR)
    house.command("agents", "delegate", name, "--allow", "write:documents")
    beyond(house.store(token, [document(id, "Faster.", "workshop", "Public")]), (0, id))


def test_a_ceiling_that_is_delegated_over_http_bounds_alike(house, token, writer):
    name, agent = writer()
    bounds = {"department": ["hr", "garden"], "clearance_level": {"lte": "Internal", "gte": 2}}
    body = {"permissions": ["write:documents"], "ceiling": bounds}
    admin = bearer(token("admin"))
    made = house.http.post(f"/api/admin/delegations/{name}", json=body, headers=admin)
    assert made.status_code == 200 and made.json()["ceiling"] == bounds, made.text
    shown = house.http.get(f"/api/admin/delegations/{name}", headers=admin).json()
    assert shown[-1]["ceiling"] == bounds and "ceiling" not in shown[0]
    id = new_id()
    assert house.store(agent, [document(id, "A list.", "garden", "Internal")]).status_code == 200
    beyond(house.store(agent, [document(id, "A list.", "garden", "Public")]), (0, id))
    for wrong in ({}, {"colour": ["red"]}, {"department": []}, {"clearance_level": {"lte": "Cosmic"}}, []):
        refused = house.http.post(f"/api/admin/delegations/{name}", json=body | {"ceiling": wrong}, headers=admin)
        problem(refused, 400)


@pytest.mark.parametrize("bound", ["", "department", "colour=red", "department<=hr", "clearance_level<=Cosmic", "=hr"])
def test_the_command_line_refuses_a_ceiling_that_means_nothing(house, writer, bound):
    name, _ = writer()
    run = house.command(
        "agents", "delegate", name, "--allow", "write:documents", "--ceiling", bound, json_output=False, expect=1
    )
    assert "ceiling" in run.stderr


def test_what_is_delegated_can_be_taken_back_on_the_command_line(house, writer):
    name, token = writer()
    house.command("agents", "undelegate", name)
    problem(house.store(token, [document(new_id(), "Fast.", "workshop", "Public")]), 401)
    run = house.command("agents", "undelegate", name, json_output=False, expect=1)
    assert "nothing is delegated" in run.stderr


def test_the_hits_of_others_stay_as_they_are(house, token, writer):
    _, agent = writer(*HR)
    before = documents_of(house.retrieve(token("alice"), "launch", top_k=50))
    for id in before:
        beyond(remove(house, agent, id), (0, id))
    assert documents_of(house.retrieve(token("alice"), "launch", top_k=50)) == before


# -- everything that an agent brought ----------------------------------------


@pytest.fixture
def rogue(own_provider, new_house):
    """A server of one's own with two agents, and people who see what both brought."""

    class Rogue:
        def __init__(self):
            self.house = new_house(own_provider.issuer).start()
            self.alice, self.admin = own_provider.sign_in("alice").access, own_provider.sign_in("admin").access
            self.mine, self.theirs = (self.agent(name) for name in ("rogue", "honest"))
            self.store(self.mine, "bad-1", "bad-2")
            self.store(self.theirs, "good-1", "good-2")

        def agent(self, name):
            return self.house.agent_token(self.house.agent(name, "write:documents"))

        def store(self, agent, *ids, level="Public"):
            batch = [document(id, f"The launch of {id} is near.", "engineering", level) for id in ids]
            self.house.store(agent, batch).raise_for_status()

        def sees(self) -> set[str]:
            return set(documents_of(self.house.retrieve(self.alice, "launch", top_k=50)))

        def state(self) -> dict:
            body = self.house.retrieve(self.alice, "launch", top_k=50).json()
            return {key: body[key] for key in ("source_nodes", "bailiwick", "classification")}

        def order(self, act) -> dict:
            answer = self.house.http.post(f"/api/admin/agents/rogue/{act}", headers=bearer(self.admin))
            assert answer.status_code == 200, answer.text
            return answer.json()

    return Rogue()


def test_what_a_revoked_agent_brought_disappears_comes_back_and_goes(rogue):
    house, everything, before = rogue.house, {"bad-1", "bad-2", "good-1", "good-2"}, rogue.state()
    assert rogue.sees() == everything
    house.command("agents", "revoke", "rogue", "--quarantine")
    assert rogue.sees() == {"good-1", "good-2"}
    problem(house.http.get("/api/documents/bad-1", headers=bearer(rogue.alice)), 404)
    problem(house.store(rogue.mine, [document("late", "Late.", "engineering", "Public")]), 401)
    [listed] = [agent for agent in house.command("agents", "list") if agent["name"] == "rogue"]
    assert listed["documents"] == "quarantined" and listed["revoked_at"]

    house.command("agents", "release", "rogue")
    assert rogue.state() == before, "with the labels, scores and counts that they had"
    problem(house.store(rogue.mine, [document("late", "Late.", "engineering", "Public")]), 401)
    run = house.command("agents", "purge", "rogue", json_output=False, expect=1)
    assert "not in quarantine" in run.stderr

    house.command("agents", "revoke", "rogue", "--quarantine")
    house.command("agents", "purge", "rogue")
    assert rogue.sees() == {"good-1", "good-2"}
    run = house.command("agents", "release", "rogue", json_output=False, expect=1)
    assert "not in quarantine" in run.stderr
    acts = [event for event in house.command("audit", "tail", "-n", "100") if event.get("agent") == "rogue"]
    told = " ".join(event.get("detail", "") for event in acts)
    assert all(act in told for act in ("quarantine: 2 documents", "release: 2 documents", "purge: 2 documents"))


def test_what_is_hidden_is_as_if_it_never_was(rogue, own_provider, new_house):
    rogue.house.command("agents", "revoke", "rogue", "--quarantine")
    clean = new_house(own_provider.issuer).start()
    honest = clean.agent_token(clean.agent("honest", "write:documents"))
    for id in ("good-1", "good-2"):
        clean.store(honest, [document(id, f"The launch of {id} is near.", "engineering", "Public")]).raise_for_status()

    def answer(house):
        nodes = house.retrieve(rogue.alice, "launch", top_k=50).json()
        return [(node["node"]["id_"], node["score"]) for node in nodes["source_nodes"]], nodes["bailiwick"]

    assert answer(rogue.house) == answer(clean)


def test_orders_are_given_over_http_too_and_by_administrators_only(rogue):
    for act in ("quarantine", "release", "purge"):
        path = f"/api/admin/agents/rogue/{act}"
        problem(rogue.house.http.post(path, headers=bearer(rogue.alice)), 403)
        problem(rogue.house.http.post(path, headers=bearer(rogue.theirs)), 401)
    problem(rogue.house.http.post("/api/admin/agents/rogue/release", headers=bearer(rogue.admin)), 409)
    assert rogue.order("quarantine")["documents"] == "quarantined"
    assert rogue.sees() == {"good-1", "good-2"}
    assert "documents" not in rogue.order("release")
    assert rogue.sees() == {"bad-1", "bad-2", "good-1", "good-2"}
    rogue.order("quarantine")
    assert rogue.order("purge")["documents"] == "purged"
    problem(rogue.house.http.post("/api/admin/agents/nobody/quarantine", headers=bearer(rogue.admin)), 404)


def test_what_a_revoked_agent_is_still_sending_is_not_written(rogue):
    """Its token was good when the request began."""

    def begin(method, path, body) -> tuple[http.client.HTTPConnection, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", rogue.house.port, timeout=30)
        connection.putrequest(method, path)
        for name, value in {**bearer(rogue.mine), "Content-Type": "application/json", "Content-Length": len(body)}.items():
            connection.putheader(name, str(value))
        connection.endheaders()
        connection.send(body[:-1])
        return connection, body[-1:]

    late = document("late", "The launch of the late one is near.", "engineering", "Public")
    sending = [
        begin("POST", "/api/documents", json.dumps({"documents": [late]}).encode()),
        begin("PUT", "/api/documents/good-1/metadata", b'{"department": "hr", "clearance_level": "TopSecret"}'),
    ]
    before = rogue.state()
    time.sleep(0.5)
    rogue.house.command("agents", "revoke", "rogue")
    for connection, rest in sending:
        connection.send(rest)
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["detail"]) == (401, "Invalid token")
    assert rogue.state() == before


def test_an_order_waits_for_a_server_that_is_away_and_survives_its_death(rogue):
    house = rogue.house
    house.kill()
    house.command("agents", "revoke", "rogue", "--quarantine")
    house.start()
    assert rogue.sees() == {"good-1", "good-2"}
    house.kill()
    house.start()
    assert rogue.sees() == {"good-1", "good-2"}
    house.command("agents", "release", "rogue")
    assert len(rogue.sees()) == 4


def test_nobody_lifts_a_quarantine_by_relabelling(rogue):
    rogue.order("quarantine")
    level = {"department": "engineering", "clearance_level": "Internal"}
    assert relabel(rogue.house, rogue.theirs, "bad-1", level).status_code == 200
    assert rogue.sees() == {"good-1", "good-2"}
    rogue.order("release")
    found = rogue.house.http.get("/api/documents/bad-1", headers=bearer(rogue.alice)).json()
    assert found["metadata"]["clearance_level"] == "Internal", "released with the label that it was given since"
    assert found["metadata"]["text_ingested_by"].endswith("/agent/rogue")


def test_text_and_labels_of_a_rogue_agent_are_found_whoever_touched_the_document_since(rogue):
    level = {"department": "engineering", "clearance_level": "Public"}
    relabel(rogue.house, rogue.theirs, "bad-1", level).raise_for_status()
    relabel(rogue.house, rogue.mine, "good-1", level).raise_for_status()
    rogue.order("quarantine")
    assert rogue.sees() == {"good-2"}


def test_a_document_of_two_rogue_agents_is_released_when_both_are(rogue):
    level = {"department": "engineering", "clearance_level": "Public"}
    relabel(rogue.house, rogue.theirs, "bad-1", level).raise_for_status()
    rogue.house.command("agents", "revoke", "honest", "--quarantine")
    rogue.order("quarantine")
    assert rogue.sees() == set()
    rogue.house.command("agents", "release", "honest")
    assert rogue.sees() == {"good-1", "good-2"}
    rogue.order("release")
    assert rogue.sees() == {"bad-1", "bad-2", "good-1", "good-2"}


def test_a_document_that_somebody_else_brings_anew_is_theirs(rogue):
    rogue.order("quarantine")
    rogue.store(rogue.theirs, "bad-1")
    assert rogue.sees() == {"bad-1", "good-1", "good-2"}
    rogue.order("purge")
    assert rogue.sees() == {"bad-1", "good-1", "good-2"}


def test_many_documents_disappear_at_once(rogue):
    house, ids = rogue.house, [f"bulk-{n}" for n in range(1000)]
    for start in range(0, 1000, 100):
        rogue.store(rogue.mine, *ids[start : start + 100])
    assert me_chunks(rogue) == 1004
    house.command("agents", "revoke", "rogue", "--quarantine")
    assert me_chunks(rogue) == 2
    house.command("agents", "release", "rogue")
    assert me_chunks(rogue) == 1004


def me_chunks(rogue) -> int:
    return rogue.house.http.get("/api/me", headers=bearer(rogue.alice)).json()["bailiwick"]["chunks"]


def test_an_agent_that_wrote_for_others_is_found_whoever_relabelled_since(rogue, tmp_path):
    """Whatever passed through its hands, also in the middle of a chain, is its own too."""
    house = rogue.house
    chain = [Assistant(house, tmp_path) for _ in range(3)]
    token = rogue.theirs
    for assistant in chain:
        assistant.delegate("--allow", "write:documents")
        token = assistant.exchange(token).raise_for_status().json()["access_token"]
    level = {"department": "engineering", "clearance_level": "Public"}
    for id in ("chained", "labelled"):
        rogue.store(token, id)
    relabel(house, rogue.theirs, "chained", level).raise_for_status()
    relabel(house, token, "good-1", level).raise_for_status()
    rogue.store(rogue.theirs, "labelled")
    for assistant in chain:
        before = rogue.sees()
        house.command("agents", "revoke", assistant.name, "--quarantine")
        assert rogue.sees() == before - {"chained", "good-1"}, "and not what was replaced since"
        house.command("agents", "release", assistant.name)
        assert rogue.sees() == before
    house.command("agents", "revoke", chain[1].name, "--quarantine")
    house.command("agents", "purge", chain[1].name)
    house.command("agents", "revoke", chain[0].name, "--quarantine")
    house.command("agents", "release", chain[0].name)
    assert "chained" not in rogue.sees()
    assert remove(house, rogue.theirs, "chained").status_code == 404
