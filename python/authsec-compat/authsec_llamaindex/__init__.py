"""The names of authsec-llamaindex 0.1.0, served by Bailiwick."""

from bailiwick.compat.authsec import AuthSecClient, AuthSecSecureReader

__all__ = ["AuthSecClient", "AuthSecSecureReader"]
