"""An identity provider on loopback, and the people of Acme with their policy."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from bailiwick import Bailiwick, Claims, Policy, Verifier

POLICY: dict[str, Any] = {
    "attribute": [
        {"name": "department", "type": "keyword"},
        {
            "name": "clearance_level",
            "type": "level",
            "levels": ["Public", "Internal", "Restricted"],
        },
        {"name": "project_id", "type": "keyword", "optional": True},
    ],
    "policy": {
        "rule": [
            {"attribute": "department", "op": "in", "claim": "department"},
            {"attribute": "clearance_level", "op": "lte", "claim": "user_clearance"},
            {"attribute": "project_id", "op": "in", "claim": "projects", "absent": "allow"},
        ]
    },
}


class Provider:
    """Serves its discovery document and its key, and signs what it is told to."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(provider.document(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def document(self, path: str) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
        key = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": "one", "alg": "ES256", "use": "sig"}]}

    def token(self, *, lifetime: int = 600, **claims: Any) -> str:
        now = int(time.time())
        payload = {
            "iss": self.issuer,
            "aud": "bailiwick",
            "sub": "alice",
            "iat": now - 700,
            "exp": now + lifetime,
            "jti": str(uuid.uuid4()),
            **claims,
        }
        return jwt.encode(payload, self.key, "ES256", headers={"kid": "one", "typ": "at+jwt"})


class People:
    """People, each with a token that the provider signed."""

    def __init__(self, provider: Provider, verifier: Verifier, policy: Policy) -> None:
        self.provider, self.verifier, self.policy = provider, verifier, policy

    def token(self, department: Any, clearance: str = "Restricted", **claims: Any) -> str:
        return self.provider.token(department=department, user_clearance=clearance, **claims)

    def claims(self, department: Any, clearance: str = "Restricted", **claims: Any) -> Claims:
        return self.verifier.verify(self.token(department, clearance, **claims))

    def __call__(self, department: Any, clearance: str = "Restricted", **claims: Any) -> Bailiwick:
        return self.policy.decide(self.claims(department, clearance, **claims))


def label(department: str, clearance_level: str = "Public", **more: Any) -> dict[str, Any]:
    return {"department": department, "clearance_level": clearance_level, **more}
