//! One ranking of two.

use std::collections::hash_map::Entry;

use ahash::AHashMap;

use crate::bm25::Scored;
use crate::code::Coder;
use crate::dense::{self, Care};
use crate::rank::{Best, Ranked};
use crate::types::{Fusion, Query};
use crate::view::Visible;

/// The fewest candidates that each list contributes.
const CANDIDATES: usize = 100;
/// What is added to a rank before it is turned into a share (Cormack, Clarke and Büttcher 2009,
/// doi:10.1145/1571941.1572114).
const RANK_OFFSET: f32 = 60.0;

/// Combines the two rankings. Candidates are the best permitted chunks of either list, and nothing
/// else enters the norms.
pub(crate) fn combine<'a>(
    query: &Query,
    visible: &Visible<'a>,
    coder: &Coder,
    scored: &Scored<'a, '_>,
    most: usize,
) -> Vec<Ranked<'a>> {
    let candidates = most.saturating_mul(4).max(CANDIDATES);
    // A candidate has to be good, not among the best in a certain order.
    let care = if query.exact { Care::Exact } else { Care::Likely };
    let nearest = dense::nearest(visible, &query.vector, coder, candidates, care);
    let wordiest = scored.best(candidates);
    let mut best = Best::new(most);
    let combined = match query.fusion {
        Fusion::Convex => convex(query, visible, scored, &nearest, &wordiest),
        Fusion::Ranks => by_rank(query.dense_weight, &nearest, &wordiest),
    };
    combined.into_iter().for_each(|ranked| best.offer(ranked));
    best.into_ranked()
}

/// BM25 as a share of its maximum, and the inner product between the least and the greatest of
/// the candidates (Bruch, Gai and Ingber 2023, doi:10.1145/3596512).
fn convex<'a>(
    query: &Query,
    visible: &Visible<'a>,
    scored: &Scored<'a, '_>,
    nearest: &[Ranked<'a>],
    wordiest: &[Ranked<'a>],
) -> Vec<Ranked<'a>> {
    let mut candidates = AHashMap::new();
    for ranked in nearest {
        let lexical = scored.score(ranked.at);
        candidates.insert(ranked.at, Candidate { dense: ranked.score, lexical, ranked: *ranked });
    }
    for ranked in wordiest {
        // What the dense list holds too has its inner product already.
        if let Entry::Vacant(place) = candidates.entry(ranked.at)
            && let Some(dense) = dense::score(visible, ranked.at, &query.vector)
        {
            place.insert(Candidate { dense, lexical: ranked.score, ranked: *ranked });
        }
    }
    let norms = Norms::of(candidates.values());
    let combined = candidates.into_values().map(|candidate| Ranked {
        score: norms.combined(&candidate, query.dense_weight),
        ..candidate.ranked
    });
    combined.collect()
}

fn by_rank<'a>(
    dense_weight: f32,
    nearest: &[Ranked<'a>],
    wordiest: &[Ranked<'a>],
) -> Vec<Ranked<'a>> {
    let mut candidates: AHashMap<_, Ranked<'a>> = AHashMap::new();
    for (list, weight) in [(nearest, dense_weight), (wordiest, 1.0 - dense_weight)] {
        for (rank, ranked) in list.iter().enumerate() {
            let share = weight / (RANK_OFFSET + 1.0 + rank as f32);
            let none = Ranked { score: 0.0, ..*ranked };
            candidates.entry(ranked.at).or_insert(none).score += share;
        }
    }
    candidates.into_values().collect()
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
