"""Makes the data folder that `test_upgrade.py` opens with the newest binary.

It was run once in this folder, with the binary of 3e085d3:
`BAILIWICK_BIN=… ../../.cache/peers/bin/python make_data_dir.py`.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from conftest import LIBRARY, PEOPLE
from house import ROOT, House, bearer, document
from provider import Provider
from test_on_behalf import Assistant

# Ingest states are named by the paths of the run, so these are the same on each machine.
SOURCES = Path("/tmp/bailiwick-upgrade")
TARGET = ROOT / "tests/fixtures/data-dir-3e085d3"


def write_sources():
    shutil.rmtree(SOURCES, ignore_errors=True)
    head = "---\ndepartment: people\nclearance_level: Public\n---\n"
    for name, text in {"parking.md": "Bicycles stand behind the house.", "canteen.md": "The canteen opens at eleven."}.items():
        (SOURCES / "folder").mkdir(parents=True, exist_ok=True)
        (SOURCES / "folder" / name).write_text(head + text + "\n")


def relabel(house: House, token: str, id: str, department: str, clearance: str):
    metadata = {"department": department, "clearance_level": clearance}
    house.http.put(f"/api/documents/{id}/metadata", json=metadata, headers=bearer(token)).raise_for_status()


def fill(house: House, provider: Provider, directory: Path) -> dict:
    agents = {name: house.agent(name, "write:documents", "read:records") for name in ("pipeline", "courier", "rogue", "revoked")}
    tokens = {name: house.agent_token(id) for name, id in agents.items()}
    house.store(tokens["pipeline"], LIBRARY).raise_for_status()

    # `middleman` writes with a token exchanged for `pipeline`; then `courier` relabels what it wrote.
    middleman = Assistant(house, directory)
    middleman.delegate("--allow", "write:documents")
    for_pipeline = middleman.exchange(tokens["pipeline"]).raise_for_status().json()["access_token"]
    through = document("through", "The launch party is in the courtyard.", "sales", "Public")
    house.store(for_pipeline, [through | {"id": "through-kept"}, through | {"id": "through-relabelled"}]).raise_for_status()
    relabel(house, tokens["courier"], "through-relabelled", "engineering", "Public")

    house.store(tokens["rogue"], [document("rogue-text", "The launch is cancelled, says rogue.", "sales", "Public")]).raise_for_status()
    relabel(house, tokens["rogue"], "hr-leave", "sales", "Public")
    house.store(tokens["revoked"], [document("of-revoked", "A launch needs a rocket.", "engineering", "Public")]).raise_for_status()
    relabel(house, tokens["courier"], "of-revoked", "sales", "Internal")

    reader = Assistant(house, directory, "--read", "department=engineering")
    person = provider.sign_in("alice").access
    reader.act_for(person)
    revoked_for_alice = reader.act_for(person)
    assert reader.post("/oauth/revoke", token=revoked_for_alice).status_code == 200
    house.retrieve(person, "launch").raise_for_status()

    house.command("agents", "revoke", "rogue", "--quarantine")
    house.command("agents", "revoke", "revoked")
    house.retrieve(person, "launch").raise_for_status()
    checkpoint = house.command("audit", "checkpoint")
    house.stop()

    write_sources()
    house.command("ingest", str(SOURCES / "folder"), "--prune")
    return {
        "agents": agents,
        "middleman": middleman.name,
        "checkpoint": checkpoint,
        "records": len(house.command("audit", "tail", "-n", "100000")),
    }


def main():
    directory = Path(tempfile.mkdtemp())
    provider = Provider(PEOPLE, directory)
    house = House(directory / "house", provider.issuer).start()
    try:
        made = fill(house, provider, directory)
    finally:
        house.stop()
        provider.stop()
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(house.data, TARGET / "data")
    (TARGET / "made.json").write_text(json.dumps(made | {"trust_domain": "acme.example", "port": house.port}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
