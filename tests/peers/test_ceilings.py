"""How far an agent may write: its ceiling, at every way in, for the label that is and the one that will be."""

import uuid

import pytest
from house import bearer, document, documents_of
from test_contract import problem

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


def remove(house, token, id):
    return house.http.delete(f"/api/documents/{id}", headers=bearer(token))


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
    assert remove(house, token, id).status_code == 200


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
