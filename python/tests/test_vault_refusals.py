"""Servers that refuse, break or lead astray: an exception that says what to do."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import pytest
from llama_index.core.schema import Document
from peers import CLIENT_ID, TOKEN_PATH, Peer, Reply, behind, issued, peer, vault_answer

from bailiwick.errors import BailiwickError, Denied, InvalidToken, TokenExpired, Unavailable
from bailiwick.vault import Vault
from llama_index.readers.bailiwick import SecureReader

VAULT_PATH = "/secure-vault/records"
PAGE = Reply(body="<html><body>Sign in, please</body></html>")
DEEP = "[" * 100_000

AUTHORITY = [
    (Reply(400, {"error": "invalid_scope"}), Denied, "invalid_scope; .*ask for a scope"),
    (Reply(401, {"error": "invalid_client"}), Denied, "check the agent's key"),
    (Reply(403, {"error": "access_denied"}), Denied, "ask an administrator to delegate"),
    (Reply(404, {"error": "No active delegation token found"}), Denied, "check the client id"),
    (Reply(410, {"error": "Delegation token has expired"}), TokenExpired, "delegate anew"),
    (Reply(429, {"error": "slow_down"}), Unavailable, "try again later"),
    (Reply(500, "<h1>oops"), Unavailable, "answered 500; try again later"),
    (PAGE, Unavailable, "did not answer in JSON; check that the address"),
    (Reply(body={}), Unavailable, "does not say when|holds no token"),
    (Reply(body=[]), Unavailable, "not a JSON object"),
    (Reply(body="{", headers={"Content-Type": "application/json"}), Unavailable, "not JSON"),
    (Reply(body=DEEP, headers={"Content-Type": "application/json"}), Unavailable, "not JSON"),
    (issued(token="a\r\nX-Other: b"), Unavailable, "holds no token"),
    (issued(token=None), Unavailable, "holds no token"),
    (issued(lifetime=-5), Unavailable, "when the token expires"),
    (issued(lifetime=0), Unavailable, "compare the clocks"),
    (issued(expires_at="2001-01-01T00:00:00Z"), Unavailable, "compare the clocks"),
    (issued(expires_at="2101-01-01T00:00:00"), Unavailable, "no RFC 3339 time"),
    (issued(ttl_seconds=True), Unavailable, "when the token expires"),
]
VAULT = [
    (Reply(401, {"detail": "Invalid token"}), InvalidToken, "Invalid token; .*new token"),
    (Reply(401, {"detail": "Token has expired"}), TokenExpired, "Token has expired"),
    (Reply(403, {"error": "insufficient_scope"}), Denied, "ask for the scope"),
    (Reply(404, {"title": "Not Found"}), Denied, "check the endpoint"),
    (Reply(410, {}), TokenExpired, "check the endpoint"),
    (Reply(502, {"detail": "upstream"}), Unavailable, "upstream; try again later"),
    (PAGE, Unavailable, "did not answer in JSON"),
    (Reply(204, {}), Unavailable, "answered 204"),
    (vault_answer("text"), Unavailable, "neither a record nor a list"),
    (vault_answer([{"id": "a"}, 7]), Unavailable, "neither a record nor a list"),
    (Reply(body=[{"id": "a"}]), Unavailable, "not a JSON object"),
    (Reply(body={"data": [{"id": "a"}]}), Unavailable, "lacks the status"),
    (Reply(body={"status": "error", "message": "no"}), Unavailable, "lacks the status"),
    (
        Reply(
            body='{"status": "success", "data": {"clearance": "Secret", "clearance": "None"}}',
            headers={"Content-Type": "application/json"},
        ),
        Unavailable,
        "not JSON",
    ),
    (
        Reply(
            body='{"status": "success", "data": {"id": NaN}}',
            headers={"Content-Type": "application/json"},
        ),
        Unavailable,
        "not JSON",
    ),
]


def load(reader: SecureReader, asynchronous: bool) -> list[Document]:
    if asynchronous:
        return asyncio.run(reader.aload_data("secure-vault/records", "read:records"))
    return reader.load_data("secure-vault/records", "read:records")


def refused(url: str, error: type[Exception], says: str, **settings: Any) -> str:
    """Reads, blocking and not; both have to raise just this, and the text is returned."""
    texts = []
    for asynchronous in (False, True):
        reader = SecureReader(base_url=url, client_id=CLIENT_ID, **settings)
        with pytest.raises(BailiwickError, match=says) as raised:
            load(reader, asynchronous)
        assert raised.type is error
        texts.append(str(raised.value))
    assert texts[0] == texts[1]
    assert not re.search("eyJ|<html", texts[0])
    return texts[0]


@pytest.mark.parametrize(("reply", "error", "says"), AUTHORITY)
def test_what_an_authority_may_answer(
    authority: Peer, reply: Reply, error: type[Exception], says: str
) -> None:
    authority.replies[TOKEN_PATH] = reply
    assert refused(authority.url, error, says).startswith("the authority")
    assert set(authority.paths()) == {TOKEN_PATH}


@pytest.mark.parametrize(("reply", "error", "says"), VAULT)
def test_what_a_vault_may_answer(
    authority: Peer, reply: Reply, error: type[Exception], says: str
) -> None:
    authority.replies[VAULT_PATH] = reply
    assert refused(authority.url, error, says).startswith("the vault")


@pytest.mark.parametrize("path", [TOKEN_PATH, VAULT_PATH])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(authority: Peer, path: str, status: int) -> None:
    with peer() as elsewhere:
        target = elsewhere.url.replace("127.0.0.1", "localhost") + path
        authority.replies[path] = Reply(status, {}, {"Location": target})
        refused(authority.url, Unavailable, "redirects to localhost, where no token is sent")
        assert elsewhere.asked == []


def test_an_error_that_repeats_the_token_is_not_told_on(authority: Peer) -> None:
    token = issued().body["token"]
    authority.replies[VAULT_PATH] = Reply(403, {"detail": f"{token} lacks a scope"})
    refused(authority.url, Denied, "the vault answered 403; ask for the scope")


def test_an_error_cannot_move_the_cursor(authority: Peer) -> None:
    authority.replies[TOKEN_PATH] = Reply(403, {"error": "\x1b[2J\n\u202eno\u2066" + "x" * 9999})
    text = refused(authority.url, Denied, "answered 403")
    assert text.isprintable()
    assert len(text) < 500


def test_nobody_is_there() -> None:
    with peer() as gone:
        url = gone.url
    text = refused(url, Unavailable, "cannot be reached; check the address and that it runs")
    assert text.startswith("the authority")


def test_a_server_that_does_not_answer(authority: Peer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        refused(url, Unavailable, "cannot be reached", timeout=0.2)


@contextmanager
def endless(piece: bytes, pause: float) -> Iterator[str]:
    """The address of a server whose answers have no end."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                visitor, _ = server.accept()
            except OSError:
                return
            with suppress(OSError), visitor:
                visitor.recv(65536)
                visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                while True:
                    visitor.sendall(piece)
                    time.sleep(pause)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        # A listener that is only closed would leave the thread in `accept`.
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize(
    ("piece", "pause", "says"),
    [(b" " * 2**20, 0, "more than 67108864 bytes"), (b" ", 0.05, "too slow; try again")],
)
def test_a_body_without_end_is_cut_off(piece: bytes, pause: float, says: str) -> None:
    with endless(piece, pause) as url:
        refused(url, Unavailable, says, timeout=0.5 if pause else 10)


def test_the_exception_leads_to_no_request_with_a_token(authority: Peer) -> None:
    authority.replies[VAULT_PATH] = Reply(200, "x", {"Content-Length": "999"})
    reader = SecureReader(base_url=authority.url, client_id=CLIENT_ID)
    with pytest.raises(Unavailable) as raised:
        reader.load_data("secure-vault/records", "read:records")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_no_proxy_hears_what_goes_to_this_machine(
    authority: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.replies[VAULT_PATH] = vault_answer([{"id": "a"}])
    with peer() as proxy:
        behind(proxy, monkeypatch)
        reader = SecureReader(base_url=authority.url, client_id=CLIENT_ID)
        for asynchronous in (False, True):
            assert len(load(reader, asynchronous)) == 1
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://vault.example", "in the clear; give an https://"),
        ("https://reader:pass@vault.example", "must not hold a user or a password"),
        ("https://vault.example/?tenant=a", "no base address"),
        ("https://vault.example/#a", "no base address"),
        ("vault.example", "no base address"),
        ("ftp://vault.example", "give an https:// address"),
        ("", "no base address"),
        ("http://[::", "no address"),
    ],
)
def test_an_address_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(BailiwickError, match=says) as raised:
        SecureReader(base_url=url, client_id=CLIENT_ID)
    assert "pass@" not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://other.example/records",
        "//other.example/records",
        "secure-vault/../admin",
        "secure-vault/%2e%2e/admin",
        "secure-vault/records?all=1",
        "secure-vault\\records",
        "secure-vault/records\r\nX: y",
        "",
        "/",
        "a/" * 200 + "a",
    ],
)
def test_an_endpoint_stays_below_the_address(authority: Peer, endpoint: str) -> None:
    reader = SecureReader(base_url=authority.url, client_id=CLIENT_ID)
    with pytest.raises(BailiwickError, match="give a path such as"):
        reader.load_data(endpoint, "read:records")
    assert authority.asked == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"client_id": "a&scope=b"}, "no client id"),
        ({"client_id": ""}, "no client id"),
        ({"private_key": "not PEM"}, "give PEM without a password"),
        ({"timeout": 0}, "give more than 0"),
        ({"ca_file": "/nowhere.pem"}, "give a PEM file"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(BailiwickError, match=says):
        Vault(**({"base_url": "https://vault.example", "client_id": CLIENT_ID} | settings))


@pytest.mark.parametrize("scope", ["", "a\nb", "read:records  read:metrics", "é"])
def test_a_scope_that_cannot_be_sent(authority: Peer, scope: str) -> None:
    with pytest.raises(BailiwickError, match="give one such as read:records"):
        Vault(authority.url, CLIENT_ID).token(scope)
    assert authority.asked == []
