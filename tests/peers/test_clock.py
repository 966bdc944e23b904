"""A clock that was ahead and is put back: nothing counts until an operator says which time is right."""

import sqlite3
import time

import pytest
from conftest import LIBRARY
from house import bearer

THREE_DAYS = 3 * 24 * 3600


@pytest.fixture
def own_house(new_house, provider):
    house = new_house(provider.issuer).start()
    house.client_id = house.agent("pipeline", "read:records", "write:documents")
    return house


def put_back(house):
    """Leaves the database as a clock leaves it that was three days ahead."""
    database = sqlite3.connect(house.data / "authority.db", timeout=10)
    with database:
        database.execute("UPDATE clock SET latest = ?", [int(time.time()) + THREE_DAYS])
    database.close()


def test_a_clock_that_is_behind_stops_everything_until_it_is_accepted(own_house, token):
    old = own_house.agent_token(own_house.client_id)
    own_house.store(old, LIBRARY).raise_for_status()
    alice = bearer(token("alice"))
    assert own_house.http.get("/api/me", headers=alice).status_code == 200
    put_back(own_house)

    ready = own_house.http.get("/readyz")
    assert ready.status_code == 503 and "bailiwick clock accept" in ready.json()["detail"], ready.text
    assert own_house.http.get("/healthz").status_code == 200
    assert own_house.delegation(own_house.client_id).status_code == 503
    assert own_house.http.get("/secure-vault/records", headers=bearer(old)).status_code == 503
    assert own_house.store(old, LIBRARY).status_code == 503
    assert own_house.http.get("/api/me", headers=alice).status_code == 503
    assert own_house.retrieve(token("alice"), "launch").status_code == 503
    assert own_house.http.get("/api/admin/agents", headers=bearer(token("admin"))).status_code == 503
    own_house.logs("bailiwick clock accept")
    own_house.stop()
    own_house.start(ready=False)
    assert own_house.http.get("/readyz").status_code == 503

    unsure = own_house.command("clock", "accept", json_output=False, expect=1)
    assert "--yes" in unsure.stderr
    assert own_house.http.get("/readyz").status_code == 503
    accepted = own_house.command("clock", "accept", "--yes")
    assert accepted["before"] > accepted["now"]

    assert own_house.http.get("/secure-vault/records", headers=bearer(old)).status_code == 401
    fresh = own_house.agent_token(own_house.client_id)
    assert own_house.http.get("/secure-vault/records", headers=bearer(fresh)).status_code == 200
    assert own_house.http.get("/api/me", headers=alice).status_code == 200
    assert own_house.http.get("/readyz").status_code == 200
    own_house.command("audit", "verify")
    own_house.command("clock", "accept", "--yes", json_output=False, expect=1)
