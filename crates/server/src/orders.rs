//! What administrators ordered about agents' documents is in force before anything is read.

use bailiwick_authority as authority;
use bailiwick_authority::audit::{Event, Kind, Outcome};
use bailiwick_index::{Act, Order};

use crate::app::App;
use crate::ask;
use crate::problem::Problem;

/// Obeys the orders that came since the last one. If one cannot be obeyed, nobody is answered.
pub(crate) async fn obey(app: &App) -> Result<(), Problem> {
    let orders = app.authority.orders_after(app.index.obeyed()).await.map_err(|error| {
        tracing::error!(%error, "the orders about agents' documents cannot be read");
        Problem::unavailable("The authority does not answer now; try again later.")
    })?;
    for authority::Order { number, agent, spiffe_id, act } in orders {
        let order = Order { number, agent: spiffe_id, act: translated(act) };
        let receipt = app.index.obey(order).await.map_err(ask::unavailable)?;
        let documents = receipt.documents;
        tracing::warn!(%agent, act = act.name(), documents, "an order about documents is obeyed");
        let mut event = Event::new(Kind::Ingested, Outcome::Ok)
            .with_detail(format!("{}: {documents} documents", act.name()));
        event.agent = Some(agent);
        event.index_revision = Some(receipt.revision);
        // What was ordered is on record already, and what is done cannot wait for the trail.
        if let Err(error) = app.audit.record(event).await {
            tracing::error!(%error, "that an order was obeyed is not recorded");
        }
    }
    Ok(())
}

fn translated(act: authority::Act) -> Act {
    match act {
        authority::Act::Quarantine => Act::Quarantine,
        authority::Act::Release => Act::Release,
        authority::Act::Purge => Act::Purge,
    }
}
