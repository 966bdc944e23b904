"""Prepares data, builds, measures, and writes the sections of RESULTS.md. Everything can be interrupted and goes on."""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import linux  # noqa: E402
import people  # noqa: E402
import vectors  # noqa: E402
from measure import Records, Run, forget  # noqa: E402
from peers import PEERS  # noqa: E402
from results import record  # noqa: E402
from tables import Report  # noqa: E402

CORPUS = HERE.parents[1] / ".cache/bench-data/linux"
SETS = ["static-200000-company", "minilm-200000-company", "static-1000000-company", "minilm-1000000-company"]
EXAMPLES = """examples:
  bench/search/run                                           all four sets, half a day: peers take hours to build at a million
  bench/search/run --set static-50000-company --passes 1     a quick look, a few minutes
  bench/search/run --set static-1000000-maintainers --peers none
  bench/search/run --fresh ours                              after a change of the engine: measure everything again
  bench/search/run --only data                               prepare, and measure later
"""


def main():
    arguments = argparse.ArgumentParser(
        prog="bench/search/run", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--set", action="append", help="<static|minilm>-<chunks>-<company|maintainers>, repeatable")
    arguments.add_argument(
        "--peers", default=",".join(PEERS), help="which peers, by comma, or none (default: %(default)s)"
    )
    arguments.add_argument("--seconds", type=float, default=1.0, help="for each cell and setting (default: 1)")
    arguments.add_argument("--passes", type=int, default=3, help="default: 3")
    arguments.add_argument("--minilm-seconds", type=int, default=900, help="core time for real vectors (default: 900)")
    arguments.add_argument("--only", choices=["data", "build", "report"], help="stop after this, or just report")
    arguments.add_argument("--fresh", choices=["ours", "all"], help="forget results and our index, or all indexes")
    arguments.add_argument("--binary", type=Path, required=True, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    peers = [] if given.peers == "none" else given.peers.split(",")
    for name in given.set or SETS:
        kind, chunks, labels = name.split("-")
        made = people.Set(CORPUS, kind, int(chunks), labels)
        if given.only != "report":
            prepare(made, given.binary, given.minilm_seconds)
            if given.fresh:
                forget(made, given.fresh == "ours")
            if given.only != "data":
                run = Run(made, given.binary, peers, given.seconds, given.passes)
                run.build()
                if given.only != "build":
                    run.measure()
        if given.only in (None, "report"):
            report(made)


def prepare(made: people.Set, binary: Path, minilm_seconds: int):
    linux.make(CORPUS)
    if made.vectors == "static" and not (CORPUS / "static.f16").exists():
        subprocess.run([binary, "embed", "--corpus", CORPUS], check=True)
    if made.vectors == "minilm":
        vectors.make(CORPUS, max(1_000_000, made.wanted), minilm_seconds)
    people.make(made)


def report(made: people.Set):
    text = Report(made, Records(CORPUS.parent / f"results/{made.name}.jsonl")).text()
    print(text)
    record(f"Search: {made.name}", f"bench/search/run --set {made.name}", text)


if __name__ == "__main__":
    main()
