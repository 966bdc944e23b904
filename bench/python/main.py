"""The Python package beside what its users would use instead, in process.

50,000 vectors of 384 dimensions in 200 clusters, made from a fixed seed; a thousand labels of like size. A person may
read a share of the labels: the peers get them as a list, ours gets a token whose claims name them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path

import numpy

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "search"), str(HERE.parents[1] / "python/tests")]

from acme import Provider
from peers import PEERS, LlamaIndex, Peer, memory
from people import TIE, TOP
from results import record, table

DIMENSIONS, LABELS, CLUSTERS = 384, 1_000, 200
SHARES = {"100 %": 1_000, "10 %": 100, "1 %": 10, "0.1 %": 1}
ENOUGH = 0.99
NAMES = {
    "ours": "Index.search",
    "store": "BailiwickVectorStore.query",
    "llamaindex": "SimpleVectorStore.query",
    "faiss-flat": "faiss, flat",
    "faiss-hnsw": "faiss, HNSW",
    "qdrant-edge": "qdrant-edge",
    "lancedb": "lancedb",
    "pgvector": "pgvector, HNSW, over a socket",
}


class World:
    """What all engines hold, and what they are asked."""

    def __init__(self, chunks: int):
        self.chunks = chunks

    @cached_property
    def drawn(self):
        draw = numpy.random.default_rng(7)
        centres = draw.standard_normal((CLUSTERS, DIMENSIONS))

        def vectors(count: int):
            near = centres[draw.integers(CLUSTERS, size=count)]
            mixed = near + 1.2 * draw.standard_normal((count, DIMENSIONS))
            return (mixed / numpy.linalg.norm(mixed, axis=1, keepdims=True)).astype("f2")

        return vectors(self.chunks), vectors(200).astype("f4"), draw.integers(LABELS, size=self.chunks)

    @property
    def rows(self):
        return self.drawn[0]

    @property
    def queries(self):
        return self.drawn[1]

    @property
    def label_of(self):
        return self.drawn[2]

    def permitted(self, share: str) -> numpy.ndarray:
        return self.label_of < SHARES[share]

    def recall(self, share: str, found: list[list[int]]) -> float:
        """Of the permitted chunks that are as good as the tenth best, or better, how many of ten are found."""
        permitted, hits = numpy.flatnonzero(self.permitted(share)), 0.0
        rows = self.rows[permitted].astype("f4")
        for query, ids in zip(self.queries, found, strict=False):
            scores = rows @ query
            floor = numpy.sort(scores)[-min(TOP, len(scores))] - TIE
            good = set(permitted[scores >= floor].tolist())
            hits += len(good.intersection(ids)) / min(TOP, len(scores))
        return hits / len(found)


class Ours(Peer):
    def build(self):
        from bailiwick import Index, Policy, Verifier

        rule = {"attribute": "label", "op": "lte", "claim": "highest"}
        attributes = [{"name": "label", "type": "integer"}]
        self.policy = Policy({"attribute": attributes, "policy": {"rule": [rule]}})
        self.index = Index.open(self.place / "index", dims=self.dimensions, attributes=attributes)
        self.provider = Provider()
        self.verifier = Verifier(self.provider.issuer, "bailiwick")
        self.fill()

    def fill(self):
        for at, block, labels in self.blocks():
            ids = [str(n) for n in range(at, at + len(block))]
            self.index.add(ids, block, metadata=[{"label": int(label)} for label in labels])

    def open(self):
        """It is open already: what is written is searched."""

    def permit(self, labels, permitted):
        return self.policy.decide(self.verifier.verify(self.provider.token(highest=max(labels))))

    def search(self, vector, bailiwick, setting):
        return [int(n) for n in self.index.search(vector, bailiwick, TOP)[0]]


class Store(Ours):
    def fill(self):
        from llama_index.core.schema import TextNode
        from llama_index.vector_stores.bailiwick import BailiwickVectorStore

        self.store = BailiwickVectorStore(self.index)
        for at, block, labels in self.blocks():
            rows = enumerate(zip(block.tolist(), labels.tolist(), strict=True), at)
            self.store.add(
                [
                    TextNode(id_=str(n), embedding=vector, metadata={"label": label})
                    for n, (vector, label) in rows
                ]
            )

    def search(self, vector, bailiwick, setting):
        from llama_index.core.vector_stores import VectorStoreQuery

        query = VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=TOP)
        return [int(n) for n in self.store.query(query, bailiwick=bailiwick).ids]


class Simple(LlamaIndex):
    """LlamaIndex's own store, in memory from the start: writing and reading its JSON would take minutes."""

    def build(self):
        from llama_index.core.schema import TextNode
        from llama_index.core.vector_stores import SimpleVectorStore

        self.store = SimpleVectorStore()
        for at, block, labels in self.blocks():
            rows = enumerate(zip(block.tolist(), labels.tolist(), strict=True), at)
            self.store.add(
                [TextNode(id_=str(n), embedding=vector, metadata={"label": label}) for n, (vector, label) in rows]
            )

    def open(self):
        """It is open already."""


ENGINES: dict[str, type[Peer]] = {**PEERS, "ours": Ours, "store": Store, "llamaindex": Simple}
#: Those that are not told to leave the filter out when everything is permitted.
ALWAYS = ("ours", "store")


def main():
    arguments = argparse.ArgumentParser(prog="bench/python/run", description=__doc__)
    arguments.add_argument("--chunks", type=int, default=50_000, help="default: 50,000")
    arguments.add_argument("--seconds", type=float, default=1.0, help="for each share and setting (default: 1)")
    arguments.add_argument("--engines", default=",".join(NAMES), help="by comma (default: %(default)s)")
    arguments.add_argument("--worker", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.worker:
        print(json.dumps(measured(given.worker, World(given.chunks), given.seconds)))
        return
    found = {}
    for name in given.engines.split(","):
        print(f"{time.strftime('%H:%M:%S')} {NAMES[name]}", flush=True)
        command = [sys.executable, __file__, "--worker", name]
        command += ["--chunks", str(given.chunks), "--seconds", str(given.seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    text = report(found, given.chunks)
    print(text)
    record("Python", "bench/python/run", text)


def measured(name: str, world: World, seconds: float) -> dict:
    """Builds one engine in this process, and asks it."""
    assert world.rows.size
    before = memory([os.getpid()])["resident"]
    with tempfile.TemporaryDirectory() as folder:
        peer = ENGINES[name](world, Path(folder))
        began = time.monotonic()
        peer.build()
        built = time.monotonic() - began
        peer.open()
        os.sched_setaffinity(0, {0})
        shares = {}
        for share, count in SHARES.items():
            everything = count == LABELS and name not in ALWAYS
            permission = None if everything else peer.permit(list(range(count)), world.permitted(share))
            for setting in peer.settings:
                shares[share] = asked(peer, world, share, permission, setting, seconds)
                if shares[share]["recall"] >= ENOUGH:
                    break
        grown = memory(peer.processes())["resident"] - before
        peer.close()
    return {"build": built, "memory": grown, "shares": shares}


def asked(peer: Peer, world: World, share: str, permission, setting: dict, seconds: float) -> dict:
    for query in world.queries[:3]:
        peer.search(query, permission, setting)
    times, answers, began = [], [], time.monotonic()
    for query in world.queries:
        started = time.perf_counter()
        answers.append(peer.search(query, permission, setting))
        times.append(time.perf_counter() - started)
        if time.monotonic() - began > seconds:
            break
    rate = len(times) / sum(times)
    return {"recall": world.recall(share, answers), "p50": 1e3 * statistics.median(times), "rate": rate}


def report(found: dict, chunks: int) -> str:
    rows = []
    for name, engine in found.items():
        cells = [f"{one['p50']:,.3f} ({one['recall']:.3f})" for one in engine["shares"].values()]
        rows.append([NAMES[name], *cells, f"{engine['build']:,.1f}", f"{engine['memory'] / 1e6:,.0f}"])
    head = ["engine", *(f"{share} permitted" for share in SHARES), "build, s", "resident, MB"]
    parts = [
        f"{chunks:,} vectors of {DIMENSIONS} dimensions, k = {TOP}, one core, one question at a time: p50 in ms "
        f"(recall@10). Each peer has the first of its settings with a recall of at least {ENOUGH}, or its last; where "
        "everything is permitted it searches without a filter. Ours is durable when it is built, and checks a "
        "bailiwick with each question; memory is what the process grew by, from empty to the last search.",
        table(head, rows),
    ]
    if "llamaindex" in found and "store" in found:
        ours, theirs = found["store"]["shares"], found["llamaindex"]["shares"]
        ratios = ", ".join(f"{ours[share]['rate'] / theirs[share]['rate']:,.0f} at {share}" for share in SHARES)
        parts.append(f"Queries per second, `BailiwickVectorStore` over `SimpleVectorStore`: {ratios}.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
