"""Who sees what, and who may call what: two tables that a test keeps true.

The tables stand in docs/authorization.md. Run with BAILIWICK_WRITE_TABLES=1 to write them anew, and read what changed.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib

import opa
import pytest
from conftest import LIBRARY
from house import BINARY, ROOT, House, bearer

ACME = ROOT / "examples/acme"
TABLES = ROOT / "docs/authorization.md"
# The demo's policy as it is written for each engine; what it decides is the same for all of them.
CLAIMS = '{ department = "department", user_clearance = "clearance_level", projects = "project_id" }'
ENGINES = ("rules", "rego", "opa")
PEOPLE = {person["id"]: person.get("claims", {}) for person in tomllib.loads((ACME / "people.toml").read_text())["person"]}
ATTRIBUTES = ("department", "clearance_level", "project_id")


def keep(title: str, table: list[str]):
    """Compares a table with the one that is kept under this title, or writes it."""
    text = TABLES.read_text()
    start = text.index(f"## {title}\n")
    end = text.find("\n## ", start + 1)
    section = text[start : end if end > 0 else len(text)]
    kept = [line for line in section.splitlines() if line.startswith("|")]
    if os.environ.get("BAILIWICK_WRITE_TABLES"):
        intro = section[: section.index("|")] if kept else section.rstrip() + "\n\n"
        written = intro + "\n".join(table) + "\n"
        TABLES.write_text(text[:start] + written + (text[end:] if end > 0 else ""))
        return
    assert table == kept, f"{TABLES} says otherwise; if the change is meant, write it anew with BAILIWICK_WRITE_TABLES=1"


# -- people × labels ---------------------------------------------------------


def ingest(house: House):
    """The demo's documents and records, as its pipeline brings them."""
    client_id = house.agent("acme-reader", "read:records", "read:metrics", "write:documents")
    words = ("--server", house.url, "--client-id", client_id)
    house.command("ingest", str(ACME / "documents"), *words)
    for scope in ("records", "metrics"):
        house.command("ingest", "--vault", f"secure-vault/{scope}", "--scope", f"read:{scope}", *words)


@pytest.fixture(params=ENGINES)
def policy(request, tmp_path):
    """The demo's [policy] for an engine; none for the one that it has."""
    if request.param == "rules":
        yield None
        return
    head, rego = f'[policy]\nengine = "{request.param}"\nclaims = {CLAIMS}\n', ACME / "policy.rego"
    if request.param == "rego":
        yield f'{head}[policy.rego]\nfiles = ["{rego}"]\n\n'
        return
    why = opa.missing()
    if why:
        pytest.skip(why)
    shutil.copy(rego, tmp_path)
    server = opa.Opa(tmp_path)
    yield f'{head}[policy.opa]\nurl = "{server.url}"\n\n'
    server.stop()


def test_the_demos_people_see_what_the_table_says(policy, provider, new_house):
    house = new_house(provider.issuer)
    text = (ACME / "bailiwick.toml").read_text()
    if policy:
        text, replaced = re.subn(r"\[policy\].*?(?=\[embedding\])", policy, text, flags=re.DOTALL)
        assert replaced == 1
    text = re.sub(r'"http://127\.0\.0\.1:8321"', f'"{house.url}"', text)
    text = text.replace('"127.0.0.1:8321"', f'"127.0.0.1:{house.port}"').replace('"./data"', f'"{house.data}"')
    text = text.replace("http://127.0.0.1:8322", provider.issuer).replace('"examples/', f'"{ROOT}/examples/')
    house.config.write_text(text)
    house.start()
    ingest(house)
    admin = provider.sign_in("admin").access
    documents, seen = {}, {}
    labels = house.http.get("/api/admin/labels", headers=bearer(admin)).json()["labels"]
    for label in labels:
        documents[row(label["attributes"])] = label["documents"]
    for person, claims in PEOPLE.items():
        view = house.http.post("/api/admin/view-as", json={"claims": claims}, headers=bearer(admin)).json()
        seen[person] = {row(label["attributes"]): label["documents"] for label in view["labels"]}
        sample = set(view["sample"])
        assert len(sample) == min(10, view["documents"]), "a sample names some of what is seen"
    table = ["| " + " | ".join([*ATTRIBUTES, "documents", *PEOPLE]) + " |", "|" + "---|" * (4 + len(PEOPLE))]
    for label in sorted(documents):
        marks = ["reads" if label in seen[person] else "" for person in PEOPLE]
        assert all(seen[person].get(label) in (None, documents[label]) for person in PEOPLE)
        table.append("| " + " | ".join([*label, str(documents[label]), *marks]) + " |")
    keep("Who reads what in the demo", table)


def row(attributes: dict) -> tuple:
    return tuple(str(attributes.get(name, "")) for name in ATTRIBUTES)


# -- routes × callers --------------------------------------------------------

# What a route needs to be called as it is meant, where an empty object or nothing is not it. Nothing here changes
# what other tests see: the agents and documents that are named do not exist.
CALLS = {
    "POST /api/documents": {"documents": []},
    "PUT /api/documents/{id}/metadata": {"department": "sales", "clearance_level": "Public"},
    "POST /api/rag/query": {"query": "What?"},
    "POST /api/rag/retrieve": {"query": "What?"},
    "POST /api/admin/view-as": {"claims": {}},
    "POST /api/admin/policy/diff": {"policy": {}},
    "POST /api/admin/policy/who": {"document_id": "eng-phoenix"},
    "POST /api/admin/agents": {"name": "Not A Name", "auth": "client-id"},
}
# Routes that the description leaves out: itself and the web app's pages. Clippy refuses others (clippy.toml).
UNDESCRIBED = ("/", "/admin", "/admin/{view}", "/c/{id}", "/callback", "/openapi.json")
PARAMETERS = {"id": "no-such-document", "name": "no-such-agent", "path": "records"}


def test_every_route_answers_each_caller_as_the_table_says(provider, new_house, token):
    house = new_house(provider.issuer).start()
    house.pipeline = house.agent_token(house.agent("pipeline", "read:records", "read:metrics", "write:documents"))
    house.store(house.pipeline, LIBRARY).raise_for_status()
    described = house.http.get("/openapi.json").json()["paths"] | {path: ["get"] for path in UNDESCRIBED}
    callers = {"nobody": None, "person": token("alice"), "agent": house.pipeline, "administrator": token("admin")}
    table = ["| route | " + " | ".join(callers) + " |", "|---|" + "---|" * len(callers)]
    for path, methods in sorted(described.items()):
        for method in sorted(set(methods) & {"get", "post", "put", "delete", "patch"}):
            name = f"{method.upper()} {path}"
            address = re.sub(r"\{\*?(\w+)\}", lambda match: PARAMETERS.get(match[1], "x"), path)
            answers = []
            for caller in callers.values():
                headers = bearer(caller) if caller else {}
                body = {"json": CALLS.get(name, {})} if method in ("post", "put") else {}
                answers.append(str(house.http.request(method, address, headers=headers, **body).status_code))
            table.append(f"| `{name}` | " + " | ".join(answers) + " |")
    keep("Who may call what", table)


def test_every_route_of_the_administrators_is_theirs_alone():
    text = TABLES.read_text()
    rows = re.findall(r"^\| `\w+ (/\S+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)
    administration = [row for row in rows if row[0].startswith("/api/admin/")]
    assert len(administration) > 8
    for path, nobody, person, agent, administrator in administration:
        assert (nobody, person, agent) == ("401", "403", "401"), path
        assert administrator not in ("401", "403"), path


# -- questions on the command line -------------------------------------------


def test_questions_on_the_command_line_agree_with_those_over_http_and_are_on_record(house, token, tmp_path):
    for person in ("alice", "bob", "dave"):
        house.retrieve(token(person), "the launch").raise_for_status()
    claims = {"department": "engineering", "user_clearance": "TopSecret", "projects": ["phoenix", "atlas"]}
    admin = bearer(token("admin"))
    view = house.command("policy", "view-as", "--claims", json.dumps(claims))
    over_http = house.http.post("/api/admin/view-as", json={"claims": claims}, headers=admin).json()
    assert view["opened"]["documents"] == over_http["documents"] == 3
    assert sorted(view["sample"]) == sorted(over_http["sample"]) == ["eng-atlas", "eng-handbook", "eng-phoenix"]

    who = house.command("policy", "who", "--document-id", "eng-phoenix")
    also = house.http.post("/api/admin/policy/who", json={"document_id": "eng-phoenix"}, headers=admin).json()
    assert who["classes"] == also["classes"] and claims in [one["claims"] for one in who["classes"]]
    (digest,) = [one["name"] for one in who["classes"] if one["claims"] == claims]
    why = house.command("policy", "explain", "--class", digest, "--document-id", "eng-zephyr")
    assert why["allowed"] is False and why["steps"][2]["document"] == ["zephyr"]
    house.command("policy", "view-as", "--class", "0" * 32, json_output=False, expect=1)
    house.command("policy", "who", "--document-id", "no-such-document", json_output=False, expect=1)

    records = [r for r in house.command("audit", "tail", "-n", "100") if r["kind"] == "admin"]
    details = [record["detail"] for record in records if record["subject"] == "command line"]
    assert {'who document="eng-phoenix"', 'explain document="eng-zephyr"', "view-as"} <= set(details)


def test_a_difference_is_told_with_labels_documents_and_an_exit_code(house, token, tmp_path):
    for person in ("alice", "bob", "carol", "dave"):
        house.retrieve(token(person), "the launch").raise_for_status()
    policy = tomllib.loads(house.config.read_text())["policy"]
    admin = bearer(token("admin"))

    def write(name, rules):
        lines = ["[policy]", 'engine = "rules"']
        for rule in rules:
            lines += ["[[policy.rule]]", *(f"{key} = {json.dumps(value)}" for key, value in rule.items())]
        (tmp_path / name).write_text("\n".join(lines))
        return str(tmp_path / name)

    same = write("same.toml", policy["rule"])
    assert house.command("policy", "diff", same)["changed"] == []
    # Projects do not matter any more: who has none gains.
    open_file = write("open.toml", policy["rule"][:2])
    changed = house.command("policy", "diff", open_file, json_output=False, expect=1)
    assert "eng" in changed.stdout and "gains 1 documents under 1 labels" in changed.stdout
    there = subprocess_json(house, "policy", "diff", open_file)
    alice = next(c for c in there["changed"] if c["claims"].get("projects") == ["phoenix", "atlas"])
    zephyr = {"department": "engineering", "clearance_level": "TopSecret", "project_id": "zephyr"}
    assert alice["gained"]["listed"] == [{"attributes": zephyr, "documents": 1}] and alice["lost"]["labels"] == 0
    back = subprocess_json(house, "policy", "diff", open_file, same)
    turned = {c["class"]: (c["gained"], c["lost"]) for c in back["changed"]}
    assert turned == {c["class"]: (c["lost"], c["gained"]) for c in there["changed"]}

    body = {"policy": {"engine": "rules", "rule": policy["rule"][:2]}}
    over_http = house.http.post("/api/admin/policy/diff", json=body, headers=admin).json()
    assert over_http["changed"] == there["changed"]
    more = body | {"claims": [{"department": "people", "user_clearance": "Public"}]}
    assert house.http.post("/api/admin/policy/diff", json=more, headers=admin).json()["classes"] == over_http["classes"] + 1
    for wrong, named in (
        ({"policy": {"engine": "opa"}}, "engine"),
        ({"policy": {"rule": [{"attribute": "colour", "op": "in", "claim": "c"}]}}, "colour"),
        ({}, "policy"),
    ):
        refused = house.http.post("/api/admin/policy/diff", json=wrong, headers=admin)
        assert refused.status_code == 400 and named in refused.json()["detail"]
    # The same in Rego: by its texts over HTTP, by its files on the command line.
    rego = (ACME / "policy.rego").read_text()
    opened = re.sub(r"^\tproject\n", "", rego, flags=re.M)
    claims = tomllib.loads(f"claims = {CLAIMS}")
    for text, expected in ((rego, []), (opened, there["changed"])):
        body = {"policy": {"engine": "rego"} | claims, "rego": {"files": {"policy.rego": text}}}
        assert house.http.post("/api/admin/policy/diff", json=body, headers=admin).json()["changed"] == expected
        (tmp_path / "policy.rego").write_text(text)
        config = f'[policy]\nengine = "rego"\nclaims = {CLAIMS}\n[policy.rego]\nfiles = ["{tmp_path}/policy.rego"]\n'
        (tmp_path / "rego.toml").write_text(config)
        told = house.command("policy", "diff", str(tmp_path / "rego.toml"), json_output=False, expect=int(bool(expected)))
        assert f"{len(expected)} of {there['classes']} classes" in told.stdout
    body["rego"]["files"]["policy.rego"] = "package bailiwick\nallow if {\n  x = \n}\n"
    refused = house.http.post("/api/admin/policy/diff", json=body, headers=admin)
    assert refused.status_code == 400 and "policy.rego, line 3, column 5" in refused.json()["detail"]
    files = {"policy": {"engine": "rego", "rego": {"files": [str(tmp_path)]}}, "rego": {"files": {}}}
    assert house.http.post("/api/admin/policy/diff", json=files, headers=admin).status_code == 400
    cases = str(ACME / "policy-tests.toml")
    assert subprocess_json(house, "policy", "diff", open_file, "--cases", cases)["classes"] > there["classes"]
    house.command("policy", "diff", str(tmp_path / "missing.toml"), json_output=False, expect=2)
    (tmp_path / "wrong.toml").write_text('[[policy.rule]]\nattribute = "colour"\nop = "in"\nclaim = "c"')
    assert "colour" in house.command("policy", "diff", str(tmp_path / "wrong.toml"), json_output=False, expect=2).stderr
    records = house.command("audit", "tail", "-n", "100")
    assert any(r.get("detail", "").startswith("policy diff ") and r["subject"] == "admin" for r in records)
    assert any(r.get("detail", "").startswith("diff ") and r["subject"] == "command line" for r in records)


def subprocess_json(house: House, *words: str) -> dict:
    """The JSON of a command that exits with 1 because there is a difference."""
    run = subprocess.run([BINARY, "--config", house.config, "--json", *words], capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    return json.loads(run.stdout)
