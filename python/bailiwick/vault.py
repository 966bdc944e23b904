"""The authority that issues delegation tokens, and the vault that takes them.

Nothing here knows LlamaIndex; the reader in `llama_index.readers.bailiwick` is built on it.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bailiwick._http import (
    Answer,
    Conversation,
    Line,
    Peer,
    Question,
    aconverse,
    base_address,
    converse,
    is_header,
    json_object,
    plain_path,
    printable,
    unusable,
)
from bailiwick.errors import BailiwickError, Denied, InvalidToken, TokenExpired

__all__ = ["DelegationToken", "Reading", "Record", "Vault"]

log = logging.getLogger(__name__)

ASSERTION_SECONDS = 60
EARLY_SECONDS = 60
ENDLESS_SECONDS = 10 * 365 * 86_400
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384"}
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

AUTHORITY = Peer(
    "the authority",
    {400: Denied, 401: Denied, 403: Denied, 404: Denied, 410: TokenExpired},
    {
        400: "check the client id, and ask for a scope that is delegated",
        401: "check the agent's key, and that it is not revoked",
        403: "ask an administrator to delegate what is needed",
        404: "check the client id, and that an administrator has delegated something to it",
        410: "ask an administrator to delegate anew",
    },
)
VAULT = Peer(
    "the vault",
    {400: Denied, 401: InvalidToken, 403: Denied, 404: Denied, 410: TokenExpired},
    {
        400: "check the endpoint and what is sent",
        401: "the next call gets a new token; if that is refused too, the agent may be revoked",
        403: "ask for the scope that the endpoint needs",
        404: "check the endpoint, and that the agent may read it",
        410: "check the endpoint, and that the delegation has not ended",
    },
)

Record: TypeAlias = dict[str, Any]
"""One record of a collection, as its JSON says it."""

PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class DelegationToken:
    """A token; `repr` does not show its secret."""

    secret: str = field(repr=False)
    """What goes behind `Bearer`."""
    expires_at: float
    """When it stops being taken, in seconds since 1970."""


@dataclass(frozen=True)
class Reading:
    """One collection, and what the token that it was read with says of itself.

    Only the vault verifies a token, so what it says is for records and logs.
    """

    endpoint: str
    data: Record | list[Record]
    spiffe_id: str | None
    """Whose token it was."""
    jti: str | None
    """Its name, under which the authority has it on record."""

    @classmethod
    def of(cls, endpoint: str, envelope: dict[str, Any], secret: str) -> Reading:
        """What an envelope holds, if that is a record or a list of records."""
        data = envelope["data"]
        many = isinstance(data, list) and all(isinstance(record, dict) for record in data)
        if not many and not isinstance(data, dict):
            raise unusable(VAULT, "its data is neither a record nor a list of records")
        try:
            claims = jwt.decode(secret, options={"verify_signature": False})
        except jwt.PyJWTError:
            claims = {}
        spiffe_id, jti = claims.get("sub"), claims.get("jti")
        return cls(plain_path(endpoint), data, spiffe_id, jti)


class Vault:
    """What an agent may read, at one address that serves both authority and vault.

    With `private_key` (PEM; RSA, P-256, P-384 or Ed25519) the agent proves itself by a signed
    assertion (RFC 7523); without, its client id is all that it shows.
    `timeout` is in seconds, for each step of a request; `ca_file` names the certificates to
    believe instead of the system's.
    Every failure is a `BailiwickError`, and a pickle holds neither tokens nor the key.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        *,
        private_key: str | None = None,
        timeout: float = 10.0,
        ca_file: str | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", client_id):
            raise BailiwickError(f"`{printable(client_id)}` is no client id; give the agent's UUID")
        self.base_url = base_address(base_url)
        self.client_id = client_id
        self._key = None if private_key is None else _parsed(private_key)
        self._line = Line.to(self.base_url, timeout, ca_file)
        self._ca_file = ca_file
        self._tokens: dict[str | None, DelegationToken] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "client_id": self.client_id,
            "timeout": self._line.timeout,
            "ca_file": self._ca_file,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A vault that had a key has none now, and an agent that needs one is refused.
        self.__init__(**state)  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any]) -> Vault:
        return self

    def token(self, scope: str | None = None, *, force_refresh: bool = False) -> DelegationToken:
        """A token for this scope, or for all that is delegated, with a minute left at least."""
        return converse(self._token(scope, force_refresh), self._line)

    async def atoken(
        self, scope: str | None = None, *, force_refresh: bool = False
    ) -> DelegationToken:
        """As `token`, without blocking."""
        return await aconverse(self._token(scope, force_refresh), self._line)

    def request(
        self, endpoint: str, token: str, method: str = "GET", payload: Any = None
    ) -> dict[str, Any]:
        """The vault's envelope, `{"status": "success", "code": 200, "data": …}`."""
        return converse(self._request(endpoint, token, method, payload), self._line)

    async def arequest(
        self, endpoint: str, token: str, method: str = "GET", payload: Any = None
    ) -> dict[str, Any]:
        """As `request`, without blocking."""
        return await aconverse(self._request(endpoint, token, method, payload), self._line)

    def read(self, endpoint: str, scope: str | None = None) -> Reading:
        """One record, or a list of them, with a token for this scope."""
        return converse(self._read(endpoint, scope), self._line)

    async def aread(self, endpoint: str, scope: str | None = None) -> Reading:
        """As `read`, without blocking."""
        return await aconverse(self._read(endpoint, scope), self._line)

    def _read(self, endpoint: str, scope: str | None) -> Conversation[Reading]:
        path = plain_path(endpoint)
        token = yield from self._token(scope)
        envelope = yield from self._request(path, token.secret)
        return Reading.of(path, envelope, token.secret)

    def _token(
        self, scope: str | None, force_refresh: bool = False
    ) -> Conversation[DelegationToken]:
        kept = self._tokens.get(scope)
        if kept and not force_refresh and kept.expires_at - time.time() > EARLY_SECONDS:
            return kept
        self._tokens.pop(scope, None)
        request = self._token_request(scope)
        answer = yield Question(AUTHORITY, request)
        token = _issued(answer)
        self._tokens[scope] = token
        log.info(
            "got a delegation token for %s until %.0f", scope or "all scopes", token.expires_at
        )
        return token

    def _token_request(self, scope: str | None) -> httpx.Request:
        if scope is not None and not re.fullmatch(r"[\x21-\x7e]+( [\x21-\x7e]+)*", scope):
            raise BailiwickError(f"`{printable(scope)}` is no scope; give one such as read:records")
        wanted = {} if scope is None else {"scope": scope}
        if self._key is None:
            url = f"{self.base_url}/authsec/uflow/sdk/delegation-token"
            return httpx.Request("GET", url, params={"client_id": self.client_id, **wanted})
        url = f"{self.base_url}/oauth/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": JWT_BEARER,
            "client_assertion": _assertion(self.client_id, url, self._key),
            **wanted,
        }
        return httpx.Request("POST", url, data=form)

    def _request(
        self, endpoint: str, token: str, method: str = "GET", payload: Any = None
    ) -> Conversation[dict[str, Any]]:
        if not is_header(token):
            raise BailiwickError(
                "the token cannot be sent; give it as `get_delegation_token` returned it"
            )
        url = f"{self.base_url}/{plain_path(endpoint)}"
        headers = {"Authorization": f"Bearer {token}"}
        if method.upper() == "GET":
            headers["Content-Type"] = "application/json"
            request = httpx.Request("GET", url, headers=headers)
        else:
            request = httpx.Request(method.upper(), url, headers=headers, json=payload)
        answer = yield Question(VAULT, request)
        if answer.status == 401:
            self._forget(token)
        envelope = json_object(answer, token)
        if envelope.get("status") != "success" or "data" not in envelope:
            raise unusable(VAULT, "it lacks the status `success`, or the data")
        log.info("%s gave %d bytes of %s", VAULT.name, len(answer.body), plain_path(endpoint))
        return envelope

    def _forget(self, secret: str) -> None:
        kept = self._tokens.items()
        self._tokens = {scope: token for scope, token in kept if token.secret != secret}


def _issued(answer: Answer) -> DelegationToken:
    said = json_object(answer)
    secret = said.get("token") or said.get("access_token")
    # Anything else could end the header, or is no JWT (RFC 7515 section 7.1).
    if not isinstance(secret, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,16384}", secret):
        raise unusable(AUTHORITY, "it holds no token")
    expires_at = _expiry(said)
    if expires_at <= time.time():
        raise unusable(AUTHORITY, "its token has expired already; compare the clocks")
    return DelegationToken(secret, expires_at)


def _expiry(said: dict[str, Any]) -> float:
    text = said.get("expires_at")
    if isinstance(text, str):
        try:
            # Python 3.10 reads neither `Z` nor the nine digits that Go writes.
            at = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
        except ValueError:
            at = datetime.min
        if at.tzinfo is None:
            raise unusable(AUTHORITY, "its `expires_at` is no RFC 3339 time")
        return at.timestamp()
    seconds = said.get("ttl_seconds", said.get("expires_in"))
    if type(seconds) is not int or not 0 <= seconds < ENDLESS_SECONDS:
        raise unusable(AUTHORITY, "it does not say when the token expires")
    return time.time() + seconds


def _parsed(pem: str) -> PrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BailiwickError(
            "the private key cannot be read; give PEM without a password"
        ) from None
    if isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    raise BailiwickError("the private key is of no known kind; give RSA, P-256, P-384 or Ed25519")


def _assertion(client_id: str, audience: str, key: PrivateKey) -> str:
    """Proof of the agent for one request (RFC 7523 section 3)."""
    if isinstance(key, EllipticCurvePrivateKey):
        algorithm = CURVES[key.curve.name]
    else:
        algorithm = "RS256" if isinstance(key, RSAPrivateKey) else "EdDSA"
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(claims, key, algorithm=algorithm)
