//! Whether the machine can hold an index.

use sysinfo::System;

use crate::IndexError;
use crate::rotation::WORD;
use crate::snapshot::Snapshot;

/// What searches read must fit into memory: from a disk they would take a thousand times as long,
/// and nobody would know why.
///
/// # Errors
/// [`IndexError::TooLarge`] when it takes more than `most` bytes, or more than there are.
pub(crate) fn check(snapshot: &Snapshot, most: Option<u64>) -> Result<(), IndexError> {
    refuse_beyond(size(snapshot), most)
}

/// [`check`] of what the index would be with vectors of so many dimensions.
pub(crate) fn check_change(
    snapshot: &Snapshot,
    dimensions: usize,
    most: Option<u64>,
) -> Result<(), IndexError> {
    // Each number is there in two bytes; in the codes, which have whole words, in five bits.
    let of_vectors = |dimensions: usize| {
        let codes = dimensions.next_multiple_of(WORD) * 5 / 8;
        snapshot.len() * (2 * dimensions + codes) as u64
    };
    let rest = size(snapshot).saturating_sub(of_vectors(snapshot.space.dimensions));
    refuse_beyond(rest + of_vectors(dimensions), most)
}

fn size(snapshot: &Snapshot) -> u64 {
    snapshot.parts.iter().map(|part| part.segment.size()).sum()
}

fn refuse_beyond(needed: u64, most: Option<u64>) -> Result<(), IndexError> {
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
