"""Claims → `MetadataFilters`, for people who keep a vector store of their own.

Such a store filters as it pleases, word statistics and counts included; what is promised of
Bailiwick's own index is not promised of it.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llama_index.core.schema import QueryBundle
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from bailiwick.errors import InvalidFilter

MOST_VALUES = 256
LONGEST_VALUE = 256
LARGEST_INTEGER = 2**53

# Stores that paste values into a query of their own are known; these would end a text there.
UNSAFE = frozenset("'\"\\`")

# No document has this value, because nobody can know it before the process starts.
NOBODY = f"nobody-{secrets.token_hex(16)}"


@dataclass(frozen=True)
class Among:
    """The document's attribute is one of the claim's values, which are one text or a list."""

    attribute: str
    claim: str

    def filter(self, claims: Mapping[str, Any]) -> MetadataFilter | None:
        """The filter, or nothing if the claim opens nothing."""
        values = _several(claims.get(self.claim))
        if not values or not all(_is_name(value) for value in values):
            return None
        names = list(dict.fromkeys(values))
        return MetadataFilter(key=self.attribute, operator=FilterOperator.IN, value=names)


@dataclass(frozen=True)
class AtMost:
    """The document's attribute is at most the claim; of several values, at most the highest.

    Without `levels`, attribute and claim are integers.
    With them, from low to high, the attribute is one of their names, and the claim is a name or
    a place from 1 on: names do not stand in the order of the alphabet.
    """

    attribute: str
    claim: str
    levels: tuple[str, ...] = ()

    def filter(self, claims: Mapping[str, Any]) -> MetadataFilter | None:
        """The filter, or nothing if the claim opens nothing."""
        ranks = [self._rank(value) for value in _several(claims.get(self.claim))]
        known = [rank for rank in ranks if rank is not None]
        if not known or len(known) < len(ranks):
            return None
        if self.levels:
            names = list(self.levels[: max(known)])
            return MetadataFilter(key=self.attribute, operator=FilterOperator.IN, value=names)
        return MetadataFilter(key=self.attribute, operator=FilterOperator.LTE, value=max(known))

    def _rank(self, value: Any) -> int | None:
        if self.levels and isinstance(value, str):
            return self.levels.index(value) + 1 if value in self.levels else None
        if type(value) is not int:
            return None
        if self.levels:
            return value if 1 <= value <= len(self.levels) else None
        return value if abs(value) <= LARGEST_INTEGER else None


Rule: TypeAlias = Among | AtMost

RULES: tuple[Rule, ...] = (
    Among("department", "department"),
    AtMost("clearance_level", "user_clearance"),
)


class OidcClaimsFilterTransform:
    """Puts the filter that a person's claims make beside her question.

    All rules have to hold, a document without the attribute is out, and a claim that is missing,
    empty, of another type or longer than 256 values makes a filter that matches nothing.
    The filter is never empty: to a vector store an empty one means "everything".

    Give it claims of a verified token only (`bailiwick.Verifier`), per call or when it is made.
    """

    def __init__(
        self, claims: Mapping[str, Any] | None = None, *, rules: Sequence[Rule] = RULES
    ) -> None:
        if not rules:
            raise InvalidFilter("without rules everybody would read everything; give one at least")
        self._claims = dict(claims) if claims is not None else None
        self._rules = tuple(rules)

    def filters(self, claims: Mapping[str, Any]) -> MetadataFilters:
        """What these claims may read."""
        made = [rule.filter(claims) for rule in self._rules]
        filters = [one for one in made if one is not None]
        if len(filters) < len(made):
            filters = [MetadataFilter(key=self._rules[0].attribute, value=NOBODY)]
        return MetadataFilters(filters=list(filters), condition=FilterCondition.AND)

    def run(
        self, query_bundle: str | QueryBundle, **kwargs: Any
    ) -> tuple[QueryBundle, dict[str, Any]]:
        """The question, and `kwargs` with `filters` for a retriever; `claims` is taken out.

        Filters that `kwargs` brings can only narrow.
        """
        claims = kwargs.pop("claims", None)
        claims = self._claims if claims is None else claims
        if not isinstance(claims, Mapping):
            raise InvalidFilter("whose question is it? give `claims`, those of a verified token")
        filters = _narrowed(self.filters(claims), kwargs.get("filters"))
        if isinstance(query_bundle, str):
            query_bundle = QueryBundle(query_bundle)
        return query_bundle, kwargs | {"filters": filters}


def _narrowed(policy: MetadataFilters, wanted: MetadataFilters | None) -> MetadataFilters:
    if wanted is None or (isinstance(wanted, MetadataFilters) and not wanted.filters):
        return policy
    if not isinstance(wanted, MetadataFilters):
        raise InvalidFilter("`filters` is no MetadataFilters; give one, or none")
    if wanted.condition is FilterCondition.AND:
        # Most stores take no groups within groups, and these two are one.
        return MetadataFilters(
            filters=[*policy.filters, *wanted.filters], condition=FilterCondition.AND
        )
    if wanted.condition is None:
        raise InvalidFilter("`filters` has no condition, which stores read differently; give one")
    return MetadataFilters(filters=[policy, wanted], condition=FilterCondition.AND)


def _several(claim: Any) -> list[Any]:
    values = claim if isinstance(claim, list | tuple) else [claim]
    return list(values) if len(values) <= MOST_VALUES else []


def _is_name(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_VALUE
        and not UNSAFE & set(value)
        and not any(unicodedata.category(c) in ("Cc", "Cs") for c in value)
    )
