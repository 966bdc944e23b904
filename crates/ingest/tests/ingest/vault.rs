use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::response::Response;
use bailiwick_ingest::vault::VaultReader;
use bailiwick_ingest::{HttpError, Remote, SourceDocument, batches};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::loopback::{Asked, Peer, respond};
use crate::{object, schema};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.e30.c2VjcmV0";
const CLIENT: &str = "6f1f7a52-5a9c-4d3b-9a51-0d6a3a1f9d11";

fn token_answer() -> Value {
    json!({"token": TOKEN, "expires_at": "2999-01-01T00:00:00Z", "ttl_seconds": 1800, "permissions": []})
}

/// A peer that gives out tokens, and this for everything else.
async fn vault(answer: impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static) -> Peer {
    Peer::start(move |asked| {
        if asked.path.starts_with("/authsec/uflow/sdk/delegation-token?") {
            return respond(200, token_answer().to_string());
        }
        answer(asked)
    })
    .await
}

fn reader(peer: &Peer) -> VaultReader {
    VaultReader::new(&peer.address, CLIENT, schema()).unwrap()
}

async fn read(body: impl Into<Bytes>) -> Result<Vec<SourceDocument>, HttpError> {
    let body = body.into();
    let peer = vault(move |_| respond(200, body.clone())).await;
    reader(&peer).read("secure-vault/records", Some("read:records")).await
}

/// What goes wrong says nothing of the token.
fn is_silent(error: &HttpError) {
    let told = format!("{error} {error:?}");
    assert!(!told.contains(TOKEN) && !told.contains("eyJ"), "{told}");
}

#[tokio::test]
async fn records_become_documents_as_with_the_authsec_reader() {
    let peer = vault(|asked| {
        assert_eq!(asked.path, "/secure-vault/records");
        assert_eq!(asked.authorization.as_deref(), Some(&*format!("Bearer {TOKEN}")));
        let data = json!([
            {"id": "REC-1", "name": "Project Phoenix", "clearance": "TopSecret"},
            {"id": "REC-2", "name": "Q3", "clearance": "Internal", "zeta": "last? no", "department": "sales", "amount": 4},
            {"name": "Unlabelled"},
            {"id": 9, "title": "Memo", "author": "Ann", "body": "Long text.", "clearance": "Secret"},
        ]);
        respond(200, json!({"status": "success", "code": 200, "data": data}).to_string())
    })
    .await;
    let documents =
        reader(&peer).read("/secure-vault/records", Some("read:records")).await.unwrap();
    let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "secure-vault/records#REC-1",
            "secure-vault/records#REC-2",
            "secure-vault/records#2",
            "secure-vault/records#9"
        ]
    );
    assert_eq!(
        documents[0].text,
        "Record ID: REC-1\nSubject: Project Phoenix\nClearance level: TopSecret"
    );
    assert_eq!(
        Value::from(documents[0].metadata.clone()),
        json!({
            "source_endpoint": "secure-vault/records", "ingestion_auth": "delegation token",
            "record_index": 0, "clearance_required": "TopSecret", "clearance_level": "TopSecret",
        })
    );
    assert!(
        documents[1].text.starts_with("Record ID: REC-2\nSubject: Q3\nClearance level: Internal\n")
    );
    assert!(documents[1].text.contains("\nAmount: 4") && !documents[1].text.contains("sales"));
    assert_eq!(documents[1].metadata["department"], "sales");
    assert!(!documents[2].metadata.contains_key("clearance_required"), "absent stays absent");
    assert!(!documents[2].metadata.contains_key("clearance_level"), "absent stays absent");
    assert_eq!(documents[3].text, "Memo\n\nLong text.");
    assert_eq!(documents[3].metadata["author"], "Ann");
    let asked = peer.asked();
    assert_eq!(
        asked[0].path,
        format!("/authsec/uflow/sdk/delegation-token?client_id={CLIENT}&scope=read%3Arecords")
    );
}

#[tokio::test]
async fn fields_keep_their_order() {
    let body = r#"{"status":"success","data":[{"zeta":1,"alpha":2,"id":"x"}]}"#;
    assert_eq!(read(body).await.unwrap()[0].text, "Record ID: x\nZeta: 1\nAlpha: 2");
}

#[tokio::test]
async fn an_object_is_one_document() {
    let body =
        r#"{"status":"success","data":{"revenue":"4.2M","confidentiality_level":"Restricted"}}"#;
    let documents = read(body).await.unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].id, "secure-vault/records#0");
    assert_eq!(
        documents[0].text,
        "{\n  \"revenue\": \"4.2M\",\n  \"confidentiality_level\": \"Restricted\"\n}"
    );
    assert_eq!(documents[0].metadata["confidentiality"], "Restricted");
    assert_eq!(documents[0].metadata["clearance_level"], "Restricted");
}

#[tokio::test]
async fn v1_a_refusal_is_an_error_and_never_a_document() {
    for status in [201, 204, 301, 400, 401, 403, 404, 410, 429, 500, 502, 503, 504] {
        let peer = vault(move |_| {
            let told = json!({"error": "denied", "detail": format!("no\u{1b}[31m {TOKEN}")});
            respond(status, if status == 204 { String::new() } else { told.to_string() })
        })
        .await;
        let error = reader(&peer).read("secure-vault/records", None).await.unwrap_err();
        assert!(
            matches!(&error, HttpError::Refused { status: s, .. } if *s == status),
            "{error:?}"
        );
        is_silent(&error);
    }
    let nobody = VaultReader::new("http://127.0.0.1:9", CLIENT, schema()).unwrap();
    let error = nobody.read("secure-vault/records", None).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn v2_v3_v5_what_is_not_a_collection_is_an_error() {
    let rows = r#"{"status":"success","data":"#;
    let deep = format!("{rows}{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let good = r#"{"status":"success","data":[{"id":1}]}"#;
    let bom = format!("\u{feff}{good}");
    let two = format!("{good}\n{good}");
    for body in [
        "",
        "<html></html>",
        "[]",
        "null",
        "{}",
        r#"{"data":[]}"#,
        r#"{"status":"error","data":[{"id":1}]}"#,
        r#"{"status":null,"data":[]}"#,
        r#"{"status":"success"}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":"x"}"#,
        r#"{"status":"success","data":7}"#,
        r#"{"status":"success","data":[[{"id":1}]]}"#,
        r#"{"status":"success","data":[{"id":1},7]}"#,
        r#"{"status":"success","data":[{"id":1,"id":2}]}"#,
        r#"{"status":"success","data":[{"id":1}"#,
        &deep,
        &bom,
        &two,
    ] {
        let error = read(body.to_owned()).await.unwrap_err();
        assert!(matches!(error, HttpError::Malformed { .. }), "{body:.60}: {error:?}");
    }
    read(vec![0x1f, 0x8b, 8, 0, 0]).await.unwrap_err();
    assert_eq!(read(r#"{"status":"success","data":[]}"#).await.unwrap(), []);
}

#[tokio::test]
async fn v3_a_body_without_end_is_cut_off() {
    let peer = vault(|_| {
        let piece = Bytes::from(vec![b' '; 1 << 20]);
        let endless = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
        respond(200, Body::from_stream(endless))
    })
    .await;
    let error = reader(&peer).read("secure-vault/records", None).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn v4_a_redirect_is_not_followed() {
    let elsewhere = Peer::start(|_| respond(200, r#"{"status":"success","data":[]}"#)).await;
    let target = elsewhere.address.clone();
    let peer = vault(move |_| {
        Response::builder()
            .status(302)
            .header("location", format!("{target}/x"))
            .body(Body::empty())
            .unwrap()
    })
    .await;
    reader(&peer).read("secure-vault/records", None).await.unwrap_err();
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn v7_a_record_cannot_stamp_itself() {
    let record = json!({
        "id": "x", "text": "t", "source_endpoint": "evil", "ingestion_auth": "evil", "record_index": 99,
        "clearance_required": "Public", "confidentiality": "Public", "_label": "evil", "__class__": "evil",
        "ingested_by": "evil", "token_jti": "evil", "scope": "evil", "ingested_at": "evil",
        "metadata": {"source_endpoint": "evil", "_label": "evil", "ingested_by": "evil"},
        "clearance": "Secret",
    });
    let documents = read(json!({"status": "success", "data": [record]}).to_string()).await.unwrap();
    assert_eq!(
        Value::from(documents[0].metadata.clone()),
        json!({
            "source_endpoint": "secure-vault/records", "ingestion_auth": "delegation token",
            "record_index": 0, "clearance_required": "Secret", "clearance_level": "Secret",
        })
    );
    assert_eq!(documents[0].text, "t");
}

#[tokio::test]
async fn v10_an_endpoint_is_a_plain_path() {
    let peer = vault(|_| respond(200, "{}")).await;
    let reader = reader(&peer);
    for endpoint in [
        "",
        "/",
        "//evil/x",
        "../admin",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "http://evil/",
        "a?x=1",
        "a#b",
        "a\r\nX: y",
        "a%2e%2e",
        "a\\b",
        "a b",
        "@evil",
        "ä",
        &"a".repeat(1000),
    ] {
        let error = reader.read(endpoint, None).await.unwrap_err();
        assert!(matches!(error, HttpError::Endpoint(_)), "{endpoint}: {error:?}");
    }
    assert!(peer.asked().is_empty(), "the network was not used");
}

#[tokio::test]
async fn v11_a_bad_token_is_an_error() {
    let with = |changes: Value| {
        let mut answer = object(token_answer());
        answer.extend(object(changes));
        answer.retain(|_, value| !value.is_null());
        Value::from(answer).to_string()
    };
    for body in [
        with(json!({"token": null})),
        with(json!({"token": ""})),
        with(json!({"token": 7})),
        with(json!({"token": format!("{TOKEN}\r\nX-Evil: 1")})),
        with(json!({"token": "x".repeat(20_000)})),
        with(json!({"expires_at": 1_900_000_000})),
        with(json!({"expires_at": "tomorrow"})),
        with(json!({"expires_at": "2020-01-01T00:00:00Z"})),
        with(json!({"expires_at": null, "ttl_seconds": null})),
        with(json!({"expires_at": null, "ttl_seconds": u64::MAX})),
        with(json!({"expires_at": null, "ttl_seconds": 0})),
        "[]".to_owned(),
        "<html>".to_owned(),
    ] {
        let answer = body.clone();
        let peer = Peer::start(move |_| respond(200, answer.clone())).await;
        let error = reader(&peer).read("secure-vault/records", None).await.unwrap_err();
        assert!(matches!(error, HttpError::Malformed { .. }), "{body}: {error:?}");
        is_silent(&error);
        assert_eq!(peer.asked().len(), 1, "the vault was not asked");
    }
}

#[tokio::test]
async fn a_token_is_kept_for_its_scope_and_dropped_when_refused() {
    static READS: AtomicUsize = AtomicUsize::new(0);
    let peer = vault(|_| match READS.fetch_add(1, Ordering::SeqCst) {
        2 => respond(401, "{}"),
        _ => respond(200, r#"{"status":"success","data":[]}"#),
    })
    .await;
    let reader = reader(&peer);
    for scope in [None, None, None, None, Some("read:records")] {
        let _ = reader.read("secure-vault/records", scope).await;
    }
    let tokens =
        peer.asked().iter().filter(|asked| asked.path.contains("delegation-token")).count();
    assert_eq!(tokens, 3, "one, one after the 401, and one for the other scope");
    assert!(!format!("{reader:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_token_near_its_end_is_not_kept() {
    let peer = Peer::start(|asked| {
        if asked.path.contains("delegation-token") {
            return respond(200, json!({"access_token": TOKEN, "expires_in": 59}).to_string());
        }
        respond(200, r#"{"status":"success","data":[]}"#)
    })
    .await;
    let reader = reader(&peer);
    reader.read("a", None).await.unwrap();
    reader.read("a", None).await.unwrap();
    assert_eq!(peer.asked().len(), 4);
}

#[test]
fn addresses_that_would_show_a_token_are_refused() {
    for address in [
        "http://bailiwick.example",
        "ftp://localhost",
        "localhost:8321",
        "https://user:secret@host",
        "https://host?x=1",
        "https://host#x",
        "",
        "http://127.0.0.1.evil.example",
    ] {
        let error = VaultReader::new(address, CLIENT, schema()).unwrap_err();
        assert!(matches!(error, HttpError::Settings(_)), "{address}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for client in ["", "a&scope=admin", "a b", &"a".repeat(100)] {
        VaultReader::new("https://host", client, schema()).unwrap_err();
    }
    for address in
        ["https://host/t/acme", "http://localhost:1", "http://[::1]:1", "http://127.0.0.1"]
    {
        VaultReader::new(address, CLIENT, schema()).unwrap();
    }
}

fn document(id: usize, bytes: usize) -> SourceDocument {
    SourceDocument { id: id.to_string(), text: "x".repeat(bytes), metadata: Map::new() }
}

#[tokio::test]
async fn documents_are_sent_and_a_refusal_is_told() {
    let peer = Peer::start(|asked| {
        let sent: Value = serde_json::from_slice(&asked.body).unwrap();
        if sent["documents"][0]["text"] == "" {
            let told = "document 0, `1`: its text is empty";
            return respond(
                422,
                json!({"type": "about:blank", "title": "x", "detail": told}).to_string(),
            );
        }
        let count = sent["documents"].as_array().unwrap().len();
        respond(200, json!({"documents": count, "chunks": 5, "revision": 3}).to_string())
    })
    .await;
    let remote = Remote::new(&peer.address).unwrap();
    let token = SecretString::from(TOKEN);
    let receipt =
        remote.send(&[document(1, 5), document(2, 5)], None, false, &token).await.unwrap();
    assert_eq!((receipt.documents, receipt.chunks, receipt.revision), (2, 5, 3));
    let asked = &peer.asked()[0];
    assert_eq!(asked.path, "/api/documents");
    assert_eq!(asked.authorization.as_deref(), Some(&*format!("Bearer {TOKEN}")));
    let error = remote.send(&[document(1, 0)], None, false, &token).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 422: document 0, `1`: its text is empty");
}

#[test]
fn batches_are_bounded_and_lose_nothing() {
    let documents: Vec<SourceDocument> = (0..300)
        .map(|id| document(id, if id % 50 == 7 { 3_000_000 } else { 100 }))
        .chain([document(300, 9_000_000)])
        .collect();
    let cut = batches(documents.clone());
    for batch in &cut {
        assert!(batch.len() <= 100 && !batch.is_empty());
        let bytes = serde_json::to_vec(batch).unwrap().len();
        assert!(bytes <= 4_000_100 || batch.len() == 1, "{bytes} bytes");
    }
    assert_eq!(cut.concat(), documents);
}

#[tokio::test]
async fn a_misspelt_attribute_of_a_record_reaches_the_intake() {
    for field in ["projectid", "_project_id", "Project-ID"] {
        let data = json!([{"id": "1", "name": "Lines", "clearance": "Public", field: "phoenix"}]);
        let answer = json!({"status": "success", "code": 200, "data": data}).to_string();
        let documents = read(answer).await.unwrap();
        let error = schema().label_of_new(&documents[0].metadata).unwrap_err().to_string();
        assert!(error.contains("did you mean `project_id`?"), "{error}");
        assert!(!error.contains("phoenix"), "{error}");
    }
}
