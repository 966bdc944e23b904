"""A misspelt attribute opens no node."""

import pytest
from acme import label
from llama_index.core.schema import TextNode

from bailiwick import Index, RefusedDocument
from llama_index.readers.bailiwick.records import RecordReader
from llama_index.vector_stores.bailiwick import BailiwickVectorStore

VECTOR = [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("key", ["projectid", "Project-ID", "project\u200b_id", "projetc_id"])
def test_the_index_refuses_it(index: Index, key: str) -> None:
    metadata = label("sales", **{key: "sk-secret"})
    with pytest.raises(RefusedDocument, match="did you mean `project_id`") as refused:
        index.add(["a"], [VECTOR], ["text"], [metadata])
    assert "sk-secret" not in str(refused.value)
    store = BailiwickVectorStore(index)
    with pytest.raises(RefusedDocument, match="did you mean `project_id`"):
        store.add([TextNode(id_="a", text="text", metadata=metadata, embedding=VECTOR)])
    store.add([TextNode(id_="a", text="text", metadata=label("sales"), embedding=VECTOR)])
    with pytest.raises(RefusedDocument, match="did you mean `project_id`"):
        index.relabel("a", metadata)


def test_names_that_llama_index_stamps_pass(index: Index) -> None:
    names = (
        "file_path file_name file_type file_size creation_date last_modified_date page_label "
        "document_title excerpt_keywords section_summary window original_text header_path title "
        "source author date tags url label level status owner category summary language name"
    )
    metadata = label("sales", **dict.fromkeys(names.split(), "x"))
    store = BailiwickVectorStore(index)
    assert store.add([TextNode(id_="a", text="text", metadata=metadata, embedding=VECTOR)]) == ["a"]


def test_a_reader_keeps_a_slip_for_the_index() -> None:
    class Reader(RecordReader):
        def _read(self, endpoint, scope):  # type: ignore[no-untyped-def]
            raise NotImplementedError

        async def _aread(self, endpoint, scope):  # type: ignore[no-untyped-def]
            raise NotImplementedError

    details = Reader()._details({"name": "Lines", "departement": "hr", "amount": 3})
    assert details == {"departement": "hr"}
