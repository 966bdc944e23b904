"""Retrieval at a Bailiwick server."""

import copy
from typing import Any

import httpx
from llama_index.core.bridge.pydantic import SecretStr
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from bailiwick import Denied, InvalidQuery, InvalidToken, TokenExpired, Unavailable


class Server:
    """`POST /api/rag/retrieve`, with a person's own token."""

    def __init__(self, url: str, timeout: float, where: dict[str, Any] | None) -> None:
        self._url = url.rstrip("/") + "/api/rag/retrieve"
        self._timeout = timeout
        self._where = where
        self._token: SecretStr | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_token": None}

    def for_token(self, token: str) -> "Server":
        bound = copy.copy(self)
        bound._token = SecretStr(token)
        return bound

    def retrieve(self, question: str, k: int, mode: str) -> list[NodeWithScore]:
        request = self._request(question, k, mode)
        try:
            # A redirect is not followed: the token is for this server.
            with httpx.Client(timeout=self._timeout, follow_redirects=False) as client:
                return _read(client.post(**request))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    async def aretrieve(self, question: str, k: int, mode: str) -> list[NodeWithScore]:
        request = self._request(question, k, mode)
        try:
            async with httpx.AsyncClient(timeout=self._timeout, follow_redirects=False) as client:
                return _read(await client.post(**request))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _request(self, question: str, k: int, mode: str) -> dict[str, Any]:
        if self._token is None:
            raise Denied("nobody asks; use for_token")
        asked: dict[str, Any] = {"query": question, "top_k": k, "mode": mode}
        if self._where is not None:
            asked["where"] = self._where
        bearer = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        return {"url": self._url, "json": asked, "headers": bearer}

    def _unreachable(self, error: httpx.HTTPError) -> Unavailable:
        return Unavailable(f"{self._url} does not answer ({type(error).__name__}); try again")


def _read(response: httpx.Response) -> list[NodeWithScore]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    detail = answer.get("detail", "") if isinstance(answer, dict) else ""
    if response.status_code == 401:
        raise (TokenExpired if detail == "Token has expired" else InvalidToken)(detail)
    if response.status_code == 403:
        raise Denied(detail)
    if 400 <= response.status_code < 500:
        raise InvalidQuery(detail or f"the server answers {response.status_code}")
    sources = answer.get("source_nodes") if isinstance(answer, dict) else None
    if response.status_code != 200 or not isinstance(sources, list):
        told = f"{response.url} answers {response.status_code} and no sources; check the url"
        raise Unavailable(detail or told)
    return [_node(source) for source in sources]


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
