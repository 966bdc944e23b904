//! Copies of what the authority keeps.

use std::fs::File;
use std::path::Path;

use crate::audit;
use crate::database::{self, DatabaseError};
use crate::{keys, store};

/// Copies agents, delegations, keys and the audit trail from `data_dir` into the folder `to`, which
/// is made, also while other processes write. Where there is no authority yet, nothing is copied.
///
/// The keys follow the database, so that each key it names is there, and the trail comes last, so
/// that it tells of all that was recorded before.
///
/// # Errors
/// When `to` holds such files already or cannot be written, or when one of the files in `data_dir`
/// is damaged, or gone while the others are there.
pub fn back_up(data_dir: &Path, to: &Path) -> Result<(), DatabaseError> {
    database::private_directory(to)?;
    let from = data_dir.join("keys");
    let authority = store::file(data_dir, &from)?;
    if database::has_content(&authority) {
        database::copy(&authority, &to.join("authority.db"))?;
        keys::copy(&from, &to.join("keys"))?;
    }
    let trail = audit::file(data_dir)?;
    if database::has_content(&trail) {
        database::copy(&trail, &to.join("audit.db"))?;
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(|e| DatabaseError::file(to, e))
}
