//! One ranking of two.

use std::collections::hash_map::Entry;

use ahash::AHashMap;

use bailiwick_policy::Bailiwick;

use crate::bm25::Scored;
use crate::dense::Blocks;
use crate::rank::{Best, Ranked};
use crate::types::Query;

/// The fewest candidates that each list contributes.
const CANDIDATES: usize = 100;

/// Combines the two rankings convexly: BM25 as a share of its maximum, the inner product between
/// the least and the greatest of the candidates (Bruch, Gai and Ingber 2023,
/// doi:10.1145/3596512). Candidates are the best permitted chunks of either list, and nothing
/// else enters the norms.
pub(crate) fn combine<'a>(
    query: &Query,
    blocks: &'a Blocks,
    scored: &Scored,
    within: &'a Bailiwick,
) -> Vec<Ranked<'a>> {
    let most = query.top_k.saturating_mul(4).max(CANDIDATES);
    let mut candidates = AHashMap::new();
    for ranked in blocks.nearest(&query.vector, within, most) {
        let dense = ranked.score;
        candidates.insert(ranked.row, Candidate { dense, lexical: 0.0, ranked });
    }
    for ranked in scored.best(blocks, most) {
        // What the dense list holds too has its inner product already.
        if let Entry::Vacant(place) = candidates.entry(ranked.row)
            && let Some(dense) = blocks.score(ranked.label, ranked.row, &query.vector)
        {
            place.insert(Candidate { dense, lexical: 0.0, ranked });
        }
    }
    for (row, _, lexical) in scored.iter() {
        if let Some(candidate) = candidates.get_mut(row) {
            candidate.lexical = *lexical;
        }
    }
    let norms = Norms::of(candidates.values());
    let mut best = Best::new(query.top_k);
    for candidate in candidates.into_values() {
        let score = norms.combined(&candidate, query.dense_weight);
        best.offer(Ranked { score, ..candidate.ranked });
    }
    best.into_ranked()
}

struct Candidate<'a> {
    dense: f32,
    lexical: f32,
    ranked: Ranked<'a>,
}

struct Norms {
    least: f32,
    spread: f32,
    highest: f32,
}

impl Norms {
    fn of<'a>(candidates: impl Iterator<Item = &'a Candidate<'a>>) -> Self {
        let start = (f32::INFINITY, f32::NEG_INFINITY, 0.0_f32);
        let (least, greatest, highest) =
            candidates.fold(start, |(least, greatest, highest), candidate| {
                (
                    least.min(candidate.dense),
                    greatest.max(candidate.dense),
                    highest.max(candidate.lexical),
                )
            });
        Self { least, spread: greatest - least, highest }
    }

    fn combined(&self, candidate: &Candidate<'_>, dense_weight: f32) -> f32 {
        let dense =
            if self.spread > 0.0 { (candidate.dense - self.least) / self.spread } else { 1.0 };
        let lexical = if self.highest > 0.0 { candidate.lexical / self.highest } else { 0.0 };
        dense_weight * dense + (1.0 - dense_weight) * lexical
    }
}
