//! One search of one state: the ranking of what is visible, and the passages of the hits.

use bailiwick_policy::Bailiwick;
use rusqlite::Connection;

use crate::analyst::Analyst;
use crate::catalogue::{self, Passage};
use crate::dense::{self, Care};
use crate::rank::Ranked;
use crate::snapshot::Snapshot;
use crate::space::Space;
use crate::types::{Hit, Mode, Query};
use crate::view::Visible;
use crate::{IndexError, bm25, diversity, hybrid};

/// The query as vectors of this space are compared with it.
pub(crate) fn prepared(query: &Query, space: &Space) -> Result<Query, IndexError> {
    let mut query = query.clone();
    if query.mode != Mode::Lexical || !query.vector.is_empty() {
        query.vector = space.accept(&query.space, &query.vector)?;
    }
    Ok(query)
}

/// The best of what is visible of a snapshot.
pub(crate) fn rank<'a>(
    snapshot: &'a Snapshot,
    query: &Query,
    within: &Bailiwick,
    analyst: &Analyst,
) -> Vec<Ranked<'a>> {
    let visible = snapshot.within(within);
    if query.diversity > 0.0 {
        let pool = by_score(snapshot, &visible, query, query.top_k * diversity::POOL, analyst);
        return diversity::choose(pool, &visible, query.diversity, query.top_k);
    }
    by_score(snapshot, &visible, query, query.top_k, analyst)
}

fn by_score<'a>(
    snapshot: &Snapshot,
    visible: &Visible<'a>,
    query: &Query,
    most: usize,
    analyst: &Analyst,
) -> Vec<Ranked<'a>> {
    let coder = &snapshot.space.coder;
    if query.mode == Mode::Dense {
        let care = if query.exact { Care::Exact } else { Care::Bounded };
        return dense::nearest(visible, &query.vector, coder, most, care);
    }
    let scored = analyst.with(|analyzer| bm25::score(visible, &query.text, analyzer));
    match query.mode {
        Mode::Lexical => scored.best(most),
        Mode::Hybrid | Mode::Dense => hybrid::combine(query, visible, coder, &scored, most),
    }
}

/// Reads a hit's passage, and asks the catalogue once more whether it may be read.
pub(crate) fn hit(
    connection: &Connection,
    ranked: &Ranked<'_>,
    within: &Bailiwick,
) -> Result<Option<Hit>, IndexError> {
    let passage = catalogue::passage(connection, ranked.row)?;
    let Some(passage) = passage.filter(|passage| within.contains(passage.label)) else {
        return Ok(None);
    };
    Ok(Some(Hit {
        id: ranked.id.to_id().map_err(IndexError::Damaged)?,
        text: passage.text,
        metadata: passage.metadata,
        label: passage.label,
        score: ranked.score,
    }))
}

/// A hit as its document is stored now, if its passage is still there and permitted.
pub(crate) fn reread(
    connection: &Connection,
    hit: Hit,
    within: &Bailiwick,
) -> Result<Option<Hit>, IndexError> {
    let stored = catalogue::passage_of(connection, &hit.id)?;
    let stored = stored.filter(|stored| within.contains(stored.label) && stored.text == hit.text);
    Ok(stored.map(|Passage { metadata, label, .. }| Hit { metadata, label, ..hit }))
}
