"""The index, from Python."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acme import POLICY, People, label
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import Reply, peer

from bailiwick import (
    BailiwickError,
    Index,
    InvalidFilter,
    InvalidQuery,
    Policy,
    RefusedDocument,
    TokenExpired,
    Unavailable,
)

AXES = np.eye(4, dtype=np.float32)


def fill(index: Index) -> None:
    index.add(
        ["plans", "offsite", "quota"],
        AXES[:3],
        ["the plans of the engine", "the offsite is in Bergen", "the quota of the year"],
        [label("engineering", "Restricted"), label("engineering"), label("sales")],
    )


def test_everybody_finds_what_she_may_read(index: Index, people: People) -> None:
    fill(index)
    ids, scores = index.search(AXES[2], people("engineering"))
    assert ids == ["offsite", "plans"]
    assert scores.dtype == np.float32
    assert index.search(AXES[2], people("sales"))[0] == ["quota"]
    assert index.search(AXES[2], people("engineering", "Public"))[0] == ["offsite"]
    assert index.search(AXES[2], people(["engineering", "sales"]), 1)[0] == ["quota"]
    assert index.size(people("engineering")) == (2, 2)


def test_python_goes_on_while_a_policy_server_decides(people: People) -> None:
    """The server is in this process, so it cannot answer who keeps Python to himself."""
    with peer() as server:
        server.replies["/v1/data/bailiwick/permitted"] = Reply(body={"result": [2]})
        engine = {"engine": "opa", "opa": {"url": server.url}}
        policy = Policy({"attribute": POLICY["attribute"], "policy": engine})
        index = Index.open(dims=4, attributes=policy.attributes)
        fill(index)
        decided = policy.decide(people.claims("sales"))
        assert index.search(AXES[2], decided)[0] == ["quota"]


def test_words_and_both(index: Index, people: People) -> None:
    fill(index)
    engineer = people("engineering")
    assert index.search("where is the offsite", engineer)[0][0] == "offsite"
    assert index.search("the quota", engineer, mode="lexical")[0] == []
    both = index.search(AXES[0], engineer, text="offsite", dense_weight=0.1)
    assert both[0][0] == "offsite"
    (hit,) = index.retrieve(AXES[1], engineer, 1)
    assert (hit.id, hit.text) == ("offsite", "the offsite is in Bergen")
    assert hit.metadata == label("engineering")
    assert hit.score == pytest.approx(1.0)


def test_many_questions_are_answered_as_one(index: Index, people: People) -> None:
    rows = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    index.add([f"d{n}" for n in range(200)], rows, metadata=[label("sales")] * 200)
    seller = people("sales")
    together = index.search_batch(rows[:20], seller, 3)
    for row, (ids, scores) in zip(rows, together, strict=False):
        alone = index.search(row, seller, 3)
        assert alone[0] == ids
        np.testing.assert_array_equal(alone[1], scores)


def test_rights_follow_the_documents(index: Index, people: People) -> None:
    fill(index)
    seller = people("sales")
    assert index.relabel("offsite", label("sales", "Internal"))
    assert index.search(AXES[1], seller)[0] == ["offsite", "quota"]
    assert index.delete(["offsite", "never there"]) == 1
    assert index.search(AXES[1], seller)[0] == ["quota"]
    assert not index.relabel("offsite", label("sales"))


@pytest.mark.parametrize(
    ("vectors", "metadata", "problem"),
    [
        ([[1, 0, 0]], [label("sales")], "its vector has 3 dimensions, the index 4"),
        ([[1, 0, 0, float("nan")]], [label("sales")], "not finite"),
        ([[1, 0, 0, 1e30]], [label("sales")], "beyond 65504"),
        ([["a", 0, 0, 0]], [label("sales")], "not rows of numbers"),
        ([1, 0, 0, 0], [label("sales")], "not rows of numbers"),
        ([[1, 0, 0, 0]], [{"clearance_level": "Public"}], "`department` is missing"),
        ([[1, 0, 0, 0]], None, "`department` is missing"),
        ([[1, 0, 0, 0]], [label("sales", "Cosmic")], "Cosmic"),
        ([[1, 0, 0, 0]], [{"a": object()}], "metadata is not a list of dicts"),
        ([[1, 0, 0, 0]], [label("sales"), label("sales")], "1 ids, 1 vectors"),
    ],
)
def test_what_is_wrong_is_refused_with_all_of_its_batch(
    index: Index, vectors: Any, metadata: Any, problem: str
) -> None:
    with pytest.raises(RefusedDocument, match=problem):
        index.add(["a"], vectors, metadata=metadata)
    good = ([[1, 0, 0, 0], [1, 0, 0, 0]], None)
    with pytest.raises(RefusedDocument, match=r"document 1, `b`"):
        index.add(["a", "b"], good[0], metadata=[label("sales"), {}])
    with pytest.raises(RefusedDocument, match="has this id"):
        index.add(["a", "a"], good[0], metadata=[label("sales")] * 2)
    assert index.documents(index.danger_everything()) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_metadata_comes_back_as_it_went_in(policy: Policy, people: People, value: Any) -> None:
    index = Index.open(dims=4, attributes=policy.attributes)
    index.add(["a"], AXES[:1], metadata=[label("sales", value=value)])
    (found,) = index.documents(people("sales"))
    assert repr(found.metadata["value"]) == repr(sorted_by_name(value))


def sorted_by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: sorted_by_name(value[name]) for name in sorted(value)}
    return [sorted_by_name(item) for item in value] if isinstance(value, list) else value


def test_metadata_is_what_json_can_say(index: Index, people: People) -> None:
    written = label("sales", names={1: "a", 2.5: "b", False: "c", None: "d"}, pair=(1, 2))
    index.add(["a"], AXES[:1], metadata=[written])
    (found,) = index.documents(people("sales"))
    assert found.metadata["names"] == {"1": "a", "2.5": "b", "false": "c", "null": "d"}
    assert found.metadata["pair"] == [1, 2]
    inside: dict[str, Any] = {}
    inside["inside"] = inside
    for value in ({"a set"}, b"bytes", float("inf"), "\ud800", inside, {("a", "b"): 1}):
        with pytest.raises(RefusedDocument, match="nothing is stored: metadata"):
            index.add(["b"], AXES[:1], metadata=[label("sales", value=value)])
    assert index.size(people("sales")) == (1, 1)


def test_lists_are_as_good_as_arrays(index: Index, people: People) -> None:
    fill(index)
    everything = people(["sales", "engineering"])
    for rows in ([[1, 0.5, True, 0.25]], ((1, 0.5, 1, 0.25),), np.array([[1, 0.5, 1, 0.25]])):
        ((ids, scores),) = index.search_batch(rows, everything)
        assert index.search(rows[0], everything)[0] == ids == ["plans", "quota", "offsite"]
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_a_question_that_cannot_be_compared(index: Index, people: People) -> None:
    fill(index)
    seller = people("sales")
    for question, options, problem in [
        ([1, 0], {}, "has 2 dimensions"),
        ([1, 0, 0, float("nan")], {}, "not finite"),
        ([[1, 0, 0, 0]], {}, "2 axes"),
        ([1, 0, 0, 0], {"mode": "lexical"}, "give them as `text`"),
        ("words", {"mode": "dense"}, "compares vectors"),
        ([1, 0, 0, 0], {"mode": "psychic"}, "expected one of `hybrid`"),
        ([1, 0, 0, 0], {"dense_weight": 7}, "between 0 and 1"),
        ([1, 0, 0, 0], {"colour": "red"}, "colour"),
    ]:
        with pytest.raises(InvalidQuery, match=problem):
            index.search(question, seller, **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidFilter, match="empty group"):
        index.search([1, 0, 0, 0], seller, filters={"filters": []})


def test_rights_end_with_their_token(index: Index, people: People) -> None:
    fill(index)
    # The provider's clock may be a minute behind, and this token is good for two seconds more.
    seller = people("sales", lifetime=-58)
    assert index.search(AXES[2], seller)[0] == ["quota"]
    time.sleep(2.5)
    with pytest.raises(TokenExpired):
        index.search(AXES[2], seller)


def test_a_policy_of_other_attributes_opens_nothing(index: Index, people: People) -> None:
    fill(index)
    fewer = Policy(
        {**POLICY, "attribute": [*POLICY["attribute"], {"name": "x", "type": "integer"}]}
    )
    with pytest.raises(BailiwickError, match="different attributes"):
        index.search(AXES[2], fewer.decide(people.claims("sales")))


def test_what_is_written_is_there_after_the_process(tmp_path: Path, people: People) -> None:
    attributes = people.policy.attributes
    index = Index.open(tmp_path, dims=4, attributes=attributes, embedder="one")
    fill(index)
    with pytest.raises(Unavailable, match="another process has it open"):
        Index.open(tmp_path, dims=4, attributes=attributes, embedder="one")
    index.close()
    with pytest.raises(BailiwickError, match="closed"):
        index.search(AXES[2], people("sales"))
    with pytest.raises(Unavailable, match="vectors were made by `one"):
        Index.open(tmp_path, dims=4, attributes=attributes, embedder="two")
    again = Index.open(tmp_path, dims=4, attributes=attributes, embedder="one")
    assert again.search(AXES[2], people("sales"))[0] == ["quota"]
    again.close()


def test_threads_search_while_others_write(index: Index, people: People) -> None:
    rows = np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32)

    def write(n: int) -> int:
        return index.add([f"d{n}"], rows[n : n + 1], metadata=[label("sales")])

    def ask(n: int) -> int:
        return len(index.search(rows[n], people("sales"), 100)[0])

    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(write, n) for n in range(60)]
        asked = [pool.submit(ask, n) for n in range(60)]
        assert all(0 <= ask.result() <= 60 for ask in asked)
        assert sum(write.result() for write in written) == 60
    assert ask(0) == 60
