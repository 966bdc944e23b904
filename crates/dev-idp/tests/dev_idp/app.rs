//! A browser with one app in it, which follows no redirects.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_dev_idp::DevProvider;
pub(crate) use bailiwick_dev_idp::{Settings, parse_people};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response};
use serde_json::Value;
use url::Url;

pub(crate) const CLIENT: &str = "bailiwick-web";
pub(crate) const ORIGIN: &str = "http://127.0.0.1:8321";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:8321/callback";
pub(crate) const VERIFIER: &str = "a-verifier-that-only-this-test-has-seen-0123456789";
pub(crate) const PEOPLE: &str = include_str!("../../../../examples/acme/people.toml");

pub(crate) fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        people: parse_people(PEOPLE).unwrap(),
        audience: "bailiwick".to_owned(),
        client_id: CLIENT.to_owned(),
        redirect_origins: vec![ORIGIN.to_owned()],
        token_lifetime: Duration::from_secs(600),
    }
}

pub(crate) async fn provider() -> DevProvider {
    DevProvider::start(settings()).await.unwrap()
}

pub(crate) struct App {
    issuer: String,
    pub(crate) client: Client,
    cookie: Option<String>,
}

impl App {
    pub(crate) fn of(provider: &DevProvider) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { issuer: provider.issuer().to_owned(), client: client.build().unwrap(), cookie: None }
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let request = self.client.get(format!("{}{path}", self.issuer)).query(query);
        let cookie = self.cookie.clone().unwrap_or_default();
        request.header(COOKIE, cookie).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let request = self.client.post(format!("{}{path}", self.issuer)).form(form);
        request.send().await.unwrap()
    }

    /// A good request for authorization, with some parameters changed; an empty one is left out.
    pub(crate) async fn authorize(&self, changed: &[(&str, &str)]) -> Response {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let mut query = HashMap::from([
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile email"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        query.extend(changed.iter().copied());
        let query: Vec<_> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        self.get("/authorize", &query).await
    }

    /// What comes back to the app without a page.
    pub(crate) async fn asks(&self, changed: &[(&str, &str)]) -> HashMap<String, String> {
        sent_back(&self.authorize(changed).await)
    }

    pub(crate) async fn page(&self, changed: &[(&str, &str)]) -> String {
        let page = self.authorize(changed).await;
        assert_eq!(page.status(), 200);
        page.text().await.unwrap()
    }

    pub(crate) async fn handle(&self, changed: &[(&str, &str)]) -> String {
        let page = self.page(changed).await;
        let (_, rest) = page.split_once(r#"name="handle" value=""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// Picks a person on the page and remembers the session.
    pub(crate) async fn pick(
        &mut self,
        person: &str,
        changed: &[(&str, &str)],
    ) -> HashMap<String, String> {
        let handle = self.handle(changed).await;
        let picked = self.post("/pick", &[("handle", &handle), ("person", person)]).await;
        let cookie = picked.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
        self.cookie = Some(cookie.split_once(';').unwrap().0.to_owned());
        sent_back(&picked)
    }

    pub(crate) async fn redeem(&self, code: &str, verifier: &str) -> Result<Value, String> {
        self.redeem_with(&[("code", code), ("code_verifier", verifier)]).await
    }

    /// A good exchange, with some parameters changed.
    pub(crate) async fn redeem_with(&self, changed: &[(&str, &str)]) -> Result<Value, String> {
        let mut form = HashMap::from([
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changed.iter().copied());
        let form: Vec<_> = form.into_iter().collect();
        tokens(self.post("/token", &form).await).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Value, String> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT),
            ("refresh_token", refresh_token),
        ];
        tokens(self.post("/token", &form).await).await
    }

    pub(crate) async fn userinfo(&self, token: &str) -> Response {
        let request = self.client.get(format!("{}/userinfo", self.issuer));
        request.bearer_auth(token).send().await.unwrap()
    }
}

fn sent_back(response: &Response) -> HashMap<String, String> {
    assert_eq!(response.status(), 303);
    let location = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK), "{location}");
    location.query_pairs().into_owned().collect()
}

async fn tokens(response: Response) -> Result<Value, String> {
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let good = response.status() == 200;
    let body: Value = response.json().await.unwrap();
    if good {
        return Ok(body);
    }
    assert!(body["error_description"].is_string());
    Err(body["error"].as_str().unwrap().to_owned())
}
