//! Project Wycheproof's vectors for JSON Web Signature.
//!
//! They are raw signatures over payloads that are no claims, so no vector can be accepted whole.
//! But a payload is only looked at once its signature holds: a vector whose signature we take for
//! valid is refused for its payload, every other one earlier.

use bailiwick_identity::Algorithm;
use bailiwick_identity::jws::{self, KeySet, Profile};
use serde_json::{Value, json};

/// Vectors marked valid that we refuse on purpose, and why.
const STRICTER: [(u64, &str); 2] = [
    (346, "the key says PS256, the header PS384: one key, one algorithm"),
    (350, "the key says PS256, the header PS384: one key, one algorithm"),
];

fn signature_holds(vector: &Value, keys: &KeySet) -> bool {
    let profile = Profile {
        algorithms: vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::EdDSA,
        ],
        untyped: true,
        ..Profile::access_token("https://idp.example", vec!["bailiwick".to_owned()])
    };
    let token = vector["jws"].as_str().unwrap();
    jws::verify(token, &profile, keys, 0).unwrap_err().cause().starts_with("payload is not")
}

#[test]
fn wycheproof_vectors_are_judged_right() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/wycheproof_json_web_signature_test.json"
    );
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut valid, mut invalid, mut skipped) = (0, 0, 0);
    for group in suite["testGroups"].as_array().unwrap() {
        let tests = group["tests"].as_array().unwrap();
        let key = &group["public"];
        let unsupported = match (key["kty"].as_str(), key["crv"].as_str()) {
            (None, _) => Some("a shared secret (HMAC), which is never supported"),
            (_, Some("P-521")) => Some("P-521, which jsonwebtoken does not have"),
            _ => None,
        };
        if let Some(reason) = unsupported {
            println!("skipped {} vectors, {}...: {reason}", tests.len(), tests[0]["comment"]);
            skipped += tests.len();
            continue;
        }
        let (keys, _) = KeySet::from_jwks(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        for vector in tests {
            let id = vector["tcId"].as_u64().unwrap();
            let marked = vector["result"] == "valid";
            let stricter = STRICTER.iter().any(|(stricter, _)| *stricter == id);
            let holds = signature_holds(vector, &keys);
            assert_eq!(holds, marked && !stricter, "tcId {id}: {}", vector["comment"]);
            if holds { valid += 1 } else { invalid += 1 }
        }
    }
    println!("{valid} valid, {invalid} refused ({STRICTER:?} though valid), {skipped} skipped");
    assert_eq!(valid + invalid + skipped, 401);
    assert!(valid >= 25, "the vectors must have been looked at: {valid} valid");
}
