"""Retrieval at a Bailiwick server."""

import copy
from typing import Any

import httpx
from llama_index.core.bridge.pydantic import SecretStr
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from bailiwick._http import (
    EXPIRED,
    Conversation,
    Line,
    Peer,
    Question,
    aconverse,
    base_address,
    converse,
    detail,
    is_header,
    json_object,
    unusable,
)
from bailiwick.errors import Denied, InvalidQuery, InvalidToken, TokenExpired

INVALID = "Invalid token"
SERVER = Peer(
    "the server",
    {400: InvalidQuery, 403: Denied, 413: InvalidQuery, 415: InvalidQuery, 422: InvalidQuery},
    {
        400: "ask otherwise",
        403: "have the identity provider put what is missing into access tokens",
        404: "check the url",
        413: "ask for less",
        422: "ask otherwise",
    },
)


class Server:
    """`POST /api/rag/retrieve`, with a person's own token."""

    def __init__(self, url: str, timeout: float, where: dict[str, Any] | None) -> None:
        self._base, self._timeout, self._where = base_address(url), timeout, where
        self._token: SecretStr | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_token": None}

    def for_token(self, token: str) -> "Server":
        bound = copy.copy(self)
        bound._token = SecretStr(token)
        return bound

    def retrieve(self, question: str, k: int, mode: str) -> list[NodeWithScore]:
        return converse(self._retrieve(question, k, mode), self._line())

    async def aretrieve(self, question: str, k: int, mode: str) -> list[NodeWithScore]:
        return await aconverse(self._retrieve(question, k, mode), self._line())

    def _line(self) -> Line:
        return Line.to(self._base, self._timeout)

    def _retrieve(self, question: str, k: int, mode: str) -> Conversation[list[NodeWithScore]]:
        if self._token is None:
            raise Denied("nobody asks; use for_token")
        token = self._token.get_secret_value()
        if not is_header(token):
            raise InvalidToken(INVALID)
        asked: dict[str, Any] = {"query": question, "top_k": k, "mode": mode}
        if self._where is not None:
            asked["where"] = self._where
        url, bearer = f"{self._base}/api/rag/retrieve", {"Authorization": f"Bearer {token}"}
        answer = yield Question(SERVER, httpx.Request("POST", url, json=asked, headers=bearer))
        if answer.status == 401:
            # What a backend hands on to whoever brought the token, as `Verifier` says it.
            expired = detail(answer) == EXPIRED
            raise TokenExpired(EXPIRED) if expired else InvalidToken(INVALID)
        said = json_object(answer, token)
        try:
            return [_node(source) for source in said["source_nodes"]]
        except (KeyError, TypeError, ValueError):
            raise unusable(SERVER, "it holds no sources; check the url") from None


def _node(source: dict[str, Any]) -> NodeWithScore:
    said = source["node"]
    whole = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=said["ref_doc_id"])}
    metadata = said["metadata"]
    node = TextNode(
        id_=said["id_"],
        text=said["text"],
        metadata=metadata,
        relationships=whole,
        # What is an attribute only the server knows, so none of it goes into prompts.
        excluded_llm_metadata_keys=list(metadata),
        excluded_embed_metadata_keys=list(metadata),
    )
    return NodeWithScore(node=node, score=source["score"])
