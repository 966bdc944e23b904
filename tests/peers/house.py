"""A Bailiwick under test: its configuration, its process, its command line."""

import base64
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("BAILIWICK_BIN", ROOT / "target/debug/bailiwick")).resolve()
# A token begins somewhere; within a signature, of which the audit trail keeps some, these letters are chance.
TOKEN_LIKE = re.compile(rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{16,}")
PEM = re.compile(rb"-----BEGIN.*?-----END", re.DOTALL)

CONFIG = """
listen     = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
data_dir   = "{data}"

[identity]
issuer   = "{issuer}"
audience = "bailiwick"
clock_skew_seconds = 0

[[attribute]]
name = "department"
type = "keyword"

[[attribute]]
name = "clearance_level"
type = "level"
levels = ["Public", "Internal", "Restricted", "Secret", "TopSecret"]

[[attribute]]
name = "project_id"
type = "keyword"
optional = true

[policy]
engine = "rules"

[[policy.rule]]
attribute = "department"
op = "in"
claim = "department"

[[policy.rule]]
attribute = "clearance_level"
op = "lte"
claim = "user_clearance"

[[policy.rule]]
attribute = "project_id"
op = "in"
claim = "projects"
absent = "allow"

[embedding]
provider = "static"

[answer]
provider = "extractive"

[authority]
issuer = "http://127.0.0.1:{port}"
trust_domain = "acme.example"
token_ttl_seconds = 1800

[[vault.collection]]
path  = "secure-vault/records"
scope = "read:records"
file  = "{vault}/records.json"

[[vault.collection]]
path  = "secure-vault/metrics"
scope = "read:metrics"
file  = "{vault}/metrics.json"

[admin]
claim = "roles"
value = "bailiwick-admin"
"""

RECORDS = [
    {"id": "USER-001", "name": "Alice Vance", "clearance": "TopSecret", "department": "engineering"},
    {"id": "USER-002", "name": "Bob Miller", "clearance": "Internal", "department": "sales"},
]
METRICS = {
    "q2_revenue_target": "$4.2M USD",
    "active_users": 18450,
    "infrastructure_status": "optimal",
    "confidentiality_level": "RESTRICTED",
}


GIVEN: set[int] = set()


def free_port() -> int:
    """A port that no outgoing connection takes before the server does: those get ports from 32,768."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def stop(process: subprocess.Popen, wait: float = 15):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the process ignored SIGTERM") from None


def eventually(condition, seconds: float, pause: float = 0.05):
    """Waits for a true result and returns it, or what is false when the time is over."""
    deadline = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(pause)
    return result


def until(condition, seconds: float, what: str, pause: float = 0.05):
    """Waits for a true result and returns it."""
    result = eventually(condition, seconds, pause)
    assert result, f"{seconds} s passed without: {what}"
    return result


def payload(token: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def outlast(token: str):
    """Waits until the token has expired."""
    time.sleep(max(0, payload(token)["exp"] - time.time()) + 1)


class House:
    """One configuration, one data directory, and the server that runs on them."""

    def __init__(self, directory: Path, issuer: str):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.data = directory, directory / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (directory / "records.json").write_text(json.dumps(RECORDS))
        (directory / "metrics.json").write_text(json.dumps(METRICS))
        self.config = directory / "bailiwick.toml"
        self.config.write_text(CONFIG.format(port=self.port, data=self.data, issuer=issuer, vault=directory))
        self.log_path = directory / "server.log"
        self.process = None
        self.http = httpx.Client(base_url=self.url, timeout=30)

    # -- the process -------------------------------------------------------

    def start(self, ready: bool = True, log: str = "debug,hyper=info,h2=info") -> "House":
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(
                [BINARY, "--config", self.config, "serve"],
                cwd=self.directory,
                stdout=output,
                stderr=output,
                env=os.environ | {"RUST_LOG": log},
            )
        until(lambda: self.answers("/healthz"), 20, "an answer at /healthz")
        if ready:
            until(lambda: self.answers("/readyz"), 20, "200 at /readyz")
        return self

    def answers(self, path: str) -> bool:
        assert self.process.poll() is None, f"the server ended: {self.log_path.read_text()[-2000:]}"
        try:
            return self.http.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        stop(self.process)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.http.close()
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def logs(self, *words: str) -> list[str]:
        """Waits for log lines that hold all these words: the server does not wait for its log."""

        def lines():
            log = re.sub(r"\x1b\[[0-9;]*m", "", self.log_path.read_text())
            return [line for line in log.splitlines() if all(word in line for word in words)]

        return until(lines, 10, f"a log line with {words}")

    def command(self, *words: str, json_output: bool = True, expect: int = 0):
        flags = ["--json"] if json_output else []
        run = subprocess.run(
            [BINARY, "--config", self.config, *words, *flags],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == expect, f"{words}: exit {run.returncode}\n{run.stdout}\n{run.stderr}"
        return json.loads(run.stdout) if json_output and expect == 0 else run

    def token_leaks(self, *tokens: str) -> list[str]:
        """Files under the house's directory that hold anything of a token, or anything that looks like one."""
        parts = [part.encode()[:24] for token in tokens for part in token.split(".")[1:]]
        found = []
        for file in self.directory.rglob("*"):
            if not file.is_file():
                continue
            content = PEM.sub(b"", file.read_bytes())
            if TOKEN_LIKE.search(content) or any(part in content for part in parts):
                found.append(str(file.relative_to(self.directory)))
        return found

    # -- agents ------------------------------------------------------------

    def agent(self, name: str, *permissions: str) -> str:
        """Creates an agent that shows its client id alone, delegates to it, and returns that id."""
        made = self.command("agents", "create", name, "--auth", "client-id")
        if permissions:
            self.command("agents", "delegate", name, "--allow", ",".join(permissions))
        return made["client_id"]

    def delegation(self, client_id: str, **more) -> httpx.Response:
        return self.http.get("/authsec/uflow/sdk/delegation-token", params={"client_id": client_id, **more})

    def agent_token(self, client_id: str) -> str:
        return self.delegation(client_id).raise_for_status().json()["token"]

    def store(self, token: str, documents: list[dict]) -> httpx.Response:
        return self.http.post("/api/documents", json={"documents": documents}, headers=bearer(token))

    # -- people ------------------------------------------------------------

    def retrieve(self, token: str, query: str, **more) -> httpx.Response:
        return self.http.post("/api/rag/retrieve", json={"query": query, **more}, headers=bearer(token))

    def query(self, token: str, query: str, **more) -> httpx.Response:
        return self.http.post("/api/rag/query", json={"query": query, **more}, headers=bearer(token))


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def document(id: str, text: str, department: str, clearance: str, project: str | None = None) -> dict:
    metadata = {"department": department, "clearance_level": clearance}
    return {"id": id, "text": text, "metadata": metadata | ({"project_id": project} if project else {})}


def documents_of(answer: httpx.Response) -> list[str]:
    """The ids of the documents that an answer was made from, best first, each once."""
    nodes = answer.raise_for_status().json()["source_nodes"]
    return list(dict.fromkeys(node["node"]["ref_doc_id"] for node in nodes))
