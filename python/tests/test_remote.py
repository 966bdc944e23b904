"""`BailiwickRetriever` at a server of ours, and at servers that misbehave."""

from collections.abc import Iterator

import pytest
from acme import People, label
from llama_index.core.llms import MockLLM
from llama_index.core.schema import MetadataMode
from peers import House, Peer, Reply, behind, peer

from bailiwick import (
    BailiwickError,
    Denied,
    InvalidQuery,
    InvalidToken,
    TokenExpired,
    Unavailable,
)
from llama_index.retrievers.bailiwick import BailiwickRetriever, SecureRAGQueryEngine

PATH = "/api/rag/retrieve"
QUESTION = "Where is the offsite?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, people: People) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("server"), people.provider.issuer).start()
    pipeline = house.agent_token(house.agent("pipeline", "write:documents"))
    documents = [
        {"id": f"{department}.md", "text": f"The offsite of {department} is in {place}."}
        | {"metadata": label(department)}
        for department, place in [("engineering", "Bergen"), ("sales", "Nice")]
    ]
    house.store(pipeline, documents).raise_for_status()
    yield house
    house.stop()


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
async def test_a_server_gives_what_the_bearer_may_read(
    server: House, people: People, mode: str
) -> None:
    retriever = BailiwickRetriever(url=server.url, mode=mode)
    for department in ("engineering", "sales"):
        mine = retriever.for_token(people.token(department))
        (found,) = mine.retrieve(QUESTION)
        assert found.node.node_id == f"{department}.md#0"
        assert found.node.ref_doc_id == f"{department}.md"
        assert found.node.metadata["department"] == department
        assert "department" not in found.node.get_content(MetadataMode.LLM)
        assert found.score is not None
        assert [one.node.node_id for one in await mine.aretrieve(QUESTION)] == [found.node.node_id]


async def test_the_engine_asks_a_server_as_it_asks_a_store(server: House, people: People) -> None:
    engine = SecureRAGQueryEngine.from_args(BailiwickRetriever(url=server.url), llm=MockLLM())
    assert isinstance(engine, SecureRAGQueryEngine)
    mine = await engine.afor_token(people.token("sales"))
    for response in (mine.query(QUESTION), await mine.aquery(QUESTION)):
        assert "Nice" in str(response)
        assert "Bergen" not in str(response)


def test_where_narrows_at_the_server(server: House, people: People) -> None:
    both = people.token(["sales", "engineering"])
    narrowed = BailiwickRetriever(url=server.url, where={"department": "sales"}).for_token(both)
    assert [found.node.ref_doc_id for found in narrowed.retrieve(QUESTION)] == ["sales.md"]
    wrong = BailiwickRetriever(url=server.url, where={"colour": "red"}).for_token(both)
    with pytest.raises(InvalidQuery, match="colour"):
        wrong.retrieve(QUESTION)


def test_what_the_server_refuses_is_an_exception(server: House, people: People) -> None:
    retriever = BailiwickRetriever(url=server.url)
    with pytest.raises(Denied, match="nobody asks"):
        retriever.retrieve(QUESTION)
    with pytest.raises(TokenExpired, match=r"^Token has expired$"):
        retriever.for_token(people.token("sales", lifetime=-60)).retrieve(QUESTION)
    for token in ("not.a.token", "no header\r\nX-Other: can hold this"):
        with pytest.raises(InvalidToken, match=r"^Invalid token$"):
            retriever.for_token(token).retrieve(QUESTION)
    too_many = BailiwickRetriever(url=server.url, similarity_top_k=5000)
    with pytest.raises(InvalidQuery, match="top_k"):
        too_many.for_token(people.token("sales")).retrieve(QUESTION)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, "<html>Welcome</html>"),
        Reply(200, [1]),
        Reply(200, {"answer": 42}),
        Reply(200, {"source_nodes": [{"node": {}}]}),
        Reply(404, {"detail": "Not Found"}),
        Reply(302, {}, {"Location": "http://127.0.0.1:1/elsewhere"}),
        Reply(502, "<html>Bad gateway</html>"),
    ],
)
def test_an_answer_that_is_none_is_an_exception(
    authority: Peer, people: People, reply: Reply
) -> None:
    authority.replies[PATH] = reply
    retriever = BailiwickRetriever(url=authority.url).for_token(people.token("sales"))
    with pytest.raises(BailiwickError) as caught:
        retriever.retrieve(QUESTION)
    assert isinstance(caught.value, Unavailable)
    assert authority.paths() == [PATH]


async def test_no_proxy_hears_what_goes_to_this_machine(
    server: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = BailiwickRetriever(url=server.url).for_token(people.token("sales"))
    with peer() as proxy:
        behind(proxy, monkeypatch)
        assert len(mine.retrieve(QUESTION)) == len(await mine.aretrieve(QUESTION)) == 1
        assert proxy.asked == []


def test_a_token_is_not_sent_in_the_clear() -> None:
    with pytest.raises(BailiwickError, match="in the clear; give an https:// address"):
        BailiwickRetriever(url="http://bailiwick.example.com")
