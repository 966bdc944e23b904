"""MOCK: a vault in this process with invented records, for programs that configure nothing.

It asks for scopes as a real one does, and a token of its own opens nothing anywhere else.
"""

from __future__ import annotations

import copy
import secrets
import time
import uuid
from typing import Any

import jwt

from bailiwick._http import plain_path, printable
from bailiwick.errors import Denied, InvalidToken, TokenExpired
from bailiwick.vault import DelegationToken

CLIENT_ID = "00000000-0000-0000-0000-000000000000"
SPIFFE_ID = "spiffe://authsec.dev/ns/default/sa/ai-agent"
LIFETIME_SECONDS = 1800
SCOPES = ("read:metrics", "read:records")

COLLECTIONS: dict[str, tuple[str, Any]] = {
    "secure-vault/metrics": (
        "read:metrics",
        {
            "q2_revenue_target": "$4.2M USD",
            "active_users": 18450,
            "infrastructure_status": "optimal",
            "confidentiality_level": "RESTRICTED",
        },
    ),
    "secure-vault/records": (
        "read:records",
        [
            {"id": "USER-001", "name": "Alice Vance", "clearance": "TopSecret"},
            {"id": "USER-002", "name": "Bob Miller", "clearance": "Internal"},
        ],
    ),
}


class MockVault:
    """Stands for a `bailiwick.vault.Vault`, and asks nobody."""

    def __init__(self, client_id: str | None = None) -> None:
        self._client_id = client_id or CLIENT_ID
        self._key = secrets.token_bytes(32)

    def __getstate__(self) -> dict[str, Any]:
        return {"client_id": self._client_id}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def token(self, scope: str | None = None, *, force_refresh: bool = False) -> DelegationToken:
        """A token of 30 minutes for these scopes, or for all that there are."""
        granted = list(SCOPES) if scope is None else scope.split()
        if not set(granted) <= set(SCOPES):
            raise Denied(
                f"`{printable(scope)}` is not delegated in MOCK; ask for {' or '.join(SCOPES)}"
            )
        expires_at = int(time.time()) + LIFETIME_SECONDS
        claims = {
            "iss": "authsec.ai",
            "sub": SPIFFE_ID,
            "client_id": self._client_id,
            "permissions": granted,
            "exp": expires_at,
            "status": "active",
            "jti": str(uuid.uuid4()),
        }
        return DelegationToken(jwt.encode(claims, self._key, algorithm="HS256"), expires_at)

    def request(
        self, endpoint: str, token: str, method: str = "GET", payload: Any = None
    ) -> dict[str, Any]:
        """The envelope of one of the two invented collections."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"])
        except jwt.ExpiredSignatureError:
            raise TokenExpired("the token has expired; get a new one") from None
        except jwt.PyJWTError:
            raise InvalidToken("the token is not of this MOCK; get one from it") from None
        if plain_path(endpoint) not in COLLECTIONS:
            raise Denied(f"MOCK has no `{printable(endpoint)}`; it has {', '.join(COLLECTIONS)}")
        scope, data = COLLECTIONS[plain_path(endpoint)]
        if scope not in claims["permissions"]:
            raise Denied(f"the token is not for {scope}, which `{printable(endpoint)}` needs")
        return {"status": "success", "code": 200, "data": copy.deepcopy(data)}

    async def atoken(
        self, scope: str | None = None, *, force_refresh: bool = False
    ) -> DelegationToken:
        """As `token`."""
        return self.token(scope)

    async def arequest(
        self, endpoint: str, token: str, method: str = "GET", payload: Any = None
    ) -> dict[str, Any]:
        """As `request`."""
        return self.request(endpoint, token, method, payload)
