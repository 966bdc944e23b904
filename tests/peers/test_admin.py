"""What the web app asks for: why a person may read a document, and the administrators' views."""

import re
import uuid

import pytest
from conftest import LIBRARY, MAY_READ
from house import bearer
from test_contract import problem

CLAIMS = {"department": "engineering", "user_clearance": "TopSecret", "projects": ["phoenix", "atlas"]}


def get(house, token, path, **query):
    return house.http.get(path, params=query, headers=bearer(token))


def view_as(house, token, **body):
    return house.http.post("/api/admin/view-as", json=body, headers=bearer(token))


# -- why ---------------------------------------------------------------------


def test_a_reader_learns_which_rules_and_claims_open_a_document_to_her(house, token):
    why = get(house, token("alice"), "/api/documents/eng-phoenix/why")
    assert why.status_code == 200, why.text
    body = why.json()
    assert body["label"] == {"department": "engineering", "clearance_level": "Secret", "project_id": "phoenix"}
    assert re.fullmatch("[0-9a-f]{16}", body["policy_revision"])
    told = [(rule["attribute"], rule["operator"], rule["claim"], rule["document"], rule["matched"]) for rule in body["rules"]]
    assert told == [
        ("department", "in", "department", ["engineering"], ["engineering"]),
        ("clearance_level", "lte", "user_clearance", ["Secret"], ["TopSecret"]),
        ("project_id", "in", "projects", ["phoenix"], ["phoenix"]),
    ]
    assert all(rule["holds"] for rule in body["rules"])


def test_an_attribute_that_a_document_may_lack_is_told_as_lacking(house, token):
    rules = get(house, token("alice"), "/api/documents/eng-handbook/why").json()["rules"]
    assert [(rule["attribute"], rule["document"]) for rule in rules][-1] == ("project_id", [])


def test_why_tells_the_same_of_what_is_forbidden_and_what_is_absent(house, token):
    answers = []
    for id in ("eng-zephyr", "sales-q2", "no-such-document", "", "a" * 600, "%00", "..%2f..%2fetc"):
        why = get(house, token("alice"), f"/api/documents/{id}/why")
        read = get(house, token("alice"), f"/api/documents/{id}")
        problem(why, 404)
        answers.append(why.content)
        if id:
            assert why.content == read.content, id
    assert len(set(answers)) == 1
    assert get(house, token("dave"), "/api/documents/eng-phoenix/why").content == answers[0]


def test_why_is_told_to_people_with_a_good_token_only(house, token):
    problem(house.http.get("/api/documents/eng-phoenix/why"), 401)
    problem(get(house, house.pipeline, "/api/documents/eng-phoenix/why"), 401)


def test_everybody_learns_why_of_just_what_they_may_read(house, token):
    for person in MAY_READ:
        for document in LIBRARY:
            why = get(house, token(person), f"/api/documents/{document['id']}/why")
            assert why.status_code == (200 if document["id"] in MAY_READ[person] else 404), (person, document["id"])


# -- administrators only -----------------------------------------------------

ADMINISTRATION = [
    ("GET", "/api/admin/labels", None),
    ("GET", "/api/admin/audit", None),
    ("GET", "/api/admin/policy", None),
    ("POST", "/api/admin/view-as", {"claims": {}}),
]


@pytest.mark.parametrize("method, path, body", ADMINISTRATION)
def test_each_view_is_for_administrators(house, token, method, path, body):
    def ask(headers):
        return house.http.request(method, path, json=body, headers=headers)

    problem(ask({}), 401)
    problem(ask(bearer(house.pipeline)), 401)
    refused = {ask(bearer(token(person))).content for person in ("alice", "bob", "dave")}
    assert len(refused) == 1
    problem(ask(bearer(token("alice"))), 403)
    assert ask(bearer(token("admin"))).status_code == 200


def test_a_person_learns_whether_she_may_administer(house, token):
    assert get(house, token("admin"), "/api/me").json()["administrator"] is True
    assert get(house, token("alice"), "/api/me").json()["administrator"] is False


# -- labels and view-as ------------------------------------------------------


def test_labels_are_counted_with_their_documents_and_chunks(house, token):
    body = get(house, token("admin"), "/api/admin/labels").json()
    counted = {tuple(sorted(label["attributes"].items())): label["documents"] for label in body["labels"]}
    expected = {}
    for document in LIBRARY:
        key = tuple(sorted(document["metadata"].items()))
        expected[key] = expected.get(key, 0) + 1
    assert {key: counted.get(key) for key in expected} == expected
    assert body["documents"] == sum(label["documents"] for label in body["labels"])
    assert body["chunks"] == sum(label["chunks"] for label in body["labels"]) >= body["documents"]
    assert all(label["documents"] > 0 for label in body["labels"]), "a label without documents is no news"


def test_labels_follow_documents_that_come_change_and_go(own_provider, new_house):
    house = new_house(own_provider.issuer).start()
    admin = own_provider.sign_in("admin").access
    writer = house.agent_token(house.agent("pipeline", "write:documents"))

    def counts():
        labels = get(house, admin, "/api/admin/labels").json()["labels"]
        return {label["attributes"]["clearance_level"]: label["documents"] for label in labels}

    assert counts() == {}
    house.store(writer, LIBRARY[:2]).raise_for_status()
    assert counts() == {"Secret": 1, "Internal": 1}
    internal = {"department": "engineering", "clearance_level": "Internal", "project_id": "atlas"}
    house.http.put("/api/documents/eng-phoenix/metadata", json=internal, headers=bearer(writer)).raise_for_status()
    assert counts() == {"Internal": 2}
    house.http.delete("/api/documents/eng-phoenix", headers=bearer(writer)).raise_for_status()
    assert counts() == {"Internal": 1}


def test_view_as_shows_how_much_the_claims_would_open(house, token):
    view = view_as(house, token("admin"), claims=CLAIMS).json()
    assert view["documents"] == len(MAY_READ["alice"])
    mine = get(house, token("alice"), "/api/me").json()["bailiwick"]
    assert (len(view["labels"]), view["chunks"]) == (mine["labels"], mine["chunks"])
    nothing = view_as(house, token("admin"), claims={}).json()
    assert (nothing["labels"], nothing["documents"], nothing["chunks"]) == ([], 0, 0)
    assert "explanation" not in nothing


def test_view_as_says_why_and_why_not_a_stored_document(house, token):
    why = view_as(house, token("admin"), claims=CLAIMS, document_id="eng-phoenix").json()["explanation"]
    assert why["allowed"] is True and all(step["holds"] for step in why["steps"])
    why_not = view_as(house, token("admin"), claims=CLAIMS, document_id="eng-zephyr").json()["explanation"]
    assert why_not["allowed"] is False
    failing = [step for step in why_not["steps"] if step["holds"] is False]
    assert [(step["attribute"], step["document"]) for step in failing] == [("project_id", ["zephyr"])]
    assert "satellite" not in view_as(house, token("admin"), claims=CLAIMS, document_id="eng-zephyr").text
    problem(view_as(house, token("admin"), claims=CLAIMS, document_id="no-such-document"), 404)


def test_the_bench_decides_on_attributes_that_no_document_has(house, token):
    document = {"department": "engineering", "clearance_level": "Public", "project_id": "moon"}
    explained = view_as(house, token("admin"), claims=CLAIMS, document=document).json()["explanation"]
    assert explained["allowed"] is False
    assert [step["holds"] for step in explained["steps"]] == [True, True, False]


@pytest.mark.parametrize(
    "body, named",
    [
        ({}, "claims"),
        ({"claims": []}, "claims"),
        ({"claims": "admin"}, "claims"),
        ({"claims": {}, "person": "alice"}, "person"),
        ({"claims": {}, "document": {"department": "sales"}}, "clearance_level"),
        ({"claims": {}, "document": {"department": "sales", "clearance_level": "Cosmic"}}, "Cosmic"),
        ({"claims": {}, "document": {}, "document_id": "eng-phoenix"}, "document_id"),
        ({"claims": {}, "document_id": ""}, "document_id"),
        ({"claims": {}, "document_id": "a\u0000b"}, "document_id"),
        ({"claims": {}, "document_id": 5}, "document_id"),
    ],
)
def test_a_malformed_view_is_400_and_names_the_field(house, token, body, named):
    problem(view_as(house, token("admin"), **body), 400, named)


def test_supposed_claims_never_become_the_callers(house, token):
    view_as(house, token("admin"), claims=CLAIMS).raise_for_status()
    problem(get(house, token("admin"), "/api/documents/eng-phoenix"), 404)


# -- the policy --------------------------------------------------------------


def test_the_policy_in_force_is_shown_as_it_is_configured(house, token):
    body = get(house, token("admin"), "/api/admin/policy").json()
    assert re.fullmatch("[0-9a-f]{16}", body["revision"])
    assert body["claims"] == ["department", "user_clearance", "projects"]
    assert body["policy"]["rule"][2] == {"attribute": "project_id", "op": "in", "claim": "projects", "absent": "allow"}
    levels = {attribute["name"]: attribute["levels"] for attribute in body["attributes"]}
    assert levels["clearance_level"] == ["Public", "Internal", "Restricted", "Secret", "TopSecret"]
    assert [attribute["optional"] for attribute in body["attributes"]] == [False, False, True]


# -- the audit trail ---------------------------------------------------------


def audit(house, token, **query):
    return get(house, token("admin"), "/api/admin/audit", **query)


def test_the_trail_is_searched_by_person_document_agent_and_event(house, token):
    get(house, token("bob"), "/api/documents/sales-list").raise_for_status()
    both = audit(house, token, person="bob", document="sales-list", event="retrieved").json()["records"]
    assert both and all(r["subject"] == "bob" and "sales-list" in r["document_ids"] for r in both)
    assert [r["seq"] for r in both] == sorted((r["seq"] for r in both), reverse=True)
    ingested = audit(house, token, agent="pipeline", event="ingested").json()["records"]
    assert any("eng-phoenix" in record["document_ids"] for record in ingested)
    assert audit(house, token, person="bob", agent="pipeline").json() == {"records": [], "next": None}
    assert "sales price" not in audit(house, token, limit=1000).text


def test_the_trail_is_paged_from_the_newest_on(house, token):
    whole = audit(house, token, person="admin", limit=1000).json()["records"]
    last = whole[0]["seq"]
    seen, page = [], audit(house, token, limit=7, before=last + 1).json()
    while True:
        seen += [record["seq"] for record in page["records"]]
        if page["next"] is None:
            break
        page = audit(house, token, limit=7, before=page["next"]).json()
    assert seen == list(range(last, 0, -1))


def test_a_window_of_time_has_a_first_second_and_ends_before_the_last(house, token):
    get(house, token("bob"), "/api/documents/sales-list").raise_for_status()
    newest = audit(house, token, person="bob", limit=1).json()["records"][0]
    second = newest["time"][:19] + "Z"
    found = audit(house, token, person="bob", **{"from": second}).json()["records"]
    assert newest["seq"] in [record["seq"] for record in found]
    before = audit(house, token, person="bob", to=second).json()["records"]
    assert newest["seq"] not in [record["seq"] for record in before]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": -1},
        {"limit": "many"},
        {"before": -1},
        {"before": "x"},
        {"from": "yesterday"},
        {"to": "2026-13-01T00:00:00Z"},
        {"event": "everything"},
        {"event": "retrieved' OR 1=1 --"},
        {"n": 20},
        {"order": "oldest"},
    ],
)
def test_a_malformed_search_is_400(house, token, query):
    problem(audit(house, token, **query), 400)


@pytest.mark.parametrize("hostile", ["' OR '1'='1", "%", "*", "bob\u0000", "BOB", "bob ", "a" * 5000, "\u202ebob"])
def test_what_is_searched_for_is_compared_and_never_understood(house, token, hostile):
    for field in ("person", "document", "agent"):
        assert audit(house, token, **{field: hostile}).json() == {"records": [], "next": None}


def test_looking_is_on_record_too(house, token):
    marker = uuid.uuid4().hex
    audit(house, token, document=marker).raise_for_status()
    view_as(house, token("admin"), claims={"department": marker}).raise_for_status()
    get(house, token("admin"), "/api/admin/labels").raise_for_status()
    records = audit(house, token, person="admin", event="admin", limit=10).json()["records"]
    details = [record["detail"] for record in records]
    assert any(detail.startswith("audit") and marker in detail for detail in details)
    assert any(detail.startswith("view-as") for detail in details) and "labels" in details
    assert all(record["request_id"] and record["issuer"] for record in records)


# -- the description ---------------------------------------------------------


def test_every_route_of_the_web_app_is_described_with_types(house):
    described = house.http.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    for method, path in [
        ("get", "/app-config.json"),
        ("get", "/api/me"),
        ("post", "/api/rag/query"),
        ("get", "/api/documents/{id}"),
        ("get", "/api/documents/{id}/why"),
        ("get", "/api/admin/agents"),
        ("post", "/api/admin/agents"),
        ("get", "/api/admin/delegations/{name}"),
        ("get", "/api/admin/audit"),
        ("get", "/api/admin/labels"),
        ("get", "/api/admin/policy"),
        ("post", "/api/admin/view-as"),
    ]:
        body = described["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        body = body.get("items", body)
        described_as = schemas[body["$ref"].rsplit("/", 1)[1]]
        assert "required" in described_as or "allOf" in described_as, path
