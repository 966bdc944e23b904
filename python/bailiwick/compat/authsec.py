"""`AuthSecClient` and `AuthSecSecureReader` with the interface of authsec-llamaindex 0.1.0.

What differs: a failure is an exception and never a record that was made up, the scope is sent,
ids are stable, nothing is printed, and half a configuration is an error.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timezone
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr

from bailiwick.compat.mock import MockVault
from bailiwick.errors import BailiwickError
from bailiwick.vault import Reading, Record, Vault
from llama_index.readers.bailiwick.records import RecordReader

__all__ = ["AuthSecClient", "AuthSecSecureReader"]

log = logging.getLogger(__name__)

TEXT = {"id": "Record ID", "name": "Subject", "clearance": "Clearance level"}


class AuthSecClient:
    """Delegation tokens, and what they open.

    LIVE with `AUTHSEC_BASE_URL` and `AUTHSEC_AGENT_CLIENT_ID` (or both arguments), MOCK with
    neither or with `AUTHSEC_MODE=mock`; one of the two alone is an error. The mode never changes.
    The arguments after the first two are those of `bailiwick.vault.Vault`; `scope` is what a
    token is asked for when a call does not say.
    """

    def __init__(
        self,
        base_url: str | None = None,
        client_id: str | None = None,
        *,
        private_key: str | None = None,
        scope: str | None = None,
        timeout: float = 10.0,
        ca_file: str | None = None,
    ) -> None:
        self.base_url = base_url or os.getenv("AUTHSEC_BASE_URL") or None
        self.client_id = client_id or os.getenv("AUTHSEC_AGENT_CLIENT_ID") or None
        self.scope = scope
        self.mock_mode = _is_mock(self.base_url, self.client_id)
        self._vault: Vault | MockVault
        if self.mock_mode:
            log.warning("MOCK: the records are invented; nothing is asked of any server")
            self._vault = MockVault(self.client_id)
        else:
            self._vault = Vault(
                self.base_url or "",
                self.client_id or "",
                private_key=private_key,
                timeout=timeout,
                ca_file=ca_file,
            )

    def get_delegation_token(self, scope: str | None = None, *, force_refresh: bool = False) -> str:
        """A token for this scope, kept until a minute before its end."""
        return self._vault.token(scope or self.scope, force_refresh=force_refresh).secret

    async def aget_delegation_token(
        self, scope: str | None = None, *, force_refresh: bool = False
    ) -> str:
        """As `get_delegation_token`, without blocking."""
        token = await self._vault.atoken(scope or self.scope, force_refresh=force_refresh)
        return token.secret

    def request_secure_api(
        self,
        endpoint: str,
        token: str,
        method: str = "GET",
        payload: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What the vault answers to this token: `{"status", "code", "data"}`."""
        return self._vault.request(endpoint, token, method, payload)

    async def arequest_secure_api(
        self,
        endpoint: str,
        token: str,
        method: str = "GET",
        payload: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """As `request_secure_api`, without blocking."""
        return await self._vault.arequest(endpoint, token, method, payload)


def _is_mock(base_url: str | None, client_id: str | None) -> bool:
    mode = (os.getenv("AUTHSEC_MODE") or "").lower()
    if mode not in ("", "mock", "live"):
        raise BailiwickError("AUTHSEC_MODE is neither `mock` nor `live`; set one of them, or none")
    if mode == "mock":
        return True
    if base_url and client_id:
        return False
    if not (base_url or client_id or mode):
        return True
    missing = [] if base_url else ["AUTHSEC_BASE_URL"]
    missing += [] if client_id else ["AUTHSEC_AGENT_CLIENT_ID"]
    raise BailiwickError(
        f"{' and '.join(missing)} not set, and half a configuration is none; "
        "set it, or set AUTHSEC_MODE=mock for invented records"
    )


class AuthSecSecureReader(RecordReader):
    """Reads through an `AuthSecClient`; its texts and metadata are those of 0.1.0.

    A document also says its `scope`, and the `token_jti` and the time (`ingested_at`) of its load.
    """

    _client: AuthSecClient = PrivateAttr()

    def __init__(self, authsec_client: AuthSecClient | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._client = authsec_client or AuthSecClient()

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serializes this reader."""
        return "AuthSecSecureReader"

    @property
    def client(self) -> AuthSecClient:
        """What it reads through."""
        return self._client

    def _read(self, endpoint: str, scope: str | None) -> Reading:
        token = self._client.get_delegation_token(scope)
        envelope = self._client.request_secure_api(endpoint=endpoint, token=token, method="GET")
        return Reading.of(endpoint, envelope, token)

    async def _aread(self, endpoint: str, scope: str | None) -> Reading:
        token = await self._client.aget_delegation_token(scope)
        envelope = await self._client.arequest_secure_api(endpoint=endpoint, token=token)
        return Reading.of(endpoint, envelope, token)

    def _stamps(
        self, reading: Reading, scope: str | None, record: Record, place: int | None
    ) -> dict[str, Any]:
        """As 0.1.0; what a record does not say of its secrecy is not made up."""
        return {
            "source_endpoint": reading.endpoint,
            "ingestion_auth": "mock" if self._client.mock_mode else "AuthSec AI Verified",
            "record_index": place,
            "clearance_required": None if place is None else record.get("clearance"),
            "confidentiality": record.get("confidentiality_level") if place is None else None,
            "scope": scope,
            "token_jti": reading.jti,
            "ingested_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _details(self, record: Record) -> dict[str, Any]:
        return {}

    def _text(self, record: Record) -> str:
        told = {said: record.get(name, "N/A") for name, said in TEXT.items()}
        return "\n".join(f"{said}: {value}" for said, value in told.items())

    def _whole(self, record: Record) -> str:
        return json.dumps(record, indent=2)
