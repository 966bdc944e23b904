//! Which names are refused, and the laws of folding.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Schema;

/// The attributes of the demo company, under all their names.
const ACME: [(&str, &[&str]); 3] = [
    ("department", &[]),
    ("clearance_level", &["clearance_required", "clearance", "confidentiality"]),
    ("project_id", &["project"]),
];

/// Metadata keys of LlamaIndex's readers and nodes, of the examples and of front matter.
const USUAL: [&str; 62] = [
    "_node_content",
    "_node_type",
    "author",
    "authors",
    "body",
    "category",
    "content",
    "content_type",
    "creation_date",
    "created_at",
    "creator",
    "customer_id",
    "date",
    "description",
    "doc_id",
    "document_id",
    "document_title",
    "draft",
    "email",
    "excerpt_keywords",
    "file_name",
    "file_path",
    "file_size",
    "file_type",
    "header_path",
    "heading",
    "id",
    "ingested_at",
    "ingested_by",
    "ingestion_auth",
    "keywords",
    "label",
    "labels",
    "lang",
    "language",
    "last_accessed_date",
    "last_modified_date",
    "layout",
    "level",
    "name",
    "node_id",
    "original_text",
    "owner",
    "page",
    "page_label",
    "path",
    "permalink",
    "process_id",
    "product_id",
    "publish_date",
    "record_index",
    "ref_doc_id",
    "relative_path",
    "scope",
    "section_summary",
    "slug",
    "source",
    "source_endpoint",
    "status",
    "tags",
    "title",
    "url",
];

fn configured(attributes: &[(&str, &[&str])]) -> Vec<AttributeConfig> {
    let tables = attributes.iter().map(|(name, from)| {
        let table = json!({"name": name, "type": "keyword", "optional": true, "from": from});
        serde_json::from_value(table).unwrap()
    });
    tables.collect()
}

fn acme() -> Schema {
    Schema::new(&configured(&ACME)).unwrap()
}

#[test]
fn slips_are_refused_with_what_was_meant() {
    let slips = [
        ("projectid", "project_id"),
        ("Project-ID", "project_id"),
        ("project id", "project_id"),
        ("project.id", "project_id"),
        ("_project_id", "project_id"),
        ("/project_id", "project_id"),
        ("project\u{200b}_id", "project_id"),
        ("project\u{2011}id", "project_id"),
        ("ｐｒｏｊｅｃｔ＿ｉｄ", "project_id"),
        ("projetc_id", "project_id"),
        ("proj_id", ""),
        ("projects", "project"),
        ("departement", "department"),
        ("Département", "department"),
        ("dep\u{430}rtment", "department"),
        ("DEPARTMENT", "department"),
        ("deparment", "department"),
        ("clearence_lvel", "clearance_level"),
        ("clearancelevel", "clearance_level"),
    ];
    let schema = acme();
    for (slip, meant) in slips {
        let wanted = Some(meant).filter(|meant| !meant.is_empty());
        assert_eq!(schema.meant_by(slip), wanted, "{slip}");
    }
}

#[test]
fn an_error_names_the_key_and_no_value() {
    let metadata = json!({"project_id": "phoenix", "projectid": "sk-secret"});
    let error = acme().label_of_new(metadata.as_object().unwrap()).unwrap_err().to_string();
    assert!(error.contains("`projectid`; did you mean `project_id`?"), "{error}");
    assert!(!error.contains("sk-secret"), "{error}");
    let long = json!({format!("project_{}id", "_".repeat(9_000)): 1});
    let error = acme().label_of_new(long.as_object().unwrap()).unwrap_err().to_string();
    assert!(error.len() < 400, "{error}");
    let control = json!({"project\n_id": 1});
    let error = acme().label_of_new(control.as_object().unwrap()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn usual_keys_pass() {
    for key in USUAL {
        assert_eq!(acme().meant_by(key), None, "{key}");
    }
}

#[test]
fn metadata_that_is_wrapped_once_more_labels_nothing() {
    for key in ["project_id", "projectid"] {
        let metadata = json!({"metadata": {key: "phoenix"}});
        assert!(acme().label_of_new(metadata.as_object().unwrap()).is_err(), "{key}");
    }
    let other = json!({"metadata": {"author": "Ann"}, "author": {"department": "hr"}});
    assert!(acme().label_of_new(other.as_object().unwrap()).is_ok());
}

#[test]
fn short_names_have_no_edits_but_transpositions() {
    let schema = Schema::new(&configured(&[("team", &[]), ("level", &[])])).unwrap();
    for meant in ["term", "tea", "label", "item", "seam"] {
        assert_eq!(schema.meant_by(meant), None, "{meant}");
    }
    for slip in ["taem", "Team", "te-am", "teams"] {
        assert_eq!(schema.meant_by(slip), Some("team"), "{slip}");
    }
    assert_eq!(schema.meant_by("levle"), Some("level"));
}

#[test]
fn what_is_listed_as_distinct_passes() {
    let mut attributes = configured(&[("project_id", &[])]);
    assert_eq!(Schema::new(&attributes).unwrap().meant_by("project_ib"), Some("project_id"));
    attributes[0].distinct_from = vec!["project_ib".into()];
    let schema = Schema::new(&attributes).unwrap();
    assert_eq!(schema.meant_by("project_ib"), None);
    assert_eq!(schema.meant_by("project-ib"), Some("project_id"), "only as it is listed");
    attributes[0].distinct_from = vec!["project_id".into()];
    assert!(Schema::new(&attributes).is_err());
}

#[test]
fn two_attributes_must_not_fold_to_one_name() {
    let error = Schema::new(&configured(&[("project_id", &[]), ("ProjectID", &[])])).unwrap_err();
    assert!(error.to_string().contains("rename one"), "{error}");
    assert!(Schema::new(&configured(&[("a", &["x_y"]), ("b", &["XY"])])).is_err());
    assert!(Schema::new(&configured(&[("project_id", &["ProjectID"])])).is_ok());
    assert!(Schema::new(&configured(&[("project_id", &[]), ("product_id", &[])])).is_ok());
}

#[test]
fn distinct_names_are_no_part_of_what_labels_depend_on() {
    let mut attributes = configured(&[("project_id", &[])]);
    let before = format!("{:?}", Schema::new(&attributes).unwrap());
    attributes[0].distinct_from = vec!["product_id".into()];
    assert_eq!(before, format!("{:?}", Schema::new(&attributes).unwrap()));
    assert!(!before.contains("names"), "the releases before this one stored it so: {before}");
}

#[test]
fn what_was_quarantined_for_a_slip_stays() {
    let slip = json!({"projectid": "phoenix"});
    let slip = slip.as_object().unwrap();
    assert!(acme().label_again(slip, &Json::Null).is_err());
    assert!(acme().label_again(slip, &json!({})).is_ok(), "what is open is counted, not moved");
}

/// One edit of a name, as a slip makes it.
fn slip(name: &str, kind: u8, place: usize, letter: char) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let place = place % letters.len();
    match kind {
        0 => letters[place] = letter,
        1 => drop(letters.remove(place)),
        2 => letters.insert(place, letter),
        _ => letters.swap(place, (place + 1).min(name.len() - 1)),
    }
    letters.into_iter().collect()
}

proptest! {
    #[test]
    fn exact_names_are_never_refused(names in prop::collection::btree_set("\\PC{1,20}", 1..5)) {
        let attributes: Vec<(&str, &[&str])> =
            names.iter().map(|name| (name.as_str(), &[] as &[&str])).collect();
        if let Ok(schema) = Schema::new(&configured(&attributes)) {
            for name in &names {
                prop_assert_eq!(schema.meant_by(name), None);
            }
        }
    }

    #[test]
    fn folding_is_idempotent_and_edits_are_symmetric(one in "\\PC{0,16}", other in "\\PC{0,16}") {
        let (one, other) = (fold(&one), fold(&other));
        prop_assert_eq!(fold(&one), one.clone());
        prop_assert_eq!(edits(&one, &other), edits(&other, &one));
    }

    #[test]
    fn one_slip_is_refused(
        name in "[a-z]{5,20}", kind in 0_u8..4, place in 0_usize..20, letter in "[a-z]",
    ) {
        let schema = Schema::new(&configured(&[(&name, &[])])).unwrap();
        let slipped = slip(&name, kind, place, letter.chars().next().unwrap());
        prop_assert!(slipped == name || schema.meant_by(&slipped) == Some(&*name), "{slipped}");
    }

    #[test]
    fn separators_and_case_are_refused(
        name in "[a-z]{2,20}", place in 1_usize..20,
        separator in prop::sample::select(vec!['-', '_', ' ', '.', '\u{200b}', '\u{2013}', '\u{ad}', ':']),
    ) {
        let schema = Schema::new(&configured(&[(&name, &[])])).unwrap();
        let mut letters: Vec<char> = name.to_uppercase().chars().collect();
        letters.insert(place % name.len(), separator);
        let slipped: String = letters.into_iter().collect();
        prop_assert_eq!(schema.meant_by(&slipped), Some(&*name));
    }
}
