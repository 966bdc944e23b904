"""Reads what divan prints of the benchmarks of policy and authority, and writes their section of RESULTS.md."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from results import record, table

SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
DECISIONS = {
    "nobody with these claims asked yet": "cold",
    "nobody asked yet, and the claims open all labels": "cold_with_all_rights",
    "decided before, one label is new": "one_new_label",
    "decided before": "warm",
}
ENGINES = {"rules": "rules", "rego": "Rego", "opa": "OPA"}


def medians(lines: Iterable[str]) -> dict[str, float]:
    """Seconds by "benchmark" or "benchmark argument"; shows the lines meanwhile."""
    found, group = {}, ""
    for line in lines:
        print(line, end="", flush=True)
        if not (named := re.match(r"([│ ]*)[├╰]─ (\S.*?)\s{2,}", line.rstrip() + "  ")):
            continue
        nested, name = len(named[1]) > 0, named[2]
        times = re.findall(r"([\d.]+) (ns|µs|ms|s)\b", line)
        if not nested:
            group = name
        if len(times) >= 3:
            value, unit = times[2]
            found[f"{group} {name}" if nested else name] = float(value) * SECONDS[unit]
    return found


def told(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.1f} µs"


def main():
    took, arguments = medians(sys.stdin), " ".join(sys.argv[1:])
    engines = [name for name in ENGINES if f"cold {name}" in took]
    rows = []
    for words, bench in DECISIONS.items():
        times = [took[f"{bench} {engine}"] for engine in engines]
        ratios = [f"{time / times[0]:,.1f}" for time in times[1:]]
        rows.append([words, *map(told, times), *ratios])
    head = ["10,000 labels", *(ENGINES[name] for name in engines), *(f"{ENGINES[name]} ÷ rules" for name in engines[1:])]
    dev = ", with the libraries optimized and our own crates hardly, as `--profile dev` builds them"
    body = [f"Medians{dev if 'dev' in arguments else ''}.", "", table(head, rows), ""]
    if "opa" in engines:
        itself = next(time for name, time in took.items() if name.startswith("opa_itself"))
        body += [f"OPA itself takes {told(itself)} for the same request; through Bailiwick it is {took['cold opa'] / itself:.2f} times that.", ""]
    trail = {
        "two policies compared over 10,000 labels for 1,000 classes of claims": "diff 10000",
        "the audit trail of a million records verified": "verify_a_million",
        **{f"the newest 100 of a million records by {by}": f"search {by}" for by in ("person", "document", "agent", "time", "person, document and time")},
        "a question's record written, one at a time": "record 1",
    }
    rows = [[words, told(took[bench])] for words, bench in trail.items()]
    rows += [[f"the same when {n} are asked at once, each", told(took[f"record {n}"] / n)] for n in (16, 256)]
    body.append(table(["", "time"], rows))
    record("Policies and the audit trail", f"bench/policy/run {arguments}".strip(), "\n".join(body))


main()
