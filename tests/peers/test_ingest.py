"""`bailiwick ingest` and `POST /api/documents`: whose an id is, what is left out, what is pruned."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from house import BINARY, House, bearer, document

FRONT = "---\ndepartment: {}\nclearance_level: Public\n---\n{}\n"
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def own(provider, new_house) -> House:
    return new_house(provider.issuer)


def write(folder: Path, name: str, text: str, department: str = "sales") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FRONT.format(department, text))
    return path


def without_root():
    """Takes away what lets root read a file that its permissions forbid."""
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            assert libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


def ingest(house: House, *words, expect: int = 0) -> tuple[list[str], str]:
    """What was left out, and everything that was printed."""
    command = [BINARY, "--config", house.config, "--json", "ingest", *words]
    run = subprocess.run(command, cwd=house.directory, capture_output=True, timeout=60, preexec_fn=without_root)
    printed = run.stdout + run.stderr
    assert run.returncode == expect, printed
    assert b"\x1b" not in printed and b"\xff" not in printed, "a name steers the terminal"
    left_out = json.loads(run.stdout)["left_out"] if run.stdout else []
    return left_out, printed.decode()


class Stored:
    """The documents in a data directory, as their reader sees them."""

    def __init__(self, house: House, token: str):
        self.house, self.token = house, token

    def __call__(self, *ids: str) -> dict[str, str]:
        self.house.start()
        try:
            answers = {id: self.house.http.get(f"/api/documents/{id.replace('/', '%2F')}", headers=bearer(self.token)) for id in ids}
        finally:
            self.house.stop()
        return {id: answer.json()["text"].strip() for id, answer in answers.items() if answer.status_code == 200}


@pytest.fixture
def stored(own, token) -> Stored:
    return Stored(own, token("bob"))


def test_case_d1_a_file_that_is_never_read_does_not_stop_pruning(own, folder, stored):
    for name in ("a.md", "b.md"):
        write(folder, name, name)
    (folder / "logo.png").write_bytes(b"\x89PNG")
    left_out, _ = ingest(own, folder, "--prune", expect=1)
    assert len(left_out) == 1 and "logo.png" in left_out[0]
    (folder / "b.md").unlink()
    left_out, _ = ingest(own, folder, "--prune", expect=1)
    assert len(left_out) == 1 and "logo.png" in left_out[0]
    assert stored("a.md", "b.md") == {"a.md": "a.md"}


def test_what_cannot_be_read_now_keeps_its_documents(own, folder, stored):
    names = ["a.md", "b.md", "c.md", "deep/d.md", "deep/er/e.md"]
    for name in names:
        write(folder, name, name)
    lines = [{"id": n, "text": f"record {n}", "department": "sales", "clearance_level": "Public"} for n in (1, 2)]
    (folder / "r.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    ingest(own, folder)
    (folder / "a.md").write_bytes(b"\xff\xfe\x00")
    (folder / "b.md").chmod(0)
    (folder / "c.md").unlink()
    (folder / "deep").chmod(0)
    (folder / "r.jsonl").write_text(json.dumps(lines[0]) + "\n{broken")
    left_out, _ = ingest(own, folder, "--prune", expect=1)
    (folder / "deep").chmod(0o700)
    assert [name for name in ("a.md", "b.md", "deep", "r.jsonl") if any(name in line for line in left_out)] == ["a.md", "b.md", "deep", "r.jsonl"]
    records = ["r.jsonl%231", "r.jsonl%232"]
    assert set(stored(*names, *records)) == {"a.md", "b.md", "deep/d.md", "deep/er/e.md", *records}


def test_case_d2_a_state_belongs_to_the_path_as_it_is_named(own, tmp_path, stored):
    for version, names in {"v1": ["a.md", "b.md"], "v2": ["a.md", "c.md"]}.items():
        for name in names:
            write(tmp_path / version, name, version)
    current = tmp_path / "current"
    current.symlink_to("v1")
    ingest(own, current, "--prune")
    current.unlink()
    current.symlink_to("v2")
    ingest(own, tmp_path / "v1/../current/", "--prune")
    assert stored("a.md", "b.md", "c.md") == {"a.md": "v2", "c.md": "v2"}


@pytest.mark.parametrize("how", ["local", "server"])
def test_case_d3_another_folder_does_not_replace_a_document(own, tmp_path, token, how):
    hr, eng = tmp_path / "hr", tmp_path / "eng"
    write(hr, "README.md", "HR's", "sales")
    write(eng, "README.md", "Engineering's", "engineering")
    write(eng, "free.md", "Free", "sales")
    own.start()
    there = ("--server", own.url, "--client-id", own.agent("pipeline", "write:documents")) if how == "server" else ()

    def run(*words, expect=0):
        if how == "local":
            own.stop()
        try:
            return ingest(own, *words, *there, expect=expect)
        finally:
            if how == "local":
                own.start()

    def text(person: str, id: str = "README.md"):
        answer = own.http.get(f"/api/documents/{id}", headers=bearer(token(person)))
        return answer.json().get("text", "").strip() or None

    run(hr)
    left_out, _ = run(eng, "--prune", expect=1)
    assert len(left_out) == 1 and "README.md" in left_out[0] and str(hr) in left_out[0], left_out
    assert text("bob") == "HR's" and text("alice") is None and text("bob", "free.md") == "Free"
    # The owner replaces text and label together, up and down.
    for department, person, other in [("engineering", "alice", "bob"), ("sales", "bob", "alice")]:
        write(hr, "README.md", f"HR's for {department}", department)
        run(hr)
        assert text(person) == f"HR's for {department}" and text(other) is None
    # The remedies.
    run(eng / "README.md", "--source", str(hr))
    assert text("alice") == "Engineering's"
    run(hr)
    run(eng, "--replace")
    assert text("alice") == "Engineering's"
    # What is another's by now is not pruned.
    (hr / "README.md").unlink()
    write(hr, "kept.md", "Kept")
    run(hr, "--prune")
    assert text("alice") == "Engineering's"


@pytest.mark.parametrize("how", ["local", "server"])
def test_case_d4_documents_that_are_refused_are_left_out_and_named(own, folder, stored, how):
    for n in range(70):
        write(folder, f"good-{n:02}.md", "good")
    record = {"department": "sales", "clearance_level": "Public"}
    (folder / "nul.json").write_text(json.dumps(record | {"text": "a\0b"}))
    (folder / "level.md").write_text("---\ndepartment: sales\nclearance_level: Cosmic\n---\nx\n")
    (folder / "lines.jsonl").write_text("\n".join(json.dumps(record | more) for more in ({"id": 1, "text": "one"}, {"id": 2, "text": "a\0b"}, {"id": 3, "text": "three"})))
    (folder / "long" / ("n" * 200) / ("n" * 200)).mkdir(parents=True)
    write(folder / "long" / ("n" * 200) / ("n" * 200), "n" * 150 + ".md", "an id of more than 512 bytes")
    for name in (b"bad\xff.md", b"red\x1b[31m.md", b"line\nbreak.md"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(FRONT.format("sales", "hostile"))
    there = ()
    if how == "server":
        own.start()
        there = ("--server", own.url, "--client-id", own.agent("pipeline", "write:documents"))
    left_out, _ = ingest(own, folder, *there, expect=1)
    if how == "server":
        own.stop()
    named = ["nul.json", "level.md", "lines.jsonl#2", "n" * 150, r"bad\xff.md", r"red\u{1b}[31m.md", r"line\nbreak.md"]
    assert [name for name in named if sum(name in line for line in left_out) == 1] == named and len(left_out) == len(named), left_out
    good = [f"good-{n:02}.md" for n in range(70)]
    assert set(stored(*good, "lines.jsonl%231", "lines.jsonl%233", "nul.json", "level.md")) == {*good, "lines.jsonl%231", "lines.jsonl%233"}


def test_an_empty_folder_prunes_nothing_unless_that_is_meant(own, folder, stored):
    write(folder, "a.md", "kept")
    ingest(own, folder)
    shutil.rmtree(folder)
    for _ in ("a mount that is gone", "an empty mount point"):
        left_out, _ = ingest(own, folder, "--prune", expect=1)
        assert len(left_out) == 1 and str(folder) in left_out[0]
        folder.mkdir(exist_ok=True)
    assert "--allow-empty" in left_out[0]
    assert stored("a.md") == {"a.md": "kept"}
    ingest(own, folder, "--prune", "--allow-empty")
    assert stored("a.md") == {}


def test_a_folder_around_the_data_directory_gives_nothing_of_it(own, stored):
    write(own.directory, "a.md", "x")
    ingest(own, own.directory, expect=1)
    left_out, _ = ingest(own, own.directory, "--prune", expect=1)
    assert left_out and not any(f"{own.data}/" in line for line in left_out), left_out
    left_out, _ = ingest(own, own.data, expect=1)
    assert len(left_out) == 1 and "data directory" in left_out[0]


def test_a_state_outlives_a_run_that_broke_off(own, folder, stored):
    """What was stored before the server went away is pruned when its file is gone."""
    own.start()
    client_id = own.agent("pipeline", "write:documents")
    there = ("--server", own.url, "--client-id", client_id)
    for n in range(64):
        write(folder, f"a{n:02}.md", "x")
    ingest(own, folder, *there)
    write(folder, "a00.md", "changed")
    own.process.send_signal(signal.SIGKILL)
    own.process.wait()
    ingest(own, folder, *there, expect=1)
    own.start()
    (folder / "a00.md").unlink()
    ingest(own, folder, "--prune", *there)
    own.stop()
    assert stored("a00.md", "a01.md") == {"a01.md": "x"}


def test_over_http_an_id_belongs_to_its_source(own, token):
    own.start()
    agents = {name: own.agent(name, "write:documents") for name in ("one", "two", "narrow")}
    own.command("agents", "delegate", "narrow", "--allow", "write:documents", "--ceiling", "department=finance")
    tokens = {name: own.agent_token(id) for name, id in agents.items()}

    def post(name, id="a", department="sales", **more):
        body = {"documents": [document(id, f"of {name}", department, "Public")], **more}
        return own.http.post("/api/documents", json=body, headers=bearer(tokens[name]))

    def delete(name, **params):
        return own.http.delete("/api/documents/a", params=params, headers=bearer(tokens[name]))

    assert post("one").status_code == 200
    refused = post("two")
    assert refused.status_code == 409 and refused.json()["type"] == "urn:bailiwick:problem:other-source"
    (error,) = refused.json()["errors"]
    assert (error["index"], error["id"]) == (0, "a") and "spiffe://acme.example/agent/one" in error["reason"]
    assert delete("two").status_code == 409
    # An id beyond the ceiling is refused as before, whoever it belongs to.
    for more in ({}, {"replace": True}, {"source": "spiffe://acme.example/agent/one"}):
        beyond = post("narrow", department="finance", **more)
        assert beyond.status_code == 403 and "agent/one" not in beyond.text, beyond.text
    assert post("two", source="").status_code == post("two", source="a\nb").status_code == 400
    assert post("two", replace=True).status_code == 200
    assert post("one").status_code == 409
    assert post("one", source="spiffe://acme.example/agent/two").status_code == 200
    assert delete("one").status_code == 409
    assert delete("one", source="spiffe://acme.example/agent/two").status_code == 200
    assert delete("one").status_code == 404
    assert post("one", source="shared").status_code == post("two", source="shared").status_code == 200
