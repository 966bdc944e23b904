"""The command line: exit codes, data as JSON, configuration errors that name what is wrong."""

import json
import os
import subprocess

import pytest
from house import BINARY, RECORDS, ROOT, bearer, documents_of


@pytest.fixture
def own_house(new_house, provider):
    return new_house(provider.issuer)


def test_a_wrong_configuration_names_key_and_line(own_house):
    text = own_house.config.read_text()
    for wrong, key in (
        (text.replace("audience = ", "audiense = "), "audiense"),
        (text.replace("token_ttl_seconds = 1800", "token_ttl_seconds = 1801"), "token_ttl_seconds"),
        (text.replace('op = "lte"', 'op = "less"'), "op"),
        (text.replace('attribute = "department"', 'attribute = "departmint"'), "departmint"),
        (text + "\n[[[", "line"),
    ):
        assert wrong != text, key
        own_house.config.write_text(wrong)
        run = own_house.command("config", "check", json_output=False, expect=1)
        assert key in run.stderr + run.stdout, run.stderr
    own_house.config.write_text(text)
    own_house.command("config", "check", json_output=False)


def test_a_public_url_is_an_origin(own_house):
    text, origin = own_house.config.read_text(), f'public_url = "{own_house.url}"'
    for more, advice in (
        ("/rag", "paths are not supported yet"),
        ("/rag/", "paths are not supported yet"),
        ("?tenant=acme", "query"),
        ("#app", "fragment"),
    ):
        own_house.config.write_text(text.replace(origin, f'public_url = "{own_house.url}{more}"'))
        for command in (("config", "check"), ("serve",)):
            run = own_house.command(*command, json_output=False, expect=1)
            assert "public_url" in run.stderr and advice in run.stderr, run.stderr
    for wrong in ("bailiwick.example", "ftp://bailiwick.example", "https://admin:hunter2@bailiwick.example"):
        own_house.config.write_text(text.replace(origin, f'public_url = "{wrong}"'))
        run = own_house.command("config", "check", json_output=False, expect=1)
        assert "public_url" in run.stderr and "hunter2" not in run.stderr, run.stderr
    own_house.config.write_text(text.replace(origin, f'public_url = "{own_house.url}/"'))
    own_house.command("config", "check", json_output=False)


def test_people_and_the_authority_have_different_issuers(own_house):
    text = own_house.config.read_text()
    one = f'[authority]\nissuer = "{own_house.url}"'
    for people, authority in (
        ("http://127.0.0.1:8321", "http://127.0.0.1:8321"),
        ("https://IDP.example:443/acme/", "https://idp.example/acme"),
    ):
        same = text.replace(one, f'[authority]\nissuer = "{authority}"')
        lines = [f'issuer = "{people}"' if line.startswith("issuer   =") else line for line in same.splitlines()]
        own_house.config.write_text("\n".join(lines))
        for command in (("config", "check"), ("serve",)):
            run = own_house.command(*command, json_output=False, expect=1)
            assert "authority.issuer and identity.issuer are the same" in run.stderr, run.stderr


def test_exit_codes(own_house, tmp_path):
    def run(*words):
        environment = {name: value for name, value in os.environ.items() if name != "BAILIWICK_CONFIG"}
        return subprocess.run([BINARY, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert run("--help").returncode == 0
    assert run("--version").returncode == 0
    assert run("no-such-command").returncode == 2
    assert run("agents", "create").returncode == 2
    assert run("agents", "list").returncode == 1, "there is no ./bailiwick.toml here"
    missing = run("--config", "elsewhere.toml", "config", "check")
    assert missing.returncode == 1 and "elsewhere.toml" in missing.stderr
    own_house.command("agents", "revoke", "nobody", json_output=False, expect=1)


def test_agents_are_listed_as_json_and_names_are_kept_clean(own_house):
    id = own_house.agent("pipeline", "read:records")
    (agent,) = own_house.command("agents", "list")
    assert (agent["name"], agent["client_id"]) == ("pipeline", id)
    for name in ("x/../../user/root", "%2e%2e", "Upper", "a b", "", "pipeline"):
        own_house.command("agents", "create", name, "--auth", "client-id", json_output=False, expect=1)
    for permissions in ("*", "", "read:records\nadmin", "a b,c d"):
        run = subprocess.run(
            [BINARY, "--config", own_house.config, "agents", "delegate", "pipeline", "--allow", permissions],
            capture_output=True,
        )
        assert run.returncode in (1, 2), permissions


def test_the_configuration_may_come_from_the_environment(own_house):
    environment = os.environ | {"BAILIWICK_CONFIG": str(own_house.config)}
    run = subprocess.run([BINARY, "agents", "list", "--json"], env=environment, capture_output=True, text=True)
    assert (run.returncode, json.loads(run.stdout)) == (0, [])


def test_policy_cases_of_the_example_hold():
    config, cases = "examples/acme/bailiwick.toml", "examples/acme/policy-tests.toml"
    command = [BINARY, "--config", config, "policy", "test", cases]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


def test_folders_are_ingested_skipped_when_unchanged_and_refused_as_a_whole(own_house, tmp_path, token):
    house = own_house.start()
    client_id = house.agent("pipeline", "write:documents")
    folder = tmp_path / "handbook"
    (folder / "deep").mkdir(parents=True)
    front = "---\ndepartment: {}\nclearance_level: Public\n---\n"
    (folder / "one.md").write_text(front.format("sales") + "# One\n\nThe theorbo rule of sales.\n")
    (folder / "deep/two.txt").write_text("The theorbo rule of engineering.")
    (folder / "deep/two.txt.meta.toml").write_text('department = "engineering"\n')

    def ingest(*more, expect=0):
        words = ("ingest", str(folder), "--attribute", "clearance_level=Internal", "--server", house.url)
        return house.command(*words, "--client-id", client_id, *more, expect=expect)

    ingest()
    alice, bob = (documents_of(house.retrieve(token(who), "theorbo", mode="lexical")) for who in ("alice", "bob"))
    assert len(alice) == len(bob) == 1 and alice != bob
    level = house.http.get(f"/api/documents/{alice[0].replace('/', '%2F')}", headers=bearer(token("alice")))
    assert level.json()["metadata"]["clearance_level"] == "Internal"
    stamped = level.json()["metadata"]["ingested_at"]
    ingest()
    again = house.http.get(f"/api/documents/{alice[0].replace('/', '%2F')}", headers=bearer(token("alice")))
    assert again.json()["metadata"]["ingested_at"] == stamped, "an unchanged document was written again"

    (folder / "three.txt").write_text("The theorbo rule of nobody.")
    refused = ingest(expect=1)
    assert "three.txt" in refused.stderr and "department" in refused.stderr
    house.stop()
    house.command("ingest", "--remove", alice[0])
    house.start()
    assert documents_of(house.retrieve(token("alice"), "theorbo", mode="lexical")) == []


def test_the_vault_is_ingested_with_a_delegation_token(own_house, token):
    house = own_house
    text = house.config.read_text()
    house.config.write_text(text.replace('"TopSecret"]\n', '"TopSecret"]\nfrom = ["clearance"]\n'))
    house.start()
    words = ("ingest", "--vault", "secure-vault/records", "--server", house.url)
    blind = house.agent("blind", "write:documents")
    refused = house.command(*words, "--client-id", blind, json_output=False, expect=1)
    assert "secure-vault/records" in refused.stderr or "scope" in refused.stderr
    assert documents_of(house.retrieve(token("bob"), "Bob Miller", top_k=50)) == []

    reader = house.agent("reader", "read:records", "write:documents")
    house.command(*words, "--scope", "read:records", "--client-id", reader)
    (only,) = house.retrieve(token("bob"), "Miller", top_k=50).json()["source_nodes"]
    metadata = only["node"]["metadata"]
    assert RECORDS[1]["name"] in only["node"]["text"]
    assert metadata["source_endpoint"] == "secure-vault/records" and metadata["record_index"] == 1
    assert metadata["clearance_required"] == "Internal" and metadata["ingestion_auth"]
    assert metadata["ingested_by"] == "spiffe://acme.example/agent/reader" and metadata["token_jti"]

    house.command("agents", "revoke", "reader", json_output=False)
    house.command(*words, "--client-id", reader, json_output=False, expect=1)
