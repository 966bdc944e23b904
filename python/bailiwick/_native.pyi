"""The engine, in Rust."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

__all__ = [
    "Bailiwick",
    "Claims",
    "Explanation",
    "Hit",
    "Index",
    "Policy",
    "Verifier",
    "meant_name",
]

_Vector = npt.ArrayLike
_Filters = Mapping[str, Any]

class _Options(TypedDict, total=False):
    text: str | None
    """Words to look for besides the vector."""
    mode: Literal["dense", "lexical", "hybrid"] | None
    """By default, what the query is: a vector, words, or both."""
    filters: _Filters | None
    """In the JSON form of LlamaIndex's `MetadataFilters`."""
    exact: bool
    """Whether every permitted vector is compared whole; false by default."""
    dense_weight: float
    """How much vectors count beside words, from 0 to 1; 0.5 by default."""
    diversity: float
    """How much a passage loses that is like a better one, from 0 to 1; 0 by default."""

@final
class Verifier:
    """Turns bearer tokens of one issuer into claims.

    The arguments are the keys of `[identity]` in `bailiwick.toml`: `issuer`, `audience` (a text or
    a list of texts), and optionally `jwks_uri`, `algorithms`, `clock_skew_seconds`,
    `token_types`, `max_token_lifetime_seconds`, `unknown_kid_cooldown_seconds`,
    `max_stale_seconds` and `danger_allowed_hosts`.
    Keys are fetched in the background, from where the issuer publishes them, or given as `jwks`:
    a dict, its JSON text, or the path of a file. Then nothing is fetched, and no other key counts.
    """

    def __new__(
        cls,
        issuer: str,
        audience: str | Sequence[str],
        *,
        jwks: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Verifier: ...
    def verify(self, token: str) -> Claims:
        """Verifies an access token.

        Raises `TokenExpired`, `InvalidToken`, or `Unavailable` while there are no keys.
        """

@final
class Claims:
    """What a verified token says of a person. Only `Verifier.verify` makes one."""

    @property
    def issuer(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def expires_at(self) -> int:
        """Seconds since 1970-01-01 UTC."""

    @property
    def token_id(self) -> str | None: ...
    def as_dict(self) -> dict[str, Any]:
        """A copy of the whole payload."""

@final
class Policy:
    """Decides what a person may read.

    `config` has the shape of `bailiwick.toml`: a list under `attribute`, and `policy` with its
    rules. Other tables are not looked at.
    """

    def __new__(cls, config: Mapping[str, Any]) -> Policy: ...
    @staticmethod
    def from_toml(text: str) -> Policy: ...
    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> Policy: ...
    @property
    def attributes(self) -> list[dict[str, Any]]:
        """What labels are made of, as it was configured: for `Index.open`."""

    @property
    def claims(self) -> list[str]:
        """The claims that the rules read."""

    @property
    def revision(self) -> str: ...
    def decide(self, claims: Claims) -> Bailiwick:
        """What this person may read. Raises `Denied` if claims like hers can open nothing."""

    def explain(
        self, claims: Claims | Mapping[str, Any], document: Mapping[str, Any]
    ) -> Explanation:
        """Why these claims may, or may not, read a document with this metadata.

        Claims may be invented here: an explanation opens nothing.
        """

@final
class Explanation:
    """The decision on one document, with every rule that was looked at."""

    @property
    def allowed(self) -> bool: ...
    @property
    def steps(self) -> list[dict[str, Any]]: ...

@final
class Bailiwick:
    """What one person may read, until her token expires. Only `Policy.decide` makes one.

    It is decided on the labels of an index each time that is searched, so that it is up to date.
    """

    @property
    def issuer(self) -> str | None: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def expires_at(self) -> int | None: ...
    @property
    def missing_claims(self) -> list[str]:
        """Claims that the policy reads and cannot use: missing, empty, or of the wrong type."""

@final
class Hit:
    """A passage that may be read."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def score(self) -> float | None:
        """Higher is better; none if nothing was compared."""

@final
class Index:
    """Passages with vectors, searched within a bailiwick. One process has a path open at a time.

    Vectors are kept in 16 bits a number.
    """

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None = None,
        *,
        dims: int,
        attributes: Sequence[Mapping[str, Any]],
        embedder: str = "python",
        metric: Literal["cosine", "inner-product"] = "cosine",
    ) -> Index:
        """Opens the index of a folder, or a temporary one that ends with this object.

        `embedder` names the model that makes the vectors: an index that holds those of another
        model is refused.
        """

    @property
    def attributes(self) -> list[dict[str, Any]]: ...
    @property
    def dims(self) -> int: ...
    def close(self) -> None:
        """Gives up the folder. What was written is durable already."""

    def danger_everything(self) -> Bailiwick:
        """All that there is, whoever asks. For programs that have no people, such as tests."""

    def add(
        self,
        ids: Sequence[str],
        vectors: _Vector,
        texts: Sequence[str] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        source: str = "python",
        replace: bool = False,
    ) -> int:
        """Stores all of these passages or none, in the place of those with the same ids.

        `vectors` has a row of `dims` numbers for each. They are durable and searchable when this
        returns. Raises `RefusedDocument` with the first that is wrong.
        An id belongs to the source that stored it: another source's is refused, unless `replace`
        takes it over.
        """

    def delete(self, ids: Sequence[str], *, source: str | None = None) -> int:
        """Removes those that exist, and counts them.

        With `source`, raises `RefusedDocument` if one belongs to another source.
        """

    def delete_matching(self, filters: _Filters | None = None, *, source: str | None = None) -> int:
        """Removes what matches, whoever may read it; without filters, everything.

        With `source`, passages of other sources stay.
        """

    def relabel(self, id: str, metadata: Mapping[str, Any]) -> bool:
        """Gives a passage other metadata, and the label that follows from it.

        False if there is no such passage. Raises `RefusedDocument` if there is no such label.
        """

    def search(
        self,
        query: str | _Vector,
        bailiwick: Bailiwick,
        k: int = 10,
        **options: Unpack[_Options],
    ) -> tuple[list[str], npt.NDArray[np.float32]]:
        """The ids and scores of the best `k` passages inside the bailiwick, ties by id.

        Words are found by BM25, a vector by its nearness, and a vector with `text` by both.
        """

    def search_batch(
        self,
        vectors: _Vector,
        bailiwick: Bailiwick,
        k: int = 10,
        **options: Unpack[_Options],
    ) -> list[tuple[list[str], npt.NDArray[np.float32]]]:
        """`search` for each row of `vectors`, on all cores."""

    def retrieve(
        self,
        query: str | _Vector,
        bailiwick: Bailiwick,
        k: int = 10,
        **options: Unpack[_Options],
    ) -> list[Hit]:
        """`search`, with texts and metadata."""

    def documents(self, bailiwick: Bailiwick, filters: _Filters | None = None) -> list[Hit]:
        """Everything inside the bailiwick that matches, by id."""

    def size(self, bailiwick: Bailiwick) -> tuple[int, int]:
        """How many labels and passages are inside the bailiwick."""

def meant_name(name: str, known: list[str]) -> str | None:
    """The one of these names for which `name` is most likely a slip, unless it is one of them."""
