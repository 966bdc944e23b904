"""What `OidcClaimsFilterTransform` lets through a vector store is what its rules say."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    SimpleVectorStore,
    VectorStoreQuery,
)

from bailiwick.errors import InvalidFilter
from llama_index.retrievers.bailiwick.claims_filter import (
    Among,
    AtMost,
    OidcClaimsFilterTransform,
)

LEVELS = ("Public", "Internal", "Restricted", "Secret", "TopSecret")
NUMBERED = (Among("department", "department"), AtMost("clearance_level", "user_clearance"))
NAMED = (Among("department", "department"), AtMost("clearance_level", "user_clearance", LEVELS))

DEPARTMENTS = st.sampled_from(["sales", "Sales", "finance", "people", "sales ", "Bereich Süd", "*"])
ODD = st.sampled_from(
    [
        *[None, "", [], {}, {"$ne": ""}, "%", "sales' OR '1'='1", "a\x00b", 'x"', "\\"],
        *[["sales", None], ["sales", ["finance"]], ["sales", ""], ["sales"] * 300],
        *[True, 3.5, math.nan, -1, 9],
    ]
)
CLAIMED_DEPARTMENTS = st.one_of(DEPARTMENTS, st.lists(DEPARTMENTS, max_size=4), ODD)
NUMBERS = st.integers(-2, 7)
CLEARANCES = st.one_of(
    NUMBERS,
    st.sampled_from([*LEVELS, "secret", "Cosmic", "3"]),
    st.lists(st.one_of(NUMBERS, st.sampled_from(LEVELS)), max_size=3),
    ODD,
)
CLAIMS = st.fixed_dictionaries(
    {}, optional={"department": CLAIMED_DEPARTMENTS, "user_clearance": CLEARANCES}
)
LEVEL_NAMES = st.sampled_from([*LEVELS, "secret", "Cosmic"])


def documents(levels: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries({}, optional={"department": DEPARTMENTS, "clearance_level": levels})
    return st.lists(one, max_size=8)


def let_through(metadata: list[dict[str, Any]], filters: MetadataFilters) -> list[int]:
    store = SimpleVectorStore()
    nodes = [
        TextNode(id_=str(place), text="t", metadata=one, embedding=[1.0, place + 1.0])
        for place, one in enumerate(metadata)
    ]
    store.add(nodes)
    query = VectorStoreQuery([1.0, 0.0], similarity_top_k=len(nodes) + 1, filters=filters)
    return sorted(int(id_) for id_ in store.query(query).ids or [])


def departments(claims: dict[str, Any]) -> list[str]:
    """The rule in the test's own words: a list of plain names, or nothing."""
    claim = claims.get("department")
    values: list[Any] = claim if isinstance(claim, list) else [claim]
    plain = all(isinstance(v, str) and v and not set(v) & set("'\"\\`\x00") for v in values)
    return values if plain and len(values) <= 256 else []


def clearance(claims: dict[str, Any], ranks: dict[Any, int] | None) -> int | None:
    claim = claims.get("user_clearance")
    values = claim if isinstance(claim, list) else [claim]
    if not values or any(isinstance(v, bool | float | dict | list | None) for v in values):
        return None
    if ranks is None:
        return max(values) if all(isinstance(v, int) for v in values) else None
    return max(ranks[v] for v in values) if all(v in ranks for v in values) else None


@given(CLAIMS, documents(NUMBERS))
@example({"department": ["sales", "finance"], "user_clearance": 3}, [{}])
def test_numbered_clearances(claims: dict[str, Any], metadata: list[dict[str, Any]]) -> None:
    filters = OidcClaimsFilterTransform(rules=NUMBERED).filters(claims)
    most = clearance(claims, None)
    assert filters.filters
    assert let_through(metadata, filters) == [
        place
        for place, one in enumerate(metadata)
        if most is not None
        and one.get("department") in departments(claims)
        and "clearance_level" in one
        and one["clearance_level"] <= most
    ]


@given(CLAIMS, documents(LEVEL_NAMES))
def test_named_clearances(claims: dict[str, Any], metadata: list[dict[str, Any]]) -> None:
    ranks: dict[Any, int] = {name: rank for rank, name in enumerate(LEVELS, 1)}
    filters = OidcClaimsFilterTransform(rules=NAMED).filters(claims)
    most = clearance(claims, ranks | {rank: rank for rank in ranks.values()})
    assert filters.filters
    assert let_through(metadata, filters) == [
        place
        for place, one in enumerate(metadata)
        if most is not None
        and one.get("department") in departments(claims)
        and ranks.get(one.get("clearance_level"), 99) <= most
    ]


@given(CLAIMS, documents(NUMBERS), st.sampled_from(list(FilterOperator)[:6]), DEPARTMENTS)
def test_filters_of_the_caller_only_narrow(
    claims: dict[str, Any], metadata: list[dict[str, Any]], operator: FilterOperator, value: str
) -> None:
    own = MetadataFilters(
        filters=[MetadataFilter(key="department", operator=operator, value=value)]
    )
    transform = OidcClaimsFilterTransform(claims, rules=NUMBERED)
    _, kwargs = transform.run("what?", filters=own)
    both = let_through(metadata, kwargs["filters"])
    policy, alone = let_through(metadata, transform.filters(claims)), let_through(metadata, own)
    assert both == sorted(set(policy) & set(alone))


def test_several_departments_are_alternatives() -> None:
    metadata = [{"department": d, "clearance_level": 1} for d in ("sales", "finance", "people")]
    claims = {"department": ["sales", "finance"], "user_clearance": 1}
    assert let_through(metadata, OidcClaimsFilterTransform().filters(claims)) == [0, 1]


def test_the_shape_of_a_run() -> None:
    claims = {"department": "sales", "user_clearance": 2}
    bundle, kwargs = OidcClaimsFilterTransform().run("what?", claims=claims, similarity_top_k=3)
    assert bundle == QueryBundle("what?")
    assert set(kwargs) == {"filters", "similarity_top_k"}
    assert kwargs["filters"].condition is FilterCondition.AND
    again, _ = OidcClaimsFilterTransform(claims).run(bundle)
    assert again is bundle


def test_groups_of_the_caller_stand_beside_the_policy() -> None:
    claims = {"department": "sales", "user_clearance": 2}
    either = MetadataFilters(
        filters=[MetadataFilter(key="team", value="a"), MetadataFilter(key="team", value="b")],
        condition=FilterCondition.OR,
    )
    _, kwargs = OidcClaimsFilterTransform(claims).run("what?", filters=either)
    assert kwargs["filters"].condition is FilterCondition.AND
    assert kwargs["filters"].filters[1] is either


@pytest.mark.parametrize("kwargs", [{}, {"claims": "sales"}, {"claims": [("department", "x")]}])
def test_a_question_of_nobody_is_an_error(kwargs: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter, match="give `claims`"):
        OidcClaimsFilterTransform().run("what?", **kwargs)


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ([], "no MetadataFilters"),
        (
            MetadataFilters(filters=[MetadataFilter(key="a", value="b")], condition=None),
            "no condition",
        ),
    ],
)
def test_filters_that_stores_read_differently_are_an_error(filters: Any, says: str) -> None:
    with pytest.raises(InvalidFilter, match=says):
        OidcClaimsFilterTransform({}).run("what?", filters=filters)


def test_no_rules_are_an_error() -> None:
    with pytest.raises(InvalidFilter, match="give one at least"):
        OidcClaimsFilterTransform(rules=[])
