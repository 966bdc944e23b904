"""Asks the engine and its peers the same questions in turn, and keeps every result so that a run can go on later.

Everything is pinned to one core and asked one query at a time. In the first pass each peer's settings are tried until
the recall suffices; the later passes repeat its default and the setting that was chosen.
"""

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from peers import PEERS
from people import Set

HERE = Path(__file__).parent
ENOUGH = 0.95
CORE = "1"
OURS = "bailiwick"
#: Cells that the peers are asked too.
SHARED = [
    *("all", "random 50 %", "random 20 %", "with 20 %", "against 20 %", "random 10 %", "with 10 %", "against 10 %"),
    *("random 5 %", "random 1 %", "with 1 %", "against 1 %", "random 0.1 %", "random 0.01 %"),
]
#: What else is asked of ours: the whole of a hybrid query with its texts, two threads, and exactness on request.
ALONE = [
    {"mode": "dense", "exact": True},
    {"mode": "dense", "threads": 2},
    {"mode": "lexical"},
    {"mode": "hybrid"},
    {"mode": "hybrid", "texts": True},
]


class Records:
    """JSON lines, one for each thing measured; what is there is not measured again."""

    def __init__(self, file: Path):
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text().splitlines() if file.exists() else []
        self.all = [json.loads(line) for line in lines]

    def has(self, **key) -> bool:
        return any(all(record.get(name) == value for name, value in key.items()) for record in self.all)

    def add(self, **record):
        self.all.append(record)
        with self.file.open("a") as out:
            out.write(json.dumps(record) + "\n")

    def of(self, **key) -> list[dict]:
        return [record for record in self.all if all(record.get(name) == value for name, value in key.items())]


class Engine:
    """A process that answers JSON lines."""

    def __init__(self, command: list[str]):
        pinned = ["taskset", "-c", CORE, *command]
        self.process = subprocess.Popen(pinned, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.read()

    def ask(self, **request) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def cores(self, cores: str):
        subprocess.run(["taskset", "-a", "-p", "-c", cores, str(self.process.pid)], check=True, capture_output=True)

    def stop(self):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
            return
        self.process.send_signal(signal.SIGKILL)


class Run:
    def __init__(self, made: Set, binary: Path, peers: list[str], seconds: float, passes: int):
        self.made, self.binary, self.seconds, self.passes = made, binary, seconds, passes
        self.peers = [name for name in peers if made.chunks <= PEERS[name].limit]
        self.records = Records(made.folder.parent / "results" / f"{made.name}.jsonl")
        self.permitted = {}

    def build(self):
        """Builds what is not built, each alone on all cores."""
        place = self.made.place / OURS
        if not place.exists():
            self.note(f"building {OURS}")
            subprocess.run([*self.ours("build")], check=True, stdout=subprocess.DEVNULL)
        for name in list(self.peers):
            if not (self.made.place / name).exists():
                self.note(f"building {name}")
                command = [sys.executable, HERE / "worker.py", "build", name, self.made.folder, self.made.name]
                if subprocess.run(command).returncode:
                    self.note(f"{name} cannot be built here, and is left out")
                    self.peers.remove(name)

    def ours(self, command: str) -> list:
        made = self.made
        return [self.binary, command, "--corpus", made.folder, "--set", made.place, "--index", made.place / OURS]

    def measure(self):
        engines = {}
        try:
            self.note("opening")
            engines[OURS] = Engine([str(part) for part in self.ours("serve")])
            for name in self.peers:
                worker = [HERE / "worker.py", "serve", name, self.made.folder, self.made.name]
                engines[name] = Engine([sys.executable, *map(str, worker)])
            for name, engine in engines.items():
                built = json.loads((self.made.place / name / "built.json").read_text())
                if not self.records.has(what="engine", engine=name):
                    self.records.add(what="engine", engine=name, built=built, ready=engine.ready)
            for turn in range(self.passes):
                self.cells(engines, turn)
            self.writes(engines[OURS])
        finally:
            for engine in engines.values():
                engine.stop()

    def cells(self, engines: dict[str, Engine], turn: int):
        for cell, about in enumerate(self.made.people["cells"]):
            self.note(f"pass {turn + 1} of {self.passes}: {about['name']}")
            self.limit(engines[OURS], cell, turn)
            self.search(engines[OURS], OURS, cell, {"mode": "dense"}, turn)
            for name in self.peers if about["name"] in SHARED else []:
                for setting in self.chosen(name, cell, turn):
                    recall = self.search(engines[name], name, cell, setting, turn)
                    if turn == 0 and recall >= ENOUGH:
                        break
            for request in ALONE:
                if request["mode"] == "dense" or self.made.vectors == "static":
                    engines[OURS].cores(f"0-{os.cpu_count() - 1}" if "threads" in request else CORE)
                    self.search(engines[OURS], OURS, cell, request, turn)
            engines[OURS].cores(CORE)

    def chosen(self, name: str, cell: int, turn: int) -> list[dict]:
        """All settings in the first pass; then the default, and the first that reached the recall, or the last."""
        settings = PEERS[name].settings
        if turn == 0:
            return settings
        tried = self.records.of(what="search", engine=name, cell=cell, turn=0)
        best = next((record["setting"] for record in tried if record["recall"] >= ENOUGH), tried[-1]["setting"])
        return [settings[0]] if best == settings[0] else [settings[0], best]

    def search(self, engine: Engine, name: str, cell: int, setting: dict, turn: int) -> float:
        key = {"what": "search", "engine": name, "cell": cell, "setting": setting, "turn": turn}
        if self.records.has(**key):
            return self.records.of(**key)[0]["recall"]
        request = {"do": "search", "cell": cell, "seconds": self.seconds, "first": 160 * turn}
        request |= setting if name == OURS else {"setting": setting}
        engine.ask(**request | {"seconds": 0.1 * self.seconds})
        answer = engine.ask(**request)
        exact = setting.get("mode", "dense") == "dense"
        recalls = [self.recall(cell, given) for given in answer["answers"]] if exact else [1]
        times = sorted(given["us"] for given in answer["answers"])
        record = {
            "recall": statistics.mean(recalls),
            "worst": min(recalls),
            "qps": answer["qps"],
            "queries": len(times),
            "seconds": self.seconds,
        }
        record |= {f"p{n}": times[min(len(times) - 1, n * len(times) // 100)] for n in (50, 95, 99)}
        self.records.add(**key, **record)
        return record["recall"]

    def recall(self, cell: int, given: dict) -> float:
        person = self.made.person(cell, given["query"])
        if person not in self.permitted:
            self.permitted[person] = self.made.permitted(person)
        return self.made.recall(cell, given["query"], given["found"], self.permitted[person])

    def limit(self, ours: Engine, cell: int, turn: int):
        """How long the machine takes to read as many bytes as the codes of this cell have, right before the search."""
        if self.records.has(what="limit", cell=cell, turn=turn):
            return
        people = [self.made.people["people"][person] for person in self.made.people["cells"][cell]["people"]]
        chunks = statistics.mean(person["chunks"] for person in people)
        labels = statistics.mean(len(person["labels"]) for person in people)
        dimensions = self.made.rows.shape[1]
        size = int(chunks * (-(-dimensions // 64) * 8 + 8))
        limit = ours.ask(do="bandwidth", bytes=size)
        self.records.add(what="limit", cell=cell, turn=turn, chunks=chunks, labels=labels, bytes=size, ms=limit["ms"])

    def writes(self, ours: Engine):
        if not self.records.has(what="relabel"):
            self.note("relabelling")
            self.records.add(what="relabel", **ours.ask(do="relabel", times=60))
        if not self.records.has(what="policy"):
            self.note("changing the policy")
            self.records.add(what="policy", **ours.ask(do="policy", times=20))
        if not self.records.has(what="memory"):
            self.records.add(what="memory", **ours.ask(do="memory"))

    def note(self, text: str):
        print(f"{time.strftime('%H:%M:%S')} {self.made.name}: {text}", flush=True)


def forget(made: Set, ours_only: bool):
    """Removes what was measured; also the engine's own index when its code has changed."""
    (made.folder.parent / "results" / f"{made.name}.jsonl").unlink(missing_ok=True)
    shutil.rmtree(made.place / OURS, ignore_errors=True)
    if not ours_only:
        for name in PEERS:
            shutil.rmtree(made.place / name, ignore_errors=True)
