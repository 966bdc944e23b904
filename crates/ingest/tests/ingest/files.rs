use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_ingest::SourceDocument;
use bailiwick_ingest::files::{
    Extraction, FileError, FileOptions, FileSource, Problem, discover, shown,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::samples::{docx, pdf_of, pdf_page, stream, zip_of};
use crate::{object, schema};

fn options(metadata: Value) -> FileOptions {
    FileOptions {
        schema: schema(),
        metadata: object(metadata),
        passed_over: None,
        extraction: Extraction::InThisProcess,
    }
}

pub(crate) fn found(folder: &Path, metadata: Value) -> Vec<FileSource> {
    let found = discover(folder, &options(metadata));
    assert!(found.left_out.is_empty(), "{found:?}");
    found.files
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

/// The documents of one file.
fn read(name: &str, content: impl AsRef<[u8]>) -> Result<Vec<SourceDocument>, FileError> {
    let folder = TempDir::new().unwrap();
    let path = write(folder.path(), name, content);
    discover(&path, &options(json!({}))).files[0].read()
}

fn problem(name: &str, content: impl AsRef<[u8]>) -> Problem {
    let error = read(name, content).unwrap_err();
    assert!(error.file.ends_with(name), "{error}");
    error.problem
}

#[test]
fn every_kind_becomes_text() {
    let folder = TempDir::new().unwrap();
    let html = "<html><head><title>x</title><script>steal()</script></head><body><h1>Pay</h1><p>Net &amp; gross</p></body></html>";
    let body = "<w:p><w:pPr><w:pStyle w:val=\"Titel\"/></w:pPr><w:r><w:t>Plan</w:t></w:r></w:p>\
        <w:p><w:pPr><w:pStyle w:val=\"berschrift2\"/></w:pPr><w:r><w:t>Risks</w:t></w:r></w:p>\
        <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t xml:space=\"preserve\">R&amp;D </w:t></w:r><w:r><w:t>is late</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Q3</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>4.2M</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
    write(folder.path(), "a.md", "# Phoenix\n\nIt starts in May.\n");
    write(folder.path(), "b/c.TXT", "\u{feff}Plain words");
    write(folder.path(), "d.html", html);
    write(folder.path(), "e.pdf", pdf_page("BT /F1 12 Tf 72 720 Td (Hello from a page) Tj ET", ""));
    write(folder.path(), "f.docx", docx(body));
    write(
        folder.path(),
        "g.json",
        r#"{"title": "Budget", "text": "4.2M USD", "department": "sales"}"#,
    );
    write(
        folder.path(),
        "h.jsonl",
        "{\"id\": 7, \"due_date\": \"May\", \"clearance\": \"Secret\"}\n\n{\"note\": \"x\"}\n",
    );

    let documents: Vec<SourceDocument> =
        found(folder.path(), json!({})).iter().flat_map(|source| source.read().unwrap()).collect();
    let text = |id: &str| {
        let found = documents.iter().find(|document| document.id == id);
        found.unwrap_or_else(|| panic!("no {id} in {documents:#?}")).text.trim().to_owned()
    };
    assert_eq!(text("a.md"), "# Phoenix\n\nIt starts in May.");
    assert_eq!(text("b/c.TXT"), "Plain words");
    assert_eq!(text("d.html"), "# Pay\n\nNet & gross");
    assert_eq!(text("e.pdf"), "Hello from a page");
    assert_eq!(text("f.docx"), "# Plan\n\n## Risks\n\n- R&D is late\n\n| Q3 | 4.2M |");
    assert_eq!(text("g.json"), "Budget\n\n4.2M USD");
    assert_eq!(text("h.jsonl#7"), "Record ID: 7\nClearance level: Secret\nDue date: May");
    assert_eq!(text("h.jsonl#1"), "Note: x");
    let metadata = |id: &str| &documents.iter().find(|d| d.id == id).unwrap().metadata;
    assert_eq!(metadata("g.json")["department"], "sales");
    assert_eq!(metadata("g.json")["title"], "Budget");
    assert_eq!(metadata("h.jsonl#7")["clearance_level"], "Secret");
    assert_eq!(metadata("f.docx")["content_type"], "text/markdown");
}

#[test]
fn the_nearest_metadata_is_the_strongest() {
    let folder = TempDir::new().unwrap();
    let top = folder.path();
    write(
        top,
        ".bailiwick.toml",
        "a = 'folder'\nb = 'folder'\nc = 'folder'\nd = 'folder'\nsince = 2026-05-01",
    );
    write(top, "in/.bailiwick.toml", "b = 'inner folder'\nc = 'inner folder'\nd = 'inner folder'");
    write(top, "in/x.md.meta.json", r#"{"c": "sidecar", "d": "sidecar"}"#);
    write(top, "in/x.md", "---\nd: front matter\nid: my/own\n---\nText\n");
    write(top, "in/y.txt", "Text");
    write(top, "in/y.txt.meta.toml", "c = 'sidecar'");
    let line = json!({"a": "line", "b": "line", "c": "line", "d": "line", "e": "line"});
    let documents: Vec<SourceDocument> =
        found(top, line).iter().flat_map(|source| source.read().unwrap()).collect();
    let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids, ["my/own", "in/y.txt"]);
    let expected = json!({
        "a": "folder", "b": "inner folder", "c": "sidecar", "d": "front matter", "e": "line",
        "since": "2026-05-01", "content_type": "text/markdown",
    });
    assert_eq!(Value::from(documents[0].metadata.clone()), expected);
    assert_eq!(documents[1].metadata["d"], "inner folder");
}

/// An attribute has several names, and a blank one says nothing.
#[test]
fn the_nearest_attribute_is_the_strongest_whatever_it_is_called() {
    let folder = TempDir::new().unwrap();
    let top = folder.path();
    write(top, ".bailiwick.toml", "clearance_level = 'Internal'\nproject_id = 'phoenix'");
    write(top, "a.md", "---\nclearance: Secret\nproject_id:\n---\nText\n");
    write(top, "b.txt", "Text");
    write(top, "b.txt.meta.json", r#"{"confidentiality_level": "TopSecret"}"#);
    write(top, "c.json", r#"{"text": "Text", "clearance_level": null, "clearance": "Secret"}"#);
    let nested =
        r#"{"text": "Text", "metadata": {"clearance_level": "Public"}, "clearance": "Secret"}"#;
    write(top, "d.json", nested);
    let options = json!({"department": "hr", "clearance": "Public"});
    let documents = found(top, options).iter().flat_map(|s| s.read().unwrap()).collect::<Vec<_>>();
    let labels = documents.iter().map(|document| {
        let label = schema().label(&document.metadata).unwrap();
        schema().describe(&label)["clearance_level"].clone()
    });
    assert_eq!(labels.collect::<Vec<_>>(), ["Secret", "TopSecret", "Secret", "Secret"]);
    assert!(documents.iter().all(|document| document.metadata["project_id"] == "phoenix"));
}

#[test]
fn a_file_is_described_the_same_when_named_alone() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), ".bailiwick.toml", "department = 'sales'");
    let file = write(folder.path(), "x.txt", "Text");
    let alone = discover(&file, &options(json!({}))).files[0].read().unwrap();
    let together = found(folder.path(), json!({}))[0].read().unwrap();
    assert_eq!(alone, together);
    assert_eq!(alone[0].metadata["department"], "sales");
}

#[test]
fn what_is_hidden_or_ignored_is_passed_over_and_all_else_is_told() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), ".secret/x.md", "no");
    write(folder.path(), ".hidden.md", "no");
    write(folder.path(), ".gitignore", "drafts/\n");
    write(folder.path(), "drafts/x.md", "no");
    write(folder.path(), "photo.png", "no");
    write(folder.path(), "gone.md.meta.json", "{}");
    write(folder.path(), "empty.md", " \n");
    write(folder.path(), "ok.md", "yes");
    let sources = found(folder.path(), json!({}));
    let told: Vec<(&str, bool)> =
        sources.iter().map(|source| (source.id(), source.read().is_ok())).collect();
    assert_eq!(
        told,
        [("empty.md", false), ("gone.md.meta.json", false), ("ok.md", true), ("photo.png", false)]
    );
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let outside = TempDir::new().unwrap();
    write(outside.path(), "secret.md", "outside");
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.md"), folder.path().join("x.md"))
        .unwrap();
    for source in found(folder.path(), json!({})) {
        source.read().unwrap_err();
    }
}

#[test]
fn what_is_not_there_or_in_the_data_directory_is_left_out_as_a_whole() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "x.md", "1");
    write(folder.path(), "data/ingested/state.json", "{}");
    let data = folder.path().join("data");
    let options = FileOptions { passed_over: Some(data.clone()), ..options(json!({})) };
    let all = discover(folder.path(), &options);
    assert!(all.left_out.is_empty());
    assert_eq!(all.files.iter().map(FileSource::id).collect::<Vec<_>>(), ["x.md"]);
    for path in [folder.path().join("not-there"), data.clone(), data.join("ingested")] {
        let none = discover(&path, &options);
        assert!(none.files.is_empty());
        assert_eq!(none.left_out[0].id.as_deref(), Some(""), "{none:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_text_takes_no_other_file_with_it() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let hostile = folder.path().join(std::ffi::OsStr::from_bytes(b"bad\xff.md"));
    fs::write(hostile, "x").unwrap();
    write(folder.path(), "red\u{1b}[31m.md", "x");
    write(folder.path(), "ok.md", "x");
    let found = discover(folder.path(), &options(json!({})));
    let ids: Vec<&str> = found.files.iter().map(FileSource::id).collect();
    assert_eq!(ids, ["ok.md", "red\u{1b}[31m.md"]);
    let [left_out] = &found.left_out[..] else { panic!("{found:?}") };
    assert!(left_out.error.to_string().contains("bad\\xff.md"), "{}", left_out.error);
    let red = shown(found.files[1].path());
    assert!(red.ends_with("red\\u{1b}[31m.md"), "{red}");
}

#[test]
fn one_record_that_is_wrong_takes_no_other_with_it() {
    let folder = TempDir::new().unwrap();
    let lines = "{\"id\": 1, \"note\": \"a\"}\n{oops\n{\"id\": 3, \"note\": \"c\"}\n";
    write(folder.path(), "x.jsonl", lines);
    let records = found(folder.path(), json!({}))[0].records();
    let ids = records.iter().map(|record| record.as_ref().map(|record| record.id.as_str()));
    let ids: Vec<Option<&str>> = ids.map(Result::ok).collect();
    assert_eq!(ids, [Some("x.jsonl#1"), None, Some("x.jsonl#3")]);
    assert!(records[1].as_ref().unwrap_err().to_string().contains("line 2"));
}

#[test]
fn front_matter_fails_closed() {
    let bomb = format!(
        "---\na: &a [{}]\n{}---\nText",
        "x,".repeat(50),
        (b'b'..=b'j')
            .map(|c| {
                let (c, p) = (c as char, (c - 1) as char);
                format!("{c}: &{c} [{}]\n", format!("*{p},").repeat(20))
            })
            .collect::<String>(),
    );
    for content in [
        "---\nclearance_level: Secret\nno end",
        "---\n- a list\n---\nText",
        "---\na: [\n---\nText",
        "---\na: 1\na: 2\n---\nText",
        "---\nid: 7\n---\nText",
        &format!("---\n{}\n---\nText", "a: b # ".repeat(10_000)),
        &format!("---\na: {}\n---\nText", "[".repeat(10_000)),
        &bomb,
    ] {
        let problem = problem("x.md", content);
        assert!(matches!(problem, Problem::Broken(_)), "{problem:?}");
    }
    let plain = read("x.md", "--- not a ruler\nText").unwrap();
    assert!(plain[0].text.starts_with("--- not"));
    let crlf = read("x.md", "---\r\ndepartment: sales\r\n---\r\nText\r\n").unwrap();
    assert_eq!(
        (crlf[0].text.as_str(), &crlf[0].metadata["department"]),
        ("Text\r\n", &json!("sales"))
    );
}

#[test]
fn wrong_encodings_are_told() {
    let utf16: Vec<u8> = "\u{feff}Hello".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [utf16, b"caf\xe9".to_vec(), b"nul\0".to_vec()] {
        for name in ["x.md", "x.txt", "x.html", "x.json", "x.jsonl"] {
            assert!(matches!(problem(name, &content), Problem::Encoding));
        }
    }
}

#[test]
fn hostile_json_is_told() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_value = format!("{{\"a\":{deep}}}");
    for content in [
        "",
        "7",
        "null",
        "[1]",
        "[[{}]]",
        "{\"a\":1",
        r#"{"text":"a","text":"b"}"#,
        &deep,
        &deep_value,
    ] {
        assert!(matches!(problem("x.json", content), Problem::Broken(_)), "{content:.40}");
        assert!(
            matches!(problem("x.jsonl", content), Problem::Broken(_) | Problem::Empty),
            "{content:.40}"
        );
    }
    let told = problem("x.jsonl", "{\"a\":1}\n\n{oops").to_string();
    assert!(told.contains("line 3"), "{told}");
}

#[test]
fn deep_html_is_told_before_the_stack_ends() {
    let html = "<div>".repeat(10_000) + "x";
    assert!(matches!(problem("x.html", html), Problem::Broken(_)));
}

#[test]
fn hostile_docx_is_told() {
    let bomb = vec![b' '; 80 << 20];
    let bomb = zip_of(&[("word/document.xml", &bomb)]);
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(problem("x.docx", bomb), Problem::TooLarge(_)));
    assert!(matches!(problem("x.docx", zip_of(&[("other", b"")])), Problem::Broken(_)));
    assert!(matches!(problem("x.docx", "PK no zip"), Problem::Broken(_)));
    assert!(matches!(problem("x.docx", docx("<w:p><w:t>x</w:p>")), Problem::Broken(_)));
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">]><w:p><w:t>a&a;b</w:t></w:p>";
    if let Ok(documents) = read("x.docx", zip_of(&[("word/document.xml", entities.as_bytes())])) {
        assert_eq!(documents[0].text.trim(), "ab");
    }
}

#[test]
fn hostile_pdf_is_told() {
    let good = pdf_page("BT /F1 12 Tf 72 720 Td (Hello) Tj ET", "");
    for broken in [b"%PDF-1.4".to_vec(), b"no pdf".to_vec(), good[..good.len() / 2].to_vec()] {
        assert!(matches!(problem("x.pdf", broken), Problem::Broken(_) | Problem::Empty));
    }
    let circle = pdf_page("/X Do", "/X Do");
    assert!(matches!(problem("x.pdf", circle), Problem::Broken(_)));
    let multiplying = pdf_page(&"/X Do ".repeat(200), &"/X Do ".repeat(200));
    assert!(matches!(problem("x.pdf", multiplying), Problem::Broken(_)));
    let own_parent = pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".into(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 /Parent 2 0 R >>".into(),
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>".into(),
        stream("", "BT (x) Tj ET"),
    ]);
    assert!(matches!(problem("x.pdf", own_parent), Problem::Broken(_)));
    let no_media_box = pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".into(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".into(),
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>".into(),
        stream("", "BT (x) Tj ET"),
    ]);
    assert!(matches!(problem("x.pdf", no_media_box), Problem::Broken(_)));
}

#[test]
fn a_form_on_a_page_is_read() {
    let pdf = pdf_page("/X Do", "BT /F1 12 Tf 72 720 Td (In a form) Tj ET");
    assert_eq!(read("x.pdf", pdf).unwrap()[0].text.trim(), "In a form");
}

#[test]
fn attributes_stay_out_of_the_text_of_records() {
    let documents = read(
        "x.json",
        r#"[{"id": "a", "department": "hr", "project_id": "p1", "clearance_level": "Secret", "summary": "Plan", "tags": ["x", 1]}]"#,
    )
    .unwrap();
    assert_eq!(documents[0].text, "Record ID: a\nSummary: Plan\nTags: x, 1");
    assert_eq!(
        Value::from(documents[0].metadata.clone()),
        json!({"department": "hr", "project_id": "p1", "clearance_level": "Secret", "content_type": "text/plain"})
    );
}
