"""The command line: exit codes, data as JSON, configuration errors that name what is wrong."""

import json
import os
import subprocess

import pytest
from house import BINARY, ROOT


@pytest.fixture
def own_house(new_house, provider):
    return new_house(provider.issuer)


def test_a_wrong_configuration_names_key_and_line(own_house):
    text = own_house.config.read_text()
    for wrong, key in (
        (text.replace("audience = ", "audiense = "), "audiense"),
        (text.replace("token_ttl_seconds = 1800", "token_ttl_seconds = 1801"), "token_ttl_seconds"),
        (text.replace('op = "lte"', 'op = "less"'), "op"),
        (text.replace('attribute = "department"', 'attribute = "departmint"'), "departmint"),
        (text + "\n[[[", "line"),
    ):
        assert wrong != text, key
        own_house.config.write_text(wrong)
        run = own_house.command("config", "check", json_output=False, expect=1)
        assert key in run.stderr + run.stdout, run.stderr
    own_house.config.write_text(text)
    own_house.command("config", "check", json_output=False)


def test_exit_codes(own_house, tmp_path):
    def run(*words):
        environment = {name: value for name, value in os.environ.items() if name != "BAILIWICK_CONFIG"}
        return subprocess.run([BINARY, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert run("--help").returncode == 0
    assert run("--version").returncode == 0
    assert run("no-such-command").returncode == 2
    assert run("agents", "create").returncode == 2
    assert run("agents", "list").returncode == 1, "there is no ./bailiwick.toml here"
    missing = run("--config", "elsewhere.toml", "config", "check")
    assert missing.returncode == 1 and "elsewhere.toml" in missing.stderr
    own_house.command("agents", "revoke", "nobody", json_output=False, expect=1)


def test_agents_are_listed_as_json_and_names_are_kept_clean(own_house):
    id = own_house.agent("pipeline", "read:records")
    (agent,) = own_house.command("agents", "list")
    assert (agent["name"], agent["client_id"]) == ("pipeline", id)
    for name in ("x/../../user/root", "%2e%2e", "Upper", "a b", "", "pipeline"):
        own_house.command("agents", "create", name, "--auth", "client-id", json_output=False, expect=1)
    for permissions in ("*", "", "read:records\nadmin", "a b,c d"):
        run = subprocess.run(
            [BINARY, "--config", own_house.config, "agents", "delegate", "pipeline", "--allow", permissions],
            capture_output=True,
        )
        assert run.returncode in (1, 2), permissions


def test_the_configuration_may_come_from_the_environment(own_house):
    environment = os.environ | {"BAILIWICK_CONFIG": str(own_house.config)}
    run = subprocess.run([BINARY, "agents", "list", "--json"], env=environment, capture_output=True, text=True)
    assert (run.returncode, json.loads(run.stdout)) == (0, [])


def test_policy_cases_of_the_example_hold():
    acme = ROOT / "examples/acme"
    cases = sorted(acme.glob("*cases*"))
    if not cases:
        pytest.skip("examples/acme has no table of policy cases")
    config = next(acme.glob("*.toml"), None)
    run = subprocess.run(
        [BINARY, "--config", config, "policy", "test", cases[0]], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stdout + run.stderr
