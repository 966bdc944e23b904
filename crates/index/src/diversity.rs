//! Fewer passages that say the same.

use half::f16;

use crate::kernel;
use crate::rank::Ranked;
use crate::view::Visible;

/// How many of the best are chosen from, for each that is wanted.
pub(crate) const POOL: usize = 5;

/// Chooses `most` of the ranked chunks by maximal marginal relevance (Carbonell and Goldstein
/// 1998, doi:10.1145/290941.291025): each next one is good, and unlike those before it.
///
/// `diversity` is the weight of being unlike, 0 to 1. Scores stay what they were; the order is that
/// of the choice.
pub(crate) fn choose<'a>(
    mut ranked: Vec<Ranked<'a>>,
    visible: &Visible<'_>,
    diversity: f32,
    most: usize,
) -> Vec<Ranked<'a>> {
    let (Some(best), Some(worst)) = (ranked.first(), ranked.last()) else { return ranked };
    let (least, spread) = (worst.score, (best.score - worst.score).max(f32::MIN_POSITIVE));
    let mut likeness = vec![0.0_f32; ranked.len()];
    let mut chosen: Vec<Ranked<'a>> = Vec::with_capacity(most);
    while chosen.len() < most && !ranked.is_empty() {
        let worth = |(ranked, likeness): (&Ranked<'_>, &f32)| {
            (1.0 - diversity) * (ranked.score - least) / spread - diversity * likeness
        };
        let worths: Vec<f32> = ranked.iter().zip(&likeness).map(worth).collect();
        // Of equals the first, which ranks higher.
        let next = (0..worths.len()).rev().max_by(|left, right| {
            worths.get(*left).partial_cmp(&worths.get(*right)).unwrap_or(std::cmp::Ordering::Equal)
        });
        let Some(next) = next else { break };
        let picked = ranked.remove(next);
        likeness.remove(next);
        let vector = vector(visible, &picked);
        for (other, likeness) in ranked.iter().zip(&mut likeness) {
            *likeness = likeness.max(cosine(visible, other, &vector));
        }
        chosen.push(picked);
    }
    chosen
}

fn vector(visible: &Visible<'_>, ranked: &Ranked<'_>) -> Vec<f32> {
    let vector = visible.part(ranked.at.part).map(|part| part.segment.vector(ranked.at.place));
    vector.unwrap_or_default().iter().copied().map(f16::to_f32).collect()
}

fn cosine(visible: &Visible<'_>, ranked: &Ranked<'_>, vector: &[f32]) -> f32 {
    let Some(part) = visible.part(ranked.at.part) else { return 0.0 };
    let other = part.segment.vector(ranked.at.place);
    let squares: f32 = other.iter().map(|x| x.to_f32() * x.to_f32()).sum();
    let lengths = (squares * vector.iter().map(|x| x * x).sum::<f32>()).sqrt();
    if lengths > 0.0 { kernel::inner_product(vector, other) / lengths } else { 0.0 }
}
