//! `authority.db`: agents, delegations, signing keys, revocations.
//!
//! Invariant: nothing read here is kept in memory between two requests, so what another process
//! writes is in force at the next one.

mod clock;
mod orders;
mod people;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bailiwick_sqlite::OpenFiles;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use crate::agent::{Agent, Authentication, Bounds, Delegation, DelegationId};
use crate::clock::{Clock, Timestamp};
use crate::database::{self, DatabaseError, Shape};
use crate::orders::Act;
use crate::scope::Scopes;
pub(crate) use clock::accepted_at;
pub(crate) use orders::orders_after;
pub(crate) use people::{any_revoked, person};

pub(crate) const SHAPE: Shape = Shape(&[
    "
        CREATE TABLE agents (
            client_id    TEXT PRIMARY KEY,
            name         TEXT NOT NULL UNIQUE,
            spiffe_id    TEXT NOT NULL UNIQUE,
            auth         TEXT NOT NULL,
            keys         TEXT,
            created_at   INTEGER NOT NULL,
            revoked_at   INTEGER,
            last_used_at INTEGER
        ) STRICT;
        CREATE TABLE delegations (
            id          INTEGER PRIMARY KEY AUTOINCREMENT,
            client_id   TEXT NOT NULL REFERENCES agents,
            permissions TEXT NOT NULL,
            audience    TEXT NOT NULL,
            ttl_seconds INTEGER NOT NULL,
            created_at  INTEGER NOT NULL,
            expires_at  INTEGER NOT NULL,
            replaced_at INTEGER,
            revoked_at  INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX one_active_delegation ON delegations (client_id)
            WHERE replaced_at IS NULL AND revoked_at IS NULL;
        CREATE TABLE signing_keys (
            kid        TEXT PRIMARY KEY,
            jwk        TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            retired_at INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX one_current_key ON signing_keys ((1)) WHERE retired_at IS NULL;
        CREATE TABLE revoked_tokens (
            jti        TEXT PRIMARY KEY,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE exchanged_tokens (
            jti        TEXT PRIMARY KEY,
            parent     TEXT NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE used_assertions (
            client_id  TEXT NOT NULL,
            jti        TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            PRIMARY KEY (client_id, jti)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);
        CREATE INDEX exchanged_tokens_by_end ON exchanged_tokens (expires_at);
        CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
    ",
    "
        ALTER TABLE delegations ADD COLUMN ceiling TEXT;
        ALTER TABLE delegations ADD COLUMN read TEXT;
        CREATE TABLE people (
            id         TEXT PRIMARY KEY,
            claims     TEXT NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX people_by_end ON people (expires_at);
        CREATE TABLE orders (
            id         INTEGER PRIMARY KEY AUTOINCREMENT,
            client_id  TEXT NOT NULL REFERENCES agents,
            what       TEXT NOT NULL,
            ordered_at INTEGER NOT NULL
        ) STRICT;
    ",
    "
        CREATE TABLE audit_seals (
            kind TEXT PRIMARY KEY,
            seq  INTEGER NOT NULL,
            seal TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
    ",
    "
        CREATE TABLE clock (
            id          INTEGER PRIMARY KEY CHECK (id = 1),
            latest      INTEGER NOT NULL,
            accepted_at INTEGER NOT NULL
        ) STRICT;
        INSERT INTO clock VALUES (1, 0, 0);
    ",
]);

/// How long a row outlives the token that it is about, in seconds.
/// A clock that steps back must not bring a revoked token to life.
const MEMORY_SECONDS: u64 = 24 * 3600;

/// A signing key as the database knows it: the private half is in a file.
pub(crate) struct KeyRow {
    pub(crate) kid: String,
    pub(crate) jwk: String,
    pub(crate) retired_at: Option<i64>,
}

/// What the database says of one token id, now.
pub(crate) struct TokenState {
    pub(crate) agent: String,
    pub(crate) client_id: String,
    pub(crate) revoked: bool,
    pub(crate) delegation_revoked: bool,
    pub(crate) agent_revoked: bool,
    /// The agent's delegation of today, which may be later than the token's.
    pub(crate) active: Option<Active>,
    /// The token that it was exchanged for (RFC 8693).
    pub(crate) parent: Option<String>,
    /// How far the delegation goes that the token is of.
    pub(crate) reach: Reach,
}

/// What of a delegation decides on a token that is used.
pub(crate) struct Active {
    pub(crate) permissions: Scopes,
    pub(crate) audience: Vec<String>,
    pub(crate) expires_at: i64,
    pub(crate) reach: Reach,
}

/// The labels that a delegation lets an agent write and read.
pub(crate) struct Reach {
    pub(crate) ceiling: Option<Bounds>,
    pub(crate) read: Option<Bounds>,
}

pub(crate) struct Store {
    pub(crate) clock: Clock,
    path: PathBuf,
    files: OpenFiles,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the database. `keys` is the directory whose content shows that there was one.
    pub(crate) fn open(data_dir: &Path, keys: &Path, clock: Clock) -> Result<Self, DatabaseError> {
        let path = file(data_dir, keys)?;
        let connection = database::open(&path, &SHAPE)?;
        check(&connection, &path)?;
        let files = database::open_files(&path)?;
        Ok(Self { clock, path, files, writer: Mutex::new(connection), readers: Mutex::default() })
    }

    /// Checks that what is read and written here is the database of the data directory.
    pub(crate) fn check_files(&self) -> Result<(), DatabaseError> {
        Ok(self.files.check()?)
    }

    /// Runs one statement that reads; SQLite gives it a snapshot of its own.
    pub(crate) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => database::open(&self.path, &SHAPE)?,
        };
        let result = job(&connection);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        // What another process revoked would be in the file that took this one's place.
        self.check_files()?;
        result.map_err(|e| DatabaseError::sqlite(&self.path, e))
    }

    /// Writes all or nothing; it is durable when this returns.
    pub(crate) fn write<T, E: From<DatabaseError>>(
        &self,
        job: impl FnOnce(&Writing<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let writing = Writing { transaction, path: &self.path, now: self.clock.now() };
        writing.note_time()?;
        let result = job(&writing)?;
        writing.transaction.commit().map_err(wrong)?;
        self.check_files()?;
        Ok(result)
    }
}

/// The database of `data_dir`, which must be there when there are `keys`.
pub(crate) fn file(data_dir: &Path, keys: &Path) -> Result<PathBuf, DatabaseError> {
    let path = data_dir.join("authority.db");
    let has_keys = std::fs::read_dir(keys).is_ok_and(|mut files| files.next().is_some());
    if has_keys && !database::has_content(&path) {
        return Err(DatabaseError::Missing { path, witness: keys.to_owned() });
    }
    Ok(path)
}

/// A page that was damaged shows now, not in the middle of a decision.
fn check(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    let verdict: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|e| DatabaseError::sqlite(path, e))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(DatabaseError::Corrupt { path: path.to_owned(), cause: verdict })
}

/// A transaction that may write.
pub(crate) struct Writing<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
    now: Timestamp,
}

impl Writing<'_> {
    /// Rows of tokens that expired before this second may go.
    fn forgotten(&self) -> i64 {
        self.now.earlier(MEMORY_SECONDS).unix()
    }

    fn run<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        job(&self.transaction).map_err(|e| DatabaseError::sqlite(self.path, e))
    }

    pub(crate) fn agent(&self, name: &str) -> Result<Option<Agent>, DatabaseError> {
        self.run(|c| agent(c, By::Name(name)))
    }

    pub(crate) fn insert_agent(&self, agent: &Agent) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "INSERT INTO agents (client_id, name, spiffe_id, auth, keys, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    agent.client_id.to_string(),
                    agent.name,
                    agent.spiffe_id,
                    agent.auth.name(),
                    agent.auth.keys(),
                    agent.created_at.unix(),
                ],
            )
            .map(drop)
        })
    }

    pub(crate) fn revoke_agent(&self, id: Uuid, at: Timestamp) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "UPDATE agents SET revoked_at = ?2 WHERE client_id = ?1 AND revoked_at IS NULL",
                params![id.to_string(), at.unix()],
            )
            .map(drop)
        })
    }

    /// Puts `delegation` in the place of the active one, and returns its number.
    pub(crate) fn replace_delegation(
        &self,
        id: Uuid,
        delegation: &Delegation,
    ) -> Result<DelegationId, DatabaseError> {
        self.run(|c| {
            c.execute(
                "UPDATE delegations SET replaced_at = ?2
                 WHERE client_id = ?1 AND replaced_at IS NULL AND revoked_at IS NULL",
                params![id.to_string(), delegation.created_at.unix()],
            )?;
            c.execute(
                "INSERT INTO delegations
                 (client_id, permissions, audience, ttl_seconds, created_at, expires_at, ceiling,
                  read)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    id.to_string(),
                    json(delegation.permissions.as_slice())?,
                    json(&delegation.audience)?,
                    i64::try_from(delegation.ttl_seconds).unwrap_or(i64::MAX),
                    delegation.created_at.unix(),
                    delegation.expires_at.unix(),
                    delegation.ceiling.as_ref().map(json).transpose()?,
                    delegation.read.as_ref().map(json).transpose()?,
                ],
            )?;
            Ok(DelegationId(c.last_insert_rowid()))
        })
    }

    /// Takes back the active delegation and every earlier one, whose tokens may still live.
    pub(crate) fn revoke_delegations(&self, id: Uuid, at: Timestamp) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "UPDATE delegations SET revoked_at = ?2
                 WHERE client_id = ?1 AND revoked_at IS NULL",
                params![id.to_string(), at.unix()],
            )
            .map(drop)
        })
    }

    /// Revokes a token, once more if it was revoked already.
    pub(crate) fn revoke_token(&self, jti: &str, expires_at: i64) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute("DELETE FROM revoked_tokens WHERE expires_at < ?1", [self.forgotten()])?;
            c.execute(
                "INSERT OR IGNORE INTO revoked_tokens (jti, expires_at) VALUES (?1, ?2)",
                params![jti, expires_at],
            )
            .map(drop)
        })
    }

    /// Remembers which token another one was exchanged for.
    pub(crate) fn insert_exchange(
        &self,
        jti: &str,
        parent: &str,
        expires_at: i64,
    ) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute("DELETE FROM exchanged_tokens WHERE expires_at < ?1", [self.forgotten()])?;
            c.execute(
                "INSERT INTO exchanged_tokens (jti, parent, expires_at) VALUES (?1, ?2, ?3)",
                params![jti, parent, expires_at],
            )
            .map(drop)
        })
    }

    /// Remembers a client assertion; `false` when it was used before.
    pub(crate) fn use_assertion(
        &self,
        id: Uuid,
        jti: &str,
        expires_at: i64,
    ) -> Result<bool, DatabaseError> {
        self.run(|c| {
            c.execute("DELETE FROM used_assertions WHERE expires_at < ?1", [self.forgotten()])?;
            c.execute(
                "INSERT OR IGNORE INTO used_assertions (client_id, jti, expires_at)
                 VALUES (?1, ?2, ?3)",
                params![id.to_string(), jti, expires_at],
            )
            .map(|rows| rows > 0)
        })
    }

    pub(crate) fn touch(&self, id: Uuid, at: Timestamp) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "UPDATE agents SET last_used_at = ?2 WHERE client_id = ?1",
                params![id.to_string(), at.unix()],
            )
            .map(drop)
        })
    }

    pub(crate) fn keys(&self) -> Result<Vec<KeyRow>, DatabaseError> {
        self.run(keys)
    }

    /// Makes `key` the one that signs; the one before it retires.
    pub(crate) fn insert_key(&self, key: &KeyRow, at: Timestamp) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "UPDATE signing_keys SET retired_at = ?1 WHERE retired_at IS NULL",
                [at.unix()],
            )?;
            c.execute(
                "INSERT INTO signing_keys (kid, jwk, created_at) VALUES (?1, ?2, ?3)",
                params![key.kid, key.jwk, at.unix()],
            )
            .map(drop)
        })
    }

    /// Keeps a seal of the audit trail in the place of an earlier one of its kind.
    pub(crate) fn put_seal(&self, kind: &str, seq: i64, seal: &str) -> Result<(), DatabaseError> {
        self.run(|c| {
            c.execute(
                "INSERT INTO audit_seals (kind, seq, seal) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, seal = excluded.seal
                 WHERE excluded.seq > audit_seals.seq",
                params![kind, seq, seal],
            )
            .map(drop)
        })
    }
}

/// The seals of the audit trail, one of each kind.
pub(crate) fn seals(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT seal FROM audit_seals")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// How an agent is looked up.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    Name(&'a str),
    ClientId(Uuid),
    SpiffeId(&'a str),
}

const AGENT: &str = "
    SELECT a.name, a.client_id, a.spiffe_id, a.auth, a.keys, a.created_at, a.revoked_at,
           a.last_used_at, d.id, d.permissions, d.audience, d.ttl_seconds, d.created_at,
           d.expires_at, d.replaced_at, d.revoked_at, d.ceiling, d.read,
           (SELECT what FROM orders o WHERE o.client_id = a.client_id ORDER BY o.id DESC LIMIT 1)
    FROM agents a
    LEFT JOIN delegations d ON d.client_id = a.client_id
         AND d.replaced_at IS NULL AND d.revoked_at IS NULL";

pub(crate) fn agent(c: &Connection, by: By<'_>) -> rusqlite::Result<Option<Agent>> {
    let (column, value) = match by {
        By::Name(name) => ("name", name.to_owned()),
        By::ClientId(id) => ("client_id", id.to_string()),
        By::SpiffeId(id) => ("spiffe_id", id.to_owned()),
    };
    c.prepare_cached(&format!("{AGENT} WHERE a.{column} = ?1"))?
        .query_row([value], agent_row)
        .optional()
}

pub(crate) fn agents(c: &Connection) -> rusqlite::Result<Vec<Agent>> {
    c.prepare_cached(&format!("{AGENT} ORDER BY a.name"))?.query_map([], agent_row)?.collect()
}

/// Every delegation that an agent ever had, oldest first.
pub(crate) fn delegations(c: &Connection, id: Uuid) -> rusqlite::Result<Vec<Delegation>> {
    c.prepare_cached(
        "SELECT id, permissions, audience, ttl_seconds, created_at, expires_at, replaced_at,
                revoked_at, ceiling, read
         FROM delegations WHERE client_id = ?1 ORDER BY id",
    )?
    .query_map([id.to_string()], |row| delegation_row(row, 0))?
    .collect()
}

pub(crate) fn keys(c: &Connection) -> rusqlite::Result<Vec<KeyRow>> {
    c.prepare_cached("SELECT kid, jwk, retired_at FROM signing_keys ORDER BY created_at, kid")?
        .query_map([], |row| {
            Ok(KeyRow { kid: row.get(0)?, jwk: row.get(1)?, retired_at: row.get(2)? })
        })?
        .collect()
}

/// What is known of a token id; `None` when its delegation never was.
pub(crate) fn token_state(
    c: &Connection,
    delegation: DelegationId,
    jti: &str,
) -> rusqlite::Result<Option<TokenState>> {
    c.prepare_cached(
        "SELECT a.name, a.client_id, a.revoked_at IS NOT NULL, d.revoked_at IS NOT NULL,
                EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?2),
                (SELECT parent FROM exchanged_tokens WHERE jti = ?2),
                now.permissions, now.audience, now.expires_at, now.ceiling, now.read,
                d.ceiling, d.read
         FROM delegations d
         JOIN agents a ON a.client_id = d.client_id
         LEFT JOIN delegations now ON now.client_id = d.client_id
              AND now.replaced_at IS NULL AND now.revoked_at IS NULL
         WHERE d.id = ?1",
    )?
    .query_row(params![delegation.0, jti], |row| {
        let active = match row.get::<_, Option<i64>>(8)? {
            Some(expires_at) => Some(Active {
                permissions: parsed(row, 6)?,
                audience: parsed(row, 7)?,
                expires_at,
                reach: reach(row, 9)?,
            }),
            None => None,
        };
        Ok(TokenState {
            agent: row.get(0)?,
            client_id: row.get(1)?,
            agent_revoked: row.get(2)?,
            delegation_revoked: row.get(3)?,
            revoked: row.get(4)?,
            parent: row.get(5)?,
            reach: reach(row, 11)?,
            active,
        })
    })
    .optional()
}

fn agent_row(row: &Row<'_>) -> rusqlite::Result<Agent> {
    let auth = Authentication::from_stored(&row.get::<_, String>(3)?, row.get(4)?);
    let delegation = match row.get::<_, Option<i64>>(8)? {
        Some(_) => Some(delegation_row(row, 8)?),
        None => None,
    };
    Ok(Agent {
        name: row.get(0)?,
        client_id: row.get::<_, String>(1)?.parse().map_err(|e| unreadable(1, e))?,
        spiffe_id: row.get(2)?,
        auth: auth.ok_or(rusqlite::Error::InvalidQuery)?,
        created_at: Timestamp::from_unix(row.get(5)?),
        revoked_at: timestamp(row, 6)?,
        last_used_at: timestamp(row, 7)?,
        documents: match row.get::<_, Option<String>>(18)?.as_deref().and_then(Act::parse) {
            Some(Act::Quarantine) => Some("quarantined".to_owned()),
            Some(Act::Purge) => Some("purged".to_owned()),
            Some(Act::Release) | None => None,
        },
        delegation,
    })
}

fn delegation_row(row: &Row<'_>, from: usize) -> rusqlite::Result<Delegation> {
    Ok(Delegation {
        id: DelegationId(row.get(from)?),
        permissions: parsed(row, from + 1)?,
        audience: parsed(row, from + 2)?,
        ttl_seconds: row.get::<_, u32>(from + 3)?.into(),
        created_at: Timestamp::from_unix(row.get(from + 4)?),
        expires_at: Timestamp::from_unix(row.get(from + 5)?),
        replaced_at: timestamp(row, from + 6)?,
        revoked_at: timestamp(row, from + 7)?,
        ceiling: parsed_or_none(row, from + 8)?,
        read: parsed_or_none(row, from + 9)?,
    })
}

fn reach(row: &Row<'_>, from: usize) -> rusqlite::Result<Reach> {
    Ok(Reach { ceiling: parsed_or_none(row, from)?, read: parsed_or_none(row, from + 1)? })
}

fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix))
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

fn parsed_or_none<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        Some(text) => serde_json::from_str(&text).map(Some).map_err(|e| unreadable(column, e)),
        None => Ok(None),
    }
}

fn unreadable(column: usize, e: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.into())
}
