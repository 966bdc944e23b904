"""The log: whoever reads it may be slow or gone, and it holds no value that stands in the wrong place."""

import os
import subprocess

import pytest
from house import BINARY, bearer, until

REQUESTS = 2000
SECRETS = ("sk-secret", "sk_secret", "hunter2")


@pytest.fixture
def own_house(new_house, provider):
    return new_house(provider.issuer)


def serve(house):
    """Starts the server with standard error as a pipe, and returns the end that is to be read."""
    reader, writer = os.pipe()
    house.process = subprocess.Popen(
        [BINARY, "--config", house.config, "serve"],
        cwd=house.directory,
        stdout=writer,
        stderr=writer,
        env=os.environ | {"RUST_LOG": "debug"},
    )
    os.close(writer)
    until(lambda: house.answers("/readyz"), 20, "200 at /readyz")
    return reader


def dropped(house) -> float:
    metrics = house.http.get("/metrics").text.splitlines()
    lines = [line for line in metrics if line.startswith("bailiwick_log_lines_dropped_total ")]
    return float(lines[0].split()[1]) if lines else 0


def test_a_log_that_is_not_read_delays_no_request(own_house, token):
    reader = serve(own_house)
    for _ in range(REQUESTS):
        assert own_house.http.get("/api/me").status_code == 401
    assert own_house.http.get("/healthz").status_code == 200
    assert own_house.retrieve(token("alice"), "launch").status_code == 200
    until(lambda: own_house.http.get("/api/me") and dropped(own_house) > 0, 60, "dropped lines", pause=0)
    os.set_blocking(reader, False)
    log = b""

    def says_what_is_missing():
        nonlocal log
        try:
            log += os.read(reader, 1 << 20)
        except BlockingIOError:
            pass
        return b"the log lacks lines" in log

    until(says_what_is_missing, 30, "how many lines are missing", pause=0.01)
    own_house.stop()
    os.close(reader)


def test_a_log_without_a_reader_ends_nothing(own_house, token):
    os.close(serve(own_house))
    for _ in range(REQUESTS):
        assert own_house.http.get("/api/me").status_code == 401
    assert own_house.retrieve(token("alice"), "launch").status_code == 200
    assert dropped(own_house) > 0
    own_house.stop()
    assert own_house.process.returncode == 0


def test_a_configuration_error_names_the_place_and_no_value(own_house):
    text = own_house.config.read_text()
    model = '[answer]\nprovider = "openai"\nbase_url = "https://models.example/v1"\nmodel = "m"\n'
    extractive = '[answer]\nprovider = "extractive"\n'
    limits = "\n[limits]\n"
    for wrong, place in (
        (text + limits + 'top_k = "sk-secret"\n', "top_k"),
        (text.replace('provider = "static"', 'provider = "sk-secret"'), "provider"),
        (text.replace('op = "lte"', 'op = "sk-secret"'), "op"),
        (text.replace('engine = "rules"', 'engine = "sk-secret"'), "policy.engine"),
        (text.replace('type = "keyword"', 'type = "sk-secret"'), "department"),
        (text.replace("optional = true", 'optional = "sk-secret"'), "optional"),
        (text.replace("absent = ", 'absent = "sk-secret"\n#'), "absent"),
        (text.replace('audience = "bailiwick"', "audience = [\n  [\"sk-secret\"],\n]"), "line"),
        (text.replace(extractive, model + 'api_key_env = "sk-secret"\n'), "answer.api_key_env"),
        (text.replace(extractive, model + 'api_key_env = "sk_secret"\n'), "answer.api_key_env"),
        (text.replace(extractive, model + 'api_key_file = "sk-secret"\n'), "answer.api_key_file"),
        (text.replace(extractive, model.replace("https://", "https://me:hunter2@")), "answer.base_url"),
        (text.replace('issuer   = "http://', 'issuer   = "http://me:hunter2@'), "identity.issuer"),
        (text + '\n[identity.groups]\nsource = "http"\nurl = "https://g.example"\ntoken_env = "sk-secret"', "token_env"),
        (text + "\nsk-secret==", "line"),
        (text + '\nkey = "sk-secret\n', "line"),
    ):
        assert wrong != text, place
        own_house.config.write_text(wrong)
        run = own_house.command("config", "check", json_output=False, expect=1)
        assert place in run.stderr, run.stderr
        assert not any(secret in run.stderr + run.stdout for secret in SECRETS), run.stderr


def test_errors_of_files_flags_and_requests_hold_no_value(house, own_house, tmp_path, token):
    (tmp_path / "a.md").write_text("---\n- sk-secret\n---\ntext")
    (tmp_path / "b.md").write_text("b")
    (tmp_path / "b.md.meta.toml").write_text('department = "sk-secret')
    (tmp_path / "c.jsonl").write_text('"sk-secret"\n')
    (tmp_path / "cases.json").write_text('{"case": "sk-secret"}')
    for words in (
        *(("ingest", str(tmp_path / name)) for name in ("a.md", "b.md", "c.jsonl")),
        ("ingest", "--attribute", "sk-secret", str(tmp_path)),
        ("agents", "delegate", "reader", "--ttl", "sk-secret"),
        ("policy", "test", str(tmp_path / "cases.json")),
        ("policy", "view-as", "--claims", '"sk-secret"'),
        ("ask", "--server", "me:hunter2@bailiwick.example", "why"),
        ("ask", "--server", "https://me:hunter2@bailiwick.example", "why"),
    ):
        run = subprocess.run([BINARY, "--config", own_house.config, *words], capture_output=True, text=True)
        assert run.returncode != 0 and run.stderr, words
        assert not any(secret in run.stderr + run.stdout for secret in SECRETS), run.stderr
    alice = bearer(token("alice"))
    for question in ({"top_k": "sk-secret"}, {"mode": "sk-secret"}, {"history": "sk-secret"}, {"exact": "sk-secret"}):
        answer = house.http.post("/api/rag/query", json={"query": "launch"} | question, headers=alice)
        assert answer.status_code == 400 and next(iter(question)) in answer.text and "sk-secret" not in answer.text
    admin = bearer(token("admin"))
    answer = house.http.get("/api/admin/audit", params={"limit": "sk-secret"}, headers=admin)
    assert answer.status_code == 400 and "sk-secret" not in answer.text, answer.text
