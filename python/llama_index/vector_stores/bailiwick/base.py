"""`BailiwickVectorStore`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from bailiwick import (
    Bailiwick,
    BailiwickError,
    Index,
    InvalidFilter,
    InvalidQuery,
    RefusedDocument,
    current_bailiwick,
)
from llama_index.vector_stores.bailiwick.nodes import (
    NODE_ID,
    REF_DOC_ID,
    nodes_of,
    relabelled,
    stored,
)

_WORDS = (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH)
_BOTH = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)


class BailiwickVectorStore(BasePydanticVectorStore):
    """A vector store in which everybody finds what she may read, and nothing else.

    A query is made for somebody: with `bailiwick=` among its keyword arguments, by the store that
    `for_bailiwick` gives, or inside `bailiwick.acting_for`. For nobody, it finds nothing.
    Whoever holds the store may write to it. Asynchronous methods work in a thread, which does not
    hold Python's lock.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False
    danger_no_identity: bool = Field(
        default=False, description="Whether a query for nobody finds everything."
    )
    source: str = Field(
        default="python",
        description="The source of the nodes. Ids of others are neither replaced nor deleted.",
    )

    _index: Index | None = PrivateAttr(default=None)
    _bailiwick: Bailiwick | None = PrivateAttr(default=None)
    _attributes: list[str] = PrivateAttr(default=[])

    def __init__(
        self, index: Index, *, danger_no_identity: bool = False, source: str = "python"
    ) -> None:
        super().__init__(stores_text=True)
        self.danger_no_identity = danger_no_identity
        self.source = source
        self._index = index
        self._attributes = [
            name
            for attribute in index.attributes
            for name in (attribute["name"], *attribute.get("from", ()))
        ]

    @classmethod
    def class_name(cls) -> str:
        return "BailiwickVectorStore"

    @property
    def client(self) -> Index:
        """The index."""
        index = self._index
        if index is None:
            raise BailiwickError(
                "a store that was pickled has no index any more; make a new one with Index.open"
            )
        return index

    def __getstate__(self) -> dict[str, Any]:
        # Neither the index nor whom the store acts for goes into a pickle.
        state: dict[str, Any] = super().__getstate__()
        state["__pydantic_private__"] = {"_index": None, "_bailiwick": None, "_attributes": []}
        return state

    def for_bailiwick(self, bailiwick: Bailiwick) -> "BailiwickVectorStore":
        """This store, for one person."""
        bound = BailiwickVectorStore(self.client, source=self.source)
        bound._bailiwick = bailiwick
        return bound

    def _within(self, bailiwick: Bailiwick | None) -> Bailiwick | None:
        within = bailiwick or self._bailiwick or current_bailiwick()
        if within is None and self.danger_no_identity:
            return self.client.danger_everything()
        return within

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Stores all of these nodes or none; those of this source with the same ids are replaced.

        Raises `RefusedDocument` if an id belongs to another source.
        """
        if not nodes:
            return []
        ids = [node.node_id for node in nodes]
        for node in nodes:
            if node.embedding is None:
                raise RefusedDocument(f"nothing is stored: node `{node.node_id}` has no embedding")
        self.client.add(
            ids,
            [node.get_embedding() for node in nodes],
            [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes],
            [stored(node) for node in nodes],
            source=self.source,
        )
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Removes the nodes of a document that came from this source."""
        self.client.delete_matching(_group([_is_of(ref_doc_id)]), source=self.source)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Removes the nodes of this source with these ids that match."""
        conditions = _conditions(filters, node_ids=node_ids)
        if conditions is None:
            return
        if not conditions:
            raise InvalidFilter("say which nodes to delete; to delete all there is `clear`")
        self.client.delete_matching(_group(conditions), source=self.source)

    def clear(self) -> None:
        """Removes everything."""
        self.client.delete_matching()

    def relabel(self, ref_doc_id: str, metadata: Mapping[str, Any]) -> int:
        """Gives the nodes of a document other metadata, and counts them.

        Who may read them changes with it, for every query that begins after this returns.
        """
        index = self.client
        nodes = index.documents(index.danger_everything(), _group([_is_of(ref_doc_id)]))
        return sum(index.relabel(node.id, relabelled(node.metadata, metadata)) for node in nodes)

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        *,
        bailiwick: Bailiwick | None = None,
    ) -> list[BaseNode]:
        """The nodes with these ids that match and may be read, by id."""
        within = self._within(bailiwick)
        conditions = _conditions(filters, node_ids=node_ids)
        if within is None or conditions is None:
            return []
        found = self.client.documents(within, _group(conditions) if conditions else None)
        return nodes_of(found, self._attributes)

    def query(
        self, query: VectorStoreQuery, *, bailiwick: Bailiwick | None = None, **kwargs: Any
    ) -> VectorStoreQueryResult:
        """The best nodes that may be read."""
        within = self._within(bailiwick)
        # `VectorStoreIndex.as_retriever` gives an empty list of node ids where it means no list.
        node_ids = query.node_ids or None
        conditions = _conditions(query.filters, node_ids=node_ids, doc_ids=query.doc_ids)
        if within is None or conditions is None:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        looked_for, k, options = _question(query, kwargs.get("mmr_threshold"))
        if conditions:
            options["filters"] = _group(conditions)
        hits = self.client.retrieve(looked_for, within, k, **options)
        return VectorStoreQueryResult(
            nodes=nodes_of(hits, self._attributes),
            similarities=[hit.score or 0.0 for hit in hits],
            ids=[hit.id for hit in hits],
        )

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aclear(self) -> None:
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        *,
        bailiwick: Bailiwick | None = None,
    ) -> list[BaseNode]:
        return await asyncio.to_thread(self.get_nodes, node_ids, filters, bailiwick=bailiwick)

    async def aquery(
        self, query: VectorStoreQuery, *, bailiwick: Bailiwick | None = None, **kwargs: Any
    ) -> VectorStoreQueryResult:
        return await asyncio.to_thread(self.query, query, bailiwick=bailiwick, **kwargs)


def _question(
    query: VectorStoreQuery, mmr_threshold: float | None
) -> tuple[str | list[float], int, dict[str, Any]]:
    """What is looked for, how many, and how, as `Index.retrieve` takes it."""
    k = query.similarity_top_k
    if query.mode in _WORDS:
        if query.query_str is None:
            raise InvalidQuery(f"mode {query.mode.value} searches words; give `query_str`")
        return query.query_str, query.sparse_top_k or k, {}
    if query.query_embedding is None:
        raise InvalidQuery(f"mode {query.mode.value} compares vectors; give `query_embedding`")
    if query.mode == VectorStoreQueryMode.DEFAULT:
        return query.query_embedding, k, {"mode": "dense"}
    if query.mode in _BOTH:
        weight = 0.5 if query.alpha is None else query.alpha
        options = {"mode": "hybrid", "text": query.query_str, "dense_weight": weight}
        return query.query_embedding, query.hybrid_top_k or k, options
    if query.mode == VectorStoreQueryMode.MMR:
        threshold = query.mmr_threshold if mmr_threshold is None else mmr_threshold
        diversity = 0.5 if threshold is None else 1.0 - threshold
        return query.query_embedding, k, {"mode": "dense", "diversity": diversity}
    raise InvalidQuery(
        f"mode {query.mode.value} is not one of default, sparse, text_search, hybrid, mmr"
    )


def _conditions(
    filters: MetadataFilters | None,
    *,
    node_ids: list[str] | None = None,
    doc_ids: list[str] | None = None,
) -> list[dict[str, Any]] | None:
    """All that must hold, in the form that the index reads; none if nothing can satisfy it."""
    conditions: list[dict[str, Any]] = []
    if filters is not None:
        conditions.append(filters.model_dump())
    for key, values in ((NODE_ID, node_ids), (REF_DOC_ID, doc_ids)):
        if values is not None:
            if not values:
                return None
            conditions.append({"key": key, "operator": "in", "value": list(values)})
    return conditions


def _group(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"condition": "and", "filters": conditions}


def _is_of(ref_doc_id: str) -> dict[str, Any]:
    return {"key": REF_DOC_ID, "operator": "==", "value": ref_doc_id}
