"""Identity-aware retrieval: what a search finds, the person who asked may read."""

import logging

from bailiwick._native import Bailiwick, Claims, Explanation, Hit, Index, Policy, Verifier
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
