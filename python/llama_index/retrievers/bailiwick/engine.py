"""`SecureRAGQueryEngine`."""

import asyncio

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine

from bailiwick import Bailiwick
from llama_index.retrievers.bailiwick.base import BailiwickRetriever


class SecureRAGQueryEngine(RetrieverQueryEngine):
    """Answers questions from what the person who asks may read.

    One engine serves everybody: `engine.for_token(token).query(...)` for each request, or
    `bailiwick.acting_for` round it. Postprocessors, response synthesizers, streaming and
    `aquery` are those of LlamaIndex, and so are `from_args` and its arguments.
    """

    _retriever: BailiwickRetriever

    def with_retriever(self, retriever: BaseRetriever) -> "SecureRAGQueryEngine":
        """This engine, with another retriever."""
        return SecureRAGQueryEngine(
            retriever=retriever,
            response_synthesizer=self._response_synthesizer,
            node_postprocessors=self._node_postprocessors,
            callback_manager=self.callback_manager,
        )

    def for_bailiwick(self, bailiwick: Bailiwick) -> "SecureRAGQueryEngine":
        """This engine, for one person."""
        return self.with_retriever(self._retriever.for_bailiwick(bailiwick))

    def for_token(self, token: str) -> "SecureRAGQueryEngine":
        """This engine, for the bearer of an access token, which is verified."""
        return self.with_retriever(self._retriever.for_token(token))

    async def afor_token(self, token: str) -> "SecureRAGQueryEngine":
        """`for_token`, in a thread."""
        return await asyncio.to_thread(self.for_token, token)
