"""LlamaIndex's nodes as passages of the index, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.schema import BaseNode, Document, ImageNode, Node, TextNode

from bailiwick import Hit

NODE_ID = "_node_id"
REF_DOC_ID = "ref_doc_id"
_CONTENT, _TYPE = "_node_content", "_node_type"
# What stands beside a node's own metadata, under names that other vector stores use too.
RESERVED = frozenset({NODE_ID, REF_DOC_ID, _CONTENT, _TYPE, "doc_id", "document_id"})
# What is stored by itself, or is not for storing.
_APART = {"id_", "embedding", "metadata", "text", "text_resource", "class_name", "obj"}
_EXCLUDED = ("excluded_embed_metadata_keys", "excluded_llm_metadata_keys")
_KINDS: dict[str, type[BaseNode]] = {
    kind.class_name(): kind for kind in (Document, ImageNode, Node, TextNode)
}


def stored(node: BaseNode) -> dict[str, Any]:
    """What is stored with a node's text: its metadata, and what it takes to make it again."""
    own = node.metadata
    content = node.model_dump(mode="json", exclude=_APART, exclude_defaults=True)
    del content["class_name"]
    # An `IndexNode` comes back as text: what it points to would be opened without asking who may.
    content.pop("index_id", None)
    # The order is that of the prompt; the index sorts.
    content["metadata"] = list(own), {name: own[name] for name in own if name in RESERVED}
    source = node.ref_doc_id
    beside = {REF_DOC_ID: source, "doc_id": source, "document_id": source}
    kept = {NODE_ID: node.node_id, _CONTENT: content, _TYPE: node.class_name()}
    return {**own, **beside, **kept}


def relabelled(former: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored with a node whose own metadata are replaced."""
    kept = {name: value for name, value in former.items() if name in RESERVED}
    return {**metadata, **kept}


def nodes_of(hits: Iterable[Hit], attributes: list[str]) -> list[BaseNode]:
    """The nodes that were stored, with the metadata that they have now.

    Attributes are kept out of prompts and embeddings.
    """
    return [_restored(hit, attributes) for hit in hits]


def _restored(hit: Hit, attributes: list[str]) -> BaseNode:
    metadata = hit.metadata
    content, kind = metadata.pop(_CONTENT, {}), metadata.pop(_TYPE, "")
    order, shadowed = content.pop("metadata", ((), {}))
    if shadowed:
        metadata |= shadowed
    own = {name: metadata.pop(name) for name in order if name in metadata}
    if not RESERVED.issuperset(metadata):
        own |= {name: value for name, value in metadata.items() if name not in RESERVED}
    content["metadata"] = own
    for field in _EXCLUDED:
        if kept := content.get(field):
            kept += [name for name in attributes if name not in kept]
        else:
            content[field] = attributes.copy()
    made = _KINDS.get(kind, TextNode)
    if issubclass(made, TextNode):
        return made(id_=hit.id, text=hit.text, **content)
    node = made(id_=hit.id, **content)
    node.set_content(hit.text)
    return node
