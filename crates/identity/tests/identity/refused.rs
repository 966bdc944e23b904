//! Hostile tokens, each with the reason that must have stopped it.

mod claims;
mod form;
mod headers;

use std::time::{Duration, Instant};

use crate::world::World;

/// An attack: its id, the token, the cause that the log must show.
type Attack = (&'static str, String, &'static str);

const LONG: &str = "token is longer than allowed";
const FORGED: &str = "signature does not hold";
const PAST: &str = "exp is past";

async fn assert_refused(world: &World, attacks: Vec<Attack>) {
    for (id, token, cause) in attacks {
        let since = Instant::now();
        let rejection = world.verify(&token).await.expect_err(id);
        assert_eq!(rejection.cause(), cause, "{id}");
        let text = if cause == PAST { "Token has expired" } else { "Invalid token" };
        assert_eq!(rejection.to_string(), text, "{id}: the caller learns no more than that");
        assert!(since.elapsed() < Duration::from_secs(5), "{id} took {:?}", since.elapsed());
    }
    assert!(world.verify(&world.token()).await.is_ok(), "the right token still verifies");
}
