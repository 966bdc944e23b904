"""A misspelt attribute opens nothing: not in a request, a file, a vault record or on the command line."""

import json

import pytest
from house import bearer, document, documents_of
from test_contract import problem

LABEL = {"department": "engineering", "clearance_level": "Public"}


@pytest.fixture
def own_house(new_house, provider):
    return new_house(provider.issuer)


@pytest.mark.parametrize("key", ["projectid", "Project-ID", "project\u200b_id", "projetc_id", "ｐroject_id"])
def test_a_request_with_a_misspelt_attribute_is_refused(house, token, key):
    sent = {"id": f"misspelt-{key}", "text": "The zugtrompete plan.", "metadata": {**LABEL, key: "sk-secret"}}
    body = problem(house.store(house.pipeline, [sent]), 422)
    assert "did you mean `project_id`?" in body["errors"][0]["reason"]
    assert "sk-secret" not in json.dumps(body)
    assert documents_of(house.retrieve(token("alice"), "zugtrompete", mode="lexical")) == []

    fine = document(f"fine-{key}", "The sackbut plan.", "engineering", "Public")
    assert house.store(house.pipeline, [fine]).status_code == 200
    path = f"/api/documents/fine-{key}/metadata".replace("\u200b", "%E2%80%8B")
    changed = house.http.put(path, json={**LABEL, key: "sk-secret"}, headers=bearer(house.pipeline))
    assert "did you mean `project_id`?" in problem(changed, 422)["errors"][0]["reason"]
    house.http.delete(path.removesuffix("/metadata"), headers=bearer(house.pipeline)).raise_for_status()


def test_files_and_the_command_line(own_house, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    label = "department: engineering\nclearance_level: Public\n"
    (folder / "a.md").write_text(f"---\n{label}projectid: phoenix\n---\nThe plan.\n")
    refused = own_house.command("ingest", str(folder), json_output=False, expect=1)
    assert "did you mean `project_id`?" in refused.stderr and "phoenix" not in refused.stderr
    (folder / "a.md").write_text("The plan.\n")
    words = ("ingest", str(folder), "--attribute", "clearance_level=Public", "--attribute")
    refused = own_house.command(*words, "departement=hr", json_output=False, expect=1)
    assert "did you mean `department`?" in refused.stderr
    own_house.command(*words, "department=hr", json_output=False)


def test_names_that_are_meant_are_configured(own_house, tmp_path):
    (tmp_path / "a.md").write_text("---\nproject_ip: own\n---\nThe plan.\n")
    words = ("ingest", str(tmp_path / "a.md"), "--attribute", "department=hr", "--attribute", "clearance_level=Public")
    own_house.command(*words, json_output=False, expect=1)
    text = own_house.config.read_text()
    named = 'name = "project_id"\ndistinct_from = ["project_ip"]'
    own_house.config.write_text(text.replace('name = "project_id"', named, 1))
    own_house.command(*words, json_output=False)
    twin = '[[attribute]]\nname = "ProjectID"\ntype = "keyword"\noptional = true\n\n[policy]'
    own_house.config.write_text(text.replace("[policy]", twin, 1))
    refused = own_house.command("config", "check", json_output=False, expect=1)
    assert "ProjectID" in refused.stderr and "rename one" in refused.stderr


def test_config_check_warns_of_what_a_forgotten_attribute_opens(own_house):
    checked = own_house.command("config", "check", json_output=False)
    assert "policy.rule[2]" in checked.stderr and "`project_id`" in checked.stderr
    own_house.config.write_text(own_house.config.read_text().replace('absent = "allow"', ""))
    assert "warning" not in own_house.command("config", "check", json_output=False).stderr


def test_a_start_counts_what_is_stored_with_such_a_name(own_house):
    full = own_house.config.read_text()
    attribute = full[full.index('[[attribute]]\nname = "project_id"') : full.index("[policy]")]
    rule = full[full.index('[[policy.rule]]\nattribute = "project_id"') : full.index("[embedding]")]
    own_house.config.write_text(full.replace(attribute, "").replace(rule, ""))
    own_house.start()
    pipeline = own_house.agent_token(own_house.agent("pipeline", "write:documents"))
    metadata = {**LABEL, "projectid": "phoenix"}
    assert own_house.store(pipeline, [{"id": "a", "text": "The plan.", "metadata": metadata}]).status_code == 200
    own_house.stop()
    own_house.config.write_text(full)
    own_house.start()
    (line,) = own_house.logs("looks like an attribute")
    assert "projectid" in line and "project_id" in line and "phoenix" not in line
