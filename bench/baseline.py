"""The usual way to build the same job: FastAPI, PyJWT, LlamaIndex's in-memory store and its metadata filters."""

import sys

import jwt
import numpy
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


def node(doc: dict) -> TextNode:
    metadata = doc["metadata"] | {"rank": LEVELS.index(doc["metadata"]["clearance_level"]) + 1}
    return TextNode(id_=doc["id"], text=doc["text"], metadata=metadata, embedding=embed(doc["text"]))


index = VectorStoreIndex([node(doc) for doc in documents()], embed_model=StaticEmbedding())
issuer = sys.argv[1] if __name__ == "__main__" else ""
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
    department = MetadataFilter(key="department", operator=FilterOperator.IN, value=who["department"])
    clearance = MetadataFilter(key="rank", operator=FilterOperator.LTE, value=LEVELS.index(who["user_clearance"]) + 1)
    filters = MetadataFilters(filters=[department, clearance])
    hits = index.as_retriever(similarity_top_k=question.top_k, filters=filters).retrieve(question.query)
    nodes = [{"id_": hit.node_id, "text": hit.text, "metadata": hit.metadata} for hit in hits]
    return {"source_nodes": [{"node": node, "score": hit.score} for node, hit in zip(nodes, hits, strict=True)]}


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
