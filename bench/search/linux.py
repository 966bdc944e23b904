"""The Linux sources as a company's documents: every file belongs to the sections of MAINTAINERS that claim it.

Debian's package linux-source-6.1 is the source, because any mirror has it. Files become documents of at most
8 chunks of about 1,000 characters, in an order shuffled by a fixed seed, so that a smaller set is the beginning
of a larger one.
"""

import lzma
import random
import re
import subprocess
import tarfile
from collections import defaultdict
from pathlib import Path

import numpy

PACKAGE = "linux-source-6.1"
CHUNK = 1_000
CHUNKS_A_DOCUMENT = 8
QUERIES = 480


def make(folder: Path):
    """Writes texts, documents, labels and queries, unless they are there."""
    if (folder / "about.txt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(read(fetch(folder.parent)))
    print(f"{len(files):,} text files", flush=True)
    sections = Maintainers(files["MAINTAINERS"].decode(), files)
    documents = []
    for path, text in files.items():
        chunks = split(text)
        for at in range(0, len(chunks), CHUNKS_A_DOCUMENT):
            documents.append((path, at, chunks[at : at + CHUNKS_A_DOCUMENT]))
    random.Random(1).shuffle(documents)
    write_texts(folder, documents)
    paths = [path for path, _, _ in documents]
    save_labels(folder / "labels.maintainers.u32", [sections.of(path) for path in paths])
    save_labels(folder / "labels.company.u32", company(paths))
    queries = sorted(prompts(files))
    random.Random(2).shuffle(queries)
    (folder / "queries.txt").write_text("\n".join(queries[:QUERIES]) + "\n")
    chunks = sum(len(chunks) for _, _, chunks in documents)
    version = next(folder.parent.glob(f"{PACKAGE}_*.deb")).name.split("_")[1]
    about = f"{PACKAGE} {version}: {len(files):,} files, {len(documents):,} documents, {chunks:,} chunks"
    (folder / "about.txt").write_text(about + "\n")
    print(about, flush=True)


def fetch(folder: Path) -> Path:
    archive = folder / f"deb/usr/src/{PACKAGE}.tar.xz"
    if not archive.exists():
        if not any(folder.glob(f"{PACKAGE}_*.deb")):
            subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
        package = next(folder.glob(f"{PACKAGE}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package.name, "deb"], cwd=folder, check=True)
    return archive


def read(archive: Path):
    """Path and bytes of each text file, paths without the leading folder."""
    with lzma.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if not member.isfile() or not member.size:
                continue
            content = tar.extractfile(member).read()
            try:
                content.decode()
            except UnicodeDecodeError:
                continue
            yield member.name.split("/", 1)[1], content


def split(text: bytes) -> list[bytes]:
    """Cuts at line ends; a longer line stays whole up to four chunks' length."""
    chunks, size, lines = [], 0, []
    for line in text.splitlines(keepends=True):
        if lines and size + len(line) > CHUNK:
            chunks.append(b"".join(lines))
            size, lines = 0, []
        line = line.decode()[: 4 * CHUNK].encode()
        lines.append(line)
        size += len(line)
    if lines:
        chunks.append(b"".join(lines))
    return [chunk for chunk in chunks if chunk.strip()]


class Maintainers:
    """Which sections claim a file: `F:` and `X:` as scripts/get_maintainer.pl reads them, and `N:`."""

    def __init__(self, text: str, files):
        self.folders = {"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)}
        self.exact, self.below, self.excluded, self.wild = (defaultdict(list) for _ in range(4))
        self.names = []
        section = None
        for previous, line in zip([""] + text.splitlines(), text.splitlines(), strict=False):
            kind, _, value = line.partition(":\t")
            if not previous.strip() and line and kind == line:
                section = line
            elif section and kind == "F":
                self.add(value.strip(), section)
            elif section and kind == "X":
                self.excluded[section].append(value.strip())
            elif section and kind == "N":
                self.names.append((re.compile(value.strip()), section))

    def add(self, pattern: str, section: str):
        pattern += "/" if pattern in self.folders else ""
        if not re.search(r"[*?\[]", pattern):
            (self.below if pattern.endswith("/") else self.exact)[pattern].append(section)
            return
        fixed = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]
        self.wild[fixed].append((pattern, glob(pattern), section))

    def of(self, path: str) -> frozenset[str]:
        parts = path.split("/")
        parents = ["/".join(parts[:depth]) for depth in range(len(parts))]
        found = set(self.exact.get(path, ()))
        for parent in parents:
            found.update(self.below.get(f"{parent}/", ()))
            for pattern, compiled, section in self.wild.get(parent, ()):
                if section not in found and claims(pattern, compiled, path):
                    found.add(section)
        found.update(section for name, section in self.names if section not in found and name.search(path))
        return frozenset(section for section in found if not self.excludes(section, path))

    def excludes(self, section: str, path: str) -> bool:
        return any(claims(pattern, glob(pattern), path) for pattern in self.excluded.get(section, ()))


def glob(pattern: str) -> re.Pattern:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."))


def claims(pattern: str, compiled: re.Pattern, path: str) -> bool:
    """A pattern that ends with a slash claims what lies below; another one only its own depth."""
    return bool(compiled.match(path)) and (pattern.endswith("/") or pattern.count("/") == path.count("/"))


def company(paths: list[str]) -> list[tuple]:
    """Tenant, department, project, clearance, and for one document in five a person it is shared with.

    Department and project follow the folder for most documents, as teams write about their own subject.
    """
    draw = random.Random(3)

    def zipf(count: int) -> int:
        return int(count ** draw.random()) - 1

    folders = {}
    labels = []
    for path in paths:
        parts = path.split("/")
        department = folders.setdefault(parts[0], zipf(6)) if draw.random() < 0.8 else zipf(6)
        project = folders.setdefault("/".join(parts[:3]), zipf(60)) if draw.random() < 0.7 else zipf(60)
        person = zipf(1_000) if draw.random() < 0.2 else None
        labels.append((zipf(12), department, project, zipf(4), person))
    return labels


def save_labels(file: Path, labels: list):
    """Numbers labels in order of appearance, as an index that is filled in this order does."""
    numbers = {}
    numpy.array([numbers.setdefault(label, len(numbers)) for label in labels], "<u4").tofile(file)
    print(f"{len(numbers):,} labels in {file.name}", flush=True)


def prompts(files: dict[str, bytes]) -> set[str]:
    """What people called the options of the kernel: short questions about the same subjects, in their own words."""
    found = set()
    for path, text in files.items():
        if path.rpartition("/")[2].startswith("Kconfig"):
            for line in re.findall(r'^\s+(?:bool|tristate|prompt)\s+"([^"\n]+)"', text.decode(), re.MULTILINE):
                found.update([line] if 3 <= len(line.split()) <= 12 else [])
    return found


def write_texts(folder: Path, documents: list):
    """The chunks one after the other, where each ends, and which is each document's first."""
    ends, starts = [0], [0]
    with (folder / "texts.bin").open("wb") as out:
        for _, _, chunks in documents:
            for chunk in chunks:
                out.write(chunk)
                ends.append(ends[-1] + len(chunk))
            starts.append(len(ends) - 1)
    numpy.array(ends, "<u8").tofile(folder / "texts.u64")
    numpy.array(starts, "<u4").tofile(folder / "documents.u32")
    (folder / "paths.txt").write_text("\n".join(f"{path}@{at}" for path, at, _ in documents) + "\n")


if __name__ == "__main__":
    make(Path(__file__).resolve().parents[2] / ".cache/bench-data/linux")
