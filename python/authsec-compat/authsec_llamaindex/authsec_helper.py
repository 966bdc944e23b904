"""Where 0.1.0 has its client."""

from bailiwick.compat.authsec import AuthSecClient

__all__ = ["AuthSecClient"]
