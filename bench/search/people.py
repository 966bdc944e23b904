"""Who may read what in one set, and what the exact answers are.

A set is the first chunks of the corpus with one kind of vectors and one kind of labels. In each cell of the comparison
a person may read a share of the chunks: labels at random, those nearest to the subject of her questions ("with"),
or those farthest from it ("against"). `contiguous` and `scattered` hold the same share in neighbouring labels and in
labels that are no neighbours.
"""

import json
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy

DIMENSIONS = {"static": 256, "minilm": 384}
SHARES = [0.5, 0.2, 0.1, 0.05, 0.01, 0.001, 0.0001]
TOPICS = 8
TOP = 10
#: Half precision moves a score by about this much, so that equally good chunks are told apart by rounding.
TIE = 5e-5


@dataclass
class Set:
    """The files of one set: `<vectors>-<chunks>-<labels>`, such as `static-200000-company`."""

    folder: Path
    vectors: str
    wanted: int
    labels: str

    @property
    def name(self) -> str:
        return f"{self.vectors}-{self.wanted}-{self.labels}"

    @property
    def place(self) -> Path:
        return self.folder.parent / "sets" / self.name

    @cached_property
    def starts(self) -> numpy.ndarray:
        starts = numpy.fromfile(self.folder / "documents.u32", "<u4")
        return starts[: numpy.searchsorted(starts, self.wanted, "right")]

    @property
    def chunks(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def rows(self) -> numpy.ndarray:
        """The vectors, half precision, one row a chunk."""
        file = numpy.memmap(self.folder / f"{self.vectors}.f16", "<f2", "r")
        return file.reshape(-1, DIMENSIONS[self.vectors])[: self.chunks]

    @cached_property
    def label_of(self) -> numpy.ndarray:
        """The label of each chunk."""
        labels = numpy.fromfile(self.folder / f"labels.{self.labels}.u32", "<u4")[: len(self.starts) - 1]
        return numpy.repeat(labels, numpy.diff(self.starts))

    @cached_property
    def queries(self) -> numpy.ndarray:
        file = numpy.fromfile(self.folder / f"queries.{self.vectors}.f32", "<f4")
        return file.reshape(-1, DIMENSIONS[self.vectors])

    @cached_property
    def people(self) -> dict:
        return json.loads((self.place / "people.json").read_text())

    @cached_property
    def bars(self) -> numpy.ndarray:
        """For each cell and query the score of the tenth best permitted chunk, or of the last when there are fewer."""
        return numpy.fromfile(self.place / "bars.f32", "<f4").reshape(len(self.people["cells"]), -1)

    def cell(self, name: str) -> int:
        return next(n for n, cell in enumerate(self.people["cells"]) if cell["name"] == name)

    def person(self, cell: int, query: int) -> int:
        people = self.people["cells"][cell]["people"]
        return people[self.people["topics"][query] % len(people)]

    def permitted(self, person: int) -> numpy.ndarray:
        """For each chunk whether this person may read it."""
        allowed = numpy.zeros(self.people["labels"], bool)
        allowed[self.people["people"][person]["labels"]] = True
        return allowed[self.label_of]

    def recall(self, cell: int, query: int, found: list[int], permitted: numpy.ndarray) -> float:
        """The share of the exact ten (or of all, when there are fewer) that was found."""
        assert permitted[found].all(), "a chunk was found that this person may not read"
        scores = self.rows[found].astype("f4") @ self.queries[query]
        best = min(TOP, self.people["people"][self.person(cell, query)]["chunks"])
        return min(int((scores >= self.bars[cell, query] - TIE).sum()), best) / best


def make(made: Set):
    """Writes people.json and bars.f32, unless they are there."""
    if (made.place / "bars.f32").exists():
        return
    made.place.mkdir(parents=True, exist_ok=True)
    topics, centres = cluster(made.queries)
    nearness = numpy.concatenate([part.astype("f4") @ centres.T for part in blocks(made.rows)])
    sizes = numpy.bincount(made.label_of)
    total = [numpy.bincount(made.label_of, nearness[:, topic]) for topic in range(TOPICS)]
    by_topic = [numpy.argsort(-sum_of / numpy.maximum(sizes, 1), kind="stable") for sum_of in total]
    cells, people = [], []

    def add(name: str, kind: str, share: float, chosen: list[list[int]]):
        cells.append({"name": name, "kind": kind, "share": share, "people": []})
        for labels in chosen:
            cells[-1]["people"].append(len(people))
            people.append({"chunks": int(sizes[labels].sum()), "labels": labels})

    everything = list(range(len(sizes)))
    add("all", "all", 1, [everything])
    for share in SHARES:
        target = share * made.chunks
        draw = random.Random(f"{made.name} {share}")
        shuffled = [draw.sample(everything, len(everything)) for _ in range(TOPICS)]
        for kind, orders in ("random", shuffled), ("with", by_topic), ("against", [order[::-1] for order in by_topic]):
            add(f"{kind} {100 * share:g} %", kind, share, [fill(order, sizes, target) for order in orders])
    middle = everything[len(everything) // 50 :]
    add("contiguous 20 %", "contiguous", 0.2, [fill(middle, sizes, 0.2 * made.chunks)])
    apart = random.Random(5).sample(everything[::2], len(everything[::2]))
    add("scattered 20 %", "scattered", 0.2, [fill(apart, sizes, 0.2 * made.chunks)])
    world = {"chunks": made.chunks, "documents": len(made.starts) - 1, "labels": len(sizes)}
    world |= {"topics": topics.tolist(), "cells": cells, "people": people}
    (made.place / "people.json").write_text(json.dumps(world))
    write_bars(made)
    print(f"{made.name}: {made.chunks:,} chunks, {len(sizes):,} labels, {len(people)} people", flush=True)


def fill(order, sizes: numpy.ndarray, target: float) -> list[int]:
    """Labels in this order until the share is reached; one that is too large for what is left is passed over."""
    chosen, total = [], 0
    for label in order:
        if total >= 0.98 * target:
            break
        if total + sizes[label] <= max(1.02 * target, 1):
            chosen.append(int(label))
            total += sizes[label]
    return sorted(chosen) or [int(numpy.argmin(sizes))]


def cluster(queries: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Spherical k-means: the subjects of the questions."""
    centres = queries[numpy.random.default_rng(6).choice(len(queries), TOPICS, replace=False)]
    for _ in range(20):
        topics = numpy.argmax(queries @ centres.T, axis=1)
        sums = numpy.stack([queries[topics == n].sum(axis=0) + 1e-6 * centres[n] for n in range(TOPICS)])
        centres = sums / numpy.linalg.norm(sums, axis=1, keepdims=True)
    return topics, centres


def write_bars(made: Set):
    bars = numpy.zeros((len(made.people["cells"]), len(made.queries)), "<f4")
    for topic in range(TOPICS):
        asked = [n for n, of in enumerate(made.people["topics"]) if of == topic]
        scores = numpy.concatenate([part.astype("f4") @ made.queries[asked].T for part in blocks(made.rows)])
        for cell in range(len(bars)):
            if asked:
                some = scores[made.permitted(made.person(cell, asked[0]))]
                best = min(TOP, len(some))
                bars[cell, asked] = numpy.partition(some, len(some) - best, axis=0)[len(some) - best]
        print(f"\r{made.name}: exact answers, topic {topic + 1} of {TOPICS}", end="", flush=True)
    print(flush=True)
    bars.tofile(made.place / "bars.f32")


def blocks(rows: numpy.ndarray):
    return (rows[at : at + 50_000] for at in range(0, len(rows), 50_000))
