"""How good retrieval and quoted answers are, with everything permitted and with little, over HTTP.

SciFact (5,183 abstracts, 300 claims with judgements) and XQuAD (240 paragraphs, 1,190 questions with their answers)
are not part of this repository: --data, or BAILIWICK_BENCH_DATA, names the folder that holds `scifact` and `xquad`.
"""

import argparse
import gzip
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT / "tests/peers")]

from compare import Issuer  # noqa: E402
from house import House, bearer  # noqa: E402
from results import record, table  # noqa: E402

#: Each document belongs to one of these, and people to some of them.
GROUPS = 100
SHARES = {"everything": 1.0, "50 %": 0.5, "10 %": 0.1}
#: So many people with the same share, so that the luck of one does not count.
PEOPLE = 3
MODES = ("lexical", "dense", "hybrid")
TOP = 10
NOTHING = "Nothing that you may read answers this."
WHERE_FROM = "SciFact: claims CC BY 4.0, abstracts ODC-By 1.0; XQuAD: CC BY-SA 4.0"


@dataclass
class Question:
    text: str
    #: The documents that answer it, and how well.
    judged: dict[str, int]
    answers: tuple[str, ...] = ()


@dataclass
class Data:
    name: str
    documents: dict[str, str]
    questions: list[Question]

    def shorten(self, questions: int):
        self.questions = random.Random(1).sample(self.questions, questions)
        kept = {name for question in self.questions for name in question.judged} | set(list(self.documents)[:200])
        self.documents = {name: text for name, text in self.documents.items() if name in kept}

    def group(self, document: str) -> str:
        return f"g{random.Random(f'{self.name} {document}').randrange(GROUPS)}"


def scifact(folder: Path) -> Data:
    with gzip.open(folder / "corpus.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    documents = {row["_id"]: f"{row['title']}\n\n{row['text']}" for row in rows}
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    judged = {}
    for line in (folder / "qrels.test.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        judged.setdefault(query, {})[document] = int(score)
    return Data("SciFact", documents, [Question(q["text"], judged[q["_id"]]) for q in queries if q["_id"] in judged])


def xquad(folder: Path) -> Data:
    documents, questions = {}, []
    for article in json.loads((folder / "xquad.en.json").read_text())["data"]:
        for paragraph in article["paragraphs"]:
            name = f"p{len(documents)}"
            documents[name] = paragraph["context"]
            for question in paragraph["qas"]:
                answers = tuple(answer["text"] for answer in question["answers"])
                questions.append(Question(question["question"], {name: 1}, answers))
    return Data("XQuAD", documents, questions)


class Library:
    """A server that holds one data set, and the people who ask it."""

    def __init__(self, data: Data, embedder: str, folder: Path, issuer: Issuer):
        self.data, self.issuer = data, issuer
        self.house = House(folder, issuer.url)
        config = self.house.config.read_text().replace('provider = "static"', f'provider = "{embedder}"')
        self.house.config.write_text(config)
        if embedder == "minilm":
            self.house.command("models", "fetch", json_output=False)
        self.house.http.timeout = 600
        self.house.start(log="warn")

    def fill(self):
        token = self.house.agent_token(self.house.agent("bench", "write:documents"))
        documents = [
            {"id": name, "text": text, "metadata": {"department": self.data.group(name), "clearance_level": "Public"}}
            for name, text in self.data.documents.items()
        ]
        for at in range(0, len(documents), 500):
            self.house.store(token, documents[at : at + 500]).raise_for_status()
            print(f"{self.data.name}: {at:,} of {len(documents):,} documents", file=sys.stderr, flush=True)

    def token(self, groups: list[str]) -> str:
        return self.issuer.token({"department": groups, "user_clearance": "TopSecret", "projects": []})

    def ranked(self, token: str, question: str, mode: str) -> list[str]:
        """Documents, best first; a document counts where its best chunk stands."""
        answer = self.house.retrieve(token, question, mode=mode, top_k=5 * TOP).raise_for_status().json()
        return list(dict.fromkeys(node["node"]["ref_doc_id"] for node in answer["source_nodes"]))[:TOP]


def ndcg(library: Library, share: float, mode: str) -> float:
    """nDCG@10 × 100 against the ideal of what may be read; questions without a readable answer do not count."""
    data, values = library.data, []
    for person in range(1 if share == 1 else PEOPLE):
        numbers = random.Random(f"person {person}").sample(range(GROUPS), int(share * GROUPS))
        groups = {f"g{number}" for number in numbers}
        token = library.token(sorted(groups))
        for question in data.questions:
            judged = {name: gain for name, gain in question.judged.items() if data.group(name) in groups}
            if judged:
                found = library.ranked(token, question.text, mode)
                assert all(data.group(name) in groups for name in found), "a forbidden document was found"
                gains = [judged.get(name, 0) for name in found]
                values.append(discounted(gains) / discounted(sorted(judged.values(), reverse=True)[:TOP]))
    return 100 * sum(values) / len(values)


def discounted(gains: list[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def answers(library: Library) -> dict[str, float]:
    """Percent of questions whose quotes hold the answer, and what is said when the source is forbidden."""
    data, groups = library.data, [f"g{number}" for number in range(GROUPS)]
    everyone = library.token(groups)
    without = {group: library.token([other for other in groups if other != group]) for group in groups}
    counts = dict.fromkeys(("right", "wrong", "abstained", "forbidden: abstained", "forbidden: answered"), 0)
    counts["forbidden: cited"] = 0
    for question in data.questions:
        said, _ = ask(library, everyone, question.text)
        verdict = "abstained" if said == NOTHING else "right" if holds(said, question) else "wrong"
        counts[verdict] += 1
        (source,) = question.judged
        said, cited = ask(library, without[data.group(source)], question.text)
        counts["forbidden: abstained" if said == NOTHING else "forbidden: answered"] += 1
        counts["forbidden: cited"] += source in cited
    return {name: 100 * count / len(data.questions) for name, count in counts.items()}


def ask(library: Library, token: str, question: str) -> tuple[str, list[str]]:
    answer = library.house.http.post("/api/rag/query", json={"query": question}, headers=bearer(token))
    answer = answer.raise_for_status().json()
    return answer["response"].strip(), [node["node"]["ref_doc_id"] for node in answer["source_nodes"]]


def holds(said: str, question: Question) -> bool:
    return any(answer in said for answer in question.answers)


def measure(embedder: str, folder: Path, given) -> tuple[list[list], list[list]]:
    issuer, retrieval, answered = Issuer(), [], []
    for data in (scifact(given.data / "scifact"), xquad(given.data / "xquad")):
        if given.questions:
            data.shorten(given.questions)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            library = Library(data, embedder, Path(place), issuer)
            try:
                library.fill()
                for name, share in SHARES.items():
                    values = [ndcg(library, share, mode) for mode in MODES]
                    retrieval.append([data.name, embedder, name, *(f"{value:.1f}" for value in values)])
                    print(*retrieval[-1], flush=True)
                if data.questions[0].answers:
                    answered.append([embedder, *(f"{value:.1f}" for value in answers(library).values())])
                    print(*answered[-1], flush=True)
            finally:
                library.house.stop()
    return retrieval, answered


def main():
    examples = "examples:\n  bench/quality/run\n  bench/quality/run --embedder static --questions 50   a quick look"
    arguments = argparse.ArgumentParser(
        prog="bench/quality/run", epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(os.environ.get("BAILIWICK_BENCH_DATA", ROOT.parent / "shared/data"))
    arguments.add_argument("--data", type=Path, default=default, help="their folder (default: %(default)s)")
    arguments.add_argument("--embedder", action="append", choices=["static", "minilm"], help="default: both")
    arguments.add_argument("--questions", type=int, help="so many, of few documents; nothing is recorded")
    given = arguments.parse_args()
    if not (given.data / "scifact").is_dir() or not (given.data / "xquad").is_dir():
        sys.exit(f"{given.data} holds no `scifact` and `xquad`, which are not part of this repository; give --data")
    retrieval, answered, missing = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for embedder in given.embedder or ["static", "minilm"]:
            try:
                found = measure(embedder, Path(folder), given)
            except (AssertionError, subprocess.SubprocessError) as problem:
                print(f"{embedder} is left out: {problem}", file=sys.stderr)
                missing.append(embedder)
                continue
            retrieval += found[0]
            answered += found[1]
    text = report(retrieval, answered, missing)
    print(text)
    if not given.questions:
        record("Quality", "bench/quality/run", text)


def report(retrieval: list[list], answered: list[list], missing: list[str]) -> str:
    parts = [
        f"nDCG@10 × 100 over HTTP. {WHERE_FROM}; neither is part of this repository.\n"
        f"Every document belongs to one of {GROUPS} groups at random; 50 % and 10 % are means over {PEOPLE} people, "
        "measured against the ideal of what they may read.",
        table(["data", "embedder", "permitted", *MODES], retrieval, left=3),
        "Quoted answers to XQuAD's questions, in percent. Right: one of the quotes holds the answer. "
        "Forbidden: asked by somebody who may read everything but the group of the one paragraph that answers.",
        table(["embedder", "right", "wrong", "abstains", "forbidden: abstains", "still answers", "cites it"], answered),
    ]
    if missing:
        parts.append(f"Left out, because it could not be used here: {', '.join(missing)}.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
