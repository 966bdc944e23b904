"""What the package is, seen from outside."""

import importlib.resources
import subprocess
import sys

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


def test_reading_a_vault_needs_no_engine() -> None:
    program = """
import sys
sys.modules["bailiwick._native"] = None  # as where no wheel is
from bailiwick.compat.authsec import AuthSecClient, AuthSecSecureReader
from llama_index.readers.bailiwick import SecureReader
reader = AuthSecSecureReader(AuthSecClient())
print(len(reader.load_data("secure-vault/records", "read:records")))
try:
    from bailiwick import Index
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    records, missing = done.stdout.splitlines()
    assert records == "2"
    assert "bailiwick._native" in missing
