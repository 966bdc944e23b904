"""Identity-aware retrieval: what a search finds, the person who asked may read."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bailiwick.context import acting_for, current_bailiwick
from bailiwick.errors import (
    BailiwickError,
    Denied,
    InvalidFilter,
    InvalidQuery,
    InvalidToken,
    RefusedDocument,
    TokenExpired,
    Unavailable,
)

if TYPE_CHECKING:
    from bailiwick._native import Bailiwick, Claims, Explanation, Hit, Index, Policy, Verifier

__all__ = [
    "Bailiwick",
    "BailiwickError",
    "Claims",
    "Denied",
    "Explanation",
    "Hit",
    "Index",
    "InvalidFilter",
    "InvalidQuery",
    "InvalidToken",
    "Policy",
    "RefusedDocument",
    "TokenExpired",
    "Unavailable",
    "Verifier",
    "acting_for",
    "current_bailiwick",
]

# Nothing is printed: without this, Python prints the warnings that nobody handles.
logging.getLogger(__name__).addHandler(logging.NullHandler())


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The engine, when it is first asked for: reading a vault needs none."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("bailiwick._native"), name)
