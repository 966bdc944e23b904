"""A real server of the Open Policy Agent, built by Go's own client."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx
from house import ROOT, free_port, stop, until

VERSION = "v1.22.2"
BINARY = ROOT / ".cache/opa" / VERSION / "opa"


def missing() -> str | None:
    """Why there is no OPA on this machine; none when there is one. The first call builds it, in two minutes."""
    if BINARY.exists():
        return None
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        return "OPA is not here, and neither is Go to build it: https://go.dev/doc/install"
    environment = os.environ | {"GOBIN": str(BINARY.parent), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    module = f"github.com/open-policy-agent/opa@{VERSION}"
    built = subprocess.run([go, "install", module], env=environment, capture_output=True, text=True)
    return None if built.returncode == 0 else f"OPA was not built: {built.stderr[-300:]}"


class Opa:
    """Serves the policies of a folder."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        address = f"127.0.0.1:{self.port}"
        command = [BINARY, "run", "--server", "--addr", address, "--skip-version-check"]
        # Only with a decision log does OPA give decisions an id.
        command += ["--set", "decision_logs.console=true", self.folder]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        until(self.answers, 20, "an answer of OPA")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        stop(self.process)
