use bailiwick_models::{ModelError, RerankConfig, RerankProvider, Reranker, reranker};
use serde_json::{Value, json};

use crate::endpoints::json_peer;

fn http(url: &str) -> RerankConfig {
    RerankConfig {
        provider: RerankProvider::Http,
        url: Some(url.into()),
        ..RerankConfig::default()
    }
}

fn at(base_url: &str) -> Reranker {
    reranker(&http(&format!("{base_url}rerank"))).unwrap().unwrap()
}

#[tokio::test]
async fn scores_come_back_in_the_order_of_the_texts() {
    let body = r#"[{"index":1,"score":0.9,"text":null},{"index":0,"score":-2}]"#;
    let peer = json_peer("200 OK", body).await;
    let scores = at(&peer.base_url).scores("why?", &["a", "b"]).await.unwrap();
    assert_eq!(scores, [-2.0, 0.9]);
    let [request] = &peer.requests()[..] else { panic!("one request") };
    assert!(request.starts_with("POST /v1/rerank HTTP/1.1"), "{request}");
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected =
        json!({"query": "why?", "texts": ["a", "b"], "truncate": true, "return_text": false});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn many_texts_go_in_several_requests_and_none_in_none() {
    let ranks: Vec<Value> = (0..32).map(|n| json!({"index": n, "score": n})).collect();
    let peer = json_peer("200 OK", &json!(ranks).to_string()).await;
    let scores = at(&peer.base_url).scores("q", &["text"; 64]).await.unwrap();
    assert_eq!(scores.len(), 64);
    assert!((scores[33] - 1.0).abs() < f32::EPSILON && peer.requests().len() == 2);
    assert!(at(&peer.base_url).scores("q", &[]).await.unwrap().is_empty());
    assert_eq!(peer.requests().len(), 2);
}

#[tokio::test]
async fn wrong_ranks_are_refused_whole() {
    for body in [
        "[]",
        r#"[{"index":0,"score":1}]"#,
        r#"[{"index":0,"score":1},{"index":0,"score":1}]"#,
        r#"[{"index":0,"score":1},{"index":2,"score":1}]"#,
        r#"[{"index":0,"score":1},{"index":-1,"score":1}]"#,
        r#"[{"index":0,"score":1},{"index":1,"score":1},{"index":1,"score":1}]"#,
        r#"[{"index":0,"score":1},{"index":1,"score":1e39}]"#,
        r#"[{"index":0,"score":1},{"index":1,"score":NaN}]"#,
        r#"[{"index":0,"score":1},{"index":1,"score":null}]"#,
        r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
        "<html>",
    ] {
        let peer = json_peer("200 OK", body).await;
        let result = at(&peer.base_url).scores("q", &["a", "b"]).await;
        assert!(matches!(result, Err(ModelError::Unreadable)), "{body}: {result:?}");
    }
    let peer = json_peer("200 OK", &format!("[{}]", " ".repeat(1 << 20))).await;
    let result = at(&peer.base_url).scores("q", &["a"]).await;
    assert!(matches!(result, Err(ModelError::TooLarge)), "{result:?}");
    let peer = json_peer("424 Failed Dependency", r#"{"error":"secret passage"}"#).await;
    let error = at(&peer.base_url).scores("q", &["a"]).await.unwrap_err();
    assert!(matches!(error, ModelError::Refused) && !error.to_string().contains("secret"));
}

#[test]
fn configurations_that_cannot_work_name_the_key() {
    let with = |change: &dyn Fn(&mut RerankConfig)| {
        let mut config = http("http://127.0.0.1:9/rerank");
        change(&mut config);
        reranker(&config).unwrap_err().to_string()
    };
    for (error, key) in [
        (with(&|c| c.provider = RerankProvider::None), "rerank.provider"),
        (with(&|c| c.url = None), "rerank.url is missing"),
        (with(&|c| c.url = Some("rerank".into())), "rerank.url is not a URL"),
        (with(&|c| c.candidates = Some(0)), "rerank.candidates must lie"),
        (with(&|c| c.candidates = Some(201)), "rerank.candidates must lie"),
        (with(&|c| c.timeout_seconds = Some(0)), "rerank.timeout_seconds must lie"),
        (with(&|c| c.api_key_env = Some("BAILIWICK_NO_SUCH_KEY".into())), "api_key_env must name"),
    ] {
        assert!(error.contains(key), "{error}");
    }
    assert!(reranker(&RerankConfig::default()).unwrap().is_none());
}
