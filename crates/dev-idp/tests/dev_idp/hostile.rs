//! What must not work.

use bailiwick_dev_idp::DevProvider;

use crate::app::{App, CALLBACK, CLIENT, ORIGIN, Settings, VERIFIER, provider, settings};

#[tokio::test]
async fn a_foreign_address_gets_a_page_and_never_a_redirect() {
    let provider = provider().await;
    let app = App::of(&provider);
    for foreign in [
        "http://127.0.0.1:8321.evil.example/callback",
        "http://127.0.0.1:8321@evil.example/callback",
        "http://evil.example/callback#http://127.0.0.1:8321/",
        "http://127.0.0.1:83210/callback",
        "http://127.0.0.1/callback",
        "https://127.0.0.1:8321/callback",
        "http://localhost:8321/callback",
        "http://user@127.0.0.1:8321/callback",
        "http://127.0.0.1:8321/callback#fragment",
        "http:\\\\evil.example\\http://127.0.0.1:8321/",
        "javascript:alert(1)//http://127.0.0.1:8321/",
        "//127.0.0.1:8321/callback",
        "/callback",
        "",
    ] {
        for (path, answer) in [
            ("/authorize", app.authorize(&[("redirect_uri", foreign)]).await),
            (
                "/end_session",
                app.get("/end_session", &[("post_logout_redirect_uri", foreign)]).await,
            ),
        ] {
            assert_eq!(answer.status(), 400, "{path} {foreign:?}");
            assert!(!answer.headers().contains_key("location"), "{path} {foreign:?}");
        }
    }
    let unknown = app.authorize(&[("client_id", "other")]).await;
    assert_eq!(unknown.status(), 400);
    assert!(unknown.text().await.unwrap().contains("client_id"));
}

#[tokio::test]
async fn a_weak_or_unknown_request_is_sent_back_with_its_error() {
    let provider = provider().await;
    let app = App::of(&provider);
    for (changed, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("scope", "profile"), "invalid_scope"),
        (("prompt", "none login"), "invalid_request"),
        (("prompt", "create"), "invalid_request"),
        (("max_age", "-1"), "invalid_request"),
        (("request", "e30.e30."), "request_not_supported"),
        (("request_uri", "urn:x"), "request_uri_not_supported"),
    ] {
        let answer = app.asks(&[changed, ("state", "kept")]).await;
        assert_eq!(answer["error"], error, "{changed:?}");
        assert_eq!(answer["state"], "kept");
        assert_eq!(answer["iss"], provider.issuer());
        assert!(!answer.contains_key("code"));
    }
}

#[tokio::test]
async fn a_parameter_that_comes_twice_is_refused() {
    let provider = provider().await;
    let app = App::of(&provider);
    let twice = [("client_id", CLIENT), ("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)];
    assert_eq!(app.get("/authorize", &twice).await.status(), 400);
    let twice = [("grant_type", "refresh_token"), ("grant_type", "refresh_token")];
    assert_eq!(app.post("/token", &twice).await.status(), 400);
}

#[tokio::test]
async fn a_code_serves_only_who_asked_for_it() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let other = format!("{VERIFIER}x");
    for (changed, error) in [
        (("code_verifier", other.as_str()), "invalid_grant"),
        (("code_verifier", ""), "invalid_grant"),
        (("redirect_uri", "http://127.0.0.1:8321/other"), "invalid_grant"),
        (("client_id", "other"), "invalid_client"),
        (("grant_type", "password"), "unsupported_grant_type"),
        (("code", "guessed"), "invalid_grant"),
    ] {
        let code = app.pick("alice", &[("prompt", "login")]).await["code"].clone();
        let refused = app.redeem_with(&[("code", code.as_str()), changed]).await;
        assert_eq!(refused.unwrap_err(), error, "{changed:?}");
    }
}

#[tokio::test]
async fn the_form_serves_once_and_only_from_the_page() {
    let provider = provider().await;
    let app = App::of(&provider);
    let handle = app.handle(&[]).await;
    let form = [("handle", handle.as_str()), ("person", "alice")];
    let pick = format!("{}/pick", provider.issuer());
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")] {
        let forged = app.client.post(&pick).header(header, value).form(&form);
        let forged = forged.send().await.unwrap();
        assert_eq!(forged.status(), 403, "{header}");
        assert!(!forged.headers().contains_key("set-cookie"));
    }
    let nobody = app.post("/pick", &[("handle", &handle), ("person", "mallory")]).await;
    assert_eq!(nobody.status(), 400);
    assert_eq!(app.post("/pick", &form).await.status(), 303);
    for form in [form, [("handle", "guessed"), ("person", "alice")]] {
        let again = app.post("/pick", &form).await;
        assert_eq!(again.status(), 400);
        assert!(!again.headers().contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn names_are_text_and_the_page_runs_nothing() {
    let mut settings = settings();
    settings.people[0].name = "<script>alert('1')</script>".to_owned();
    settings.people[0].about = "\"><img src=x onerror=alert(1)> & more".to_owned();
    let provider = DevProvider::start(settings).await.unwrap();
    let page = App::of(&provider).authorize(&[]).await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for directive in [
        "default-src 'none'".to_owned(),
        "style-src 'self'".to_owned(),
        format!("form-action 'self' {ORIGIN}"),
        format!("frame-ancestors 'self' {ORIGIN}"),
    ] {
        assert!(policy.split("; ").any(|one| one == directive), "{directive}: {policy}");
    }
    let page = page.text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("&quot;&gt;&lt;img"));
}

#[tokio::test]
async fn only_the_app_may_read_across_origins_and_no_page() {
    let provider = provider().await;
    let app = App::of(&provider);
    let allowed = async |path: &str, origin: &str| {
        let request =
            app.client.get(format!("{}{path}", provider.issuer())).header("origin", origin);
        let answer = request.send().await.unwrap();
        let allowed = answer.headers().get("access-control-allow-origin").cloned();
        allowed.map(|origin| origin.to_str().unwrap().to_owned())
    };
    let readable =
        ["/.well-known/openid-configuration", "/jwks.json", "/token", "/userinfo", "/revoke"];
    for path in readable {
        assert_eq!(allowed(path, ORIGIN).await.as_deref(), Some(ORIGIN), "{path}");
        assert_eq!(allowed(path, "http://evil.example").await, None, "{path}");
        assert_eq!(allowed(path, "null").await, None, "{path}");
    }
    for path in ["/authorize", "/pick", "/end_session"] {
        assert_eq!(allowed(path, ORIGIN).await, None, "{path}");
    }
}

#[tokio::test]
async fn another_host_name_is_not_answered() {
    let provider = provider().await;
    let keys = format!("{}/jwks.json", provider.issuer());
    for host in ["evil.example", "localhost", "127.0.0.1"] {
        let request = reqwest::Client::new().get(&keys).header("host", host);
        assert_eq!(request.send().await.unwrap().status(), 421, "{host}");
    }
}

#[tokio::test]
async fn a_flood_of_sign_ins_drops_the_oldest() {
    let provider = provider().await;
    let app = App::of(&provider);
    let oldest = app.handle(&[]).await;
    let second = app.handle(&[]).await;
    for _ in 0..999 {
        app.authorize(&[]).await;
    }
    for (handle, status) in [(oldest, 400), (second, 303)] {
        let form = [("handle", handle.as_str()), ("person", "alice")];
        assert_eq!(app.post("/pick", &form).await.status(), status);
    }
}

#[tokio::test]
async fn origins_with_a_path_or_without_a_host_are_refused_at_start() {
    for wrong in
        ["http://127.0.0.1:8321/app", "127.0.0.1:8321", "ftp://127.0.0.1", "*", "http://a;b"]
    {
        let refused =
            DevProvider::start(Settings { redirect_origins: vec![wrong.to_owned()], ..settings() });
        assert!(refused.await.is_err(), "{wrong}");
    }
}
