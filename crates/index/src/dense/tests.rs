use bailiwick_policy::LabelId;
use proptest::prelude::*;

use super::*;
use crate::types::DocumentId;

const DIMENSIONS: usize = 24;

/// Few distinct numbers, so that equal and nearly equal scores are common.
fn vectors(most: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    let number = prop::sample::select(vec![-0.5_f32, -0.1, 0.0, 0.1, 0.101, 0.5]);
    let vector = prop::collection::vec(number, DIMENSIONS);
    prop::collection::vec(vector, 1..most)
}

fn block(vectors: &[Vec<f32>]) -> Block {
    let mut block = Block::default();
    for (row, vector) in (0..).zip(vectors) {
        let id =
            ChunkId { document: DocumentId::new("d").unwrap(), n: u32::try_from(row).unwrap() };
        block.insert(Entry { row, id, vector: vector.clone(), tokens: 1 });
    }
    block
}

proptest! {
    /// The reference reads every vector whole.
    #[test]
    fn bounds_lose_nothing(vectors in vectors(200), query in vectors(2), most in 1_usize..20) {
        let (block, query) = (block(&vectors), &query[0]);
        let label = LabelId::from_u32(0);
        let ranked = |score, place: usize| Ranked {
            score,
            id: &block.ids[place],
            row: block.rows[place],
            label,
        };
        let mut reference = Best::new(most);
        for (place, vector) in vectors.iter().enumerate() {
            reference.offer(ranked(inner_product(vector, query), place));
        }
        let (mut bounds, mut floor, mut best) = (Vec::new(), Floor::new(most), Best::new(most));
        block.codes.bounds(&CodedQuery::new(query), &mut bounds);
        bounds.iter().for_each(|bounds| floor.raise(bounds.lower));
        block.offer(query, label, &bounds, &floor, &mut best);
        let seen = |best: Best<'_>| -> Vec<(u32, u32)> {
            best.into_ranked().iter().map(|r| (r.score.to_bits(), r.id.n)).collect()
        };
        prop_assert_eq!(seen(best), seen(reference));
    }

    #[test]
    fn removing_leaves_the_others_as_they_were(vectors in vectors(20), gone in any::<prop::sample::Index>()) {
        let gone = gone.index(vectors.len());
        let mut block = block(&vectors);
        let entry = block.remove(i64::try_from(gone).unwrap(), DIMENSIONS).unwrap();
        prop_assert_eq!(&entry.vector, &vectors[gone]);
        let mut bounds = (Vec::new(), Vec::new());
        let query = CodedQuery::new(&vectors[gone]);
        block.codes.bounds(&query, &mut bounds.0);
        let mut fresh = Block::default();
        for (place, vector) in vectors.iter().enumerate().filter(|(place, _)| *place != gone) {
            fresh.codes.insert(fresh.rows.len(), vector);
            fresh.rows.push(i64::try_from(place).unwrap());
        }
        fresh.codes.bounds(&query, &mut bounds.1);
        prop_assert_eq!(&block.rows, &fresh.rows);
        let uppers = |bounds: &[Bounds]| bounds.iter().map(|b| b.upper.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(uppers(&bounds.0), uppers(&bounds.1));
    }
}
