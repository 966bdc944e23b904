"""What one gets is what one would get from an index that holds only what one may read."""

import random

import pytest
from conftest import PEOPLE
from house import bearer, document

WORDS = "launch budget engine report revenue satellite harbor network audit contract price target".split()
QUESTIONS = ["launch", "What is the revenue target?", "satellite engine audit", "nothing of the sort"]
# What names the moment or the request, and nothing else.
VOLATILE = {"ingested_at", "token_jti", "receipt", "expires_in"}
LEVELS = ["Public", "Internal", "Restricted", "Secret", "TopSecret"]


def library() -> list[dict]:
    draw = random.Random(7)
    made = []
    for n in range(90):
        text = ". ".join(" ".join(draw.choices(WORDS, k=draw.randint(4, 12))).capitalize() for _ in range(draw.randint(1, 5)))
        department = draw.choice(["engineering", "sales", "finance"])
        project = draw.choice([None, None, "phoenix", "harbor", "zephyr"])
        made.append(document(f"doc-{n:03}", f"{text}.", department, draw.choice(LEVELS), project))
    return made


def may_read(person: str, doc: dict) -> bool:
    """The policy of house.CONFIG, said a second time in Python as the oracle."""
    claims, labels = PEOPLE[person], doc["metadata"]
    departments = claims.get("department", [])
    departments = [departments] if isinstance(departments, str) else departments
    rank = claims.get("user_clearance", 0)
    rank = rank if isinstance(rank, int) else LEVELS.index(rank) + 1
    project = labels.get("project_id")
    return (
        labels["department"] in departments
        and LEVELS.index(labels["clearance_level"]) + 1 <= rank
        and (project is None or project in claims.get("projects", []))
    )


def everything_seen(house, token) -> list:
    """All that a person can observe."""

    def clean(value):
        if isinstance(value, dict):
            return {key: clean(inner) for key, inner in value.items() if key not in VOLATILE}
        return [clean(inner) for inner in value] if isinstance(value, list) else value

    seen = []
    for question in QUESTIONS:
        for mode in ("hybrid", "dense", "lexical"):
            for top_k in (1, 5, 50):
                seen.append(clean(house.query(token, question, mode=mode, top_k=top_k).json()))
        seen.append(clean(house.retrieve(token, question, where={"department": "sales"}).json()))
    me = clean(house.http.get("/api/me", headers=bearer(token)).json())
    return [*seen, me]


@pytest.mark.parametrize("person", ["alice", "bob", "carol", "dave"])
def test_hidden_documents_change_nothing_that_a_person_can_see(provider, new_house, token, person):
    houses = []
    for documents in (library(), [doc for doc in library() if may_read(person, doc)]):
        house = new_house(provider.issuer).start()
        pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
        if documents:
            house.store(pipeline, documents).raise_for_status()
        houses.append((house, pipeline))
    (full, pipeline), (bare, _) = houses
    expected = everything_seen(bare, token(person))
    assert everything_seen(full, token(person)) == expected

    # Neither do hidden documents that arrive, change and go later.
    crowd = [
        document(f"crowd-{n}", f"{QUESTIONS[1]} The launch revenue target {n}.", "people", "Secret") for n in range(100)
    ]
    full.store(pipeline, crowd).raise_for_status()
    assert everything_seen(full, token(person)) == expected
    for doc in crowd[:5]:
        full.http.delete(f"/api/documents/{doc['id']}", headers=bearer(pipeline)).raise_for_status()
    assert everything_seen(full, token(person)) == expected
