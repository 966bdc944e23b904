"""Where 0.1.0 has its reader."""

from bailiwick.compat.authsec import AuthSecClient, AuthSecSecureReader

__all__ = ["AuthSecClient", "AuthSecSecureReader"]
