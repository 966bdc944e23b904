//! People for whom agents act, as long as their tokens last.

use rusqlite::{Connection, OptionalExtension, params};

use super::Writing;
use crate::database::DatabaseError;

/// A person for whom agents act.
pub(crate) struct Person {
    pub(crate) claims: String,
    pub(crate) expires_at: i64,
    pub(crate) revoked: bool,
}

pub(crate) fn person(c: &Connection, id: &str) -> rusqlite::Result<Option<Person>> {
    c.prepare_cached(
        "SELECT claims, expires_at, EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?1)
         FROM people WHERE id = ?1",
    )?
    .query_row([id], |row| {
        Ok(Person { claims: row.get(0)?, expires_at: row.get(1)?, revoked: row.get(2)? })
    })
    .optional()
}

/// Returns whether any of these names is revoked, also of people whose claims are deleted.
pub(crate) fn any_revoked<'n>(
    c: &Connection,
    names: impl IntoIterator<Item = &'n str>,
) -> rusqlite::Result<bool> {
    let mut statement = c.prepare_cached("SELECT 1 FROM revoked_tokens WHERE jti = ?1")?;
    for name in names {
        if statement.exists([name])? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Writing<'_> {
    /// Keeps a person's claims until her token expires; the latest of one token count.
    pub(crate) fn keep_person(
        &self,
        id: &str,
        claims: &str,
        expires_at: i64,
    ) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute("DELETE FROM people WHERE expires_at < ?1", [self.now.unix()])?;
            c.execute(
                "INSERT OR REPLACE INTO people (id, claims, expires_at) VALUES (?1, ?2, ?3)",
                params![id, claims, expires_at],
            )
            .map(drop)
        })
    }
}
