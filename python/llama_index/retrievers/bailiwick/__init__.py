"""Retrieval and answers for the person who asks."""

from llama_index.retrievers.bailiwick.base import BailiwickRetriever
from llama_index.retrievers.bailiwick.claims_filter import OidcClaimsFilterTransform
from llama_index.retrievers.bailiwick.engine import SecureRAGQueryEngine

__all__ = ["BailiwickRetriever", "OidcClaimsFilterTransform", "SecureRAGQueryEngine"]
