"""What is said over HTTP: strict addresses, bounded bodies, no redirects, typed refusals.

A conversation is written once, as a generator that yields requests and is sent answers;
`converse` and `aconverse` hold it, the one blocking and the other not.
What is asked of this machine is asked directly; elsewhere the proxies of the environment hold.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import ssl
import time
import unicodedata
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn, TypeAlias, TypeVar

import httpx

from bailiwick.errors import BailiwickError, InvalidToken, TokenExpired, Unavailable

log = logging.getLogger(__name__)

BODY_BYTES = 64 * 1024 * 1024
DETAIL_CHARACTERS = 300
REDIRECTS = range(300, 400)
EXPIRED = "Token has expired"

Said = TypeVar("Said")


@dataclass(frozen=True)
class Peer:
    """Somebody who is asked."""

    name: str
    errors: Mapping[int, type[BailiwickError]]
    """What a status means; every other is `Unavailable`."""
    advice: Mapping[int, str]
    """What to do about it."""


@dataclass(frozen=True)
class Question:
    """One request, and whom it is for."""

    peer: Peer
    request: httpx.Request


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    peer: Peer
    status: int
    headers: httpx.Headers
    body: bytes


Conversation: TypeAlias = Generator[Question, Answer, Said]


@dataclass(frozen=True)
class Line:
    """How a peer is reached."""

    timeout: float
    """How long to wait for each step, in seconds."""
    certificates: ssl.SSLContext
    """Whose certificates to believe."""
    direct: bool
    """Whether no proxy of the environment is asked."""

    @classmethod
    def to(cls, address: str, timeout: float, ca_file: str | None = None) -> Line:
        """The line to a `base_address`; `ca_file` is in the place of the system's certificates."""
        if not timeout > 0:
            raise BailiwickError(f"a timeout of {timeout} s is over at once; give more than 0")
        return cls(timeout, _certificates(ca_file), _is_here(httpx.URL(address).host))


@cache
def _certificates(ca_file: str | None) -> ssl.SSLContext:
    """Made once: reading the system's takes longer than many a request."""
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
    except OSError:
        raise BailiwickError(
            f"`{printable(ca_file)}` holds no certificates; give a PEM file"
        ) from None


def base_address(address: str) -> str:
    """The address without its last slash, if tokens may be sent there: HTTPS, or this machine."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, TypeError):
        raise BailiwickError("this is no address; give https://…") from None
    if url.userinfo:
        # The address itself stays unsaid: it holds a password.
        raise BailiwickError("an address must not hold a user or a password; leave them out")
    if url.query or url.fragment or not url.host:
        raise BailiwickError("this is no base address; give https://host/path")
    if url.scheme != "https" and not (url.scheme == "http" and _is_here(url.host)):
        raise BailiwickError(
            f"`{printable(address)}` would send tokens in the clear; give an https:// address"
        )
    return str(url).rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def plain_path(endpoint: str) -> str:
    """The endpoint without its leading slash, if it is a path below the base address."""
    path = endpoint.removeprefix("/")
    parts = path.split("/")
    plain = all(re.fullmatch(r"[A-Za-z0-9._~-]+", part) for part in parts)
    if not plain or len(path) > 256 or {".", ".."} & set(parts):
        raise BailiwickError(
            f"`{printable(endpoint)}` is no endpoint; give a path such as `secure-vault/records`"
        )
    return path


def is_header(token: str) -> bool:
    """Whether this can stand in a header, and ends none."""
    return re.fullmatch(r"[\x21-\x7e]+", token) is not None


def converse(conversation: Conversation[Said], line: Line) -> Said:
    """Holds a conversation, blocking."""
    with httpx.Client(
        timeout=line.timeout, verify=line.certificates, trust_env=not line.direct
    ) as http:
        try:
            question = next(conversation)
            while True:
                question = conversation.send(_ask(http, question, line))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def aconverse(conversation: Conversation[Said], line: Line) -> Said:
    """Holds a conversation without blocking the event loop."""
    async with httpx.AsyncClient(
        timeout=line.timeout, verify=line.certificates, trust_env=not line.direct
    ) as http:
        try:
            question = next(conversation)
            while True:
                question = conversation.send(await _aask(http, question, line))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class _Body:
    """Pieces of a body, as long as they are not too many and do not take too long."""

    def __init__(self, peer: Peer, timeout: float):
        self.peer, self.pieces, self.size = peer, list[bytes](), 0
        self.deadline = time.monotonic() + 4 * timeout

    def take(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > BODY_BYTES:
            raise Unavailable(f"{self.peer.name} sent more than {BODY_BYTES} bytes; ask for less")
        if time.monotonic() > self.deadline:
            raise Unavailable(f"{self.peer.name} is too slow; try again, or raise `timeout`")
        self.pieces.append(piece)

    def answer(self, response: httpx.Response) -> Answer:
        return Answer(self.peer, response.status_code, response.headers, b"".join(self.pieces))


def _ask(http: httpx.Client, question: Question, line: Line) -> Answer:
    body = _Body(question.peer, line.timeout)
    try:
        response = http.send(question.request, stream=True)
        try:
            for piece in response.iter_bytes():
                body.take(piece)
        finally:
            response.close()
    except httpx.HTTPError as error:
        _unreachable(question.peer, error)
    return body.answer(response)


async def _aask(http: httpx.AsyncClient, question: Question, line: Line) -> Answer:
    body = _Body(question.peer, line.timeout)
    try:
        response = await http.send(question.request, stream=True)
        try:
            async for piece in response.aiter_bytes():
                body.take(piece)
        finally:
            await response.aclose()
    except httpx.HTTPError as error:
        _unreachable(question.peer, error)
    return body.answer(response)


def _unreachable(peer: Peer, error: httpx.HTTPError) -> NoReturn:
    log.info("%s cannot be reached: %s: %s", peer.name, type(error).__name__, error)
    # The cause carries the request, and the request carries the token.
    raise Unavailable(
        f"{peer.name} cannot be reached; check the address and that it runs"
    ) from None


def json_object(answer: Answer, secret: str = "") -> dict[str, Any]:
    """The JSON object of a 200; every other answer is an error, which does not repeat `secret`."""
    if answer.status != 200:
        _refused(answer, secret)
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Unavailable(
            f"{answer.peer.name} did not answer in JSON; check that the address is its own, "
            "and not that of a page"
        )
    try:
        value = json.loads(answer.body, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # The message of the parser quotes the body, which may hold a token or a record.
        raise unusable(answer.peer, "it is not JSON") from None
    if not isinstance(value, dict):
        raise unusable(answer.peer, "it is not a JSON object")
    return value


def unusable(peer: Peer, problem: str) -> Unavailable:
    """An answer of 200 that is not what was agreed."""
    return Unavailable(f"{peer.name} sent an answer that cannot be used: {problem}")


def _refused(answer: Answer, secret: str) -> NoReturn:
    peer, status = answer.peer, answer.status
    if status in REDIRECTS:
        raise Unavailable(
            f"{peer.name} redirects to {_host(answer) or 'another path'}, where no token is sent; "
            "give the address that answers by itself"
        )
    said = detail(answer, secret)
    text = f"{peer.name} answered {status}" + (f", {said}" if said else "")
    text += f"; {peer.advice.get(status, 'try again later, and look into its log')}"
    error = peer.errors.get(status, Unavailable)
    raise (TokenExpired if error is InvalidToken and said == EXPIRED else error)(text)


def _host(answer: Answer) -> str:
    try:
        return printable(httpx.URL(answer.headers.get("location", "")).host)
    except httpx.InvalidURL:
        return ""


def detail(answer: Answer, secret: str = "") -> str:
    """What an error says of itself, unless it repeats the secret that was sent."""
    try:
        said = json.loads(answer.body[: 16 * 1024])
        texts = [said.get(name) for name in ("detail", "error_description", "error", "title")]
    except (ValueError, RecursionError, AttributeError):
        return ""
    text = next((text for text in texts if isinstance(text, str) and text), "")
    return "" if secret and secret in text else printable(text)


def printable(text: object) -> str:
    """A stranger's text as one short line without anything that moves a cursor."""
    shown = str(text)[:DETAIL_CHARACTERS]
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in shown)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        # Readers disagree which one counts.
        raise ValueError("a name appears twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
