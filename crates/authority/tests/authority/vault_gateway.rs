//! The vault: who reads what, and what a broken or hostile upstream does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_authority::{CollectionConfig, Grant, Vault, VaultError};
use serde_json::{Value, json};

use super::House;

/// Cargo sets it for every test: it stands for a variable that holds a credential.
const CREDENTIAL: &str = "CARGO_PKG_NAME";

fn file(path: &str, scope: &str, file: PathBuf) -> CollectionConfig {
    CollectionConfig {
        path: path.into(),
        scope: scope.into(),
        file: Some(file),
        upstream: None,
        upstream_header: None,
        upstream_header_env: None,
        timeout_seconds: None,
        danger_allow_plain_http: false,
    }
}

fn upstream(path: &str, url: &str) -> CollectionConfig {
    CollectionConfig {
        file: None,
        upstream: Some(url.into()),
        ..file(path, "read:records", PathBuf::new())
    }
}

async fn grant(house: &House) -> Grant {
    let agent = house.agent("reader", &["read:records"]).await;
    house.authority.authenticate(&house.token(&agent).await, None).await.unwrap()
}

/// An HTTP server on this machine that gives each connection the same bytes, and what it was sent.
struct Stub {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    fn new(answer: impl Fn(&mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/records", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap_or(0) == 0 {
                        break;
                    }
                }
                seen.lock().unwrap().push(head);
                answer(&mut stream);
            }
        });
        Self { url, requests }
    }

    fn saying(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::new(move |stream| {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        })
    }
}

async fn read_upstream(house: &House, grant: &Grant, url: &str) -> Result<Value, VaultError> {
    let mut config = upstream("secure-vault/records", url);
    config.timeout_seconds = Some(1);
    let vault = Vault::new(vec![config], Arc::clone(&house.audit)).unwrap();
    vault.read(grant, "/secure-vault/records", None).await
}

#[tokio::test]
async fn a_file_is_read_anew_inside_the_envelope() {
    let house = House::new();
    let grant = grant(&house).await;
    let path = house.path().join("records.json");
    let vault = Vault::new(
        vec![file("secure-vault/records", "read:records", path.clone())],
        Arc::clone(&house.audit),
    )
    .unwrap();
    for records in [json!([{ "id": "USER-001" }]), json!([]), json!({ "metric": 1 })] {
        std::fs::write(&path, records.to_string()).unwrap();
        let read = vault.read(&grant, "secure-vault/records", Some("request-9")).await.unwrap();
        assert_eq!(read, json!({ "status": "success", "code": 200, "data": records }));
    }
    let event = house.last_event();
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("vault_read"), &json!("ok")));
    assert_eq!(
        (&event["scope"], &event["request_id"]),
        (&json!("read:records"), &json!("request-9"))
    );
    assert_eq!((&event["agent"], &event["jti"]), (&json!("reader"), &json!(grant.token_id())));

    for broken in ["", "{", "[1,", "not json"] {
        std::fs::write(&path, broken).unwrap();
        let error = vault.read(&grant, "secure-vault/records", None).await.unwrap_err();
        assert_eq!(error.status(), 502);
    }
    std::fs::remove_file(&path).unwrap();
    let error = vault.read(&grant, "secure-vault/records", None).await.unwrap_err();
    assert_eq!(error.status(), 502);
    assert!(!error.to_string().contains("records.json"));
    assert_eq!(house.last_event()["outcome"], "failed");
}

#[tokio::test]
async fn only_the_exact_path_matches() {
    let house = House::new();
    let grant = grant(&house).await;
    let path = house.path().join("records.json");
    std::fs::write(&path, "[]").unwrap();
    let config = file("secure-vault/records", "read:records", path);
    let vault = Vault::new(vec![config], Arc::clone(&house.audit)).unwrap();
    let hostile = [
        "",
        "/",
        "//secure-vault/records",
        "secure-vault//records",
        "secure-vault/records/",
        "secure-vault/records/..",
        "secure-vault/./records",
        "secure-vault/x/../records",
        "secure-vault%2Frecords",
        "secure-vault/record%73",
        "secure-vault/%2e%2e/records",
        "secure-vault\\records",
        "SECURE-VAULT/records",
        "secure-vault/records?x=",
        "secure-vault/records\r\n",
        "secure-vault/records/1",
        "secure-vault",
        "http://evil.example/secure-vault/records",
    ];
    for path in hostile {
        let error = vault.read(&grant, path, None).await.unwrap_err();
        assert!(matches!(error, VaultError::NotFound), "{path:?}");
    }
    assert!(vault.read(&grant, "/secure-vault/records", None).await.is_ok());
}

#[tokio::test]
async fn without_the_scope_nothing_is_fetched() {
    let house = House::new();
    let grant = grant(&house).await;
    let stub = Stub::saying("200 OK", "[]");
    let config =
        CollectionConfig { scope: "read:metrics".into(), ..upstream("secure-vault/m", &stub.url) };
    let vault = Vault::new(vec![config], Arc::clone(&house.audit)).unwrap();
    assert_eq!(vault.scopes(), ["read:metrics"]);
    let error = vault.read(&grant, "secure-vault/m", None).await.unwrap_err();
    assert_eq!(error.status(), 403);
    assert!(matches!(error, VaultError::InsufficientScope(e) if e.required == "read:metrics"));
    assert!(stub.requests.lock().unwrap().is_empty());
    let event = house.last_event();
    assert_eq!((&event["kind"], &event["outcome"]), (&json!("vault_refused"), &json!("refused")));
}

#[tokio::test]
async fn the_upstream_sees_its_own_credential_and_nothing_of_the_agent() {
    let house = House::new();
    let grant = grant(&house).await;
    let stub = Stub::saying("200 OK", "[]");
    let config = CollectionConfig {
        upstream_header: Some("x-api-key".into()),
        upstream_header_env: Some(CREDENTIAL.into()),
        ..upstream("secure-vault/r", &stub.url)
    };
    let vault = Vault::new(vec![config], Arc::clone(&house.audit)).unwrap();
    vault.read(&grant, "secure-vault/r", None).await.unwrap();
    let request = stub.requests.lock().unwrap()[0].to_lowercase();
    assert!(request.starts_with("get /records http/1.1"), "{request}");
    assert!(request.contains("x-api-key: bailiwick-authority"), "{request}");
    assert!(!request.contains("authorization") && !request.contains("eyj"), "{request}");
    assert!(!format!("{vault:?}").contains("bailiwick-authority"));
}

#[tokio::test]
async fn an_envelope_is_not_wrapped_twice() {
    let house = House::new();
    let grant = grant(&house).await;
    let cases = [
        (json!([1, 2]), json!([1, 2])),
        (json!({ "status": "success", "code": 200, "data": [1] }), json!([1])),
        (json!({ "status": "active", "data": [1] }), json!({ "status": "active", "data": [1] })),
        (
            json!({ "status": "success", "data": [1], "owner": "x" }),
            json!({ "status": "success", "data": [1], "owner": "x" }),
        ),
        (Value::Null, Value::Null),
    ];
    for (answer, data) in cases {
        let stub = Stub::saying("200 OK", answer.to_string());
        let read = read_upstream(&house, &grant, &stub.url).await.unwrap();
        assert_eq!(read, json!({ "status": "success", "code": 200, "data": data }));
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_the_upstream_is_a_502() {
    let house = House::new();
    let grant = grant(&house).await;
    let stubs = [
        Stub::saying("401 Unauthorized", "{}"),
        Stub::saying("404 Not Found", "{}"),
        Stub::saying("500 Internal Server Error", "secret stack trace"),
        Stub::saying("204 No Content", ""),
        Stub::saying("200 OK", "<html>"),
        Stub::saying("200 OK", ""),
        Stub::saying("200 OK", "{\"a\":1}{\"a\":2}"),
        Stub::saying("200 OK", "\u{feff}[]"),
        Stub::saying(
            "200 OK",
            json!({ "status": "error", "code": 500, "message": "x" }).to_string(),
        ),
        Stub::saying("200 OK", "[".repeat(100_000)),
        Stub::new(|stream| {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1"))
        }),
        Stub::new(|stream| drop(stream.write_all(b"garbage\r\n\r\n"))),
        Stub::new(|_| ()),
    ];
    for (n, stub) in stubs.iter().enumerate() {
        let error = read_upstream(&house, &grant, &stub.url).await.unwrap_err();
        assert_eq!(error.status(), 502, "{n}");
        assert_eq!(error.to_string(), "the collection's source did not answer properly");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = read_upstream(&house, &grant, &format!("http://{closed}/")).await.unwrap_err();
    assert_eq!(error.status(), 502);
}

#[tokio::test]
async fn a_slow_upstream_is_a_504() {
    let house = House::new();
    let grant = grant(&house).await;
    let silent = Stub::new(|stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let _ = stream.read(&mut [0]);
    });
    let dripping = Stub::new(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    for stub in [silent, dripping] {
        let error = read_upstream(&house, &grant, &stub.url).await.unwrap_err();
        assert_eq!(error.status(), 504);
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let house = House::new();
    let grant = grant(&house).await;
    let endless = Stub::new(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
        let spaces = vec![b' '; 1 << 20];
        while stream.write_all(&spaces).is_ok() {}
    });
    let config = upstream("secure-vault/r", &endless.url);
    let vault = Vault::new(vec![config], Arc::clone(&house.audit)).unwrap();
    assert_eq!(vault.read(&grant, "secure-vault/r", None).await.unwrap_err().status(), 502);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let house = House::new();
    let grant = grant(&house).await;
    let target = Stub::saying("200 OK", "[]");
    let location = target.url.clone();
    let redirecting = Stub::new(move |stream| {
        let answer =
            format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
    });
    let error = read_upstream(&house, &grant, &redirecting.url).await.unwrap_err();
    assert_eq!(error.status(), 502);
    assert!(target.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_read_that_cannot_be_recorded() {
    let house = House::new();
    let grant = grant(&house).await;
    let path = house.path().join("records.json");
    std::fs::write(&path, "[]").unwrap();
    let config = file("secure-vault/r", "read:records", path);
    let vault = Vault::new(vec![config], Arc::clone(&house.audit)).unwrap();
    rusqlite::Connection::open(house.path().join("audit.db"))
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON audit
             BEGIN SELECT RAISE(ABORT, 'disk full'); END;",
        )
        .unwrap();
    assert_eq!(vault.read(&grant, "secure-vault/r", None).await.unwrap_err().status(), 503);
}

#[tokio::test]
async fn impossible_collections_name_path_and_key() {
    let house = House::new();
    let good = || upstream("secure-vault/r", "https://api.example/records");
    let refused = |configs: Vec<CollectionConfig>| {
        Vault::new(configs, Arc::clone(&house.audit)).unwrap_err().to_string()
    };
    for path in [
        "",
        "v/r",
        "/secure-vault/r",
        "secure-vault",
        "secure-vault/",
        "secure-vault/r/",
        "secure-vault//r",
        "secure-vault/../r",
        "secure-vault/.",
        "secure-vault/%72",
        "secure-vault/ä",
        "secure-vault/v r",
    ] {
        assert!(refused(vec![CollectionConfig { path: path.into(), ..good() }]).contains("path"));
    }
    for scope in ["", "*", "records"] {
        assert!(
            refused(vec![CollectionConfig { scope: scope.into(), ..good() }]).contains("scope")
        );
    }
    for url in
        ["", "records", "http://api.example/", "ftp://api.example/", "https://u:p@api.example/"]
    {
        assert!(refused(vec![upstream("secure-vault/r", url)]).contains("upstream"), "{url}");
    }
    assert!(refused(vec![good(), good()]).contains("another collection"));
    let both = CollectionConfig { file: Some("x.json".into()), ..good() };
    let neither = CollectionConfig { upstream: None, ..good() };
    for config in [both, neither] {
        assert!(refused(vec![config]).contains("exactly one of file and upstream"));
    }
    let header = |name: &str, variable: Option<&str>| CollectionConfig {
        upstream_header: Some(name.into()),
        upstream_header_env: variable.map(Into::into),
        ..good()
    };
    assert!(refused(vec![header("authorization", None)]).contains("upstream_header"));
    assert!(refused(vec![header("a b", Some(CREDENTIAL))]).contains("upstream_header"));
    // The credential itself may stand where a variable is to be named.
    let unset = refused(vec![header("authorization", Some("sk_secret"))]);
    assert!(unset.contains("upstream_header_env") && !unset.contains("sk_secret"), "{unset}");
    for seconds in [0, 61] {
        let config = CollectionConfig { timeout_seconds: Some(seconds), ..good() };
        assert!(refused(vec![config]).contains("timeout_seconds"));
    }
    let plain = CollectionConfig {
        danger_allow_plain_http: true,
        ..upstream("secure-vault/r", "http://records.internal:8080/")
    };
    Vault::new(
        vec![plain, upstream("secure-vault/s", "http://localhost:1/")],
        Arc::clone(&house.audit),
    )
    .unwrap();
    assert!(
        toml::from_str::<CollectionConfig>("path='v'\nscope='a:b'\nfile='x'\nmethod='POST'")
            .is_err()
    );
}
