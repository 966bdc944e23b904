"""Documents out of a vault, for those who may read them."""

from llama_index.readers.bailiwick.base import SecureReader

__all__ = ["SecureReader"]
