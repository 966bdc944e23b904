"""docs/security-cases.md names tests that exist."""

import re
from pathlib import Path

from house import ROOT

DOCUMENT = (ROOT / "docs/security-cases.md").read_text()
FOLDERS = ("crates/*/tests", "crates/*/src", "python/tests", "tests/peers", "tests/web", "web/test")
FILES = [path for folder in FOLDERS for top in ROOT.glob(folder) for path in top.rglob("*.*") if "node_modules" not in path.parts]
FILE = r"[\w/.]+\.(?:rs|py|mjs|tsx?)"


def exists(file: str, test: str) -> bool:
    """Whether there is such a file, and in it such a test; the name of a test may be cut off with "…"."""
    name = rf"{test[:-1]}\w*" if test.endswith("…") else test
    paths = [path for path in FILES if path.as_posix().endswith(f"/{file}")] if file else FILES
    return any(not test or re.search(rf"\b(fn|def) {name}\b", path.read_text()) for path in paths)


def named() -> list[tuple[str, str]]:
    """Each file and test that the tables name; either may be empty."""
    found = []
    for row in DOCUMENT.splitlines():
        file = ""
        for name in re.findall(r"`([^`]+)`", row.rpartition(" | ")[2]):
            if match := re.fullmatch(rf"({FILE})?::(\w+…?)", name):
                file = match[1] or file
                found.append((file, match[2]))
            elif re.fullmatch(FILE, name):
                file = name
                found.append((file, ""))
            elif re.fullmatch(r"\w+_\w+_\w+…?", name):
                found.append(("", name))
    return found


def test_every_test_that_the_document_names_exists():
    names = named()
    assert len(names) > 200
    assert [f"{file}::{test}" for file, test in names if not exists(file, test)] == []
