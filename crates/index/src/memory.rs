//! Whether the machine can hold an index.

use sysinfo::System;

use crate::IndexError;
use crate::snapshot::Snapshot;

/// What searches read must fit into memory: from a disk they would take a thousand times as long,
/// and nobody would know why.
///
/// # Errors
/// [`IndexError::TooLarge`] when it takes more than `most` bytes, or more than there are.
pub(crate) fn check(snapshot: &Snapshot, most: Option<u64>) -> Result<(), IndexError> {
    let needed: u64 = snapshot.parts.iter().map(|part| part.segment.size()).sum();
    let available = most.unwrap_or_else(installed);
    if needed <= available {
        return Ok(());
    }
    Err(IndexError::TooLarge { needed: mebibytes(needed), available: mebibytes(available) })
}

/// The memory of this machine, or of the container that this runs in.
fn installed() -> u64 {
    let Ok(mut system) = System::new() else { return u64::MAX };
    system.refresh_memory();
    let limit = system.cgroup_limits().map(|limits| limits.total_memory);
    limit.filter(|limit| *limit > 0).unwrap_or_else(|| system.total_memory())
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
