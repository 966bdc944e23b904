"""A real server of the Open Policy Agent, built by Go's own client."""

import subprocess
from pathlib import Path

import httpx
from house import ROOT, free_port, stop, until


def missing() -> str | None:
    """Why there is no OPA on this machine; none when there is one. The first call builds it, in two minutes."""
    built = subprocess.run([ROOT / "tests/opa"], capture_output=True, text=True)
    return None if built.returncode == 0 else built.stderr.strip()


class Opa:
    """Serves the policies of a folder."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        address = f"127.0.0.1:{self.port}"
        binary = subprocess.check_output([ROOT / "tests/opa"], text=True).strip()
        command = [binary, "run", "--server", "--addr", address, "--skip-version-check"]
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
