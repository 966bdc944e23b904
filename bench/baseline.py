"""The usual way to build the same job: FastAPI, PyJWT, and a store in the process with its metadata filters.

The store is LlamaIndex's or Qdrant's: baseline.py <issuer> <port> <llamaindex|qdrant> <chunks>.
"""

import sys
import tempfile

import jwt
import numpy
import qdrant_edge as edge
from corpus import LEVELS, TABLE, documents
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from pydantic import BaseModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

raw = TABLE.read_bytes()
rows, dims, size = (int.from_bytes(raw[n : n + 4], "little") for n in (4, 8, 12))
vocabulary = raw[16 : 16 + size].decode().split("\n")
scale = numpy.frombuffer(raw, "<f4", rows, 16 + size)
table = numpy.frombuffer(raw, "i1", rows * dims, 16 + size + 4 * rows).reshape(rows, dims)
tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()


def embed(text: str) -> list[float]:
    ids = tokenizer.encode(text).ids[:512]
    total = (table[ids] * scale[ids, None]).sum(axis=0)
    return (total / max(numpy.linalg.norm(total), 1e-9)).tolist()


class StaticEmbedding(BaseEmbedding):
    def _get_query_embedding(self, query):
        return embed(query)

    def _get_text_embedding(self, text):
        return embed(text)

    async def _aget_query_embedding(self, query):
        return embed(query)


def metadata(doc: dict) -> dict:
    return doc["metadata"] | {"rank": LEVELS.index(doc["metadata"]["clearance_level"]) + 1}


class LlamaStore:
    def __init__(self, made: list[dict]):
        self.index = VectorStoreIndex([self.node(doc) for doc in made], embed_model=StaticEmbedding())

    def node(self, doc: dict) -> TextNode:
        return TextNode(id_=doc["id"], text=doc["text"], metadata=metadata(doc), embedding=embed(doc["text"]))

    def search(self, query: str, top_k: int, departments: list[str], rank: int) -> list[dict]:
        department = MetadataFilter(key="department", operator=FilterOperator.IN, value=departments)
        clearance = MetadataFilter(key="rank", operator=FilterOperator.LTE, value=rank)
        filters = MetadataFilters(filters=[department, clearance])
        hits = self.index.as_retriever(similarity_top_k=top_k, filters=filters).retrieve(query)
        return [hit_of(hit.node_id, hit.text, hit.metadata, hit.score) for hit in hits]


class QdrantStore:
    """Both fields are indexed before the points come, and the optimiser has finished."""

    def __init__(self, made: list[dict]):
        config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(size=dims, distance=edge.Distance.Dot))
        self.shard = edge.EdgeShard.create(tempfile.mkdtemp(), config)
        for field, kind in ("department", edge.PayloadSchemaType.Keyword), ("rank", edge.PayloadSchemaType.Integer):
            self.shard.update(edge.UpdateOperation.create_field_index(field, kind))
        for at in range(0, len(made), 1_000):
            points = [self.point(n, doc) for n, doc in enumerate(made[at : at + 1_000], at)]
            self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.shard.optimize()

    def point(self, n: int, doc: dict) -> edge.Point:
        payload = metadata(doc) | {"id": doc["id"], "text": doc["text"]}
        return edge.Point(id=n, vector=embed(doc["text"]), payload=payload)

    def search(self, query: str, top_k: int, departments: list[str], rank: int) -> list[dict]:
        department = edge.FieldCondition(key="department", match=edge.MatchAny(any=departments))
        clearance = edge.FieldCondition(key="rank", range=edge.RangeFloat(lte=rank))
        nearest, within = edge.Query.Nearest(embed(query)), edge.Filter(must=[department, clearance])
        request = edge.QueryRequest(limit=top_k, query=nearest, filter=within, with_payload=True)
        points = self.shard.query(request)
        return [hit_of(hit.payload.pop("id"), hit.payload.pop("text"), hit.payload, hit.score) for hit in points]


def hit_of(id: str, text: str, metadata: dict, score: float) -> dict:
    return {"node": {"id_": id, "text": text, "metadata": metadata}, "score": score}


issuer, port, kind, chunks = sys.argv[1:]
store = {"llamaindex": LlamaStore, "qdrant": QdrantStore}[kind](documents(int(chunks)))
keys = jwt.PyJWKClient(f"{issuer}/jwks", lifespan=86_400)
app = FastAPI()


class Question(BaseModel):
    query: str
    top_k: int = 5


def claims(credentials: HTTPAuthorizationCredentials = Depends(HTTPBearer())) -> dict:
    try:
        key = keys.get_signing_key_from_jwt(credentials.credentials)
        return jwt.decode(credentials.credentials, key.key, algorithms=["RS256"], issuer=issuer, audience="bailiwick")
    except jwt.PyJWTError as error:
        raise HTTPException(401, "Invalid token") from error


@app.post("/api/rag/retrieve")
def retrieve(question: Question, who: dict = Depends(claims)):
    rank = LEVELS.index(who["user_clearance"]) + 1
    return {"source_nodes": store.search(question.query, question.top_k, who["department"], rank)}


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
