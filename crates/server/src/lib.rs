#![doc = include_str!("../README.md")]

mod app;
mod ask;
mod attempts;
mod caller;
mod input;
mod oauth_answer;
mod orders;
mod problem;
mod request_id;
mod routes;
mod web;

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::{RequestBodyDeadlineLayer, RequestBodyTimeoutLayer};
use utoipa::{OpenApi, openapi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, Limits, Parts, Settings};
pub use problem::Problem;

use app::TokenApp;
use attempts::FailedAttempts;
use routes::admin::{agents, audit, labels, policy, questions};
use routes::{authsec, documents, me, oauth, operations, pages, rag, vault};

/// The largest body of a question or an administrator's request, in bytes.
const SMALL_BODY: usize = 1 << 20;
/// How long such a body may take. Its sender was looked at before it, so a question is answered
/// with rights that are at most so old.
const SMALL_BODY_TIME: Duration = Duration::from_secs(30);
/// How long a body with documents may take. Its sender is looked at again after it.
const LARGE_BODY_TIME: Duration = Duration::from_secs(300);
/// The longest pause within a request's body.
const BODY_PAUSE: Duration = Duration::from_secs(10);
/// Says which sites may embed an answer; programs that are no browsers do not look at it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// How often measurements are condensed; nobody may ever ask for them.
const CONDENSE: Duration = Duration::from_secs(5);
/// How long requests under way may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(10);

#[derive(OpenApi)]
#[openapi(
    // Its wildcard is no path that the router's description can express.
    paths(vault::read),
    info(
        title = "Bailiwick",
        description = "Retrieval in which every answer stays inside what the caller may read.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "people", description = "With an access token of the identity provider."),
        (name = "agents", description = "With a delegation token, or to get one."),
        (name = "administrators", description = "With the administrator's claim."),
        (name = "operators", description = "Open."),
    )
)]
struct Api;

/// The whole server.
pub fn router(app: App) -> Router {
    let limits = app.settings.limits;
    let tokens = TokenApp { app: app.clone(), attempts: Arc::new(FailedAttempts::new()) };
    let large = body_limits(limits.documents_bytes, LARGE_BODY_TIME);
    let small = body_limits(SMALL_BODY, SMALL_BODY_TIME);
    let description = description();
    Router::<()>::new()
        .merge(Router::from(large_bodies()).layer(large).with_state(app.clone()))
        .merge(Router::from(small_bodies()).layer(small.clone()).with_state(app.clone()))
        .merge(Router::from(with_failed_attempts()).layer(small).with_state(tokens))
        .merge(undescribed(description).with_state(app))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(harden))
        .layer(from_fn(request_id::identify))
}

/// How many bytes a body may have, how long it may take, and how long it may pause.
fn body_limits(
    bytes: usize,
    time: Duration,
) -> (DefaultBodyLimit, RequestBodyDeadlineLayer, RequestBodyTimeoutLayer) {
    (
        DefaultBodyLimit::max(bytes),
        RequestBodyDeadlineLayer::new(time),
        RequestBodyTimeoutLayer::new(BODY_PAUSE),
    )
}

/// What `/openapi.json` says: every route, and the types of what goes in and out.
fn description() -> openapi::OpenApi {
    let mut description = Api::openapi();
    description.merge(large_bodies().into_openapi());
    description.merge(small_bodies().into_openapi());
    description.merge(with_failed_attempts().into_openapi());
    description
}

/// The description itself, and the web app. Addresses within the app are answered with its page,
/// which reads the address itself.
#[expect(clippy::disallowed_methods, reason = "tests/peers/test_matrix.py knows these by name")]
fn undescribed(description: openapi::OpenApi) -> Router<App> {
    ["/", "/c/{id}", "/admin", "/admin/{*view}"]
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(pages::index)))
        .route("/callback", get(pages::callback))
        .route("/openapi.json", get(async || Json(description)))
        .fallback(pages::file)
}

#[expect(clippy::disallowed_methods, reason = "`Api` describes its wildcard")]
fn wildcard() -> OpenApiRouter<App> {
    OpenApiRouter::new().route("/secure-vault/{*path}", get(vault::read))
}

fn large_bodies() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(documents::write))
        .routes(routes!(documents::read, documents::remove))
        .routes(routes!(documents::relabel))
        .routes(routes!(documents::why))
}

fn small_bodies() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rag::query))
        .routes(routes!(rag::retrieve))
        .routes(routes!(me::me))
        .routes(routes!(oauth::metadata))
        .routes(routes!(oauth::jwks))
        .routes(routes!(oauth::agents_resource))
        .routes(routes!(oauth::people_resource))
        .routes(routes!(agents::agents, agents::create_agent))
        .routes(routes!(agents::delegations, agents::delegate, agents::revoke_delegation))
        .routes(routes!(agents::revoke_agent))
        .routes(routes!(agents::quarantine))
        .routes(routes!(agents::release))
        .routes(routes!(agents::purge))
        .routes(routes!(audit::search))
        .routes(routes!(policy::policy))
        .routes(routes!(labels::labels))
        .routes(routes!(labels::view_as))
        .routes(routes!(questions::diff))
        .routes(routes!(questions::who))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
        .routes(routes!(operations::app_config))
        .merge(wildcard())
}

fn with_failed_attempts() -> OpenApiRouter<TokenApp> {
    OpenApiRouter::new()
        .routes(routes!(authsec::delegation_token))
        .routes(routes!(oauth::token))
        .routes(routes!(oauth::revoke))
        .routes(routes!(oauth::introspect))
}

/// Serves until `stop` is over, and then lets the requests under way end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let metrics = app.metrics.clone();
    let condensing = async move {
        loop {
            tokio::time::sleep(CONDENSE).await;
            metrics.run_upkeep();
        }
    };
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        // Nobody listens when the server failed first, and then there is nothing to wait for.
        let _ = stopping.send(());
    });
    let overdue = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(GRACE).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = server => ended,
        () = condensing => Ok(()),
        () = overdue => {
            tracing::warn!("requests under way were cut off");
            Ok(())
        }
    }
}

/// What every answer says to browsers and caches.
async fn harden(request: Request, next: Next) -> Response {
    let is_private = request.uri().path().starts_with("/api/");
    let has_body = !request.body().is_end_stream();
    let mut response = next.run(request).await;
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Pages of other sites may not embed anything from here, nor draw it into their memory.
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if has_body && !status.is_success() {
        // The body may be unread, and then the connection cannot carry another request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if is_private {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::Body as Bytes;
    use axum::handler::Handler;
    use axum::http::{Request, StatusCode, header};
    use futures::{StreamExt, stream};
    use serde_json::Value;

    use super::*;
    use crate::input::Body;

    /// The web app's types are made of this file, so it must say what the server does.
    #[test]
    fn the_web_app_knows_this_interface() {
        let kept = include_str!("../../../web/openapi.json");
        let kept: serde_json::Value = serde_json::from_str(kept).unwrap();
        let served = serde_json::to_value(description()).unwrap();
        assert!(
            kept == served,
            "web/openapi.json is stale; web/README.md says how to take it from a running server"
        );
    }

    async fn take(Body(_): Body<Value>) {}

    /// Sends a body in pieces, with a pause before each, to a route that takes 16 bytes.
    async fn send(
        pieces: Vec<io::Result<&'static str>>,
        pause: Duration,
        time: Duration,
    ) -> StatusCode {
        let pieces = stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(pause).await;
            piece
        });
        let request = Request::post("/").header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Bytes::from_stream(pieces)).unwrap();
        take.layer(body_limits(16, time)).call(request, ()).await.status()
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut_however_short_its_pauses_are() {
        let trickled = (0..100).map(|_| Ok("")).collect();
        let (pause, time) = (Duration::from_millis(20), Duration::from_millis(200));
        assert_eq!(send(trickled, pause, time).await, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn what_broke_a_body_off_is_told() {
        let sent = async |pieces| send(pieces, Duration::ZERO, SMALL_BODY_TIME).await;
        assert_eq!(sent(vec![Ok("{"), Ok("}")]).await, StatusCode::OK);
        let large = vec![Ok("{               "), Ok("}")];
        assert_eq!(sent(large).await, StatusCode::PAYLOAD_TOO_LARGE);
        let reset = vec![Ok("{"), Err(io::ErrorKind::ConnectionReset.into())];
        assert_eq!(sent(reset).await, StatusCode::BAD_REQUEST);
    }
}
