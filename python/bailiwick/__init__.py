"""Identity-aware retrieval: what a search finds, the person who asked may read."""

import logging

from bailiwick.errors import (
    BailiwickError,
    Denied,
    InvalidFilter,
    InvalidToken,
    RefusedDocument,
    TokenExpired,
    Unavailable,
)

__all__ = [
    "BailiwickError",
    "Denied",
    "InvalidFilter",
    "InvalidToken",
    "RefusedDocument",
    "TokenExpired",
    "Unavailable",
]

# Nothing is printed: without this, Python prints the warnings that nobody handles.
logging.getLogger(__name__).addHandler(logging.NullHandler())
