//! Metadata names that look like an attribute's, from every source.

use std::fs;

use bailiwick_ingest::SourceDocument;
use serde_json::json;
use tempfile::TempDir;

use crate::files::found;
use crate::schema;

/// The documents of one file in a folder whose documents have a level.
fn read(name: &str, content: &str) -> Vec<SourceDocument> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    let sources = found(folder.path(), json!({"clearance_level": "Public"}));
    sources.iter().flat_map(|source| source.read().unwrap()).collect()
}

/// Whether the intake, which labels so, would refuse it with what was meant.
fn is_refused(document: &SourceDocument, meant: &str) -> bool {
    let error = schema().label_of_new(&document.metadata).map_err(|error| error.to_string());
    error.is_err_and(|error| {
        assert!(!error.contains("phoenix"), "{error}");
        error.contains(&format!("`{meant}`"))
    })
}

#[test]
fn a_misspelt_attribute_is_refused_in_every_kind_of_file() {
    let files = [
        ("front.md", "---\nprojectid: phoenix\n---\nText\n"),
        ("both.md", "---\nproject_id: phoenix\nProject-ID: phoenix\n---\nText\n"),
        ("wrapped.md", "---\nmetadata:\n  project_id: phoenix\n---\nText\n"),
        ("main.json", r#"{"text": "Text", "projectid": "phoenix"}"#),
        ("lines.json", r#"{"name": "A record of lines", "projectid": "phoenix"}"#),
        ("member.json", r#"{"text": "Text", "metadata": {"projetc_id": "phoenix"}}"#),
        ("inner.json", r#"{"name": "Lines", "metadata": {"projetc_id": "phoenix"}}"#),
        ("many.jsonl", "{\"name\": \"Lines\", \"PROJECT ID\": \"phoenix\"}\n"),
    ];
    for (name, content) in files {
        let documents = read(name, content);
        assert_eq!(documents.len(), 1, "{name}");
        assert!(is_refused(&documents[0], "project_id"), "{name}: {:?}", documents[0]);
    }
}

#[test]
fn sidecars_and_folders_are_refused_likewise() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.txt"), "Text").unwrap();
    fs::write(folder.path().join("a.txt.meta.toml"), "clearance_level = 'Public'").unwrap();
    let described = folder.path().join(".bailiwick.toml");
    let document = |text: &str| {
        fs::write(&described, text).unwrap();
        found(folder.path(), json!({}))[0].read().unwrap().remove(0)
    };
    assert!(is_refused(&document("departement = 'phoenix'"), "department"));
    assert!(schema().label_of_new(&document("department = 'hr'").metadata).is_ok());
}

#[test]
fn a_record_of_lines_has_the_attributes_of_its_metadata() {
    let documents = read("a.json", r#"{"name": "A", "metadata": {"project_id": "phoenix"}}"#);
    assert_eq!(documents[0].metadata["project_id"], "phoenix");
}
