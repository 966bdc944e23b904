//! What becomes of documents whose agent an administrator put in quarantine.

use bailiwick_index::{Act, Index, Mode, Order};
use bailiwick_policy::Ceiling;

use crate::people::People;
use crate::{document, open, query};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_was_still_writing_is_held_as_it_comes() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut late = document("late", "ours", &["a late pump"]);
    late.metadata.insert("ingested_by".into(), "rogue".into());
    let id = late.id.clone();
    let order = |number, act| Order { number, agent: "rogue".into(), act };
    index.obey(order(1, Act::Quarantine)).await.unwrap();
    index.upsert(vec![late], &Ceiling::none()).await.unwrap();
    for is_held in [true, false] {
        let ours = people.member(&["ours"], &index).await;
        let found = index.search(&query("pump", Mode::Hybrid, 10), &ours).await.unwrap();
        assert_eq!(found.hits.is_empty(), is_held);
        assert_eq!(index.document(&id, &ours).await.unwrap().is_none(), is_held);
        index.obey(order(2, Act::Release)).await.unwrap();
    }
}
