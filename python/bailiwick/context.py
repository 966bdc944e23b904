"""Whom a piece of work is done for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bailiwick._native import Bailiwick

_current: ContextVar[Bailiwick | None] = ContextVar("bailiwick", default=None)


@contextmanager
def acting_for(bailiwick: Bailiwick) -> Iterator[None]:
    """Everything inside searches within this bailiwick, where none is given by argument.

    A task of asyncio takes it along; a thread does if it was begun by `asyncio.to_thread`, and
    any other thread acts for nobody.
    """
    token = _current.set(bailiwick)
    try:
        yield
    finally:
        _current.reset(token)


def current_bailiwick() -> Bailiwick | None:
    """The innermost `acting_for`, or none."""
    return _current.get()
