//! The provider: its settings, its routes, and what its handlers share.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_http::cors::CorsLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use url::{Origin, Url};
use uuid::Uuid;

use crate::key::{ACCESS_TOKEN, KeyError, SigningKey};
use crate::memory::{Memory, Session};
use crate::people::{self, PeopleError, Person};
use crate::{authorize, page, published, sign_out, token, userinfo};

/// What a [`DevProvider`] is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whom one can sign in as, in the order of the picking page.
    pub people: Vec<Person>,
    /// The `aud` of access tokens: the name of the server that they are for.
    pub audience: String,
    /// The one client, a public one that uses PKCE.
    pub client_id: String,
    /// Where answers may go, such as `http://127.0.0.1:8321`: origins without a path.
    pub redirect_origins: Vec<String>,
    /// How long access tokens and ID tokens are valid, in whole seconds.
    pub token_lifetime: Duration,
}

/// A running provider. It serves until it is dropped.
pub struct DevProvider {
    provider: Arc<Provider>,
    /// Never sent on: the server stops when this end goes away.
    _stop: oneshot::Sender<()>,
}

/// Why a provider does not start or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum DevProviderError {
    /// Others on the network could sign in without a password.
    #[error(
        "the development identity provider knows no passwords and must not be reached from \
             outside; listen on 127.0.0.1 or [::1], not on {0}"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken or not there.
    #[error("the development identity provider cannot listen on {address}: {cause}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// An entry of `redirect_origins` cannot be used.
    #[error("{0:?} is not an origin; write scheme, host and port, such as http://127.0.0.1:8321")]
    RedirectOrigin(String),
    /// The list of people cannot be used.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// No key, or it does not sign.
    #[error("the signing key failed: {0}")]
    Key(String),
}

impl From<KeyError> for DevProviderError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

impl DevProvider {
    /// Makes a key, listens, and serves in a task of its own. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address or is taken, or the settings cannot be used.
    pub async fn start(settings: Settings) -> Result<Self, DevProviderError> {
        let address = settings.listen;
        if !address.ip().to_canonical().is_loopback() {
            return Err(DevProviderError::NotLoopback(address));
        }
        people::check(&settings.people)?;
        let redirect_origins = settings
            .redirect_origins
            .iter()
            .map(|text| origin(text).ok_or_else(|| DevProviderError::RedirectOrigin(text.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let cannot_listen = |cause| DevProviderError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;

        let provider = Arc::new(Provider {
            issuer: format!("http://{address}"),
            cookie: format!("bailiwick-dev-idp-{}", address.port()),
            host: address.to_string(),
            key: SigningKey::generate()?,
            people: settings.people.into_iter().map(Arc::new).collect(),
            audience: settings.audience,
            client_id: settings.client_id,
            redirect_origins,
            token_lifetime: settings.token_lifetime,
            memory: Mutex::new(Memory::new(settings.token_lifetime)),
        });
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(listener, router(&provider)?).with_graceful_shutdown(async {
            // An error is what is awaited: the other end is gone.
            let _ = stopped.await;
        });
        tokio::spawn(async {
            if let Err(cause) = server.await {
                tracing::error!(%cause, "the development identity provider stopped");
            }
        });
        Ok(Self { provider, _stop: stop })
    }

    /// The issuer identifier, such as `http://127.0.0.1:8322`, with no slash at the end.
    pub fn issuer(&self) -> &str {
        &self.provider.issuer
    }

    /// Signs an access token with any claims, for tests.
    ///
    /// What is missing of `iss`, `aud`, `iat`, `exp`, `jti`, `client_id` and `sub` (`someone`) is
    /// added; what is given stays, however wrong.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, claims: Map<String, Value>) -> Result<String, DevProviderError> {
        let mut filled = self.provider.registered("someone");
        filled.extend(claims);
        Ok(self.provider.key.sign(ACCESS_TOKEN, &filled)?)
    }
}

impl fmt::Debug for DevProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DevProvider")
            .field("issuer", &self.provider.issuer)
            .finish_non_exhaustive()
    }
}

/// What the handlers share.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    /// Cookies do not tell ports apart, so the name does.
    pub(crate) cookie: String,
    host: String,
    pub(crate) key: SigningKey,
    pub(crate) people: Vec<Arc<Person>>,
    pub(crate) audience: String,
    pub(crate) client_id: String,
    redirect_origins: Vec<Origin>,
    pub(crate) token_lifetime: Duration,
    memory: Mutex<Memory>,
}

impl Provider {
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn person(&self, id: &str) -> Option<&Arc<Person>> {
        self.people.iter().find(|person| person.id == id)
    }

    /// The address, if it is one that a browser may be sent to.
    pub(crate) fn permitted(&self, written: &str) -> Option<Url> {
        let url = Url::parse(written).ok()?;
        let origin = url.origin();
        let plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (plain && self.redirect_origins.contains(&origin)).then_some(url)
    }

    pub(crate) fn session_handle<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(COOKIE)
            .into_iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie).then_some(value))
    }

    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let handle = self.session_handle(headers)?;
        self.memory().sessions.get(handle).cloned()
    }

    /// The claims that every access token has.
    pub(crate) fn registered(&self, subject: &str) -> Map<String, Value> {
        let now = now();
        fields(json!({
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "client_id": self.client_id,
            "iat": now,
            "exp": now + self.lifetime_seconds(),
            "jti": Uuid::new_v4().to_string(),
        }))
    }

    pub(crate) fn lifetime_seconds(&self) -> i64 {
        i64::try_from(self.token_lifetime.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The members of a literal object.
pub(crate) fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let origin = url.origin();
    let bare = url.as_str().strip_suffix('/')? == origin.ascii_serialization();
    // A host may hold `;`, which would end the directive of the policy that names it.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[:]".contains(&byte);
    let host = url.host_str()?.bytes().all(plain);
    (matches!(url.scheme(), "http" | "https") && bare && host).then_some(origin)
}

fn router(provider: &Arc<Provider>) -> Result<Router, DevProviderError> {
    let origins: Vec<String> =
        provider.redirect_origins.iter().map(Origin::ascii_serialization).collect();
    let value = |text: &str| {
        HeaderValue::try_from(text).map_err(|_| DevProviderError::RedirectOrigin(text.to_owned()))
    };
    let cors = CorsLayer::new()
        .allow_origin(origins.iter().map(|one| value(one)).collect::<Result<Vec<_>, _>>()?)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE]);
    // Chromium holds the redirect that answers a form to form-action as well.
    let here = format!("'self' {}", origins.join(" "));
    let policy = value(&format!(
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action {here}; \
         frame-ancestors {here}"
    ))?;
    let always = SetResponseHeaderLayer::overriding;
    let not_stored = always(CACHE_CONTROL, HeaderValue::from_static("no-store"));

    let published = Router::new()
        .route(published::DISCOVERY, get(published::discovery))
        .route(published::KEYS, get(published::keys));
    let tokens = Router::new()
        .route(token::TOKEN, post(token::token))
        .route(token::REVOKE, post(token::revoke))
        .route(userinfo::USERINFO, get(userinfo::userinfo).post(userinfo::userinfo))
        .layer(not_stored.clone());
    let pages = Router::new()
        .route(authorize::AUTHORIZE, get(authorize::authorize).post(authorize::authorize))
        .route(authorize::PICK, post(authorize::pick).layer(CsrfLayer::new()))
        .route(sign_out::END_SESSION, get(sign_out::end).post(sign_out::end))
        .route(page::STYLE, get(page::style))
        .layer(always(CONTENT_SECURITY_POLICY, policy))
        // `no-referrer` would make the browser hide from the form's handler where it comes from.
        .layer(always(REFERRER_POLICY, HeaderValue::from_static("same-origin")))
        .layer(not_stored);
    Ok(published
        .merge(tokens)
        .layer(cors)
        .merge(pages)
        .layer(always(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .layer(from_fn_with_state(Arc::clone(provider), only_our_host))
        .with_state(Arc::clone(provider)))
}

/// A page from elsewhere whose host name is made to resolve to loopback is not answered.
async fn only_our_host(
    State(provider): State<Arc<Provider>>,
    request: Request,
    next: Next,
) -> Response {
    let written = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(written);
    if host == Some(provider.host.as_str()) {
        return next.run(request).await;
    }
    let says = format!("this is {}; ask for it by that address\n", provider.issuer);
    (StatusCode::MISDIRECTED_REQUEST, says).into_response()
}
