//! Where each label's chunks are in a segment.

use std::ops::Range;

use bailiwick_policy::{Bailiwick, LabelId};

use super::Run;

/// Labels of one word of a bit set.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    /// Those that the segment has.
    labels: u64,
    /// How many runs come before that of the first of them.
    before: u32,
}

/// Which labels a segment has. A label's run is found by counting those before it (Jacobson 1989,
/// doi:10.1109/SFCS.1989.63533), and 64 labels are compared with a bailiwick at once.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// How many words before the first one have no label.
    skipped: usize,
    words: Vec<Word>,
}

impl Directory {
    /// Of runs in the order of their labels.
    pub(super) fn new(runs: &[Run]) -> Self {
        let skipped = runs.first().map_or(0, |run| run.label as usize / 64);
        let mut words: Vec<Word> = Vec::new();
        for (number, run) in (0..).zip(runs) {
            let at = (run.label as usize / 64).saturating_sub(skipped);
            if words.len() <= at {
                words.resize(at + 1, Word { labels: 0, before: number });
            }
            if let Some(word) = words.get_mut(at) {
                word.labels |= 1 << (run.label % 64);
            }
        }
        Self { skipped, words }
    }

    /// Which of the runs is this label's.
    pub(super) fn run(&self, label: LabelId) -> Option<usize> {
        let label = label.as_u32();
        let word = self.words.get((label as usize / 64).checked_sub(self.skipped)?)?;
        let bit = 1 << (label % 64);
        (word.labels & bit != 0).then(|| word.run(bit))
    }

    /// Calls `each` with the permitted runs, in order: ranges of them, for all that one word says.
    pub(super) fn permitted(&self, within: &Bailiwick, mut each: impl FnMut(Range<usize>)) {
        let permitted = within.words().get(self.skipped..).unwrap_or_default();
        for (word, permitted) in self.words.iter().zip(permitted) {
            let mut common = word.labels & permitted;
            if common == word.labels && common != 0 {
                each(word.before as usize..word.before as usize + common.count_ones() as usize);
                continue;
            }
            while common != 0 {
                let bit = common & common.wrapping_neg();
                let run = word.run(bit);
                each(run..run + 1);
                common ^= bit;
            }
        }
    }
}

impl Word {
    /// The run of the label that has this bit.
    fn run(&self, bit: u64) -> usize {
        self.before as usize + (self.labels & (bit - 1)).count_ones() as usize
    }
}
