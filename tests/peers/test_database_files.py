"""Other programs that read, remove or block the databases of a running server."""

import os
import sqlite3
import subprocess
import sys

import pytest
from house import House, document
from test_contract import problem

DATABASES = ["audit.db", "authority.db", "index/index.db"]
READ_ONCE = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select count(*) from sqlite_master').fetchall(); c.close()"


@pytest.fixture
def busy(provider, new_house) -> House:
    """A server of its own that an agent has written to."""
    house = new_house(provider.issuer).start()
    house.writer = house.agent_token(house.agent("writer", "write:documents"))
    assert house.store(house.writer, [document("first", "The launch is in March.", "sales", "Public")]).status_code == 200
    return house


def locks(house: House, path) -> int:
    """How many locks the server holds on a file."""
    inode = str(os.stat(path).st_ino)
    lines = [line.split() for line in open("/proc/locks")]
    return sum(line[4] == str(house.process.pid) and line[5].split(":")[2] == inode for line in lines)


def read_once(path):
    subprocess.run([sys.executable, "-c", READ_ONCE, str(path)], check=True, timeout=30)


def test_a_program_that_reads_a_database_once_takes_nothing_away(busy, token):
    receipts = [busy.query(token("bob"), "When is the launch?").json()["receipt"] for _ in range(5)]
    # The command line opens and closes the databases too.
    busy.command("agents", "list")
    for name in DATABASES:
        path = busy.data / name
        assert locks(busy, path) > 0, name
        read_once(path)
        assert locks(busy, path) > 0, name
        assert all(path.with_name(path.name + side).exists() for side in ("-wal", "-shm")), name
    receipts += [busy.query(token("bob"), "When is the launch?").json()["receipt"] for _ in range(5)]
    busy.command("agents", "revoke", "writer")
    problem(busy.store(busy.writer, [document("second", "The launch is off.", "sales", "Public")]), 401)
    busy.stop()
    trail = busy.command("audit", "tail", "-n", "1000")
    assert set(receipts) <= {record.get("request_id") for record in trail}
    busy.command("audit", "verify")
    for name in DATABASES:
        verdict = sqlite3.connect(busy.data / name).execute("pragma integrity_check").fetchone()
        assert verdict == ("ok",), name
    busy.start()


def test_readiness_tells_of_a_trail_that_cannot_be_written_and_recovers(busy, token):
    other = sqlite3.connect(busy.data / "audit.db", isolation_level=None)
    other.execute("begin immediate")
    assert busy.http.get("/readyz").status_code == 200, "no record has failed yet"
    assert busy.query(token("bob"), "When is the launch?").status_code == 503
    assert "audit.db" in problem(busy.http.get("/readyz"), 503)["detail"]
    other.execute("rollback")
    # No question is needed for it: a balancer sends none to a server that is not ready.
    assert busy.http.get("/readyz").status_code == 200
    assert busy.query(token("bob"), "When is the launch?").status_code == 200
    busy.command("audit", "verify")


@pytest.mark.parametrize("name", DATABASES)
def test_a_database_that_is_taken_away_fails_closed(busy, token, name):
    path = busy.data / name
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink()
    ready = problem(busy.http.get("/readyz"), 503)
    assert path.name in ready["detail"] and "restore" in ready["detail"]
    assert busy.query(token("bob"), "When is the launch?").status_code == 503
    for n in range(2):
        answer = busy.store(busy.writer, [document(f"lost-{n}", "The launch is off.", "sales", "Public")])
        assert answer.status_code == 503, answer.text
    assert problem(busy.http.get("/readyz"), 503)["detail"] == ready["detail"]
