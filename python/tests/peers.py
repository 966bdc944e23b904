"""Whom the tests talk to: a Bailiwick server, and servers that misbehave."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "peers"))

from house import BINARY, House  # noqa: E402

__all__ = ["BINARY", "House"]

CLIENT_ID = "3b9f6d1e-58ac-4c4b-85fa-f84b6c9cb73d"
TOKEN_PATH = "/authsec/uflow/sdk/delegation-token"


@dataclass
class Reply:
    """One scripted answer; a body that is no text is sent as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Peer(ThreadingHTTPServer):
    """Answers by path as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.replies: dict[str, Reply] = {}
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    server: Peer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append((url.path, parse_qs(url.query), dict(self.headers)))
        reply = self.server.replies.get(url.path, Reply(404, {"error": "not here"}))
        text = isinstance(reply.body, str)
        body = (reply.body if text else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        kind = {"Content-Type": "text/html" if text else "application/json"}
        length = {"Content-Length": str(len(body))}
        for name, value in (kind | length | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@contextmanager
def peer() -> Iterator[Peer]:
    server = Peer()
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def behind(proxy: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the environment names this proxy for everything."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv(name.lower(), proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def issued(lifetime: int = 1800, **more: Any) -> Reply:
    """The answer of an authority with a token, which only this process could verify."""
    claims = {"sub": "spiffe://acme.example/agent/reader", "jti": "jti-1"}
    secret = jwt.encode(claims, "of the tests alone, and of nobody else", algorithm="HS256")
    return Reply(body={"token": secret, "ttl_seconds": lifetime} | more)


def vault_answer(data: Any) -> Reply:
    return Reply(body={"status": "success", "code": 200, "data": data})
