//! JWK sets: every key is judged alone, the document as a whole.

use bailiwick_identity::jws::{self, KeySet, KeySetError, Profile};
use bailiwick_identity::{IdentityConfigError, Rejection, Verifier};
use serde_json::{Value, json};

use crate::accepted::changed;
use crate::signer::{Signer, base64url};
use crate::world::{AUDIENCE, claims, config, now};

const ISSUER: &str = "https://idp.example";

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn verify(signer: &Signer, keys: &KeySet) -> Result<(), Rejection> {
    let profile = Profile::access_token(ISSUER, vec![AUDIENCE.to_owned()]);
    jws::verify(&signer.token(&claims(ISSUER)), &profile, keys, now()).map(|_| ())
}

#[test]
fn a_key_that_cannot_be_trusted_is_left_out_alone() {
    let good = Signer::rsa("good");
    let rsa = Signer::attacker("bad").jwk();
    let ec = Signer::p256("bad").jwk();
    let ed = Signer::ed25519("bad").jwk();
    let without = |jwk: &Value, name: &str| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove(name);
        jwk
    };
    let with = |jwk: &Value, change: Value| changed(jwk.clone(), change);
    let modulus = |bits: usize| {
        let mut n = vec![0xff; bits / 8];
        n[0] = 0x80;
        base64url(n)
    };
    let unused = "use is not sig";
    let operations = "key_ops does not list verify";
    let unsupported = "alg is not supported";
    let misfit = "alg does not fit the key";
    let size = "the RSA modulus does not have 2048 to 8192 bits";
    let exponent = "the RSA exponent is not an odd number from 3 to 2^32";
    let factored = "the RSA modulus can be factored";
    let private = "it is a private key, which its owner must replace at once";
    let nameless = "kid is missing or unusable";
    let mistyped = "a member that must be a string is not one";
    let symmetric = "it is a symmetric key";
    let length = "a coordinate has the wrong length";
    let cases = [
        ("K5", json!(null), "it is not an object"),
        ("K5", json!("key"), "it is not an object"),
        ("K5", json!({}), "kty is missing"),
        ("K5 numeric kid", with(&rsa, json!({"kid": 7})), mistyped),
        ("K5", with(&rsa, json!({"kid": ""})), nameless),
        ("K5", with(&rsa, json!({"kid": "a b"})), nameless),
        ("missing kid", without(&rsa, "kid"), nameless),
        ("K5", without(&rsa, "n"), "a number of the key is missing"),
        ("K5", with(&rsa, json!({"n": "AQ=="})), "a number of the key is not base64url"),
        ("K5", with(&rsa, json!({"n": 65537})), mistyped),
        ("K6", json!({"kty": "oct", "kid": "bad", "k": "AAAA", "alg": "HS256"}), symmetric),
        ("K6 disguised", with(&rsa, json!({"k": "AAAA"})), symmetric),
        ("K7", with(&rsa, json!({"d": "AQAB"})), private),
        ("K7", with(&rsa, json!({"p": "AQAB"})), private),
        ("K7", with(&ec, json!({"d": "AQAB"})), private),
        ("K7", with(&ed, json!({"d": null})), private),
        ("K8 512 bits", with(&rsa, json!({"n": modulus(512)})), size),
        ("K8 1024 bits", with(&rsa, json!({"n": modulus(1024)})), size),
        (
            "K8 padded 1024 bits",
            with(&rsa, json!({"n": base64url([vec![0; 128], vec![255; 128]].concat())})),
            size,
        ),
        ("K8 2040 bits", with(&rsa, json!({"n": modulus(2040)})), size),
        ("K8 16384 bits", with(&rsa, json!({"n": modulus(16_384)})), size),
        ("K8 empty", with(&rsa, json!({"n": ""})), size),
        ("K8 e = 1", with(&rsa, json!({"e": "AQ"})), exponent),
        ("K8 e = 0001", with(&rsa, json!({"e": base64url([0, 0, 0, 1])})), exponent),
        ("K8 e even", with(&rsa, json!({"e": base64url([1, 0, 0])})), exponent),
        ("K8 e empty", with(&rsa, json!({"e": ""})), exponent),
        ("K8 e long", with(&rsa, json!({"e": base64url([1, 0, 0, 0, 1])})), exponent),
        (
            "K8 even",
            with(&rsa, json!({"n": base64url([vec![0x80; 255], vec![0]].concat())})),
            factored,
        ),
        ("K8 ROCA", with(&rsa, json!({"n": roca()})), factored),
        ("K9 enc", with(&rsa, json!({"use": "enc"})), unused),
        ("SPF-3 jwt-svid", with(&rsa, json!({"use": "jwt-svid"})), unused),
        ("K9 use", with(&rsa, json!({"use": ["sig"]})), mistyped),
        ("K9 key_ops", with(&rsa, json!({"key_ops": ["encrypt"]})), operations),
        ("K9 key_ops", with(&rsa, json!({"key_ops": []})), operations),
        ("K9 key_ops", with(&rsa, json!({"key_ops": "verify"})), operations),
        ("K9 alg", with(&rsa, json!({"alg": "ES256"})), misfit),
        ("K9 alg", with(&rsa, json!({"alg": "RSA-OAEP"})), unsupported),
        ("K9 alg", with(&rsa, json!({"alg": "HS256"})), unsupported),
        ("K9 alg", with(&rsa, json!({"alg": "none"})), unsupported),
        ("K9 alg", with(&ec, json!({"alg": "RS256"})), misfit),
        ("K9 alg", with(&ec, json!({"alg": "ES384"})), misfit),
        ("K9 alg", with(&ed, json!({"alg": "ES256"})), misfit),
        ("K9 crv", with(&ec, json!({"crv": "P-384"})), length),
        ("K9 crv", with(&ec, json!({"crv": "P-521"})), "kty or crv is not supported"),
        ("K9 crv", with(&ec, json!({"crv": "secp256k1"})), "kty or crv is not supported"),
        ("K9 crv", with(&ed, json!({"crv": "Ed448"})), "kty or crv is not supported"),
        ("K9 crv", with(&ed, json!({"crv": "X25519"})), "kty or crv is not supported"),
        ("K9 kty", with(&ec, json!({"kty": "OKP"})), "kty or crv is not supported"),
        (
            "off the curve",
            with(&ec, json!({"x": base64url([1; 32])})),
            "the point does not lie on the curve",
        ),
        ("short point", with(&ec, json!({"y": base64url([1; 31])})), length),
        (
            "short key",
            with(&ed, json!({"x": base64url([1; 31])})),
            "the Ed25519 key does not have 32 bytes",
        ),
    ];
    for (id, bad, reason) in cases {
        for (keys, position) in [([bad.clone(), good.jwk()], 0), ([good.jwk(), bad.clone()], 1)] {
            let (keys, ignored) = KeySet::from_jwks(set(&keys).as_bytes()).expect(id);
            assert_eq!(keys.len(), 1, "{id}: {bad}");
            assert_eq!(verify(&good, &keys), Ok(()), "{id}: the good key is not harmed");
            assert_eq!(ignored.len(), 1, "{id}");
            assert_eq!((ignored[0].reason, ignored[0].position), (reason, position), "{id}");
            assert_eq!(ignored[0].private, reason == private, "{id}");
        }
    }
}

/// A modulus with the structure of CVE-2017-15361: the power 12345 of 65537 modulo the product of
/// the primes of the fingerprint, plus a multiple of that product.
fn roca() -> String {
    let tail = "HjJfCvuwMO40dk7XOUUQ";
    format!("gAAA{}{tail}", "A".repeat(342 - 4 - tail.len()))
}

#[test]
fn keys_without_optional_members_are_used() {
    for signer in [Signer::rsa("k"), Signer::p256("k"), Signer::ed25519("k")] {
        for change in
            [json!({"key_ops": ["verify"]}), json!({"key_ops": ["sign", "verify"], "x5t": 1})]
        {
            let mut jwk = changed(signer.jwk(), change);
            jwk.as_object_mut().unwrap().retain(|name, _| name != "alg" && name != "use");
            let (keys, ignored) = KeySet::from_jwks(set(&[jwk]).as_bytes()).unwrap();
            assert_eq!((verify(&signer, &keys), ignored), (Ok(()), vec![]), "{}", signer.algorithm);
        }
    }
}

#[test]
fn a_key_serves_its_own_algorithm_only() {
    let as_pss = Signer::rsa("k").with_algorithm("PS256");
    let (keys, _) = KeySet::from_jwks(set(&[as_pss.jwk()]).as_bytes()).unwrap();
    assert_eq!(verify(&as_pss, &keys), Ok(()));
    let mismatch = verify(&Signer::rsa("k"), &keys).unwrap_err();
    assert_eq!(mismatch.cause(), "the key is for another algorithm than alg says", "8725-2");
}

#[test]
fn two_keys_of_one_name_are_both_ignored() {
    let (ours, theirs) = (Signer::rsa("k"), Signer::attacker("k"));
    let pss = Signer::rsa("k").with_algorithm("PS256");
    let other = Signer::p256("other");
    for ambiguous in [
        vec![ours.jwk(), theirs.jwk(), other.jwk()],
        vec![ours.jwk(), other.jwk(), theirs.jwk(), ours.jwk()],
        vec![other.jwk(), ours.jwk(), pss.jwk()],
    ] {
        let (keys, ignored) = KeySet::from_jwks(set(&ambiguous).as_bytes()).unwrap();
        assert!(!ignored.is_empty(), "K10");
        for signer in [&ours, &theirs] {
            let cause = verify(signer, &keys).unwrap_err().cause();
            assert_eq!(cause, "kid names no key that is known", "K10");
        }
        assert_eq!(verify(&other, &keys), Ok(()), "K10");
    }
    let (keys, ignored) = KeySet::from_jwks(set(&[ours.jwk(), ours.jwk()]).as_bytes()).unwrap();
    assert_eq!((verify(&ours, &keys), ignored), (Ok(()), vec![]), "the same key twice is one key");
}

#[test]
fn a_document_that_cannot_be_trusted_gives_no_keys() {
    let key = Signer::rsa("k").jwk().to_string();
    let error = |text: &str| KeySet::from_jwks(text.as_bytes()).err();
    for text in [
        format!(r#"{{"keys":[{key}],"keys":[]}}"#),
        format!(r#"{{"keys":[],"\u006beys":[{key}]}}"#),
        format!(r#"{{"keys":[{}]}}"#, key.replacen('{', r#"{"kty":"RSA","#, 1)),
    ] {
        assert_eq!(error(&text), Some(KeySetError::Malformed("it has a duplicate member")), "K16");
    }
    for text in ["", "{", "<html>", "\u{feff}{\"keys\":[]}", "{\"keys\":[]}x"] {
        assert_eq!(error(text), Some(KeySetError::Malformed("it is not JSON")), "K3 {text}");
    }
    for text in ["null", "[]", "7", "\"keys\""] {
        assert_eq!(
            error(text),
            Some(KeySetError::Malformed("it is not a JSON object")),
            "K4 {text}"
        );
    }
    for text in ["{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"key":[]}"#] {
        assert_eq!(error(text), Some(KeySetError::Malformed("it has no list `keys`")), "K4 {text}");
    }
    let nested = format!(r#"{{"keys":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(error(&nested), Some(KeySetError::Malformed("it is nested too deeply")), "K3");
    assert_eq!(error(&set(&vec![json!({}); 101])), Some(KeySetError::TooManyKeys), "K3");
    assert_eq!(error(&set(&vec![json!({}); 100_000])), Some(KeySetError::TooManyKeys), "K3");
    assert_eq!(error(&" ".repeat(512 * 1024 + 1)), Some(KeySetError::TooLong), "K3");
    let (keys, _) = KeySet::from_jwks(br#"{"keys":[]}"#).unwrap();
    assert!(keys.is_empty());
}

#[test]
fn only_one_public_key_comes_from_pem() {
    let pem = Signer::rsa("k").pem();
    let private = pem.replace("PUBLIC KEY", "PRIVATE KEY");
    let certificate = pem.replace("PUBLIC KEY", "CERTIFICATE");
    let damaged = pem.replace("MII", "MIJ");
    for text in ["", "key", &private, &certificate, &damaged, &format!("{pem}{pem}"), "\u{0}"] {
        assert!(matches!(KeySet::from_pem(text.as_bytes()), Err(KeySetError::Pem(_))), "{text}");
    }
    assert!(KeySet::from_pem(&[0xff]).is_err());
}

#[tokio::test]
async fn keys_that_are_given_verify_without_a_provider() {
    let (signer, stranger) = (Signer::p256("k1"), Signer::p256("k2"));
    let (keys, _) = KeySet::from_jwks(set(&[signer.jwk()]).as_bytes()).unwrap();
    let verifier = Verifier::with_keys(config(ISSUER, json!({})), keys).unwrap();
    verifier.readiness().unwrap();
    let verified = verifier.verify(&signer.token(&claims(ISSUER))).await.unwrap();
    assert_eq!(verified.subject(), "alice");
    let expired =
        changed(claims(ISSUER), json!({"iat": now() - 900, "nbf": 0, "exp": now() - 300}));
    for (token, refusal) in [
        (stranger.token(&claims(ISSUER)), "Invalid token"),
        (signer.token(&claims("https://another.example")), "Invalid token"),
        (signer.token(&expired), "Token has expired"),
    ] {
        assert_eq!(verifier.verify(&token).await.unwrap_err().to_string(), refusal);
    }
}

#[test]
fn whoever_gives_keys_names_nothing_to_fetch() {
    for (name, change) in [
        ("jwks_uri", json!({"jwks_uri": "https://idp.example/keys"})),
        ("groups", json!({"groups": {"claims": ["groups"], "source": "userinfo"}})),
        ("audience", json!({"audience": []})),
    ] {
        match Verifier::with_keys(config(ISSUER, change), KeySet::default()) {
            Err(IdentityConfigError::Field { field, .. }) => assert_eq!(field, name),
            other => panic!("{name} gave {other:?}"),
        }
    }
}
