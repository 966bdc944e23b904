"""One peer in a process of its own, spoken to like `bailiwick-bench serve`: a JSON line for a JSON line."""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from peers import PEERS, Peer, cpu_seconds, memory
from people import Set


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("command", choices=["build", "serve"])
    arguments.add_argument("peer", choices=PEERS)
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("set", help="<vectors>-<chunks>-<labels>")
    given = arguments.parse_args()
    vectors, chunks, labels = given.set.split("-")
    made = Set(given.corpus, vectors, int(chunks), labels)
    place = made.place / given.peer
    if given.command == "build":
        build(given.peer, made, place)
    else:
        serve(PEERS[given.peer](made, place))


def build(name: str, made: Set, place: Path):
    part = place.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    began, began_cpu = time.monotonic(), cpu_seconds([os.getpid()])
    peer = PEERS[name](made, part)
    peer.build()
    built = {"seconds": time.monotonic() - began, "cpu_seconds": cpu_seconds(peer.processes()) - began_cpu}
    peer.close()
    built["disk"] = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
    (part / "built.json").write_text(json.dumps(built))
    part.rename(place)


def serve(peer: Peer):
    made = peer.made
    assert made.rows.size and made.queries.size
    before = memory([os.getpid()])
    began = time.monotonic()
    peer.open()
    opened = time.monotonic() - began
    grown = {name: size - before[name] for name, size in memory(peer.processes()).items()}
    print(json.dumps({"open_ms": 1e3 * opened, "memory": grown}), flush=True)
    permissions = {}
    for line in sys.stdin:
        request = json.loads(line)
        answers = []
        began, first, count = time.monotonic(), request["first"], len(made.queries)
        for n in range(count):
            query = (first + n) % count
            person = made.person(request["cell"], query)
            if person not in permissions:
                paused = time.monotonic()
                labels = made.people["people"][person]["labels"]
                permitted = made.permitted(person)
                permissions[person] = None if permitted.all() else peer.permit(labels, permitted)
                began += time.monotonic() - paused
            started = time.perf_counter()
            found = peer.search(made.queries[query], permissions[person], request["setting"])
            answers.append({"query": query, "us": 1e6 * (time.perf_counter() - started), "found": found})
            if time.monotonic() - began > request["seconds"]:
                break
        seconds = sum(answer["us"] for answer in answers) / 1e6
        print(json.dumps({"qps": len(answers) / seconds, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
