//! What reaches the log, and what never does.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::accepted::changed;
use crate::signer::Signer;
use crate::world::World;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn l2_the_log_tells_of_bad_keys_and_never_of_tokens() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let world = World::start().await;
    let secret = "PrivateExponentOfSomebody";
    world.provider.publish(&[
        changed(Signer::attacker("k2").jwk(), json!({ "d": secret })),
        json!({"kty": "oct", "kid": "k3", "k": secret}),
        world.signer.jwk(),
    ]);
    let tokens = [
        world.token(),
        Signer::attacker("k1").token(&world.claims()),
        Signer::attacker("unknown-key").token(&world.claims()),
        world.signer.token(&changed(world.claims(), json!({"aud": "other", "iss": 1}))),
        "not.a.token".to_owned(),
    ];
    for token in &tokens {
        let outcome = world.verify(token).await;
        let shown = format!("{outcome:?} {:?}", world.verifier);
        for segment in token.split('.').filter(|segment| segment.len() > 8) {
            assert!(!shown.contains(segment), "L2: Debug shows a token");
        }
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = |wanted: &str| text.lines().find(|line| line.contains(wanted)).unwrap_or_default();
    assert!(line("publishes a private key").contains("ERROR"), "K7: {text}");
    assert!(line("symmetric").contains("WARN"), "K6: {text}");
    assert!(!text.contains(secret), "a private key is in the log");
    assert!(!text.contains("unknown-key"), "a header's text is in the log");
    for segment in tokens.iter().flat_map(|token| token.split('.')).filter(|s| s.len() > 8) {
        assert!(!text.contains(segment), "L2: a token is in the log");
    }
}
