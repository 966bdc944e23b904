"""The README's programs run as they are printed."""

import re
from pathlib import Path
from typing import Any

import pytest
from acme import People
from peers import House

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_program_runs_and_prints_what_follows_it(
    people: People, house: House, agent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = people.token("engineering")
    world: dict[str, Any] = {"issuer": people.provider.issuer, "token": token}
    world |= {"url": house.url, "client_id": agent}
    printed, programs = "", 0
    for language, text in FENCE.findall(README.read_text()):
        if language == "python":
            exec(compile(text, str(README), "exec"), world)
            printed, programs = printed + capsys.readouterr().out, programs + 1
        elif language == "text":
            assert printed == text
            printed = ""
    assert programs >= 4
    assert printed == ""
