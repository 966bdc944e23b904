"""What the package is, seen from outside."""

import importlib.resources

import pytest

import bailiwick


@pytest.mark.parametrize(
    "error",
    [
        bailiwick.Denied,
        bailiwick.InvalidFilter,
        bailiwick.InvalidToken,
        bailiwick.RefusedDocument,
        bailiwick.TokenExpired,
        bailiwick.Unavailable,
    ],
)
def test_one_clause_catches_every_error(error: type[Exception]) -> None:
    with pytest.raises(bailiwick.BailiwickError):
        raise error("something")


def test_type_checkers_find_the_types() -> None:
    assert importlib.resources.files("bailiwick").joinpath("py.typed").is_file()
