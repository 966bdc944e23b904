"""The audit trail as an auditor meets it: receipts, checkpoints, export, retention, what is kept of a question."""

import base64
import hashlib
import json
import shutil
import sqlite3
import subprocess

import pytest
from conftest import LIBRARY
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from house import BINARY, House, until

QUESTION = "When is the launch of Phoenix?"


def configured(house: House, table: str) -> House:
    house.config.write_text(house.config.read_text() + f"\n[audit]\n{table}\n")
    return house


@pytest.fixture
def own_house(new_house, provider):
    return new_house(provider.issuer)


def records(house: House, kind: str) -> list[dict]:
    return [record for record in house.command("audit", "tail", "-n", "1000") if record["kind"] == kind]


def export(house: House) -> list[str]:
    run = subprocess.run([BINARY, "--config", house.config, "audit", "export"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


# -- receipts ----------------------------------------------------------------


def test_a_receipt_says_who_saw_what_under_which_policy_and_claims(house, token):
    answer = house.retrieve(token("alice"), QUESTION).json()
    trail = house.command("audit", "tail", "-n", "1000")
    (receipt,) = [record for record in trail if record.get("request_id") == answer["receipt"]]
    assert receipt["subject"] == "alice" and receipt["jti"] and receipt["time"].endswith("Z")
    assert receipt["document_ids"] == list(dict.fromkeys(n["node"]["ref_doc_id"] for n in answer["source_nodes"]))
    assert len(receipt["labels"]) == len(receipt["document_ids"])
    assert len(receipt["policy_revision"]) == 16 and receipt["index_revision"] > 0
    assert "query" not in receipt and "query_hash" not in receipt and QUESTION not in json.dumps(trail)

    (claims,) = [r for r in trail if r["kind"] == "claims_seen" and r["claims_digest"] == receipt["claims_digest"]]
    said = {"department": "engineering", "user_clearance": "TopSecret", "projects": ["phoenix", "atlas"]}
    assert claims["claims"] == {"said": said} and "subject" not in claims and claims["seq"] < receipt["seq"]

    again = house.retrieve(token("alice"), "price list").json()["receipt"]
    narrowed = house.retrieve(token("alice"), QUESTION, where={"clearance_level": "Public"}).json()["receipt"]
    other = house.retrieve(token("bob"), QUESTION).json()["receipt"]
    by_id = {record.get("request_id"): record for record in house.command("audit", "tail", "-n", "1000")}
    assert by_id[again]["bailiwick_digest"] == receipt["bailiwick_digest"]
    assert by_id[narrowed]["bailiwick_digest"] != receipt["bailiwick_digest"] != by_id[other]["bailiwick_digest"]
    assert by_id[narrowed]["claims_digest"] == receipt["claims_digest"] != by_id[other]["claims_digest"]


def test_claims_that_say_nothing_usable_are_recorded_as_missing(house, token):
    receipt = house.retrieve(token("dave"), QUESTION).json()["receipt"]
    trail = house.command("audit", "tail", "-n", "1000")
    (digest,) = [record["claims_digest"] for record in trail if record.get("request_id") == receipt]
    (claims,) = [r["claims"] for r in trail if r["kind"] == "claims_seen" and r["claims_digest"] == digest]
    assert claims == {"said": {}, "missing": ["department", "user_clearance", "projects"]}


@pytest.mark.parametrize("kept", ["hash", "store"])
def test_of_a_question_its_words_or_a_keyed_hash_are_kept_if_configured(own_house, token, kept):
    house = configured(own_house, f'query = "{kept}"').start()
    for question in (QUESTION, QUESTION, "Another question?"):
        house.retrieve(token("alice"), question).raise_for_status()
    asked = [record.get("query") for record in records(house, "retrieved")]
    hashes = [record.get("query_hash") for record in records(house, "retrieved")]
    if kept == "store":
        assert (asked, hashes) == ([QUESTION, QUESTION, "Another question?"], [None] * 3)
    else:
        assert asked == [None] * 3 and hashes[0] == hashes[1] != hashes[2]
        assert hashes[0] != hashlib.sha256(QUESTION.encode()).hexdigest(), "a hash without a key can be guessed"
    assert house.command("audit", "verify")["records"] > 0


# -- checkpoints and export --------------------------------------------------


def number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check_seal(seal: dict, key: dict):
    """Whether the authority's key signed it, without anything of Bailiwick."""
    assert key["kid"] == seal["kid"]
    public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
    names = ("issuer", "seq", "head", "time", "kid")
    text = "\n".join([f"bailiwick audit {seal['kind']}", *(str(seal[name]) for name in names)])
    public.verify(decoded(seal["signature"]), text.encode(), padding.PKCS1v15(), SHA256())


def check_export(lines: list[str], published: dict) -> int:
    """Verifies an export as its documentation says, and counts the records."""
    keys = {key["kid"]: key for key in published["keys"]}
    head, count, wanted = bytes(32), 0, []
    for line in lines:
        parsed = json.loads(line)
        if seal := parsed.get("seal"):
            check_seal(seal, keys[seal["kid"]])
            if seal["kind"] == "anchor":
                head = bytes.fromhex(seal["head"])
            else:
                wanted.append((seal["seq"], seal["head"]))
            continue
        text = line.removesuffix(f',"hash":"{parsed["hash"]}"}}') + "}"
        head = hashlib.sha256(head + text.encode()).digest()
        assert head.hex() == parsed["hash"], f"record {parsed['seq']} was altered"
        wanted = [(seq, hash) for seq, hash in wanted if seq != parsed["seq"] or hash == parsed["hash"]]
        seen = {parsed["seq"]: parsed["hash"]} if count == 0 else seen | {parsed["seq"]: parsed["hash"]}
        count += 1
    assert all(seen[seq] == hash for seq, hash in wanted), "a checkpoint is for another trail"
    return count


def test_an_export_is_verified_by_a_program_that_is_not_ours(own_house, token):
    house = own_house.start()
    for n in range(5):
        house.retrieve(token("alice"), f"question {n}").raise_for_status()
    house.command("audit", "checkpoint")
    published = house.http.get("/.well-known/jwks.json").json()
    lines = export(house)
    assert check_export(lines, published) == house.command("audit", "verify")["records"]
    victim = next(n for n, line in enumerate(lines) if '"retrieved"' in line)
    for forged in (lines[:victim] + lines[victim + 1 :], [line.replace("alice", "malory") for line in lines]):
        with pytest.raises(AssertionError):
            check_export(forged, published)


def test_a_server_signs_checkpoints_that_show_a_trail_cut_off_or_set_back(own_house, token):
    house = configured(own_house, "checkpoint_records = 5").start()
    for n in range(6):
        house.retrieve(token("alice"), f"question {n}").raise_for_status()
    written = house.command("audit", "verify")["records"]
    until(lambda: house.command("audit", "verify")["sealed"] >= written - 5, 15, "a checkpoint", pause=0.5)
    house.stop()
    shutil.copytree(house.data, house.directory / "yesterday")
    house.start()
    house.retrieve(token("alice"), "one more").raise_for_status()
    kept = house.directory / "kept.json"
    kept.write_text(json.dumps(house.command("audit", "checkpoint")))
    house.command("audit", "verify", "--checkpoint", str(kept))
    house.stop()

    for more in ("", "; UPDATE sqlite_sequence SET seq = 3"):
        copy = house.directory / f"cut-{len(more)}"
        shutil.copytree(house.data, copy)
        with sqlite3.connect(copy / "audit.db") as database:
            database.executescript(
                f"DROP TRIGGER audit_is_never_shortened; DELETE FROM audit WHERE seq > 3{more}"
            )
        refused = house.command("--data-dir", str(copy), "audit", "verify", json_output=False, expect=1)
        assert "audit record 4 is missing" in refused.stderr
    back = ("--data-dir", str(house.directory / "yesterday"))
    house.command(*back, "audit", "verify")
    refused = house.command(*back, "audit", "verify", "--checkpoint", str(kept), json_output=False, expect=1)
    assert "is missing" in refused.stderr


# -- retention ---------------------------------------------------------------


def test_old_records_go_when_the_configuration_says_so_and_the_rest_verifies(own_house, token):
    house = own_house
    unset = house.command("audit", "prune", json_output=False, expect=1)
    assert "audit.keep_days" in unset.stderr
    house.start()
    house.store(house.agent_token(house.agent("pipeline", "write:documents")), LIBRARY[:3]).raise_for_status()
    house.stop()
    # Nobody can wait for days, so the clock of the past is set instead, and the chain made anew.
    with sqlite3.connect(house.data / "audit.db") as database:
        database.executescript("DROP TRIGGER audit_is_never_altered")
        head = bytes(32)
        for seq, event in database.execute("SELECT seq, event FROM audit ORDER BY seq").fetchall():
            old = event.replace('"time":"20', '"time":"19')
            head = hashlib.sha256(head + old.encode()).digest()
            database.execute("UPDATE audit SET event = ?, hash = ? WHERE seq = ?", (old, head, seq))
    with sqlite3.connect(house.data / "authority.db") as database:
        database.execute("DELETE FROM audit_seals")
    before = house.command("audit", "verify")["records"]
    configured(house, "keep_days = 30").start()
    until(lambda: house.command("audit", "verify")["records"] < before, 20, "old records go", pause=0.5)
    assert [record["seq"] for record in records(house, "pruned")] == [before + 1]
    house.retrieve(token("alice"), QUESTION).raise_for_status()
    house.command("audit", "checkpoint")
    lines = export(house)
    published = house.http.get("/.well-known/jwks.json").json()
    assert json.loads(lines[0])["seal"]["kind"] == "anchor"
    assert check_export(lines, published) == house.command("audit", "verify")["records"]
    backup = house.directory / "backup"
    house.command("backup", str(backup), json_output=False)
    house.command("--data-dir", str(house.directory / "restored"), "restore", str(backup), json_output=False)


@pytest.mark.parametrize(
    "table, named",
    [
        ('query = "everything"', "query"),
        ("keep_days = 0", "audit.keep_days"),
        ("keep_days = -1", "keep_days"),
        ("checkpoint_minutes = 0", "audit.checkpoint_minutes"),
        ("checkpoint_record = 5", "checkpoint_records"),
    ],
)
def test_a_wrong_key_is_named(own_house, table, named):
    refused = configured(own_house, table).command("config", "check", json_output=False, expect=1)
    assert named in refused.stderr


def test_an_export_ends_quietly_when_nobody_reads_on(own_house):
    own_house.agent("reader", "read:records")
    command = f"'{BINARY}' --config '{own_house.config}' audit export | head -c 1"
    run = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("{", "")
