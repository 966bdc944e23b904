"""`SecureReader`: records behind the vault → documents."""

from __future__ import annotations

import os
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr, SecretStr

from bailiwick.errors import BailiwickError
from bailiwick.vault import Reading, Vault
from llama_index.readers.bailiwick.records import RecordReader


def _variable(name: str, argument: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise BailiwickError(f"`{argument}` is missing; give it, or set {name}")
    return value


def _private_key() -> SecretStr | None:
    value = os.environ.get("BAILIWICK_PRIVATE_KEY")
    return SecretStr(value) if value else None


class SecureReader(RecordReader):
    """Reads collections of a vault with delegation tokens, each for the scope that is asked for.

    Nothing in a document's metadata changes unless its record does, so that a pipeline with a
    docstore skips what it has seen.
    """

    base_url: str = Field(
        default_factory=lambda: _variable("BAILIWICK_URL", "base_url"),
        description="Where authority and vault are; else the variable BAILIWICK_URL.",
    )
    client_id: str = Field(
        default_factory=lambda: _variable("BAILIWICK_CLIENT_ID", "client_id"),
        description="The agent's client id, a UUID; else the variable BAILIWICK_CLIENT_ID.",
    )
    private_key: SecretStr | None = Field(
        default_factory=_private_key,
        description="The agent's key in PEM; else the variable BAILIWICK_PRIVATE_KEY. "
        "An agent that was registered with its client id alone has none.",
        exclude=True,
        repr=False,
    )
    timeout: float = Field(default=10.0, description="Seconds to wait for each step.")
    ca_file: str | None = Field(
        default=None, description="A PEM file of certificates to believe, not the system's."
    )

    _vault: Vault = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Refuses settings that cannot be used, before anything is read."""
        super().model_post_init(context)
        self._vault = Vault(
            self.base_url,
            self.client_id,
            private_key=self.private_key.get_secret_value() if self.private_key else None,
            timeout=self.timeout,
            ca_file=self.ca_file,
        )

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serializes this reader."""
        return "BailiwickSecureReader"

    def __getstate__(self) -> dict[str, Any]:
        """Without the key, which LlamaIndex would keep; the vault leaves out its own secrets."""
        state = super().__getstate__()
        return state | {"__dict__": state["__dict__"] | {"private_key": None}}

    def _read(self, endpoint: str, scope: str | None) -> Reading:
        return self._vault.read(endpoint, scope)

    async def _aread(self, endpoint: str, scope: str | None) -> Reading:
        return await self._vault.aread(endpoint, scope)
