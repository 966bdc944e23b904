"""Filters beside those of LlamaIndex itself.

Chosen differences, all of which refuse or leave out what LlamaIndex lets through or raises on:

- an empty group or an empty list is refused; LlamaIndex lets an empty group match everything, and
  `nin` and `all` with an empty list too;
- a value of the wrong type for its operator is refused: a list for `==`, a text for `in`, nothing
  for anything but `is_empty`;
- texts have no order, unless the schema declares the levels of an attribute: then they compare by
  rank, and not by letters;
- two values that cannot be compared do not match; LlamaIndex raises TypeError;
- groups nest; LlamaIndex raises ValueError.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from acme import POLICY, People, label
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from bailiwick import Index, InvalidFilter

KEYS = ["a", "b", "c"]
texts = st.text("abAB é", max_size=3)
integers = st.integers(-3, 3) | st.integers(-(2**53) - 2, 2**53 + 2)
floats = st.floats(-4, 4, width=16) | st.sampled_from([2.0**53, -(2.0**53), 1e300])
numbers = integers | floats
scalars = texts | numbers
found = (
    st.none()
    | st.booleans()
    | scalars
    | st.lists(scalars | st.booleans(), max_size=3)
    | st.dictionaries(texts, integers, max_size=2)
)
metadata = st.dictionaries(st.sampled_from(KEYS), found)
lists = (
    st.lists(texts, min_size=1, max_size=3)
    | st.lists(integers, min_size=1, max_size=3)
    | st.lists(floats, min_size=1, max_size=3)
)
ORDERED = [FilterOperator.GT, FilterOperator.GTE, FilterOperator.LT, FilterOperator.LTE]
OF_LISTS = [FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL]
OF_TEXTS = [FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE]
OF_SCALARS = [FilterOperator.EQ, FilterOperator.NE, FilterOperator.CONTAINS]


def conditions_of(operators: list[FilterOperator], values: st.SearchStrategy[Any]) -> Any:
    return st.builds(
        MetadataFilter,
        key=st.sampled_from(KEYS),
        operator=st.sampled_from(operators),
        value=values,
    )


tests = (
    conditions_of(OF_SCALARS, scalars)
    | conditions_of(ORDERED, numbers)
    | conditions_of(OF_LISTS, lists)
    | conditions_of(OF_TEXTS, texts)
    | conditions_of([FilterOperator.IS_EMPTY], st.none())
)
joined_by = st.none() | st.sampled_from(FilterCondition)


def group(members: st.SearchStrategy[Any]) -> Any:
    members = st.lists(members, min_size=1, max_size=3)
    return st.builds(MetadataFilters, filters=members, condition=joined_by)


groups = st.recursive(group(tests), lambda inner: group(tests | inner), max_leaves=4)


def by_llama_index(filters: MetadataFilters | MetadataFilter, document: dict[str, Any]) -> bool:
    """Each condition is asked of LlamaIndex; groups, which it does not nest, are joined here."""
    if isinstance(filters, MetadataFilter):
        ask = build_metadata_filter_fn(lambda _: document, MetadataFilters(filters=[filters]))
        try:
            return ask("a document")
        except TypeError:
            return False
    members = [by_llama_index(member, document) for member in filters.filters]
    if filters.condition == FilterCondition.OR:
        return any(members)
    if filters.condition == FilterCondition.NOT:
        return not any(members)
    return all(members)


@pytest.fixture(scope="module")
def empty_index(people: People) -> Iterator[Index]:
    index = Index.open(dims=1, attributes=people.policy.attributes)
    yield index
    index.close()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(metadata, min_size=1, max_size=6), st.lists(groups, min_size=1, max_size=8))
def test_filters_match_what_they_match_in_llama_index(
    empty_index: Index, documents: list[dict[str, Any]], asked: list[MetadataFilters]
) -> None:
    index = empty_index
    index.delete_matching()
    departments = ["sales", "engineering"]
    labelled = [{**document, **label(departments[n % 2])} for n, document in enumerate(documents)]
    ids = [str(n) for n in range(len(documents))]
    index.add(ids, [[1.0]] * len(ids), metadata=labelled)
    everybody = index.danger_everything()
    for filters in asked:
        expected = [n for n in ids if by_llama_index(filters, labelled[int(n)])]
        written = filters.model_dump()
        assert [hit.id for hit in index.documents(everybody, written)] == expected, filters
        assert index.search([1.0], everybody, filters=written)[0] == expected, filters


def test_levels_are_ordered_by_rank_and_not_by_letters(index: Index) -> None:
    levels = POLICY["attribute"][1]["levels"]
    index.add(levels, [[1, 0, 0, 0]] * 3, metadata=[label("sales", level) for level in levels])
    least = {"key": "clearance_level", "operator": ">=", "value": "Internal"}
    found = index.search([1, 0, 0, 0], index.danger_everything(), filters={"filters": [least]})[0]
    assert found == ["Internal", "Restricted"]


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ({"key": "a", "operator": "===", "value": 1}, "operator `===` is unknown"),
        ({"key": "a", "operator": "==", "value": None}, "use is_empty"),
        ({"key": "a", "operator": "==", "value": [1]}, "neither a text nor a number"),
        ({"key": "a", "operator": "in", "value": "abc"}, "not a list"),
        ({"key": "a", "operator": "nin", "value": []}, "not a list"),
        ({"key": "a", "operator": "any", "value": [1, "a"]}, "mixes types"),
        ({"key": "a", "operator": "<", "value": "10"}, "have an order"),
        ({"key": "a", "operator": ">", "value": float("nan")}, "no JSON form"),
        ({"key": "clearance_level", "operator": ">", "value": "Cosmic"}, "not one of Public"),
        ({"operator": "==", "value": 1}, "names no `key`"),
        ({"filters": [], "condition": "and"}, "empty group"),
        ({"filters": [{"key": "a", "value": 1}], "condition": "xor"}, "xor"),
        (None, "names no `key`"),
    ],
)
def test_what_cannot_be_understood_is_an_error_and_never_a_match(
    index: Index, test: Any, problem: str
) -> None:
    index.add(["a"], [[1, 0, 0, 0]], metadata=[label("sales")])
    everybody = index.danger_everything()
    for filters in ({"filters": [test]}, {"filters": [{"filters": [test]}]}):
        for act in (
            lambda: index.search([1, 0, 0, 0], everybody, filters=filters),  # noqa: B023
            lambda: index.documents(everybody, filters),  # noqa: B023
            lambda: index.delete_matching(filters),  # noqa: B023
        ):
            with pytest.raises(InvalidFilter, match=problem):
                act()
    assert len(index.documents(everybody)) == 1
