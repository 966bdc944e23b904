"""`BailiwickRetriever` and `SecureRAGQueryEngine`."""

import asyncio
import pickle
from typing import Any

import pytest
from acme import People, Provider, label
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from bailiwick import (
    BailiwickError,
    Denied,
    Index,
    InvalidToken,
    TokenExpired,
    Unavailable,
    acting_for,
)
from llama_index.retrievers.bailiwick import BailiwickRetriever, SecureRAGQueryEngine
from llama_index.vector_stores.bailiwick import BailiwickVectorStore


@pytest.fixture
def retriever(index: Index, people: People) -> BailiwickRetriever:
    store = BailiwickVectorStore(index)
    store.add(
        [
            TextNode(
                id_=department,
                text=f"the plan of {department}",
                metadata=label(department, kind=kind),
                embedding=[1, 0, 0, 0],
            )
            for department, kind in [("sales", "note"), ("engineering", "plan"), ("legal", "plan")]
        ]
    )
    return BailiwickRetriever(
        store, verifier=people.verifier, policy=people.policy, embed_model=MockEmbedding(4)
    )


@pytest.fixture
def engine(retriever: BailiwickRetriever) -> RetrieverQueryEngine:
    return SecureRAGQueryEngine.from_args(retriever, llm=MockLLM())


def sources(response: Any) -> list[str]:
    return [source.node.node_id for source in response.source_nodes]


def test_one_engine_answers_everybody(engine: SecureRAGQueryEngine, people: People) -> None:
    response = engine.for_token(people.token("sales")).query("What is planned?")
    assert sources(response) == ["sales"]
    assert "the plan of sales" in str(response)
    assert "engineering" not in str(response)
    both = engine.for_bailiwick(people(["sales", "legal"]))
    assert sources(both.query("What is planned?")) == ["legal", "sales"]
    with acting_for(people("engineering")):
        assert sources(engine.query("What is planned?")) == ["engineering"]


def test_without_a_token_nobody_gets_an_answer(
    engine: SecureRAGQueryEngine, people: People, provider: Provider
) -> None:
    with pytest.raises(Denied, match="nobody asks"):
        engine.query("What is planned?")
    with pytest.raises(TokenExpired):
        engine.for_token(people.token("sales", lifetime=-100))
    with pytest.raises(InvalidToken):
        engine.for_token("not a token")
    with pytest.raises(Denied, match="department"):
        engine.for_token(provider.token())


async def test_requests_at_the_same_time_do_not_mix(
    engine: SecureRAGQueryEngine, people: People
) -> None:
    async def ask(department: str) -> list[str]:
        mine = await engine.afor_token(people.token(department))
        return sources(await mine.aquery("What is planned?"))

    async def ask_in_context(department: str) -> list[str]:
        with acting_for(people(department)):
            return sources(await engine.aquery("What is planned?"))

    departments = ["sales", "engineering", "legal"] * 5
    for way in (ask, ask_in_context):
        answers = await asyncio.gather(*(way(department) for department in departments))
        assert answers == [[department] for department in departments]


async def test_answers_are_streamed(retriever: BailiwickRetriever, people: People) -> None:
    engine = SecureRAGQueryEngine.from_args(retriever, llm=MockLLM(), streaming=True)
    response = engine.for_token(people.token("sales")).query("What is planned?")  # type: ignore[attr-defined]
    assert isinstance(response, StreamingResponse)
    assert "the plan of sales" in "".join(response.response_gen)
    assert sources(response) == ["sales"]


def test_postprocessors_see_what_may_be_read(retriever: BailiwickRetriever, people: People) -> None:
    nothing_is_that_good = SimilarityPostprocessor(similarity_cutoff=1.1)
    engine = SecureRAGQueryEngine.from_args(
        retriever, llm=MockLLM(), node_postprocessors=[nothing_is_that_good]
    )
    assert isinstance(engine, SecureRAGQueryEngine)
    assert engine.for_token(people.token("sales")).retrieve(QueryBundle("plan")) == []


def test_a_filter_narrows_every_question(index: Index, people: People) -> None:
    filters = MetadataFilters(filters=[MetadataFilter(key="kind", value="plan")])
    store = BailiwickVectorStore(index)
    store.add(
        [
            TextNode(
                id_=kind, text=kind, metadata=label("sales", kind=kind), embedding=[1, 0, 0, 0]
            )
            for kind in ("note", "plan")
        ]
    )
    retriever = BailiwickRetriever(store, embed_model=MockEmbedding(4), filters=filters)
    found = retriever.for_bailiwick(people("sales")).retrieve("anything")
    assert [source.text for source in found] == ["plan"]


def test_a_retriever_that_cannot_work_says_so(index: Index) -> None:
    store = BailiwickVectorStore(index)
    with pytest.raises(BailiwickError, match="either a store"):
        BailiwickRetriever()
    with pytest.raises(BailiwickError, match="psychic"):
        BailiwickRetriever(store, mode="psychic")
    with pytest.raises(BailiwickError, match="needs `verifier` and `policy`"):
        BailiwickRetriever(store).for_token("token")
    with pytest.raises(BailiwickError, match="use for_token"):
        BailiwickRetriever(url="http://127.0.0.1:1").for_bailiwick(index.danger_everything())


def test_a_pickle_holds_neither_token_nor_rights(
    retriever: BailiwickRetriever, people: People
) -> None:
    token = people.token("sales")
    remote = BailiwickRetriever(url="http://127.0.0.1:1").for_token(token)
    for bound in (remote, retriever.for_token(token)):
        pickled = pickle.dumps(bound)
        assert token[:20].encode() not in pickled
        assert b"alice" not in pickled
    with pytest.raises(Denied):
        pickle.loads(pickle.dumps(remote)).retrieve("What is planned?")


async def test_a_server_that_is_away_is_not_an_empty_answer(people: People) -> None:
    away = BailiwickRetriever(url="http://127.0.0.1:1").for_token(people.token("sales"))
    with pytest.raises(Unavailable, match="cannot be reached"):
        away.retrieve("What is planned?")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await away.aretrieve("What is planned?")
