"""One-chunk documents with labels, and questions about them; the same on every machine."""

import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "models/static/static-en-256.bin"
DEPARTMENTS = ["engineering", "sales", "finance", "people", "legal"]
LEVELS = ["Public", "Internal", "Restricted", "Secret", "TopSecret"]


def vocabulary() -> list[str]:
    with TABLE.open("rb") as table:
        header = table.read(16)
        return table.read(int.from_bytes(header[12:16], "little")).decode().split("\n")


def words(draw: random.Random, count: int, known=[]) -> str:  # noqa: B006: the list is the cache
    if not known:
        known.extend(word for word in vocabulary() if word.isalpha() and len(word) > 3)
        random.Random(2).shuffle(known)
    # Word frequencies fall like those of a language: the n-th word about 1/n as often as the first.
    return " ".join(known[int(len(known) ** draw.random()) - 1] for _ in range(count))


def documents(count: int) -> list[dict]:
    draw = random.Random(1)
    made = []
    for n in range(count):
        text = ". ".join(words(draw, draw.randint(8, 16)).capitalize() for _ in range(4)) + "."
        metadata = {"department": draw.choice(DEPARTMENTS), "clearance_level": draw.choice(LEVELS)}
        made.append({"id": f"doc-{n:05}", "text": text, "metadata": metadata})
    return made


def questions(count: int = 64) -> list[str]:
    draw = random.Random(3)
    return [words(draw, draw.randint(3, 8)) for _ in range(count)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(questions()) + "\n")
