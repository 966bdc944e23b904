"""What was acknowledged survives a kill, what was not is wholly absent, and nothing keeps a token."""

import random
import shutil
import sqlite3
import subprocess
import threading
import time

import httpx
import pytest
from house import BINARY, bearer, document, documents_of


@pytest.fixture
def own_house(new_house, provider):
    house = new_house(provider.issuer).start()
    house.pipeline = house.agent_token(house.agent("pipeline", "read:records", "write:documents"))
    return house


def test_an_acknowledged_document_survives_kill_9(own_house, token):
    house = own_house
    for round in range(4):
        text = f"The ledger of round {round} holds the word marimba{round}."
        answer = house.store(house.pipeline, [document(f"round-{round}", text, "engineering", "Public")])
        house.kill()
        assert answer.status_code == 200, answer.text
        house.start()
        stored = house.http.get(f"/api/documents/round-{round}", headers=bearer(token("alice")))
        assert stored.json()["text"] == text
        assert documents_of(house.retrieve(token("alice"), f"marimba{round}", mode="lexical")) == [f"round-{round}"]
        assert f"round-{round}" in documents_of(house.retrieve(token("alice"), text, mode="dense"))


def test_a_batch_cut_off_by_a_kill_is_whole_or_absent(own_house, token):
    house, draw = own_house, random.Random(3)
    for round in range(3):
        batch = [
            document(f"cut-{round}-{n}", f"The kalimba{round} record number {n}. " * 8, "engineering", "Public")
            for n in range(40)
        ]
        acknowledged = []

        def send(house=house, batch=batch, acknowledged=acknowledged):
            try:
                acknowledged.append(house.store(house.pipeline, batch).status_code == 200)
            except httpx.TransportError:
                acknowledged.append(False)

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(draw.uniform(0.002, 0.12))
        house.process.kill()
        house.process.wait()
        sender.join()
        house.start()
        found = documents_of(house.retrieve(token("alice"), f"kalimba{round}", mode="lexical", top_k=50))
        assert len(found) in (0, 40)
        assert len(found) == 40 or not acknowledged[0]


def test_a_change_of_access_and_a_revocation_survive_kill_9(own_house, token):
    house = own_house
    house.store(house.pipeline, [document("moved", "The celesta memo.", "engineering", "Public")]).raise_for_status()
    metadata = {"department": "sales", "clearance_level": "Public"}
    moved = house.http.put("/api/documents/moved/metadata", json=metadata, headers=bearer(house.pipeline))
    house.kill()
    assert moved.status_code == 200, moved.text
    house.start()
    assert documents_of(house.retrieve(token("alice"), "celesta", mode="lexical")) == []
    assert documents_of(house.retrieve(token("bob"), "celesta", mode="lexical")) == ["moved"]
    house.command("agents", "revoke", "pipeline", json_output=False)
    house.kill()
    house.start()
    assert house.http.get("/secure-vault/records", headers=bearer(house.pipeline)).status_code == 401


def test_a_stop_is_graceful(own_house):
    own_house.stop()
    assert own_house.process.returncode == 0


def test_the_audit_trail_tells_what_happened_and_verifies(own_house, token):
    house = own_house
    house.store(house.pipeline, [document("seen", "The dulcimer note.", "engineering", "Public")]).raise_for_status()
    house.http.get("/secure-vault/records", headers=bearer(house.pipeline)).raise_for_status()
    house.query(token("alice"), "dulcimer").raise_for_status()
    house.delegation("00000000-0000-4000-8000-000000000000")
    events = house.command("audit", "tail")
    assert isinstance(events, list) and len(events) >= 5
    text = str(events)
    for trace in ("pipeline", "alice", "seen", "read:records", "write:documents"):
        assert trace in text, f"{trace} is not in the audit trail"
    house.command("audit", "verify", json_output=False)


def test_no_token_is_kept_anywhere(own_house, token):
    house = own_house
    alice = token("alice")
    broken = alice[:-10] + "A" * 10
    house.store(house.pipeline, [document("plain", "The shawm note.", "engineering", "Public")]).raise_for_status()
    house.query(alice, "shawm").raise_for_status()
    assert house.query(broken, "shawm").status_code == 401
    house.http.post(f"/api/rag/query?access_token={alice}", json={"query": "shawm"})
    house.http.get("/secure-vault/none", headers=bearer(house.pipeline))
    house.http.post("/oauth/introspect", data={"token": house.pipeline})
    house.http.post("/oauth/token", data={"grant_type": "client_credentials", "client_assertion": alice})
    house.stop()
    assert house.token_leaks(alice, broken, house.pipeline) == []


def test_a_backup_of_a_running_server_is_restored_whole(own_house, token, tmp_path):
    house, backup = own_house, tmp_path / "backups" / "monday"
    house.store(house.pipeline, [document("kept", "The sackbut score.", "engineering", "Public")]).raise_for_status()
    house.command("backup", str(backup))
    house.store(house.pipeline, [document("late", "The sackbut encore.", "engineering", "Public")]).raise_for_status()
    for path in (backup, *backup.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    head = house.command("audit", "verify")
    house.stop()
    before = contents(house.data)
    refused = house.command("restore", str(backup), json_output=False, expect=1)
    assert str(house.data) in refused.stderr and "not empty" in refused.stderr
    assert contents(house.data) == before

    shutil.rmtree(house.data)
    restored = house.command("restore", str(backup))
    assert restored["documents"] == 1 and 0 < restored["records"] < head["records"]
    for path in (house.data, *house.data.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    verified = house.command("audit", "verify")
    assert (verified["records"], verified["head"]) == (restored["records"], restored["head"])
    house.start()
    for mode in ("lexical", "dense"):
        assert documents_of(house.retrieve(token("alice"), "The sackbut score.", mode=mode)) == ["kept"]
    (agent,) = house.command("agents", "list")
    assert agent["name"] == "pipeline"
    assert house.http.get("/secure-vault/records", headers=bearer(house.pipeline)).status_code == 200
    house.store(house.pipeline, [document("new", "The sackbut rehearsal.", "engineering", "Public")]).raise_for_status()
    house.command("audit", "verify", json_output=False)


def test_backups_are_complete_or_refused(own_house, tmp_path):
    house, taken = own_house, tmp_path / "taken"
    taken.mkdir()
    (taken / "photo.jpg").write_bytes(b"mine")
    for folder in (taken, house.data / "inside"):
        before = contents(folder)
        run = house.command("backup", str(folder), json_output=False, expect=1)
        assert str(folder) in run.stderr and contents(folder) == before
    backup = tmp_path / "backup"
    house.command("backup", str(backup))
    house.stop()
    shutil.rmtree(house.data)
    run = house.command("backup", str(tmp_path / "of-nothing"), json_output=False, expect=1)
    assert str(house.data) in run.stderr and not (tmp_path / "of-nothing").exists()

    (backup / "backup.json").rename(tmp_path / "mark")
    run = house.command("restore", str(backup), json_output=False, expect=1)
    assert str(backup) in run.stderr and not house.data.exists()
    (tmp_path / "mark").rename(backup / "backup.json")
    with sqlite3.connect(backup / "audit.db") as trail:
        trail.executescript("DROP TRIGGER audit_is_never_shortened; DELETE FROM audit WHERE seq = 2")
    run = house.command("restore", str(backup), json_output=False, expect=1)
    assert "audit record 2 is missing" in run.stderr, run.stderr


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_keys_and_data_are_for_their_owner_only(own_house):
    for file in own_house.data.rglob("*"):
        if file.is_file() and ("key" in file.name or b"PRIVATE KEY" in file.read_bytes()):
            assert file.stat().st_mode & 0o077 == 0, f"{file.name} can be read by others"


def test_a_corrupt_database_is_reported_and_never_recreated(own_house):
    own_house.stop()
    for file in own_house.data.rglob("*"):
        if file.is_file() and file.read_bytes()[:15] == b"SQLite format 3":
            content = bytearray(file.read_bytes())
            content[:4096] = b"\0" * 4096
            file.write_bytes(content)
            own_house.data.joinpath(f"{file.name}-wal").unlink(missing_ok=True)
    spoiled = {file: file.read_bytes() for file in own_house.data.rglob("*") if file.is_file() and file.suffix in {".db", ".sqlite", ".sqlite3"}}
    assert spoiled
    run = subprocess.run([BINARY, "--config", own_house.config, "serve"], capture_output=True, text=True, timeout=30)
    assert run.returncode == 1 and any(file.name in run.stderr for file in spoiled), run.stderr
    assert all(file.read_bytes() == content for file, content in spoiled.items())
