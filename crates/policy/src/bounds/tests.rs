//! Bounds hold for what they say, and what is within them is an intersection.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::revision::Revision;
use crate::{AttributeConfig, PolicyConfig};

const LEVELS: [&str; 4] = ["Public", "Internal", "Restricted", "Secret"];

fn schema() -> Schema {
    let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([
        {"name": "department", "type": "keyword"},
        {"name": "clearance", "type": "level", "levels": LEVELS},
        {"name": "groups", "type": "keyword", "optional": true, "multiple": true},
        {"name": "year", "type": "integer", "optional": true},
    ]))
    .unwrap();
    Schema::new(&attributes).unwrap()
}

fn bounds(json: &Json) -> Result<Bounds, BoundsError> {
    Bounds::new(&schema(), json.as_object().unwrap())
}

fn label(document: &Json) -> Label {
    schema().label(document.as_object().unwrap()).unwrap()
}

/// Each row: what is written, and whether the document is within.
#[test]
fn bounds_hold_for_what_is_written() {
    let document = json!({"department": "hr", "clearance": "Internal", "groups": ["a", "b"]});
    let rows: [(&[&str], bool); 12] = [
        (&["department=hr"], true),
        (&["department = hr", "department=sales"], true),
        (&["department=sales"], false),
        (&["department=HR"], false),
        (&["department=*"], false),
        (&["clearance<=Internal"], true),
        (&["clearance<=2", "clearance>=Internal"], true),
        (&["clearance<=Public"], false),
        (&["department=hr", "clearance>=Secret"], false),
        (&["groups=a", "groups=b", "groups=c"], true),
        (&["groups=a"], false),
        (&["year>=2000"], false),
    ];
    for (written, within) in rows {
        let read = bounds(&Json::Object(Bounds::written(written).unwrap())).unwrap();
        assert_eq!(read.hold(&label(&document)), within, "{written:?}");
        assert!(!read.hold(&Label::quarantine()), "{written:?}");
    }
    assert!(bounds(&json!({"groups": {"any": ["a"]}})).unwrap().hold(&label(&document)));
}

#[test]
fn what_bounds_nothing_is_refused() {
    for written in ["", "department", "=hr", "department=", "clearance<=", "<=Secret"] {
        assert!(Bounds::written(&[written]).is_err(), "{written}");
    }
    for twice in
        [["clearance<=Public", "clearance<=Secret"], ["clearance=Public", "clearance<=Secret"]]
    {
        assert!(Bounds::written(&twice).is_err(), "{twice:?}");
    }
    for wrong in [
        json!({}),
        json!({"colour": "red"}),
        json!({"department": []}),
        json!({"department": {}}),
        json!({"department": 5}),
        json!({"department": {"lte": "hr"}}),
        json!({"department": {"like": "hr"}}),
        json!({"clearance": {"lte": "Cosmic"}}),
    ] {
        assert!(bounds(&wrong).is_err(), "{wrong}");
    }
}

fn documents() -> impl Strategy<Value = Json> {
    let groups = prop::option::of(prop::sample::subsequence(vec!["a", "b", "c"], 1..=3));
    let department = prop::sample::select(vec!["hr", "sales", "finance"]);
    (department, prop::sample::select(&LEVELS[..]), groups).prop_map(|(department, level, groups)| {
        json!({"department": department, "clearance": level, "groups": groups})
    })
}

fn any_bounds() -> impl Strategy<Value = Bounds> {
    let departments = prop::sample::subsequence(vec!["hr", "sales", "finance"], 1..=3);
    let groups = prop::option::of(prop::sample::subsequence(vec!["a", "b", "c"], 1..=3));
    (departments, prop::sample::select(&LEVELS[..]), groups).prop_map(
        |(departments, most, groups)| {
            let mut json = json!({"department": departments, "clearance": {"lte": most}});
            if let Some(groups) = groups {
                json["groups"] = json!(groups);
            }
            bounds(&json).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn what_a_person_and_an_agent_may_both_read_is_an_intersection(
        documents in prop::collection::vec(documents(), 1..30),
        permitted in prop::collection::vec(any::<bool>(), 31),
        one in any_bounds(),
        other in any_bounds(),
    ) {
        let table = LabelTable::default();
        table.intern(&Label::quarantine());
        for document in &documents {
            table.intern(&label(document));
        }
        let revision = Arc::new(Revision::new(&PolicyConfig::default(), &schema(), None));
        let mut person = Bailiwick::empty(&table, &revision);
        (0..table.len()).zip(permitted).for_each(|(_, allowed)| person.decide_next(allowed));

        let labels = |of: &Bailiwick| of.iter().collect::<Vec<_>>();
        let both = person.within(&one, &table);
        let expected: Vec<_> =
            person.iter().filter(|id| one.hold(&table.label(*id).unwrap())).collect();
        prop_assert_eq!(labels(&both), expected, "neither more nor less than both may read");
        prop_assert_eq!(labels(&both.within(&one, &table)), labels(&both), "idempotent");
        let there = both.within(&other, &table);
        let back = person.within(&other, &table).within(&one, &table);
        prop_assert_eq!(labels(&there), labels(&back), "commutative");
        prop_assert!(there.iter().all(|id| both.contains(id)), "one agent more never reads more");
        prop_assert_eq!(both.label_count(), both.iter().count());
    }
}
