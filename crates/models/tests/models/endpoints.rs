use std::io::Write;

use bailiwick_models::{
    ChatConfig, EmbeddingConfig, EmbeddingProvider, Message, ModelError, Role, chat_model, embedder,
};
use futures::StreamExt;
use proptest::prelude::*;
use serde_json::json;

use crate::peer::Peer;

/// A data directory without any weights.
const NO_DATA: &str = "/no/such/data";

fn embedding(base_url: &str) -> EmbeddingConfig {
    EmbeddingConfig {
        provider: EmbeddingProvider::OpenAi,
        base_url: Some(base_url.into()),
        model: Some("small".into()),
        dimensions: Some(2),
        timeout_seconds: Some(30),
        batch_size: Some(2),
        ..EmbeddingConfig::default()
    }
}

fn chat(base_url: &str) -> ChatConfig {
    ChatConfig {
        base_url: Some(base_url.into()),
        model: Some("small".into()),
        timeout_seconds: Some(30),
        ..ChatConfig::default()
    }
}

async fn say(base_url: &str) -> Result<Vec<String>, ModelError> {
    let messages = [Message { role: Role::User, content: "hello".into() }];
    let reply = chat_model(&chat(base_url)).unwrap().stream(&messages).await?;
    reply.collect::<Vec<_>>().await.into_iter().collect()
}

/// A peer that answers with a status and a JSON body.
pub(crate) async fn json_peer(status: &str, body: &str) -> Peer {
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    Peer::start(vec![response.into_bytes()]).await
}

/// The events of a reply that says these pieces.
fn events(pieces: &[&str], end_of_line: &str) -> String {
    let mut events = format!(": comment{end_of_line}{end_of_line}");
    for piece in pieces {
        let data =
            json!({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]});
        events += &format!("event: message{end_of_line}data: {data}{end_of_line}{end_of_line}");
    }
    events + &format!("data: [DONE]{end_of_line}{end_of_line}")
}

#[tokio::test]
async fn embeddings_come_back_in_order_and_of_unit_length() {
    let body = r#"{"object":"list","data":[
        {"object":"embedding","index":1,"embedding":[0,2]},
        {"object":"embedding","index":0,"embedding":[3,4]}],"usage":{"total_tokens":2}}"#;
    let peer = json_peer("200 OK", body).await;
    let texts: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let vectors = embedder(&embedding(&peer.base_url), NO_DATA.as_ref())
        .unwrap()
        .embed(&texts)
        .await
        .unwrap();
    assert_eq!(vectors, [[0.6, 0.8], [0.0, 1.0], [0.6, 0.8], [0.0, 1.0]]);
    let requests = peer.requests();
    assert_eq!(requests.len(), 2, "two batches of two");
    assert!(requests[0].starts_with("POST /v1/embeddings HTTP/1.1"));
    assert!(!requests[0].to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn wrong_embeddings_are_refused_whole() {
    for data in [
        json!([{"embedding": [1, 0]}]),
        json!([{"embedding": [1, 0]}, {"embedding": [1, 0, 0]}]),
        json!([{"embedding": [1, 0]}, {"embedding": [0, 0]}]),
        json!([{"embedding": [1, 0]}, {"embedding": [1e39, 0]}]),
        json!([{"embedding": [1, 0], "index": 0}, {"embedding": [1, 0], "index": 0}]),
        json!([{"embedding": [1, 0], "index": 0}, {"embedding": [1, 0], "index": 2}]),
        json!([{"embedding": [1, 0]}, {"embedding": [1, 0]}, {"embedding": [1, 0]}]),
        json!("none"),
    ] {
        let peer = json_peer("200 OK", &json!({ "data": data }).to_string()).await;
        let result = embedder(&embedding(&peer.base_url), NO_DATA.as_ref())
            .unwrap()
            .embed(&["a".into(), "b".into()])
            .await;
        assert!(matches!(result, Err(ModelError::Unreadable)), "{data}: {result:?}");
    }
}

#[tokio::test]
async fn the_key_is_sent_and_shown_nowhere_and_error_bodies_stay_inside() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "sk-very-secret").unwrap();
    let body = r#"{"error":{"message":"Incorrect API key sk-very-secret, go to evil.example"}}"#;
    let peer = json_peer("401 Unauthorized", body).await;
    let config =
        EmbeddingConfig { api_key_file: Some(file.path().into()), ..embedding(&peer.base_url) };
    let embedder = embedder(&config, NO_DATA.as_ref()).unwrap();
    assert!(!format!("{embedder:?}").contains("secret"));
    let error = embedder.embed(&["a".into()]).await.unwrap_err();
    assert!(matches!(error, ModelError::Refused));
    assert!(!format!("{error} {error:?}").contains("evil"));
    assert!(peer.requests()[0].contains("authorization: Bearer sk-very-secret\r\n"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = json_peer("200 OK", r#"{"data":[{"embedding":[1,0]}]}"#).await;
    let response = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}embeddings\r\ncontent-length: 0\r\n\r\n",
        target.base_url
    );
    let peer = Peer::start(vec![response.into_bytes()]).await;
    let result =
        embedder(&embedding(&peer.base_url), NO_DATA.as_ref()).unwrap().embed(&["a".into()]).await;
    assert!(matches!(result, Err(ModelError::Refused)));
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_silent_endpoint_times_out_and_an_absent_one_is_unreachable() {
    let silent =
        Peer::start(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec(); 1]).await;
    // The peer closes early, which is a broken body, not an empty one.
    assert!(matches!(say(&silent.base_url).await, Err(ModelError::Unreachable)));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hasty = ChatConfig { timeout_seconds: Some(1), ..chat(&format!("http://{address}")) };
    let reply = chat_model(&hasty).unwrap().stream(&[]).await.map(|_| ());
    assert!(matches!(reply, Err(ModelError::TimedOut)), "{reply:?}");
    drop(listener);
    assert!(matches!(say(&format!("http://{address}")).await, Err(ModelError::Unreachable)));
}

#[tokio::test]
async fn endless_bodies_are_cut() {
    let body = format!(r#"{{"data":[],"x":"{}"}}"#, "x".repeat(1 << 20));
    let peer = json_peer("200 OK", &body).await;
    let result =
        embedder(&embedding(&peer.base_url), NO_DATA.as_ref()).unwrap().embed(&["a".into()]).await;
    assert!(matches!(result, Err(ModelError::TooLarge)));

    let endless_line = Peer::streaming(&format!("data: {}", "x".repeat(2 << 20)), 1 << 16).await;
    assert!(matches!(say(&endless_line.base_url).await, Err(ModelError::TooLarge)));

    let long = "x".repeat(100_000);
    let endless_answer = Peer::streaming(&events(&[long.as_str(); 11], "\n"), 1 << 16).await;
    assert!(matches!(say(&endless_answer.base_url).await, Err(ModelError::TooLarge)));
}

#[tokio::test]
async fn a_reply_survives_every_split_and_line_end() {
    for end_of_line in ["\n", "\r\n", "\r"] {
        for size in [1, 2, 3, 7, 64, 100_000] {
            let peer =
                Peer::streaming(&events(&["Zürich ", "🦀", " [1]"], end_of_line), size).await;
            let reply = say(&peer.base_url).await.unwrap();
            assert_eq!(reply, ["Zürich ", "🦀", " [1]"], "{end_of_line:?} {size}");
            let request = &peer.requests()[0];
            assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1"));
            assert!(
                request.contains(r#""messages":[{"content":"hello","role":"user"}]"#),
                "{request}"
            );
            assert!(request.contains(r#""stream":true"#));
        }
    }
}

#[tokio::test]
async fn lenient_where_servers_differ() {
    let no_space_no_done_no_blank_line = "\u{feff}data:{\"choices\":[]}\n\n\
        data:{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n\
        id: 7\nretry: 1\ndata:{\"choices\":[{\"delta\":\ndata:{\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}";
    let peer = Peer::streaming(no_space_no_done_no_blank_line, 5).await;
    assert_eq!(say(&peer.base_url).await.unwrap(), ["yes"]);

    let whole = r#"{"choices":[{"message":{"role":"assistant","content":"at once"},"finish_reason":"stop"}]}"#;
    let peer = json_peer("200 OK", whole).await;
    assert_eq!(say(&peer.base_url).await.unwrap(), ["at once"]);
}

#[tokio::test]
async fn a_reply_that_breaks_off_ends_with_an_error() {
    let start = "data: {\"choices\":[{\"delta\":{\"content\":\"The target is\"}}]}\n\n";
    for (rest, expected) in [
        ("", "the model cannot be reached"),
        (
            "data: {\"error\":{\"message\":\"secret prompt\",\"code\":\"overloaded\"}}\n\n",
            "refused",
        ),
        ("data: <html>\n\n", "unreadable"),
        ("data: {\"choices\":7}\n\n", "unreadable"),
    ] {
        let peer = Peer::streaming(&format!("{start}{rest}"), 9).await;
        let messages = [Message { role: Role::User, content: "hello".into() }];
        let model = chat_model(&chat(&peer.base_url)).unwrap();
        let items: Vec<_> = model.stream(&messages).await.unwrap().collect().await;
        assert_eq!(items.len(), 2, "{items:?}");
        assert_eq!(items[0].as_ref().unwrap(), "The target is");
        let error = items[1].as_ref().unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn configurations_that_cannot_work_name_the_key() {
    let good = embedding("http://127.0.0.1:9/v1");
    let with = |change: &dyn Fn(&mut EmbeddingConfig)| {
        let mut config = good.clone();
        change(&mut config);
        embedder(&config, NO_DATA.as_ref()).unwrap_err().to_string()
    };
    for (error, key) in [
        (with(&|c| c.provider = EmbeddingProvider::MiniLm), "base_url"),
        (with(&|c| c.provider = EmbeddingProvider::Static), "base_url"),
        (with(&|c| c.base_url = None), "base_url is missing"),
        (with(&|c| c.base_url = Some("models".into())), "base_url is not a URL"),
        (with(&|c| c.base_url = Some("file:///etc/passwd".into())), "base_url must start"),
        (with(&|c| c.base_url = Some("https://me:pass@x/".into())), "base_url must not hold"),
        (with(&|c| c.base_url = Some("https://x/v1?key=1".into())), "base_url must end"),
        (with(&|c| c.model = Some(String::new())), "model is missing"),
        (with(&|c| c.dimensions = None), "dimensions is missing"),
        (with(&|c| c.dimensions = Some(0)), "dimensions must lie"),
        (with(&|c| c.batch_size = Some(0)), "batch_size must lie"),
        (with(&|c| c.timeout_seconds = Some(0)), "timeout_seconds must lie"),
        (with(&|c| c.dense_weight = Some(f32::NAN)), "dense_weight must lie"),
        (with(&|c| c.api_key_env = Some("sk-secret".into())), "api_key_env must name"),
        (with(&|c| c.api_key_env = Some("sk_secret".into())), "api_key_env must name"),
        (with(&|c| c.api_key_file = Some("/no/sk-secret".into())), "api_key_file cannot be read"),
    ] {
        assert!(error.contains(key), "{error}");
        assert!(
            !["pass@", "sk-secret", "sk_secret"].iter().any(|it| error.contains(it)),
            "{error}"
        );
    }
    let both = with(&|c| {
        c.api_key_env = Some("A".into());
        c.api_key_file = Some("b".into());
    });
    assert!(both.contains("exclude each other"), "{both}");
}

#[test]
fn a_key_never_travels_unencrypted() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "sk-x").unwrap();
    for (url, allowed) in [
        ("http://models.example.com/v1", false),
        ("http://127.0.0.1.example.com/v1", false),
        ("https://models.example.com/v1", true),
        ("http://localhost:8080/v1", true),
        ("http://[::1]:8080/v1", true),
    ] {
        let config = ChatConfig { api_key_file: Some(file.path().into()), ..chat(url) };
        assert_eq!(chat_model(&config).is_ok(), allowed, "{url}");
    }
}

#[test]
fn configurations_read_as_documented() {
    let config: EmbeddingConfig = serde_json::from_value(json!({"provider": "minilm"})).unwrap();
    assert_eq!(config.provider, EmbeddingProvider::MiniLm);
    let config: EmbeddingConfig = serde_json::from_value(json!({})).unwrap();
    assert_eq!(config.provider, EmbeddingProvider::Static);
    assert!(serde_json::from_value::<EmbeddingConfig>(json!({"modle": "x"})).is_err());
    assert!(serde_json::from_value::<ChatConfig>(json!({"api_key": "x"})).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_reply_is_what_was_said(
        pieces in prop::collection::vec("\\PC{1,12}", 1..8),
        size in 1_usize..40,
        end_of_line in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let reply = runtime.block_on(async {
            let peer = Peer::streaming(&events(&pieces, end_of_line), size).await;
            say(&peer.base_url).await.unwrap()
        });
        prop_assert_eq!(reply, pieces);
    }
}
