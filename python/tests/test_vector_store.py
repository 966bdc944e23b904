"""`BailiwickVectorStore`, beside the store of LlamaIndex itself."""

import pickle
from typing import Any

import numpy as np
import pytest
from acme import People, label
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from bailiwick import (
    BailiwickError,
    Index,
    InvalidFilter,
    InvalidQuery,
    Policy,
    RefusedDocument,
    acting_for,
)
from llama_index.vector_stores.bailiwick import BailiwickVectorStore

DIMS = 4
# Vectors are kept in 16 bits a number: each is off by 2^-11 of itself at most, and so, by the
# inequality of Cauchy and Schwarz, is the inner product of two vectors of length 1.
TOLERANCE = 2**-11 + 1e-6


def node(name: str, department: str, vector: Any, text: str = "", **metadata: Any) -> TextNode:
    return TextNode(
        id_=name,
        text=text or f"text of {name}",
        metadata=label(department, **metadata),
        embedding=list(vector),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"source of {name[0]}")},
    )


NODES = [
    node("a1", "sales", [1, 0, 0, 0], "quota of the year", year=2024),
    node("a2", "sales", [0.8, 0.6, 0, 0], year=2025),
    node("b1", "engineering", [0, 1, 0, 0], "engine of the year", year=2025),
    node("b2", "engineering", [0, 0.9, 0.5, 0], clearance_level="Restricted", year=2026),
]


@pytest.fixture
def store(index: Index) -> BailiwickVectorStore:
    store = BailiwickVectorStore(index)
    assert store.add(NODES) == ["a1", "a2", "b1", "b2"]
    return store


def ask(vector: Any = (1, 0, 0, 0), top_k: int = 10, **more: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=list(vector), similarity_top_k=top_k, **more)


def one(key: str, operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


def test_a_source_neither_replaces_nor_deletes_the_nodes_of_another(
    index: Index, people: People
) -> None:
    hr, eng = (BailiwickVectorStore(index, source=name) for name in ("hr", "eng"))
    hr.add([node("a1", "sales", [1, 0, 0, 0], "HR's")])
    with pytest.raises(RefusedDocument, match="`a1` belongs to `hr`"):
        eng.add([node("b1", "sales", [0, 1, 0, 0]), node("a1", "engineering", [1, 0, 0, 0])])
    with pytest.raises(RefusedDocument):
        BailiwickVectorStore(index).add([node("a1", "engineering", [1, 0, 0, 0])])
    with pytest.raises(RefusedDocument):
        index.delete(["a1"], source="eng")
    eng.add([node("a2", "sales", [0, 1, 0, 0], "Engineering's")])
    eng.delete("source of a")
    eng.delete_nodes(["a1"])
    seller, engineer = people("sales"), people("engineering")
    assert [found.get_content() for found in hr.get_nodes(bailiwick=seller)] == ["HR's"]
    # The owner replaces text and label together, and a replacer becomes the owner.
    hr.add([node("a1", "engineering", [1, 0, 0, 0], "for engineers")])
    assert not hr.get_nodes(bailiwick=seller)
    assert [found.get_content() for found in hr.get_nodes(bailiwick=engineer)] == ["for engineers"]
    taken = [{"department": "sales", "clearance_level": "Public"}]
    index.add(["a1"], [[1, 0, 0, 0]], ["taken"], taken, source="eng", replace=True)
    with pytest.raises(RefusedDocument, match="`a1` belongs to `eng`"):
        hr.add([node("a1", "engineering", [1, 0, 0, 0])])
    assert eng.for_bailiwick(seller).source == "eng"


def test_it_is_a_vector_store() -> None:
    assert BasePydanticVectorStore.__name__ in [
        kind.__name__ for kind in BailiwickVectorStore.mro()
    ]
    assert BailiwickVectorStore.class_name() == "BailiwickVectorStore"


def test_whom_a_query_is_for_is_said_in_three_ways(
    store: BailiwickVectorStore, people: People
) -> None:
    seller, engineer = people("sales"), people("engineering")
    assert store.query(ask(), bailiwick=seller).ids == ["a1", "a2"]
    assert store.for_bailiwick(engineer).query(ask()).ids == ["b1", "b2"]
    with acting_for(seller):
        assert store.query(ask()).ids == ["a1", "a2"]
        # The nearest of several counts.
        assert store.query(ask(), bailiwick=engineer).ids == ["b1", "b2"]
        with acting_for(engineer):
            assert store.for_bailiwick(seller).query(ask()).ids == ["a1", "a2"]


def test_for_nobody_there_is_nothing(store: BailiwickVectorStore, people: People) -> None:
    with acting_for(people("sales")):
        pass
    found = store.query(ask())
    assert (found.ids, found.nodes, found.similarities) == ([], [], [])
    assert store.get_nodes() == store.get_nodes(["a1"]) == []


def test_danger_has_to_be_named(index: Index, people: People) -> None:
    store = BailiwickVectorStore(index, danger_no_identity=True)
    store.add(NODES)
    assert store.query(ask()).ids == ["a1", "a2", "b1", "b2"]
    # Somebody who asks still gets no more than she may read.
    assert store.query(ask(), bailiwick=people("sales")).ids == ["a1", "a2"]
    assert store.for_bailiwick(people("sales")).query(ask()).ids == ["a1", "a2"]


async def test_every_method_has_an_asynchronous_twin(index: Index, people: People) -> None:
    store, seller = BailiwickVectorStore(index), people("sales")
    assert await store.async_add(NODES) == ["a1", "a2", "b1", "b2"]
    assert (await store.aquery(ask(), bailiwick=seller)).ids == ["a1", "a2"]
    with acting_for(seller):
        assert (await store.aquery(ask())).ids == ["a1", "a2"]
        assert [node.node_id for node in await store.aget_nodes(["a2", "b1"])] == ["a2"]
        await store.adelete_nodes(["a2"])
        assert (await store.aquery(ask())).ids == ["a1"]
        await store.adelete("source of a")
        assert (await store.aquery(ask())).ids == []
    await store.aclear()
    assert index.documents(index.danger_everything()) == []


def test_nodes_come_back_as_they_went_in(store: BailiwickVectorStore, people: People) -> None:
    result = store.query(ask(top_k=1), bailiwick=people("sales"))
    (found,) = result.nodes or []
    sent = NODES[0]
    assert (found.node_id, found.ref_doc_id) == (sent.node_id, "source of a")
    assert (found.get_content(), found.metadata) == (sent.get_content(), sent.metadata)
    assert list(found.metadata) == list(sent.metadata)
    assert (result.similarities or [])[0] == pytest.approx(1.0, abs=TOLERANCE)


def test_every_kind_of_node_keeps_its_kind(index: Index, people: People) -> None:
    store = BailiwickVectorStore(index)
    vector, metadata = [1.0, 0, 0, 0], label("sales", doc_id="as the user has it", z=1, a=[2])
    sent: list[BaseNode] = [
        TextNode(id_="t", text="text", embedding=vector, start_char_idx=7),
        Document(id_="d", text="text", embedding=vector),
        ImageNode(id_="i", text="text", embedding=vector, image_url="https://example.com/i"),
        Node(id_="n", text_resource=MediaResource(text="text"), embedding=vector),
    ]
    for node in sent:
        node.metadata = dict(metadata)
        node.excluded_llm_metadata_keys = ["z"]
    store.add(sent)
    found = {node.node_id: node for node in store.get_nodes(bailiwick=people("sales"))}
    for node in sent:
        back = found[node.node_id]
        assert type(back) is type(node)
        assert list(back.metadata.items()) == list(metadata.items())
        assert back.excluded_llm_metadata_keys[0] == "z"
        same = {"excluded_llm_metadata_keys", "excluded_embed_metadata_keys", "embedding"}
        assert back.model_dump(exclude=same) == node.model_dump(exclude=same)


related = st.builds(
    RelatedNodeInfo,
    node_id=st.text(),
    node_type=st.none() | st.sampled_from(ObjectType) | st.text(),
    metadata=st.dictionaries(st.text(), st.integers(-9, 9) | st.text(), max_size=2),
    hash=st.none() | st.text(),
)
texts = st.builds(
    TextNode,
    id_=st.uuids().map(str),
    text=st.text(),
    metadata=st.dictionaries(st.text(), st.integers(-9, 9) | st.text() | st.lists(st.text())),
    relationships=st.dictionaries(
        st.sampled_from(NodeRelationship).filter(lambda kind: kind != NodeRelationship.CHILD),
        related,
    )
    | st.builds(lambda children: {NodeRelationship.CHILD: children}, st.lists(related)),
    excluded_embed_metadata_keys=st.lists(st.text()),
    excluded_llm_metadata_keys=st.lists(st.sampled_from(["department", "other"])),
    start_char_idx=st.none() | st.integers(0, 2**40),
    end_char_idx=st.none() | st.integers(0, 2**40),
    mimetype=st.sampled_from(["text/plain", "text/html"]),
    metadata_separator=st.sampled_from(["\n", "; "]),
    text_template=st.sampled_from(["{metadata_str}\n\n{content}", "{content}"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, max_size=5))
def test_a_text_comes_back_whole(policy: Policy, people: People, sent: list[TextNode]) -> None:
    store = BailiwickVectorStore(Index.open(dims=4, attributes=policy.attributes))
    for node in sent:
        node.embedding = [1.0, 0.0, 0.0, 0.0]
        node.metadata |= label("sales")
    store.add(sent)
    result = store.query(ask(), bailiwick=people("sales"))
    found = {node.node_id: node for node in result.nodes or []}
    assert result.ids == list(found) == sorted(node.node_id for node in sent)
    attributes = {"department", "clearance_level", "project_id"}
    for node in sent:
        back = found[node.node_id]
        assert isinstance(back, TextNode)
        for keys in (back.excluded_embed_metadata_keys, back.excluded_llm_metadata_keys):
            assert attributes <= set(keys)
        assert back.relationships == TextNode(**node.model_dump(mode="json")).relationships
        assert list(back.metadata.items()) == list(node.metadata.items())
        same = {"excluded_llm_metadata_keys", "excluded_embed_metadata_keys", "embedding"}
        assert back.model_dump(exclude=same) == node.model_dump(exclude=same)


def test_attributes_stay_out_of_prompts_and_embeddings(
    store: BailiwickVectorStore, people: People
) -> None:
    (found,) = store.query(ask(top_k=1), bailiwick=people("sales")).nodes or []
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "department" not in found.get_content(metadata_mode=mode)
        assert "year: 2024" in found.get_content(metadata_mode=mode)


def test_a_node_that_points_elsewhere_is_text(index: Index, people: People) -> None:
    store = BailiwickVectorStore(index)
    secret = TextNode(text="what nobody may read")
    door = IndexNode(
        id_="door",
        text="a summary",
        index_id="elsewhere",
        obj=secret,
        embedding=[1, 0, 0, 0],
    )
    door.metadata = label("sales")
    store.add([door])
    (found,) = store.query(ask(), bailiwick=people("sales")).nodes or []
    assert type(found) is TextNode
    assert "nobody" not in found.to_json()


def test_a_filter_only_narrows(store: BailiwickVectorStore, people: People) -> None:
    seller = people("sales")
    recent = one("year", FilterOperator.GTE, 2025)
    assert store.query(ask(filters=recent), bailiwick=seller).ids == ["a2"]
    others = one("department", FilterOperator.EQ, "engineering")
    assert store.query(ask(filters=others), bailiwick=seller).ids == []
    none = MetadataFilters(filters=[others, recent], condition="not")  # type: ignore[arg-type]
    assert store.query(ask(filters=none), bailiwick=seller).ids == ["a1"]
    nested = MetadataFilters(filters=[MetadataFilters(filters=[recent, none], condition="or")])  # type: ignore[arg-type]
    assert store.query(ask(filters=nested), bailiwick=seller).ids == ["a1", "a2"]
    with pytest.raises(InvalidFilter, match="empty group"):
        store.query(ask(filters=MetadataFilters(filters=[])), bailiwick=seller)


def test_ids_only_narrow_too(store: BailiwickVectorStore, people: People) -> None:
    seller = people("sales")
    assert store.query(ask(node_ids=["a2", "b1"]), bailiwick=seller).ids == ["a2"]
    assert store.query(ask(node_ids=["b1"]), bailiwick=seller).ids == []
    assert store.query(ask(doc_ids=[]), bailiwick=seller).ids == []
    assert store.query(ask(doc_ids=["source of b"]), bailiwick=seller).ids == []
    assert store.query(ask(doc_ids=["source of a"]), bailiwick=seller).ids == ["a1", "a2"]


def test_modes(store: BailiwickVectorStore, people: People) -> None:
    seller, mode = people("sales"), VectorStoreQueryMode
    for of_words in (mode.SPARSE, mode.TEXT_SEARCH):
        found = store.query(ask(query_str="the quota", mode=of_words), bailiwick=seller)
        assert found.ids == ["a1", "a2"] or found.ids == ["a1"]
    hybrid = ask([0, 1, 0, 0], query_str="quota", mode=mode.HYBRID, alpha=0.1)
    assert (store.query(hybrid, bailiwick=seller).ids or [])[0] == "a1"
    assert len(store.query(ask(mode=mode.MMR), bailiwick=seller, mmr_threshold=0.1).ids or []) == 2
    for query in (ask(mode=mode.SVM), ask(mode=mode.SPARSE), VectorStoreQuery()):
        with pytest.raises(InvalidQuery):
            store.query(query, bailiwick=seller)


def test_what_is_deleted_is_gone(store: BailiwickVectorStore, people: People) -> None:
    both = people(["sales", "engineering"])
    store.delete_nodes(["a1", "b1"], one("year", FilterOperator.EQ, 2025))
    assert store.query(ask(), bailiwick=both).ids == ["a1", "a2", "b2"]
    store.delete_nodes([])
    store.delete("source of b")
    assert store.query(ask(), bailiwick=both).ids == ["a1", "a2"]
    with pytest.raises(InvalidFilter, match="clear"):
        store.delete_nodes()
    store.clear()
    assert store.query(ask(), bailiwick=both).ids == []


def test_rights_change_without_embedding_again(store: BailiwickVectorStore, people: People) -> None:
    seller = people("sales")
    assert store.relabel("source of b", label("sales", year=2027)) == 2
    found = store.query(ask(), bailiwick=seller)
    assert found.ids == ["a1", "a2", "b1", "b2"]
    moved = (found.nodes or [])[2]
    assert (moved.metadata, moved.ref_doc_id) == (label("sales", year=2027), "source of b")
    assert store.query(ask(), bailiwick=people("engineering")).ids == []
    with pytest.raises(RefusedDocument, match="department"):
        store.relabel("source of b", {"year": 2028})


def test_what_cannot_be_stored_is_refused(store: BailiwickVectorStore, people: People) -> None:
    bad = TextNode(id_="c", text="c", embedding=[1, 0, 0, 0])
    with pytest.raises(RefusedDocument, match="`department` is missing"):
        store.add([NODES[0], bad])
    with pytest.raises(RefusedDocument, match="no embedding"):
        store.add([TextNode(id_="c", text="c", metadata=label("sales"))])
    assert len(store.query(ask(), bailiwick=people("sales")).ids or []) == 2


def test_a_pickle_holds_neither_rights_nor_documents(
    store: BailiwickVectorStore, people: People
) -> None:
    pickled = pickle.dumps(store.for_bailiwick(people("sales")))
    assert b"quota" not in pickled
    assert b"alice" not in pickled
    again = pickle.loads(pickled)
    with pytest.raises(BailiwickError, match="make a new one"):
        again.query(ask(), bailiwick=people("sales"))
    assert "alice" not in store.for_bailiwick(people("sales")).to_json()


def test_llama_index_uses_it_as_any_store(index: Index, people: People) -> None:
    store = BailiwickVectorStore(index)
    context = StorageContext.from_defaults(vector_store=store)
    nodes: list[BaseNode] = [
        TextNode(text="ours", metadata=label("sales")),
        TextNode(text="theirs", metadata=label("engineering")),
    ]
    model = MockEmbedding(DIMS)
    whole = VectorStoreIndex(nodes, storage_context=context, embed_model=model)
    mine = whole.as_retriever(vector_store_kwargs={"bailiwick": people("sales")})
    assert [found.text for found in mine.retrieve("anything")] == ["ours"]
    assert whole.as_retriever().retrieve("anything") == []
    with acting_for(people("engineering")):
        assert [found.text for found in whole.as_retriever().retrieve("anything")] == ["theirs"]


vectors = st.lists(st.integers(-8, 8), min_size=DIMS, max_size=DIMS).filter(any)
departments = st.sampled_from(["sales", "engineering", "legal"])
levels = st.sampled_from(["Public", "Internal", "Restricted"])
corpora = st.lists(st.tuples(departments, levels, vectors, st.integers(0, 3)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(corpora, st.lists(departments, min_size=1, unique=True), levels, vectors, st.integers(1, 8))
def test_what_she_finds_is_what_a_store_of_her_documents_alone_would_give(
    people: People,
    corpus: list[tuple[str, str, list[int], int]],
    theirs: list[str],
    clearance: str,
    asked: list[int],
    top_k: int,
) -> None:
    nodes = [
        node(f"{n:02}", department, vector, clearance_level=level, year=year)
        for n, (department, level, vector, year) in enumerate(corpus)
    ]
    order = ["Public", "Internal", "Restricted"]
    permitted = [
        node
        for node in nodes
        if node.metadata["department"] in theirs
        and order.index(node.metadata["clearance_level"]) <= order.index(clearance)
    ]
    person = people(theirs, clearance)
    attributes = people.policy.attributes
    everything = BailiwickVectorStore(Index.open(dims=DIMS, attributes=attributes))
    alone = BailiwickVectorStore(Index.open(dims=DIMS, attributes=attributes))
    simple = SimpleVectorStore()
    everything.add(nodes)
    alone.add(permitted)
    simple.add(permitted)
    for filters in (None, one("year", FilterOperator.LTE, 1), one("year", FilterOperator.NE, 2)):
        query = ask(asked, top_k, filters=filters)
        found, same = (s.query(query, bailiwick=person) for s in (everything, alone))
        assert (found.ids, found.similarities) == (same.ids, same.similarities)
        agree(found, simple.query(query), simple.query(ask(asked, 100, filters=filters)))


def agree(found: Any, expected: Any, every: Any) -> None:
    """The same scores in the same order, and the same ids where scores tell them apart."""
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=TOLERANCE)
    exact = dict(zip(every.ids, every.similarities, strict=True))
    for name, score in zip(found.ids, found.similarities, strict=True):
        assert abs(exact[name] - score) <= TOLERANCE
