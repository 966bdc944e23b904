//! An identity provider on a loopback port, which can be made to misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "/keys";

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Status line, headers and body, as they go over the wire.
    Raw(Vec<u8>),
    /// The same, after a while.
    Late(Duration, Vec<u8>),
    /// A head, then this piece again and again, with a pause between.
    Endless { head: String, piece: Vec<u8>, pause: Duration },
    /// The connection is closed without an answer.
    Hangup,
}

impl Reply {
    pub(crate) fn json(body: impl ToString) -> Reply {
        Reply::with("200 OK", "Content-Type: application/json\r\n", body)
    }

    pub(crate) fn with(status: &str, headers: &str, body: impl ToString) -> Reply {
        let body = body.to_string();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        Reply::Raw((head + &body).into_bytes())
    }

    pub(crate) fn redirect(location: &str) -> Reply {
        Reply::with("302 Found", &format!("Location: {location}\r\n"), "")
    }

    pub(crate) fn late(self, delay: Duration) -> Reply {
        match self {
            Reply::Raw(bytes) => Reply::Late(delay, bytes),
            other => other,
        }
    }
}

/// Serves until it is dropped; counts who asks for what.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Provider {
    /// A provider with a right discovery document and no keys.
    pub(crate) async fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let replies = Arc::new(Mutex::new(HashMap::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(serve(listener, Arc::clone(&replies), Arc::clone(&requests)));
        let provider = Provider { issuer, replies, requests, server };
        provider.reply(DISCOVERY, Reply::json(provider.document()));
        provider.publish(&[]);
        provider
    }

    /// The discovery document as it should be.
    pub(crate) fn document(&self) -> Value {
        json!({"issuer": self.issuer, "jwks_uri": format!("{}{KEYS}", self.issuer)})
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        self.reply(KEYS, Reply::json(json!({ "keys": keys })));
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// The targets asked for so far, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How often the keys were asked for.
    pub(crate) fn key_requests(&self) -> usize {
        self.requests().iter().filter(|target| *target == KEYS).count()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    listener: TcpListener,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (replies, requests) = (Arc::clone(&replies), Arc::clone(&requests));
        tokio::spawn(async move {
            // A client that hangs up early is what several tests are about.
            let _ = answer(stream, &replies, &requests).await;
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    replies: &Mutex<HashMap<String, Reply>>,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let reply = replies.lock().unwrap().get(&target).cloned();
    requests.lock().unwrap().push(target);
    match reply.unwrap_or_else(|| Reply::with("404 Not Found", "", "")) {
        Reply::Raw(bytes) => stream.write_all(&bytes).await?,
        Reply::Late(delay, bytes) => {
            tokio::time::sleep(delay).await;
            stream.write_all(&bytes).await?;
        }
        Reply::Endless { head, piece, pause } => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&piece).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Reply::Hangup => {}
    }
    stream.shutdown().await
}
