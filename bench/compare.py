"""Runs Bailiwick and the baseline side by side under the same load and writes its section of RESULTS.md."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import jwt
from corpus import DEPARTMENTS, ROOT, documents, questions
from cryptography.hazmat.primitives.asymmetric import rsa
from results import record, table

sys.path.insert(0, str(ROOT / "tests/peers"))
from house import BINARY, House, bearer, free_port, stop, until  # noqa: E402

HERE = Path(__file__).parent
CONNECTIONS = 16
# More, because each token waits for the disk, and the core should have others to sign meanwhile.
TOKEN_CONNECTIONS = 64
STORES = {"llamaindex": "LlamaIndex", "qdrant": "Qdrant"}
EXAMPLES = """examples:
  bench/run                                   beside LlamaIndex, 10,000 chunks
  bench/run --store qdrant --chunks 100000    beside Qdrant in the process
"""
PEOPLE = {
    "everything permitted": {"department": DEPARTMENTS, "user_clearance": "TopSecret", "projects": []},
    "one department": {"department": ["sales"], "user_clearance": "TopSecret", "projects": []},
    "12 % of all": {"department": ["sales"], "user_clearance": "Restricted", "projects": []},
}


class Issuer:
    """An OpenID provider reduced to what a verifier fetches."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        jwks = {"keys": [public | {"kid": "bench", "use": "sig", "alg": "RS256"}]}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                metadata = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
                body = json.dumps(jwks if self.path == "/jwks" else metadata).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def token(self, claims: dict) -> str:
        now = int(time.time())
        standard = {"iss": self.url, "sub": "bench", "aud": "bailiwick", "iat": now, "exp": now + 3600, "jti": "bench"}
        return jwt.encode(standard | claims, self.key, "RS256", headers={"kid": "bench", "typ": "at+jwt"})


def load(url: str, seconds: int, connections: int = CONNECTIONS, prefix=(), **environment) -> dict:
    command = [*prefix, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", "load.lua", url]
    run = subprocess.run(command, cwd=HERE, env=os.environ | environment, capture_output=True, text=True, check=True)
    result = json.loads(run.stdout.strip().splitlines()[-1])
    assert result["errors"] == 0 and result["requests"], f"{url}: {run.stdout}"
    return result | {"rps": result["requests"] / result["seconds"]}


def medians(results: list[dict]) -> dict:
    return {name: statistics.median(result[name] for result in results) for name in ("rps", "p50_ms", "p99_ms")}


def fill(house: House, count: int) -> float:
    token = house.agent_token(house.agent("bench", "write:documents"))
    made, chunks, started = documents(count), 0, time.monotonic()
    for at in range(0, len(made), 100):
        chunks += house.store(token, made[at : at + 100]).raise_for_status().json()["chunks"]
    assert chunks == count, f"{chunks} chunks instead of {count}: the comparison would not be fair"
    return len(made) / (time.monotonic() - started)


def retrieval(house: House, baseline_url: str, issuer: Issuer, directory: Path, seconds: int, passes: int) -> dict:
    bodies = {}
    for kind, extra in (("baseline", {}), ("dense", {"mode": "dense"}), ("hybrid", {"mode": "hybrid"})):
        bodies[kind] = directory / f"{kind}.jsonl"
        bodies[kind].write_text("".join(json.dumps({"query": q, "top_k": 5} | extra) + "\n" for q in questions()))
    rounds = {(who, kind): [] for who in PEOPLE for kind in bodies}
    for _ in range(passes):
        for who, claims in PEOPLE.items():
            token = issuer.token(claims)
            for kind, file in bodies.items():
                url = baseline_url if kind == "baseline" else house.url
                result = load(f"{url}/api/rag/retrieve", seconds, BODIES=str(file), TOKEN=token)
                rounds[who, kind].append(result)
    return {key: medians(results) for key, results in rounds.items()}


def recalls(house: House, baseline_url: str, issuer: Issuer) -> tuple[float, float]:
    """The share of the five nearest documents that each finds, ours first: it shows that they do the same job."""
    found = [0, 0]
    token = issuer.token(PEOPLE["one department"])
    for question in questions():
        nearest = ids(house.retrieve(token, question, mode="dense", exact=True).json(), "ref_doc_id")
        ours = ids(house.retrieve(token, question, mode="dense").json(), "ref_doc_id")
        theirs = httpx.post(
            f"{baseline_url}/api/rag/retrieve", json={"query": question}, headers=bearer(token), timeout=60
        )
        for place, hits in enumerate((ours, ids(theirs.json(), "id_"))):
            found[place] += len(nearest & hits) / len(nearest)
    return tuple(share / len(questions()) for share in found)


def ids(answer: dict, name: str) -> set[str]:
    return {hit["node"][name] for hit in answer["source_nodes"]}


def signing(house: House, seconds: int, passes: int) -> tuple[float, float]:
    """Tokens issued and RSA-2048 signatures by openssl, per second, both on core 0."""
    client_id = house.agent("signer", "read:records")
    url = f"{house.url}/authsec/uflow/sdk/delegation-token?client_id={client_id}"
    subprocess.run(["taskset", "-a", "-p", "-c", "0", str(house.process.pid)], check=True, capture_output=True)
    tokens, signatures = [], []
    for _ in range(passes):
        tokens.append(load(url, seconds, TOKEN_CONNECTIONS, ("taskset", "-c", "1"))["rps"])
        speed = ["taskset", "-c", "0", "openssl", "speed", "-seconds", "3", "-mr", "rsa2048"]
        output = subprocess.run(speed, capture_output=True, text=True, check=True).stdout
        signatures.append(float(re.search(r"^\+F2:\d+:2048:([\d.]+)", output, re.MULTILINE).group(1)))
    return statistics.median(tokens), statistics.median(signatures)


def report(name: str, measured: dict, ingest_rate: float, found: tuple, tokens: float, signatures: float) -> str:
    rows = []
    for (who, kind), value in measured.items():
        base = measured[who, "baseline"]
        server = f"FastAPI + {name}" if kind == "baseline" else f"Bailiwick, {kind}"
        figures = [f"{value['rps']:,.1f}", f"{value['p50_ms']:.2f}", f"{value['p99_ms']:.2f}"]
        ratios = [f"{value['rps'] / base['rps']:,.0f}", f"{base['p99_ms'] / value['p99_ms']:,.0f}"]
        rows.append([who, server, *figures, *ratios])
    rate = f"{tokens:,.0f} delegation tokens/s, {signatures:,.0f} signatures/s by `openssl speed rsa2048`"
    head = ["retrieval", "server", "requests/s", "p50 ms", "p99 ms", "× requests/s", "p99 ÷"]
    lines = [
        table(head, rows, left=2),
        "",
        f"Token issue on one core, {TOKEN_CONNECTIONS} connections: {rate}: {100 * tokens / signatures:.0f} %.",
        f"Ingestion over HTTP in batches of 100, durable: {ingest_rate:,.0f} documents/s.",
        f"Of the five nearest documents (dense, one department), Bailiwick finds {100 * found[0]:.1f} %,"
        f" FastAPI + {name} {100 * found[1]:.1f} %.",
    ]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(
        prog="bench/run", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--store", choices=STORES, default="llamaindex", help="the baseline's (default: llamaindex)")
    arguments.add_argument("--chunks", type=int, default=10_000, help="default: 10,000")
    arguments.add_argument("--seconds", type=int, default=8, help="for each measurement (default: 8)")
    arguments.add_argument("--passes", type=int, default=3, help="default: 3")
    given = arguments.parse_args()
    issuer = Issuer()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        port = free_port()
        baseline_url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "baseline.py", issuer.url, str(port), given.store, str(given.chunks)]
        baseline = subprocess.Popen(command, cwd=HERE)
        house = House(directory / "house", issuer.url)
        try:
            house.start(log="warn")
            ingest_rate = fill(house, given.chunks)
            until(lambda: is_up(baseline, baseline_url), 900, "the baseline answers", pause=0.5)
            found = recalls(house, baseline_url, issuer)
            measured = retrieval(house, baseline_url, issuer, directory, given.seconds, given.passes)
            stop(baseline)
            tokens, signatures = signing(house, 3, given.passes)
        finally:
            for process in (baseline, house.process):
                if process:
                    stop(process)
    made = report(STORES[given.store], measured, ingest_rate, found, tokens, signatures)
    print(made)
    passes = f"{given.passes} interleaved passes of {given.seconds} s"
    how = f"Medians of {passes}, {CONNECTIONS} connections, {given.chunks:,} chunks."
    build = "a release build" if "release" in BINARY.parts else "not a release build"
    text = f"{how}\nBailiwick was {build}.\n\n{made}"
    title = f"The whole server beside FastAPI and {STORES[given.store]}, {given.chunks:,} chunks"
    record(title, f"bench/run --store {given.store} --chunks {given.chunks}", text)


def is_up(process: subprocess.Popen, url: str) -> bool:
    assert process.poll() is None, "the baseline ended"
    try:
        return httpx.get(f"{url}/docs").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
