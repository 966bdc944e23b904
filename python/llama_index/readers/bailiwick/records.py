"""Records of a collection → documents, whoever fetched them."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.readers.base import BasePydanticReader, ResourcesReaderMixin
from llama_index.core.schema import Document

from bailiwick.errors import Denied, RefusedDocument
from bailiwick.vault import Reading, Record

IDS = ("id", "_id")
HEADLINES = ("title", "name")
MAIN_TEXTS = ("text", "body", "content")
SECURITY_KEYS = (
    "clearance",
    "clearance_level",
    "clearance_required",
    "classification",
    "confidentiality",
    "confidentiality_level",
    "department",
    "project",
    "project_id",
)
STAMPS = (
    "source_endpoint",
    "ingestion_auth",
    "ingested_by",
    "ingested_at",
    "record_index",
    "scope",
    "token_jti",
)


class RecordReader(BasePydanticReader, ResourcesReaderMixin):
    """A reader whose documents are records; `_read` and `_aread` fetch them.

    A document's id is `<endpoint>#<record id>`, and stays the same from load to load.
    What a failure leaves is an exception (`bailiwick.BailiwickError`), and never a document.
    """

    security_keys: list[str] = Field(
        default=list(SECURITY_KEYS),
        description="Fields of a record that say who may read it. They become metadata, and no "
        "part of a text, an embedding or a prompt.",
    )
    is_remote: bool = True

    @abstractmethod
    def _read(self, endpoint: str, scope: str | None) -> Reading:
        """One collection."""

    @abstractmethod
    async def _aread(self, endpoint: str, scope: str | None) -> Reading:
        """As `_read`, without blocking."""

    def lazy_load_data(self, endpoint: str, scope: str | None = None) -> Iterable[Document]:
        """The documents of one collection; nothing is asked before the first is taken.

        Without a scope, the token is for all that is delegated to the agent.
        """
        yield from self._documents(self._read(endpoint, scope), scope)

    async def alazy_load_data(self, endpoint: str, scope: str | None = None) -> Iterable[Document]:
        """As `lazy_load_data`, without blocking; the collection is read when this is awaited."""
        return self._documents(await self._aread(endpoint, scope), scope)

    async def aload_data(self, endpoint: str, scope: str | None = None) -> list[Document]:
        """As `load_data`, without blocking."""
        return list(await self.alazy_load_data(endpoint, scope))

    # A vault has no list of its collections: they are named, and their records are listed.

    def list_resources(self, endpoint: str, scope: str | None = None) -> list[str]:
        """The ids of a collection's documents."""
        return [document.id_ for document in self.lazy_load_data(endpoint, scope)]

    def load_resource(self, resource_id: str, scope: str | None = None) -> list[Document]:
        """The document with this id. Its whole collection is read."""
        documents = self.lazy_load_data(resource_id.partition("#")[0], scope)
        found = [document for document in documents if document.id_ == resource_id]
        if not found:
            raise Denied(f"there is no record `{resource_id}`, or none that the agent may read")
        return found

    def get_resource_info(self, resource_id: str, scope: str | None = None) -> dict[str, Any]:
        """A document's metadata."""
        (document,) = self.load_resource(resource_id, scope)
        return document.metadata

    def get_permission_info(self, resource_id: str, scope: str | None = None) -> dict[str, Any]:
        """What a document's metadata says of who may read it."""
        info = self.get_resource_info(resource_id, scope)
        return {key: info[key] for key in self.security_keys if key in info}

    def _documents(self, reading: Reading, scope: str | None) -> Iterator[Document]:
        many = isinstance(reading.data, list)
        found = reading.data if isinstance(reading.data, list) else [reading.data]
        ids = [f"{reading.endpoint}#{_id(record, place)}" for place, record in enumerate(found)]
        if len(set(ids)) < len(ids):
            raise RefusedDocument(
                f"two records of {reading.endpoint} have one id; give each its own"
            )
        for place, (id_, record) in enumerate(zip(ids, found, strict=True)):
            stamps = self._stamps(reading, scope, record, place if many else None)
            metadata = self._details(record) | {k: v for k, v in stamps.items() if v is not None}
            text = self._text(record) if many else self._whole(record)
            yield self._document(id_, text, metadata)

    def _document(self, id_: str, text: str, metadata: dict[str, Any]) -> Document:
        hidden = [key for key in metadata if key in self.security_keys or key in STAMPS]
        return Document(
            id_=id_,
            text=text,
            metadata=metadata,
            excluded_embed_metadata_keys=hidden,
            excluded_llm_metadata_keys=list(hidden),
        )

    def _stamps(
        self, reading: Reading, scope: str | None, record: Record, place: int | None
    ) -> dict[str, Any]:
        """Where a document comes from. Whatever differs from load to load would make it new."""
        return {
            "source_endpoint": reading.endpoint,
            "ingestion_auth": "delegation token",
            "ingested_by": reading.spiffe_id,
            "scope": scope,
        }

    def _details(self, record: Record) -> dict[str, Any]:
        """What becomes metadata: who may read it, and all that stands beside a main text."""
        main = _main_text(record)
        beside = () if main is None else (name for name in record if name not in (main, *IDS))
        names = [*beside, *filter(self._is_security_key, record)]
        named = {name: record[name] for name in names if name not in STAMPS}
        # A copy, so that nobody who changes a document changes another one.
        return {name: copy.deepcopy(v) for name, v in named.items() if v is not None}

    def _is_security_key(self, name: str) -> bool:
        """Whether a field says who may read a record, or looks as if it should.

        A slip has to reach the index, which refuses it, and must not end as a line of the text.
        """
        return name in self.security_keys or _meant(name, self.security_keys) is not None

    def _text(self, record: Record) -> str:
        """The main text under its title; or, if there is none, a line for each field."""
        main = _main_text(record)
        if main is not None:
            title = next((record[t] for t in HEADLINES if isinstance(record.get(t), str)), None)
            return f"{title}\n\n{record[main]}" if title else str(record[main])
        lines = ((name, in_words(value)) for name, value in self._open_fields(record).items())
        return "\n".join(f"{caption(name)}: {words}" for name, words in lines if words)

    def _whole(self, record: Record) -> str:
        """A record that is a collection by itself."""
        if _main_text(record) is not None:
            return self._text(record)
        return json.dumps(self._open_fields(record), indent=2, ensure_ascii=False)

    def _open_fields(self, record: Record) -> Record:
        hidden = (*self.security_keys, *STAMPS)
        return {name: value for name, value in record.items() if name not in hidden}


def _meant(name: str, known: list[str]) -> str | None:
    """The one of these names for which this one is most likely a slip."""
    try:
        from bailiwick._native import meant_name
    except ImportError:  # No wheel, and so no index here that a document could reach.
        return None
    return meant_name(name, known)


def _id(record: Record, place: int) -> str:
    for name in IDS:
        value = record.get(name)
        if (isinstance(value, str) and value) or type(value) in (int, float):
            return str(value)
    return str(place)


def _main_text(record: Record) -> str | None:
    return next((name for name in MAIN_TEXTS if isinstance(record.get(name), str)), None)


def caption(name: str) -> str:
    """`due_date` reads `Due date`."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def in_words(value: Any) -> str:
    """A value as one would say it; nothing for what says nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(v, list | dict) for v in value):
        return ", ".join(filter(None, map(in_words, value)))
    return json.dumps(value, ensure_ascii=False)
