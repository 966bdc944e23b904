//! A model endpoint on the loopback that answers every request with the bytes it was given.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A running endpoint; it stops with the runtime.
pub(crate) struct Peer {
    /// For the configuration's `base_url`.
    pub(crate) base_url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Answers with these pieces one by one, then closes the connection.
    pub(crate) async fn start(pieces: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (seen, pieces) = (Arc::clone(&seen), pieces.clone());
                tokio::spawn(async move {
                    socket.set_nodelay(true).unwrap();
                    let request = read_request(&mut socket).await;
                    seen.lock().unwrap().push(request);
                    for piece in pieces {
                        if socket.write_all(&piece).await.is_err() {
                            return;
                        }
                        // The other side reads this piece before the next one comes.
                        tokio::task::yield_now().await;
                    }
                });
            }
        });
        Self { base_url, requests }
    }

    /// Answers with server-sent events cut into pieces of `size` bytes.
    pub(crate) async fn streaming(events: &str, size: usize) -> Self {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let mut pieces = vec![head.as_bytes().to_vec()];
        pieces.extend(events.as_bytes().chunks(size).map(<[u8]>::to_vec));
        Self::start(pieces).await
    }

    /// The requests so far, headers and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let read = socket.read_buf(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
            })
            .unwrap_or(0);
        if read == 0 || body.len() >= length {
            return text.into_owned();
        }
    }
}
