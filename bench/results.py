"""RESULTS.md is written by the measurements themselves, one section each; nobody types a figure."""

import os
import platform
import re
import time
from pathlib import Path

FILE = Path(__file__).parent / "RESULTS.md"
OPENING = "# Results\nEach section is written by the command that it names.\n"


def record(title: str, command: str, body: str):
    """Replaces the section with this title, or adds it."""
    text = FILE.read_text() if FILE.exists() else OPENING
    sections = [part for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:] if not part.startswith(title + "\n")]
    made = f"Written by `{command}` on {time.strftime('%d %B %Y')}.\nMachine: {machine()}."
    sections.append(f"{title}\n{made}\n\n{body.strip()}\n")
    FILE.write_text(OPENING + "".join(f"\n## {part.strip()}\n" for part in sorted(sections)))


def machine() -> str:
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) / 2**20
    name = cpu.group(1) if cpu else platform.machine()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}"


def table(head: list[str], rows: list[list], left: int = 1) -> str:
    """Markdown; the first `left` columns are words, the others numbers."""
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, rule, *rows])
