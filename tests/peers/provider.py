"""The OpenID provider of the tests, and how a person signs in with it."""

import base64
import hashlib
import json
import re
import secrets
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from house import free_port, stop

HERE = Path(__file__).parent
REDIRECT = "http://127.0.0.1/callback"


@dataclass(frozen=True)
class Tokens:
    access: str
    id: str


class Provider:
    """panva's oidc-provider in its own process."""

    def __init__(self, people: dict | Path, directory: Path):
        self.port, self.control_port = free_port(), free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        file = people
        if isinstance(people, dict):
            file = directory / "people.json"
            file.write_text(json.dumps(people))
        self.log = (directory / "provider.log").open("w")
        command = ["node", "oidc_provider.mjs", "--port", str(self.port), "--control", str(self.control_port)]
        command += ["--people", str(file), "--redirect", REDIRECT]
        # Node.js hangs at the start once in a while, and then says nothing for ever.
        self.process = next(filter(None, (self.started(command) for _ in range(3))), None)
        assert self.process, f"the provider did not start, see {self.log.name}"

    def started(self, command: list[str]) -> subprocess.Popen | None:
        process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        alarm = threading.Timer(30, process.kill)
        alarm.start()
        line = process.stdout.readline()
        alarm.cancel()
        if line.startswith("ready"):
            return process
        process.kill()
        process.wait()
        return None

    def control(self, call: str) -> dict:
        method = "GET" if call == "stats" else "POST"
        return httpx.request(method, f"http://127.0.0.1:{self.control_port}/{call}").raise_for_status().json()

    def key_fetches(self) -> int:
        return self.control("stats")["jwks"]

    def stop(self):
        stop(self.process)
        self.log.close()

    def sign_in(self, person: str, resource: str = "urn:bailiwick") -> Tokens:
        """Authorization code with PKCE, through the provider's own pages."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        state = secrets.token_urlsafe(16)
        question = {
            "client_id": "bailiwick-web",
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "openid profile ask",
            "resource": resource,
            "state": state,
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        with httpx.Client() as browser:
            page = browser.get(f"{self.issuer}/auth", params=question)
            for _ in range(12):
                if page.is_redirect:
                    target = urljoin(str(page.url), page.headers["location"])
                    if target.startswith(REDIRECT):
                        break
                    page = browser.get(target)
                else:
                    page = submit_form(browser, page, person)
            else:
                raise AssertionError(f"the sign-in of {person} went in circles: {page.url}")
            answer = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
            assert answer.get("state") == state and "code" in answer, f"no code for {person}: {answer}"
            assert answer["iss"] == self.issuer
            form = {
                "grant_type": "authorization_code",
                "client_id": "bailiwick-web",
                "code": answer["code"],
                "redirect_uri": REDIRECT,
                "code_verifier": verifier,
                "resource": resource,
            }
            tokens = browser.post(f"{self.issuer}/token", data=form).raise_for_status().json()
        return Tokens(access=tokens["access_token"], id=tokens["id_token"])


def submit_form(browser: httpx.Client, page: httpx.Response, person: str) -> httpx.Response:
    page.raise_for_status()
    action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
    prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
    assert action and prompt, f"neither a login nor a consent page: {page.text[:300]}"
    fields = {"prompt": prompt.group(1)}
    if fields["prompt"] == "login":
        fields |= {"login": person, "password": "any"}
    return browser.post(urljoin(str(page.url), action.group(1)), data=fields)
