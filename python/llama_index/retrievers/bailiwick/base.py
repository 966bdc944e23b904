"""`BailiwickRetriever`."""

import asyncio
import copy
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.settings import Settings
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from bailiwick import Bailiwick, BailiwickError, Denied, Policy, Verifier, current_bailiwick
from llama_index.retrievers.bailiwick.remote import Server
from llama_index.vector_stores.bailiwick import BailiwickVectorStore

_MODES = {
    "dense": VectorStoreQueryMode.DEFAULT,
    "lexical": VectorStoreQueryMode.TEXT_SEARCH,
    "hybrid": VectorStoreQueryMode.HYBRID,
}


class BailiwickRetriever(BaseRetriever):
    """Finds what the person who asks may read: in a store of this process, or at a server.

    Who asks is said by `for_token`, by `for_bailiwick`, or, in this process, by
    `bailiwick.acting_for`. Without, retrieval raises `Denied`.
    `filters` narrows a store, `where` a server.
    """

    def __init__(
        self,
        store: BailiwickVectorStore | None = None,
        *,
        url: str | None = None,
        verifier: Verifier | None = None,
        policy: Policy | None = None,
        embed_model: BaseEmbedding | None = None,
        similarity_top_k: int = 5,
        mode: str = "dense",
        alpha: float | None = None,
        filters: MetadataFilters | None = None,
        where: dict[str, Any] | None = None,
        timeout: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (store is None) == (url is None):
            raise BailiwickError("give either a store of this process or the url of a server")
        if store is not None and not isinstance(store, BailiwickVectorStore):
            kind = type(store).__name__
            raise BailiwickError(f"a {kind} is no store; give a BailiwickVectorStore, or `url=`")
        if mode not in _MODES:
            raise BailiwickError(f"mode `{mode}` is not one of {', '.join(_MODES)}")
        if (filters if store is None else where) is not None:
            raise BailiwickError("`filters` narrows a store, and `where` a server")
        self._store = store
        self._server = None if url is None else Server(url, timeout, where)
        self._verifier = verifier
        self._policy = policy
        self._embed_model = embed_model
        self._top_k = similarity_top_k
        self._mode = mode
        self._alpha = alpha
        self._filters = filters
        self._bailiwick: Bailiwick | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Whom it acts for does not go into a pickle, nor what cannot live in one.
        unbound = {"_bailiwick": None, "_verifier": None, "_policy": None}
        return {**self.__dict__, **unbound}

    def for_bailiwick(self, bailiwick: Bailiwick) -> "BailiwickRetriever":
        """This retriever, for one person."""
        if self._store is None:
            raise BailiwickError("a server decides by itself what a person may read; use for_token")
        bound = copy.copy(self)
        bound._verifier, bound._policy = self._verifier, self._policy
        bound._bailiwick = bailiwick
        return bound

    def for_token(self, token: str) -> "BailiwickRetriever":
        """This retriever, for the bearer of an access token.

        In this process the token is verified now; a server does it with each question.
        """
        if self._server is not None:
            bound = copy.copy(self)
            bound._server = self._server.for_token(token)
            return bound
        if self._verifier is None or self._policy is None:
            raise BailiwickError("to take tokens, a retriever needs `verifier` and `policy`")
        return self.for_bailiwick(self._policy.decide(self._verifier.verify(token)))

    async def afor_token(self, token: str) -> "BailiwickRetriever":
        """`for_token`, in a thread: it may wait for the provider's keys."""
        return await asyncio.to_thread(self.for_token, token)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._server is not None:
            return self._server.retrieve(query_bundle.query_str, self._top_k, self._mode)
        store, within = self._bound()
        embedding = query_bundle.embedding
        if embedding is None and self._mode != "lexical":
            embedding = self._model().get_agg_embedding_from_queries(query_bundle.embedding_strs)
        return _scored(store.query(self._question(query_bundle, embedding), bailiwick=within))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._server is not None:
            return await self._server.aretrieve(query_bundle.query_str, self._top_k, self._mode)
        store, within = self._bound()
        embedding = query_bundle.embedding
        if embedding is None and self._mode != "lexical":
            strings = query_bundle.embedding_strs
            embedding = await self._model().aget_agg_embedding_from_queries(strings)
        question = self._question(query_bundle, embedding)
        return _scored(await store.aquery(question, bailiwick=within))

    def _bound(self) -> tuple[BailiwickVectorStore, Bailiwick | None]:
        within = self._bailiwick or current_bailiwick()
        if self._store is None or (within is None and not self._store.danger_no_identity):
            raise Denied("nobody asks; use for_token, for_bailiwick or bailiwick.acting_for")
        return self._store, within

    def _model(self) -> BaseEmbedding:
        return self._embed_model or Settings.embed_model

    def _question(
        self, query_bundle: QueryBundle, embedding: list[float] | None
    ) -> VectorStoreQuery:
        return VectorStoreQuery(
            query_embedding=embedding,
            query_str=query_bundle.query_str,
            similarity_top_k=self._top_k,
            mode=_MODES[self._mode],
            alpha=self._alpha,
            filters=self._filters,
        )


def _scored(found: VectorStoreQueryResult) -> list[NodeWithScore]:
    pairs = zip(found.nodes or [], found.similarities or [], strict=True)
    return [NodeWithScore(node=node, score=score) for node, score in pairs]
