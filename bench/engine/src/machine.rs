//! What the process and the machine take.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

/// Ticks of `/proc` in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Resident memory in bytes: all of it, and the part that is not mapped files.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    resident: u64,
    anonymous: u64,
}

impl Memory {
    /// How much more this is.
    pub(crate) fn beyond(self, other: Self) -> Self {
        Self {
            resident: self.resident.saturating_sub(other.resident),
            anonymous: self.anonymous.saturating_sub(other.anonymous),
        }
    }
}

/// The seconds of processor time that this process has used.
pub(crate) fn cpu() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("an unknown format of /proc/self/stat")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Ok(ticks as f64 / TICKS)
}

/// Waits until this process has had nothing to do for longer than an index waits before it tidies
/// itself, and returns for how long it had.
pub(crate) fn settle() -> anyhow::Result<Duration> {
    const POLL: Duration = Duration::from_millis(100);
    const IDLE: u32 = 70;
    let (mut busy, mut idle, mut used) = (Duration::ZERO, 0, cpu()?);
    while idle < IDLE {
        let began = Instant::now();
        std::thread::sleep(POLL);
        let now = cpu()?;
        if now - used < 0.02 {
            idle += 1;
        } else {
            (idle, busy) = (0, busy + began.elapsed());
        }
        used = now;
    }
    Ok(busy)
}

/// What this process holds now.
pub(crate) fn memory() -> anyhow::Result<Memory> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> anyhow::Result<u64> {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// The bytes of all files below a folder.
pub(crate) fn disk(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { disk(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

/// How long one core takes to add up a buffer of this many bytes: what a scan of as much code can
/// hope for at best. The median of many passes.
pub(crate) fn sum_of(bytes: usize) -> Duration {
    let buffer: Vec<u64> = (0..bytes.div_ceil(8) as u64).collect();
    let started = Instant::now();
    let mut passes = Vec::new();
    while passes.len() < 5 || started.elapsed() < Duration::from_millis(200) {
        let began = Instant::now();
        black_box(sum(black_box(&buffer)));
        passes.push(began.elapsed());
    }
    passes.sort_unstable();
    passes.get(passes.len() / 2).copied().unwrap_or_default()
}

/// Thirty-two sums side by side, so that the additions never wait for one another.
fn sum(numbers: &[u64]) -> u64 {
    let mut lanes = [0_u64; 32];
    let (rows, rest) = numbers.as_chunks::<32>();
    for row in rows {
        for (lane, number) in lanes.iter_mut().zip(row) {
            *lane = lane.wrapping_add(*number);
        }
    }
    lanes.iter().chain(rest).fold(0, |sum, number| sum.wrapping_add(*number))
}
