"""The vector store in which everybody finds what she may read."""

from llama_index.vector_stores.bailiwick.base import BailiwickVectorStore

__all__ = ["BailiwickVectorStore"]
