"""The records of a set as Markdown."""

import json
import statistics
from pathlib import Path

from measure import ENOUGH, OURS, SHARED, Records
from peers import PEERS
from people import Set
from results import table

#: What is allowed beside twice the time of reading the codes.
START_MS = 0.06


class Report:
    def __init__(self, made: Set, records: Records):
        self.made, self.records = made, records
        self.cells = made.people["cells"]
        self.peers = [record["engine"] for record in records.of(what="engine") if record["engine"] != OURS]

    def text(self) -> str:
        parts = [
            self.about(),
            self.short(),
            self.speed(),
            self.modes(),
            self.compared(),
            self.defaults(),
            self.builds(),
            self.writes(),
        ]
        return "\n\n".join(part for part in parts if part)

    def about(self) -> str:
        world = self.made.people
        size = f"{world['chunks']:,} chunks in {world['documents']:,} documents under {world['labels']:,} labels"
        lines = [
            (self.made.folder / "about.txt").read_text().strip() + ".",
            f"This set: {size}; {len(world['people'])} people; {len(self.made.queries)} questions, prompts of Kconfig.",
            f"One core, one question at a time, k = 10; p50, p95 and p99 in ms, {self.passes()}.",
        ]
        if self.made.vectors == "minilm":
            lines.append(mixed(self.made.folder, world["chunks"]))
        return "\n".join(lines)

    def passes(self) -> str:
        found = self.records.of(what="search", engine=OURS, cell=0, setting={"mode": "dense"})
        count = "one pass" if len(found) == 1 else f"medians of {len(found)} passes"
        return f"{count} of {found[0]['seconds']:g} s for each row and setting"

    def short(self) -> str:
        """The figures that one asks for first."""
        found = {about["name"]: self.median(n, OURS, {"mode": "dense"}) for n, about in enumerate(self.cells)}
        slowest = max((ours["p50"] / self.allowed(cell), name) for cell, (name, ours) in enumerate(found.items()))
        apart = found["scattered 20 %"]["p50"] / found["contiguous 20 %"]["p50"]
        faster = found["random 10 %"]["qps"] / found["all"]["qps"]
        rate = self.made.chunks / self.records.of(what="engine", engine=OURS)[0]["built"]["ingest_seconds"]
        lines = [
            f"- Lowest recall@10 of a row below: {min(ours['recall'] for ours in found.values()):.4f}.",
            f"- Time against what is allowed, at worst: {slowest[0]:.2f} ({slowest[1]}).",
            f"- Queries per second, 10 % permitted against all: {faster:.1f} times.",
            f"- Scattered labels against neighbouring ones, 20 % permitted: {apart:.2f} times the time.",
            f"- Durable ingestion in batches of 1,000: {rate:,.0f} chunks/s.",
        ]
        hybrid = self.median(self.made.cell("random 10 %"), OURS, {"mode": "hybrid", "texts": True})
        if hybrid:
            times = f"p50 {ms(hybrid['p50'])} ms, p99 {ms(hybrid['p99'])} ms"
            lines.append(f"- A hybrid query, 10 % permitted, texts fetched, embedding excluded: {times}.")
        return "\n".join(lines)

    def allowed(self, cell: int) -> float:
        """Microseconds."""
        return 1e3 * (2 * self.limit(cell)["ms"] + START_MS)

    def median(self, cell: int, engine: str, setting: dict) -> dict | None:
        found = self.records.of(what="search", engine=engine, cell=cell, setting=setting)
        if not found:
            return None
        names = ("recall", "qps", "p50", "p95", "p99")
        return {name: statistics.median(record[name] for record in found) for name in names} | {
            "worst": min(record["worst"] for record in found)
        }

    def limit(self, cell: int) -> dict:
        found = self.records.of(what="limit", cell=cell)
        return found[0] | {"ms": statistics.median(record["ms"] for record in found)}

    def speed(self) -> str:
        """Ours against what the memory allows."""
        rows = []
        for cell, about in enumerate(self.cells):
            ours, limit = self.median(cell, OURS, {"mode": "dense"}), self.limit(cell)
            exact = self.median(cell, OURS, {"mode": "dense", "exact": True})
            two = self.median(cell, OURS, {"mode": "dense", "threads": 2})
            rows.append(
                [
                    about["name"],
                    f"{limit['chunks']:,.0f}",
                    f"{limit['labels']:,.0f}",
                    f"{ours['recall']:.4f}",
                    *(ms(ours[name]) for name in ("p50", "p95", "p99")),
                    f"{ours['qps']:,.0f}",
                    f"{two['qps']:,.0f}",
                    f"{exact['recall']:.4f}",
                    ms(exact["p50"]),
                    f"{limit['ms']:.3f}",
                    f"{ours['p50'] / self.allowed(cell):.2f}",
                ]
            )
        head = ["permitted", "chunks", "labels", "recall@10", "p50", "p95", "p99", "queries/s", "2 threads"]
        head += ["exact: recall", "exact: p50", "reading the codes", "p50 ÷ allowed"]
        note = f"Allowed is 2 × reading the codes once, measured in the same run, + {1e3 * START_MS:.0f} µs."
        return f"### Dense search\n{note}\n\n{table(head, rows)}"

    def modes(self) -> str:
        names = {"lexical": {"mode": "lexical"}, "hybrid": {"mode": "hybrid"}}
        names["hybrid, texts fetched"] = {"mode": "hybrid", "texts": True}
        rows = []
        for cell, about in enumerate(self.cells):
            found = [self.median(cell, OURS, setting) for setting in names.values()]
            if all(found):
                rows.append([about["name"], *(ms(one[name]) for one in found for name in ("p50", "p95", "p99"))])
        head = ["permitted", *(f"{name}: {p}" for name in names for p in ("p50", "p95", "p99"))]
        return f"### Lexical and hybrid search\n{table(head, rows)}" if rows else ""

    def compared(self) -> str:
        """Each engine at the first of its settings that reaches the recall."""
        rows = []
        for cell, about in enumerate(self.cells):
            if about["name"] not in SHARED or not self.peers:
                continue
            ours = self.median(cell, OURS, {"mode": "dense"})
            best = {name: self.tuned(cell, name) for name in self.peers}
            enough = {name: one["p50"] for name, one in best.items() if one["recall"] >= ENOUGH}
            fastest = min(enough, key=enough.get) if enough else None
            ratio = f"{enough[fastest] / ours['p50']:.1f}" if fastest else "nobody reaches it"
            rows.append([about["name"], cited(ours), *(cited(one) for one in best.values()), fastest or "", ratio])
        if not rows:
            return ""
        head = ["permitted", OURS, *self.peers, "fastest peer", "times faster"]
        settings = [f"{name}: {', '.join(map(described, PEERS[name].settings))}" for name in self.peers]
        note = (
            f"p50 in ms (recall@10). Each peer has the first of its settings with a recall of at least {ENOUGH} in the "
            "cell, or else its last; the fastest peer is one of those that reach it. For who may read everything, "
            "peers search without a filter. Settings tried: " + "; ".join(settings) + "."
        )
        return f"### Beside what people would use instead\n{note}\n\n{table(head, rows)}"

    def tuned(self, cell: int, name: str) -> dict:
        tried = [record["setting"] for record in self.records.of(what="search", engine=name, cell=cell, turn=0)]
        medians = [self.median(cell, name, setting) for setting in tried]
        return next((one for one in medians if one["recall"] >= ENOUGH), medians[-1])

    def defaults(self) -> str:
        rows = []
        for cell, about in enumerate(self.cells):
            if about["name"] in SHARED and self.peers:
                found = [self.median(cell, name, PEERS[name].settings[0]) for name in self.peers]
                rows.append([about["name"], *(cited(one) for one in found)])
        return (
            f"The same with the peers' default settings:\n\n{table(['permitted', *self.peers], rows)}" if rows else ""
        )

    def builds(self) -> str:
        rows = []
        ours = self.records.of(what="engine", engine=OURS)[0]["built"]
        for record in self.records.of(what="engine"):
            built, memory = record["built"], record["ready"]["memory"]
            rows.append(
                [
                    record["engine"],
                    f"{built['seconds']:,.1f}",
                    f"{built['seconds'] / ours['seconds']:.1f}",
                    f"{built['cpu_seconds']:,.1f}",
                    f"{built['cpu_seconds'] / ours['cpu_seconds']:.1f}",
                    f"{self.made.chunks / built['seconds']:,.0f}",
                    f"{built['disk'] / 1e6:,.0f}",
                    f"{memory['resident'] / 1e6:,.0f}",
                    f"{memory['anonymous'] / 1e6:,.0f}",
                    f"{record['ready']['open_ms']:,.0f}",
                ]
            )
        head = [
            "engine",
            "build, s",
            "× ours",
            "CPU s",
            "× ours",
            "chunks/s",
            "disk, MB",
            "resident, MB",
            "not mapped, MB",
            "opens in, ms",
        ]
        note = (
            "Ours stores texts and words too, is durable after each batch of 1,000 chunks, and its time includes all "
            "merging; the peers store vectors and labels. Builds may use all cores; what else ran meanwhile lengthens the "
            "seconds, hardly the CPU's. Memory is what the process holds right after opening."
        )
        return f"### Building\n{note}\n\n{table(head, rows)}"

    def writes(self) -> str:
        relabel = self.records.of(what="relabel")[0]
        policy = self.records.of(what="policy")[0]
        ready = self.records.of(what="engine", engine=OURS)[0]["ready"]
        memory = self.records.of(what="memory")[0]
        chunks = self.made.people["chunks"]
        p50, p95 = statistics.median(relabel["ms"]), statistics.quantiles(relabel["ms"], n=20)[-1]
        resident, own = (memory["memory"][name] / chunks for name in ("resident", "anonymous"))
        moved = f"a document of {relabel['chunks']} chunks"
        first, everyone = (statistics.median(policy[name]) for name in ("first_answer_ms", "all_decided_ms"))
        return "\n".join(
            [
                "### Changes",
                f"- Relabelling {moved}, durable and in force at the next query: p50 {p50:.1f} ms, p95 {p95:.1f} ms.",
                f"- A new policy: its first answer after {first:.2f} ms; all {policy['people']} people decided over "
                f"{self.made.people['labels']:,} labels after {everyone:.1f} ms; no row touched.",
                f"- From the start to the first answer: {ready['first_answer_ms']:,.0f} ms.",
                f"- After the run a chunk takes {resident:,.0f} bytes of resident memory, {own:,.0f} of them not "
                f"mapped files, and {memory['disk'] / chunks:,.0f} bytes on disk.",
            ]
        )


def mixed(folder: Path, chunks: int) -> str:
    about = json.loads((folder / "minilm.json").read_text())
    real = min(about["real"], chunks)
    tenth = about["tenth"]
    return (
        f"Vectors: all-MiniLM-L6-v2 (int8 ONNX, first {about['tokens']} tokens) for {real:,} chunks; the other "
        f"{chunks - real:,} are mixtures of neighbours among these with noise, not embeddings of their texts. "
        f"Among {about['real']:,} real ones the tenth hit has cosine {tenth['real']:.3f}, among as many mixtures "
        f"{tenth.get('mixed', float('nan')):.3f}."
    )


def ms(microseconds: float) -> str:
    value = microseconds / 1e3
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def cited(one: dict) -> str:
    return f"{ms(one['p50'])} ({one['recall']:.3f})"


def described(setting: dict) -> str:
    return " ".join(f"{name}={value}" for name, value in setting.items()) or "default"
