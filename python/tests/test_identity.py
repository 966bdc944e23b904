"""Tokens become claims, or a typed exception that tells nothing."""

import json
import logging
import pickle
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from acme import POLICY, People, Provider
from cryptography.hazmat.primitives.asymmetric import ec
from peers import ROOT

from bailiwick import (
    Bailiwick,
    BailiwickError,
    Claims,
    Denied,
    Index,
    InvalidToken,
    Policy,
    RefusedDocument,
    TokenExpired,
    Unavailable,
    Verifier,
)


def test_a_token_becomes_claims(verifier: Verifier, provider: Provider) -> None:
    claims = verifier.verify(provider.token(sub="bob", department=["sales"]))
    assert (claims.issuer, claims.subject) == (provider.issuer, "bob")
    assert claims.as_dict()["department"] == ["sales"]
    assert claims.expires_at > time.time()
    assert claims.token_id
    assert "sales" not in repr(claims)


def test_a_copy_of_the_claims_changes_nothing(verifier: Verifier, provider: Provider) -> None:
    claims = verifier.verify(provider.token(department="sales"))
    claims.as_dict()["department"] = "engineering"
    assert claims.as_dict()["department"] == "sales"


def test_an_expired_token_is_told_from_an_invalid_one(
    verifier: Verifier, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TokenExpired, match=r"^Token has expired$"):
        verifier.verify(provider.token(lifetime=-120))
    stranger = ec.generate_private_key(ec.SECP256R1())
    good = jwt.decode(provider.token(), options={"verify_signature": False})
    forged = jwt.encode(good, stranger, "ES256", headers={"kid": "one", "typ": "at+jwt"})
    for token in (forged, provider.token(aud="another"), provider.token(iss="x"), "", "a.b.c"):
        with (
            caplog.at_level(logging.WARNING, "bailiwick"),
            pytest.raises(InvalidToken, match=r"^Invalid token$"),
        ):
            verifier.verify(token)
    assert "a token was refused: " in caplog.text
    assert "eyJ" not in caplog.text


def test_without_keys_nobody_is_told_that_her_token_is_bad() -> None:
    with pytest.raises(Unavailable, match="no keys of the identity provider"):
        Verifier("http://127.0.0.1:1", "bailiwick").verify("token")


def test_keys_are_given_as_a_dict_a_text_or_a_file(
    provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unused = {"kty": "RSA", "kid": "two", "use": "enc"}
    keys = {"keys": [*provider.document("/jwks")["keys"], unused]}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(keys))
    issuer = "https://idp.example.com"
    for jwks in (keys, json.dumps(keys), file):
        verifier = Verifier(issuer, "bailiwick", jwks=jwks, clock_skew_seconds=60)
        assert "not every key is used; key 1: use is not sig" in caplog.text
        assert verifier.verify(provider.token(iss=issuer, sub="bob")).subject == "bob"
        with pytest.raises(TokenExpired):
            verifier.verify(provider.token(iss=issuer, lifetime=-120))
        for other in (provider.token(), provider.token(iss=issuer, aud="another")):
            with pytest.raises(InvalidToken):
                verifier.verify(other)


@pytest.mark.parametrize(
    ("jwks", "problem"),
    [
        ("jwks.json", r"not JSON; give a dict, its JSON text, or a pathlib\.Path"),
        (Path("/nowhere/jwks.json"), "/nowhere/jwks.json cannot be read"),
        ({"kty": "EC"}, "no list `keys`"),
        ({"keys": []}, "no key that may verify tokens"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "key 0: it is a symmetric key"),
        ({"keys": [{"kty": "EC", "d": "AA"}]}, "key 0: it is a private key"),
        ({"keys": [float("nan")]}, "nan has no JSON form"),
        (["keys"], "give a dict"),
        (7, "give a dict"),
    ],
)
def test_keys_that_cannot_verify_are_refused(jwks: Any, problem: str) -> None:
    with pytest.raises(BailiwickError, match=problem):
        Verifier("https://idp.example.com", "bailiwick", jwks=jwks)


def test_with_keys_nothing_is_fetched(provider: Provider) -> None:
    keys = provider.document("/jwks")
    with pytest.raises(BailiwickError, match=r"identity\.jwks_uri: .*leave it out"):
        Verifier(provider.issuer, "bailiwick", jwks=keys, jwks_uri="https://idp.example.com/keys")


def test_a_verifier_that_cannot_be_configured_says_why() -> None:
    with pytest.raises(BailiwickError, match="unknown field `audiense`"):
        Verifier("https://idp.example.com", "bailiwick", audiense="bailiwick")
    with pytest.raises(BailiwickError, match="issuer"):
        Verifier("http://idp.example.com", "bailiwick")


@pytest.mark.parametrize("kind", [Claims, Bailiwick, Index])
def test_nobody_makes_what_only_a_step_before_can_make(kind: type) -> None:
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        type("Forged", (kind,), {})


def test_rights_do_not_travel_in_pickles(people: People) -> None:
    for secret in (people.claims("sales"), people("sales"), people.verifier):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


def test_a_person_whose_claims_open_nothing_is_denied(people: People, provider: Provider) -> None:
    with pytest.raises(Denied, match="user_clearance"):
        people.policy.decide(people.verifier.verify(provider.token(department="sales")))
    with pytest.raises(Denied, match="department"):
        people([])
    with pytest.raises(Denied, match="no rules"):
        Policy({"attribute": POLICY["attribute"]}).decide(people.claims("sales"))
    assert people("sales").missing_claims == ["projects"]


def test_a_policy_is_read_from_a_dict_a_text_and_a_file(policy: Policy) -> None:
    acme = Policy.from_file(ROOT / "examples/acme/bailiwick.toml")
    assert [attribute["name"] for attribute in acme.attributes][:2] == [
        "department",
        "clearance_level",
    ]
    text = '[[attribute]]\nname = "team"\ntype = "keyword"\n'
    rule = '[[policy.rule]]\nattribute = "team"\nop = "in"\nclaim = "teams"\n'
    assert Policy.from_toml(text + rule).claims == ["teams"]
    assert Policy(POLICY).revision == policy.revision != acme.revision


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "policy, line 1"),
        ("[policy]", "attribute"),
        ('[[attribute]]\nname = "a"\ntype = "colour"', "one of keyword"),
        (
            '[[attribute]]\nname = "a"\ntype = "keyword"\n'
            '[[policy.rule]]\nattribute = "b"\nop = "in"\nclaim = "c"',
            "`b`",
        ),
    ],
)
def test_a_policy_that_means_nothing_says_where(text: str, problem: str) -> None:
    with pytest.raises(BailiwickError, match=problem):
        Policy.from_toml(text)


def test_a_decision_is_explained(policy: Policy, people: People) -> None:
    document = {"department": "sales", "clearance_level": "Restricted"}
    claims = {"department": "sales", "user_clearance": "Internal"}
    explained = policy.explain(claims, document)
    assert not explained.allowed
    assert "clearance_level lte claim user_clearance fails" in str(explained)
    assert [step["holds"] for step in explained.steps] == [True, False, True]
    assert policy.explain(people.claims("sales"), document).allowed
    with pytest.raises(RefusedDocument, match="clearance_level"):
        policy.explain(claims, {"department": "sales"})
