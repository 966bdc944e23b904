//! The client for OpenAI-compatible endpoints: two calls, read leniently.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde::Deserialize;
use serde_json::json;

use crate::endpoint::{Endpoint, broken, error_code, read};
use crate::sse::SseReader;
use crate::table::normalise;
use crate::{ChatModel, Embedder, Message, ModelError};

/// A number of a vector takes about 12 bytes of JSON; the rest is spaces and envelope.
const MAX_BYTES_PER_NUMBER: usize = 32;
const MAX_ENVELOPE_BYTES: usize = 64 * 1024;
const MAX_STREAM_BYTES: usize = 16 * 1024 * 1024;
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct OpenAiEmbedder {
    id: String,
    endpoint: Endpoint,
    model: String,
    dimensions: usize,
    batch_size: usize,
    dense_weight: f32,
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl OpenAiEmbedder {
    pub(crate) fn new(
        endpoint: Endpoint,
        model: String,
        dimensions: usize,
        batch_size: usize,
        dense_weight: f32,
    ) -> Self {
        // The same name at another address may be another model.
        let id = format!("openai-{dimensions}-{model}-{}", endpoint.base_url());
        Self { id, endpoint, model, dimensions, batch_size, dense_weight }
    }

    async fn embed_batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let body = json!({ "model": self.model, "input": texts });
        let response = self.endpoint.post("/embeddings", &body).await?;
        let limit =
            texts.len() * (self.dimensions * MAX_BYTES_PER_NUMBER + 1024) + MAX_ENVELOPE_BYTES;
        let body = read(response, limit).await?;
        let unreadable = |cause: &str| {
            tracing::warn!(cause, "an embedding endpoint sent an unreadable response");
            ModelError::Unreadable
        };
        let Embeddings { data } =
            bailiwick_json::read(&body).map_err(|_| unreadable("not a list of embeddings"))?;
        let mut vectors = vec![None; texts.len()];
        for (place, embedding) in data.into_iter().enumerate() {
            let mut vector = embedding.embedding;
            if vector.len() != self.dimensions {
                return Err(unreadable("another number of dimensions than configured"));
            }
            if !normalise(&mut vector) {
                return Err(unreadable("a vector without direction"));
            }
            match vectors.get_mut(embedding.index.unwrap_or(place)) {
                Some(slot) if slot.is_none() => *slot = Some(vector),
                _ => return Err(unreadable("an index twice or out of range")),
            }
        }
        vectors.into_iter().collect::<Option<_>>().ok_or_else(|| unreadable("too few embeddings"))
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn dense_weight(&self) -> f32 {
        self.dense_weight
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch_size) {
            vectors.extend(self.embed_batch(batch).await?);
        }
        Ok(vectors)
    }
}

#[derive(Debug)]
pub(crate) struct OpenAiChat {
    endpoint: Endpoint,
    model: String,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
}

impl OpenAiChat {
    pub(crate) fn new(
        endpoint: Endpoint,
        model: String,
        max_tokens: Option<u32>,
        temperature: Option<f32>,
    ) -> Self {
        Self { endpoint, model, max_tokens, temperature }
    }
}

#[async_trait]
impl ChatModel for OpenAiChat {
    async fn stream(
        &self,
        messages: &[Message],
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError> {
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "stream": true,
        });
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.max_tokens.map(|most| ("max_tokens".to_owned(), most.into())));
            fields.extend(self.temperature.map(|value| ("temperature".to_owned(), value.into())));
        }
        let response = self.endpoint.post("/chat/completions", &body).await?;
        let is_json = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if is_json {
            // Some servers do not stream, whatever is asked.
            let body = read(response, MAX_ANSWER_BYTES + MAX_ENVELOPE_BYTES).await?;
            let text = Part::parse(&body)?.text;
            return Ok(stream::iter([Ok(text)]).boxed());
        }
        let reply = Reply::new(response.bytes_stream().map(|piece| piece.map_err(broken)).boxed());
        Ok(stream::unfold(reply, Reply::next).boxed())
    }
}

/// A streamed reply on its way.
struct Reply {
    pieces: BoxStream<'static, Result<Bytes, ModelError>>,
    events: SseReader,
    ready: VecDeque<String>,
    wire_bytes: usize,
    answer_bytes: usize,
    finish_seen: bool,
    over: bool,
}

impl Reply {
    fn new(pieces: BoxStream<'static, Result<Bytes, ModelError>>) -> Self {
        Self {
            pieces,
            events: SseReader::default(),
            ready: VecDeque::new(),
            wire_bytes: 0,
            answer_bytes: 0,
            finish_seen: false,
            over: false,
        }
    }

    /// The next piece of text; an error is the last item.
    async fn next(mut self) -> Option<(Result<String, ModelError>, Self)> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Some((Ok(text), self));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.read_piece().await {
                self.over = true;
                // What came before the fault in the same piece is dropped with it.
                self.ready.clear();
                return Some((Err(error), self));
            }
        }
    }

    async fn read_piece(&mut self) -> Result<(), ModelError> {
        let events = match self.pieces.next().await {
            Some(piece) => {
                let piece = piece?;
                self.wire_bytes += piece.len();
                self.events.push(&piece)?
            }
            None => {
                self.over = true;
                self.events.finish().into_iter().collect()
            }
        };
        for event in events {
            self.take_event(&event)?;
        }
        if self.wire_bytes > MAX_STREAM_BYTES || self.answer_bytes > MAX_ANSWER_BYTES {
            tracing::warn!("a chat endpoint sent more than its byte limit");
            return Err(ModelError::TooLarge);
        }
        if self.over && !self.finish_seen {
            tracing::warn!("a chat endpoint closed the stream before the answer's end");
            return Err(ModelError::Unreachable);
        }
        Ok(())
    }

    fn take_event(&mut self, event: &str) -> Result<(), ModelError> {
        if self.over && self.finish_seen {
            return Ok(());
        }
        if event.trim() == "[DONE]" {
            self.over = true;
            self.finish_seen = true;
            return Ok(());
        }
        let part = Part::parse(event.as_bytes())?;
        self.finish_seen |= part.finished;
        self.answer_bytes += part.text.len();
        if !part.text.is_empty() {
            self.ready.push_back(part.text);
        }
        Ok(())
    }
}

/// What one event, or one whole response, says.
struct Part {
    text: String,
    finished: bool,
}

impl Part {
    fn parse(event: &[u8]) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Event {
            error: Option<serde::de::IgnoredAny>,
            #[serde(default)]
            choices: Vec<Choice>,
        }
        #[derive(Deserialize)]
        struct Choice {
            delta: Option<Content>,
            message: Option<Content>,
            finish_reason: Option<serde::de::IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Content {
            content: Option<String>,
        }
        let Ok(parsed) = bailiwick_json::read::<Event>(event) else {
            tracing::warn!("a chat endpoint sent an event that is not a chat completion");
            return Err(ModelError::Unreadable);
        };
        if parsed.error.is_some() {
            tracing::warn!(code = error_code(event), "a chat endpoint gave up");
            return Err(ModelError::Refused);
        }
        let choice = parsed.choices.into_iter().next();
        let finished = choice.as_ref().is_some_and(|choice| choice.finish_reason.is_some());
        let content = choice.and_then(|choice| choice.delta.or(choice.message)?.content);
        Ok(Self { text: content.unwrap_or_default(), finished })
    }
}
