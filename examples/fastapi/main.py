"""A backend in which everybody is answered from what she may read."""

import os
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from llama_index.core import MockEmbedding, get_response_synthesizer
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.readers.base import ReaderConfig

from bailiwick import BailiwickError, Denied, Index, InvalidToken, Policy, TokenExpired, Verifier
from llama_index.readers.bailiwick import SecureReader
from llama_index.retrievers.bailiwick import BailiwickRetriever, SecureRAGQueryEngine
from llama_index.vector_stores.bailiwick import BailiwickVectorStore

NOTHING = {"response": "Nothing that you may read answers this.", "source_nodes": []}
REFUSALS = {TokenExpired: (401, "Token has expired"), InvalidToken: (401, "Invalid token")}


def read_the_vault() -> SecureRAGQueryEngine:
    """The one engine, for everybody. Put your models where the two mocks are."""
    policy = Policy.from_file(os.environ["BAILIWICK_CONFIG"])
    store = BailiwickVectorStore(Index.open(dims=8, attributes=policy.attributes))
    records = ReaderConfig(reader=SecureReader(), reader_args=["secure-vault/records"])
    steps = [SentenceSplitter(), MockEmbedding(embed_dim=8)]
    IngestionPipeline(readers=[records], transformations=steps, vector_store=store).run()
    verifier = Verifier(os.environ["OIDC_ISSUER"], os.environ["OIDC_AUDIENCE"])
    retriever = BailiwickRetriever(store, verifier=verifier, policy=policy, mode="lexical")
    return SecureRAGQueryEngine(retriever, get_response_synthesizer(llm=MockLLM()))


app, engine = FastAPI(), read_the_vault()
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
Query = Annotated[str, Body(embed=True, min_length=1, max_length=4096)]


@app.post("/api/rag/query")
async def ask(query: Query, bearer: Bearer) -> dict[str, Any]:
    answer = await (await engine.afor_token(bearer.credentials)).aquery(query)
    nodes = [{"node": found.node.to_dict(), "score": found.score} for found in answer.source_nodes]
    return {"response": str(answer), "source_nodes": nodes} if nodes else NOTHING


@app.exception_handler(BailiwickError)
async def refuse(request: Request, error: BailiwickError) -> JSONResponse:
    if isinstance(error, Denied):
        return JSONResponse(NOTHING)
    status, detail = REFUSALS.get(type(error), (503, "Try again later"))
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if status == 401 else None
    return JSONResponse({"detail": detail}, status, headers)
