//! What administrators order about agents' documents.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::Writing;
use crate::database::DatabaseError;
use crate::orders::{Act, Order};

/// The orders with higher numbers than this, in turn.
pub(crate) fn orders_after(c: &Connection, number: i64) -> rusqlite::Result<Vec<Order>> {
    c.prepare_cached(
        "SELECT o.id, a.name, a.spiffe_id, o.what FROM orders o
         JOIN agents a ON a.client_id = o.client_id WHERE o.id > ?1 ORDER BY o.id",
    )?
    .query_map([number], |row| {
        let act = Act::parse(&row.get::<_, String>(3)?).ok_or(rusqlite::Error::InvalidQuery)?;
        let number = row.get::<_, i64>(0)?.unsigned_abs();
        Ok(Order { number, agent: row.get(1)?, spiffe_id: row.get(2)?, act })
    })?
    .collect()
}

impl Writing<'_> {
    /// Leaves an order for whoever has the index open.
    pub(crate) fn order(&self, id: Uuid, act: Act) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "INSERT INTO orders (client_id, what, ordered_at) VALUES (?1, ?2, ?3)",
                params![id.to_string(), act.name(), self.now.unix()],
            )
            .map(drop)
        })
    }
}
