"""A data folder that an older release made opens with this one, and means the same.

`tests/fixtures/data-dir-3e085d3` was made by `make_data_dir.py` with the binary of that commit.
"""

import json
import shutil

import pytest
from conftest import MAY_READ
from house import ROOT, House, bearer, document, documents_of
from make_data_dir import SOURCES, write_sources

FIXTURE = ROOT / "tests/fixtures/data-dir-3e085d3"
MADE = json.loads((FIXTURE / "made.json").read_text())
# `rogue` stored or relabelled two more documents, which are quarantined.
READABLE = MAY_READ | {
    "alice": MAY_READ["alice"] | {"through-relabelled"},
    "bob": MAY_READ["bob"] | {"through-kept", "of-revoked"},
    "carol": MAY_READ["carol"] | {"through-kept", "of-revoked"},
    "admin": MAY_READ["admin"] | {"through-relabelled"},
}


@pytest.fixture
def upgraded(provider, tmp_path) -> House:
    """A server on a copy of the folder."""
    house = House(tmp_path / "house", provider.issuer)
    shutil.copytree(FIXTURE / "data", house.data)
    house.data.chmod(0o700)
    # The tokens and checkpoints of the folder name this issuer.
    config = house.config.read_text()
    issuer = f'[authority]\nissuer = "http://127.0.0.1:{MADE["port"]}"'
    house.config.write_text(config.replace(f'[authority]\nissuer = "{house.url}"', issuer))
    yield house.start()
    house.stop()


def read(house: House, token: str) -> set[str]:
    return set(documents_of(house.retrieve(token, "launch", top_k=50)))


def test_documents_are_read_by_the_same_people(upgraded, token):
    for person, ids in READABLE.items():
        assert read(upgraded, token(person)) == ids


def test_a_quarantine_of_the_older_release_is_lifted(upgraded, token):
    upgraded.command("agents", "release", "rogue")
    assert read(upgraded, token("bob")) == READABLE["bob"] | {"rogue-text", "hr-leave"}


def test_what_was_revoked_stays_revoked(upgraded):
    agents = upgraded.command("agents", "list")
    assert {agent["name"] for agent in agents if agent.get("revoked_at")} == {"rogue", "revoked"}
    for name, status in {"pipeline": 200, "courier": 200, "rogue": 401, "revoked": 401}.items():
        assert upgraded.delegation(MADE["agents"][name]).status_code == status, name


def test_the_trail_goes_on_where_it_ended(upgraded, token, tmp_path):
    checkpoint = tmp_path / "checkpoint.json"
    checkpoint.write_text(json.dumps(MADE["checkpoint"]))
    upgraded.query(token("alice"), "When is the launch?").raise_for_status()
    verified = upgraded.command("audit", "verify", "--checkpoint", str(checkpoint))
    assert verified["records"] > MADE["records"]


def test_an_ingest_state_of_the_older_release_still_prunes(upgraded):
    upgraded.stop()
    write_sources()
    (SOURCES / "folder/canteen.md").unlink()
    try:
        upgraded.command("ingest", str(SOURCES / "folder"), "--prune")
    finally:
        shutil.rmtree(SOURCES)
    upgraded.start()
    pipeline = bearer(upgraded.agent_token(MADE["agents"]["pipeline"]))
    source = {"source": str(SOURCES / "folder")}
    gone = upgraded.http.delete("/api/documents/canteen.md", headers=pipeline)
    anothers = upgraded.http.delete("/api/documents/parking.md", headers=pipeline)
    kept = upgraded.http.delete("/api/documents/parking.md", params=source, headers=pipeline)
    assert (gone.status_code, anothers.status_code, kept.status_code) == (404, 409, 200), (gone.text, kept.text)


def test_documents_of_the_older_release_belong_to_whom_its_stamps_and_ingest_states_say(upgraded, tmp_path):
    """Of the same id in another folder neither the text nor the label takes its place."""
    text = document("sales-q3", "Q3 is over.", "sales", "Internal")
    tokens = {name: upgraded.agent_token(MADE["agents"][name]) for name in ("courier", "pipeline")}
    refused = upgraded.store(tokens["courier"], [text])
    assert refused.status_code == 409 and "agent/pipeline" in refused.text, refused.text
    assert upgraded.store(tokens["pipeline"], [text]).status_code == 200
    upgraded.stop()
    other = tmp_path / "other"
    other.mkdir()
    (other / "parking.md").write_text("---\ndepartment: people\nclearance_level: Public\n---\nNo parking.\n")
    refused = upgraded.command("ingest", str(other), expect=1)
    assert "parking.md" in refused.stderr and "--replace" in refused.stderr
    upgraded.command("ingest", str(other), "--replace")
    upgraded.start()


def test_it_can_be_backed_up_and_restored(upgraded, tmp_path, token):
    upgraded.command("backup", str(tmp_path / "backup"))
    upgraded.stop()
    shutil.rmtree(upgraded.data)
    upgraded.command("restore", str(tmp_path / "backup"))
    upgraded.start()
    assert read(upgraded, token("alice")) == READABLE["alice"]


def test_what_came_through_an_agent_is_quarantined_although_the_older_release_forgot_it(upgraded, token):
    upgraded.command("agents", "revoke", MADE["middleman"], "--quarantine")
    assert read(upgraded, token("alice")) == READABLE["alice"] - {"through-relabelled"}
    assert read(upgraded, token("bob")) == READABLE["bob"] - {"through-kept"}
