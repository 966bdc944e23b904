"""Input that takes all memory or time: only it fails, by name, and everything beside it goes on."""

import io
import subprocess
import time
import zipfile
import zlib

import pytest
from house import BINARY, bearer, documents_of

MIB = 1 << 20


def peak_memory(process) -> int:
    """The most memory that a process had so far, in bytes."""
    status = open(f"/proc/{process.pid}/status").read()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


# -- policies that come with a request ----------------------------------------


def compared(house, token, text: str, **more):
    body = {"policy": {"engine": "rego"}, "rego": {"files": {"bomb.rego": f"package bailiwick\n{text}\n"}, **more}}
    return house.http.post("/api/admin/policy/diff", json=body, headers=bearer(token("admin")))


BOMBS = {
    "range": "allow if count(numbers.range(1, 1000000000)) > 0",
    "range of a claim": "n := 1000000000\nallow if count(numbers.range(1, n)) > 0",
    "range with a step": "allow if count(numbers.range_step(1, 2000000000, 2)) > 0",
    "range in a set": "allow if count({x | some x in numbers.range(1, 900000000)}) > 0",
    "shift": "allow if bits.lsh(1, 4000000000) > 0",
    "shifts of shifts": "allow if bits.lsh(bits.lsh(1, 2000000000), 2000000000) > 0",
    "width": 'allow if count(sprintf("%999999999d", [1])) > 0',
    "replace": 'a := concat("", [x | some i in numbers.range(1, 60000); x := "aaaaaaaaaa"])\nallow if count(replace(a, "a", a)) > 0',
    "concat": 'a := [x | some i in numbers.range(1, 60000); x := "aaaaaaaaaa"]\nallow if count(concat(concat("", a), a)) > 0',
    "time": "allow if count({z | some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); z := i * j}) > 0",
    "addresses": 'allow if count(net.cidr_expand("10.0.0.0/2")) > 0',
    "pattern": 'allow if regex.match("(((a{1,99}){1,99}){1,99}){1,99}", "a")',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_proposed_policy_takes_no_more_than_it_may(house, token, bomb):
    started = time.monotonic()
    answer = compared(house, token, bomb)
    assert time.monotonic() - started < 60
    # What is bounded already is evaluated, and closes the labels or opens them.
    assert answer.status_code in (200, 400, 422), answer.text
    assert peak_memory(house.process) < 1024 * MIB
    assert compared(house, token, "allow if input.claims.department == input.label.department").status_code == 200
    assert documents_of(house.retrieve(token("alice"), "launch"))


@pytest.mark.parametrize("bomb", ["range", "range with a step", "width"])
def test_a_proposed_policy_that_takes_too_much_is_told_so(house, token, bomb):
    answer = compared(house, token, BOMBS[bomb])
    detail = answer.json()["detail"]
    assert answer.status_code in (400, 422) and ("memory" in detail or "longer" in detail), answer.text


# -- files ---------------------------------------------------------------------


def pdf(objects: list[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    content, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    return content + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(content))


def deflated(content: bytes, rounds: int = 1) -> bytes:
    for _ in range(rounds):
        content = zlib.compress(content, 9)
    filters = b" ".join([b"/FlateDecode"] * rounds)
    return b"<< /Length %d /Filter [%s] >>\nstream\n%s\nendstream" % (len(content), filters, content)


def inflating() -> bytes:
    """Forty streams of a few kilobytes, each of which becomes hundreds of megabytes."""
    stream = deflated(b" " * (300 * MIB), 2)
    contents = b" ".join(b"%d 0 R" % number for number in range(4, 44))
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << >> /Contents [%s] >>" % contents
    return pdf([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, *[stream] * 40])


def nested_pages() -> bytes:
    """Sixty levels of page nodes that name each node below them twice: 2⁶⁰ pages."""
    nodes = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    nodes += [b"<< /Type /Pages /Kids [%d 0 R %d 0 R] /Count 2 >>" % (number, number) for number in range(3, 63)]
    return pdf([*nodes, b"<< /Type /Page /MediaBox [0 0 9 9] /Resources << >> >>"])


def unpacking() -> bytes:
    """A DOCX whose text is hundreds of megabytes of the same word."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        text = b"<w:p><w:r><w:t>again and again</w:t></w:r></w:p>" * (300 * MIB // 48)
        archive.writestr("word/document.xml", b'<w:document xmlns:w="w"><w:body>' + text)
    return content.getvalue()


FILES = {
    "nested.html": lambda: b"<div>" * 200_000 + b"deep",
    "attributes.html": lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(300_000)) + b">wide</p>",
    "tables.html": lambda: b"<table><tr><td>" * 30_000,
    "inflating.pdf": inflating,
    "nested.pdf": nested_pages,
    "unpacking.docx": unpacking,
}


# `attributes.html` may be read in time by a fast machine.
LEFT_OUT = {
    "nested.html": "",
    "tables.html": "nested too deeply",
    "inflating.pdf": "more memory than it may",
    "nested.pdf": "holds no text",
    "unpacking.docx": "holds more than",
}


def test_a_file_that_takes_too_much_is_left_out_by_name_and_the_others_are_stored(new_house, provider, token):
    house = new_house(provider.issuer)
    folder = house.directory / "files"
    folder.mkdir()
    (folder / ".bailiwick.toml").write_text('department = "engineering"\nclearance_level = "Public"\n')
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
        assert (folder / name).stat().st_size < 5 * MIB
    (folder / "a-good.md").write_text("The launch is on Monday.")
    (folder / "z-good.html").write_text("<p>The launch is on Tuesday.</p>")
    started = time.monotonic()
    command = [BINARY, "--config", house.config, "ingest", folder]
    run = subprocess.run(command, cwd=house.directory, capture_output=True, text=True, timeout=300)
    assert run.returncode == 1, run.stderr
    assert time.monotonic() - started < 150
    for name, why in LEFT_OUT.items():
        (line,) = [line for line in run.stderr.splitlines() if f"{name}`" in line]
        assert why in line, line
    house.start()
    assert {"a-good.md", "z-good.html"} <= set(documents_of(house.retrieve(token("alice"), "launch", top_k=20)))
    house.stop()
