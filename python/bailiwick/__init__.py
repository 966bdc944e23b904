"""Identity-aware retrieval: what a search finds, the person who asked may read."""

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
