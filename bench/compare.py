"""Runs Bailiwick and the baseline side by side under the same load and writes RESULTS.md."""

import argparse
import json
import os
import platform
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
from corpus import CHUNKS, DEPARTMENTS, ROOT, documents, questions
from cryptography.hazmat.primitives.asymmetric import rsa

sys.path.insert(0, str(ROOT / "tests/peers"))
from house import BINARY, House, bearer, free_port, stop, until  # noqa: E402

HERE = Path(__file__).parent
CONNECTIONS = 16
# More, because each token waits for the disk, and the core should have others to sign meanwhile.
TOKEN_CONNECTIONS = 64
PEOPLE = {
    "everything permitted": {"department": DEPARTMENTS, "user_clearance": "TopSecret", "projects": []},
    "one department": {"department": ["sales"], "user_clearance": "TopSecret", "projects": []},
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


def fill(house: House) -> float:
    token = house.agent_token(house.agent("bench", "write:documents"))
    made, chunks, started = documents(), 0, time.monotonic()
    for at in range(0, len(made), 100):
        chunks += house.store(token, made[at : at + 100]).raise_for_status().json()["chunks"]
    assert chunks == CHUNKS, f"{chunks} chunks instead of {CHUNKS}: the comparison would not be fair"
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


def agreement(house: House, baseline_url: str, issuer: Issuer) -> float:
    """The share of questions for which both find the same documents: it shows that they do the same job."""
    same = 0
    token = issuer.token(PEOPLE["one department"])
    for question in questions():
        ours = house.retrieve(token, question, mode="dense").json()["source_nodes"]
        theirs = httpx.post(
            f"{baseline_url}/api/rag/retrieve", json={"query": question}, headers=bearer(token), timeout=60
        ).json()["source_nodes"]
        same += {hit["node"]["ref_doc_id"] for hit in ours} == {hit["node"]["id_"] for hit in theirs}
    return same / len(questions())


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


def report(measured: dict, ingest_rate: float, same: float, tokens: float, signatures: float) -> str:
    lines = ["| retrieval | server | requests/s | p50 ms | p99 ms | × requests/s | p99 ÷ |", "|---|---|--:|--:|--:|--:|--:|"]
    for (who, kind), value in measured.items():
        base = measured[who, "baseline"]
        name = "FastAPI + LlamaIndex" if kind == "baseline" else f"Bailiwick, {kind}"
        lines.append(
            f"| {who} | {name} | {value['rps']:,.1f} | {value['p50_ms']:.2f} | {value['p99_ms']:.2f} "
            f"| {value['rps'] / base['rps']:,.0f} | {base['p99_ms'] / value['p99_ms']:,.0f} |"
        )
    rate = f"{tokens:,.0f} delegation tokens/s, {signatures:,.0f} signatures/s by `openssl speed rsa2048`"
    lines += [
        "",
        f"Token issue on one core, {TOKEN_CONNECTIONS} connections: {rate}: {100 * tokens / signatures:.0f} %.",
        f"Ingestion over HTTP in batches of 100, durable: {ingest_rate:,.0f} documents/s.",
        f"Both servers find the same five documents for {100 * same:.0f} % of the questions (dense, one department).",
    ]
    return "\n".join(lines)


def machine() -> str:
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) / 2**20
    name = cpu.group(1) if cpu else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=8)
    arguments.add_argument("--passes", type=int, default=3)
    given = arguments.parse_args()
    issuer = Issuer()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        port = free_port()
        baseline_url = f"http://127.0.0.1:{port}"
        baseline = subprocess.Popen([sys.executable, "baseline.py", issuer.url, str(port)], cwd=HERE)
        house = House(directory / "house", issuer.url)
        try:
            house.start(log="warn")
            ingest_rate = fill(house)
            until(lambda: is_up(baseline, baseline_url), 180, "the baseline answers", pause=0.5)
            same = agreement(house, baseline_url, issuer)
            measured = retrieval(house, baseline_url, issuer, directory, given.seconds, given.passes)
            stop(baseline)
            tokens, signatures = signing(house, 3, given.passes)
        finally:
            for process in (baseline, house.process):
                if process:
                    stop(process)
    table = report(measured, ingest_rate, same, tokens, signatures)
    print(table)
    how = f"Medians of {given.passes} interleaved passes of {given.seconds} s, {CONNECTIONS} connections, {CHUNKS:,} chunks."
    build = "a release build" if "release" in BINARY.parts else "not a release build"
    text = f"# Results\nWritten by `bench/run` on {time.strftime('%d %B %Y')}.\nMachine: {machine()}.\n{how}\nBailiwick was {build}.\n\n{table}\n"
    (HERE / "RESULTS.md").write_text(text)


def is_up(process: subprocess.Popen, url: str) -> bool:
    assert process.poll() is None, "the baseline ended"
    try:
        return httpx.get(f"{url}/docs").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
