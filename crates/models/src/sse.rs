//! Reads server-sent events from bytes that arrive in any pieces.

use crate::ModelError;

/// One event of a chat endpoint is a few hundred bytes.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// Collects bytes into lines and lines into events, of which only the data matters here.
///
/// Lines end with LF, CR or CR LF; a piece may end anywhere, also within a character.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    line: Vec<u8>,
    data: Option<String>,
    after_cr: bool,
}

impl SseReader {
    /// The data of every event that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, ModelError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let ends_crlf = self.after_cr && byte == b'\n';
            self.after_cr = byte == b'\r';
            match byte {
                _ if ends_crlf => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > MAX_EVENT_BYTES {
                return Err(ModelError::TooLarge);
            }
        }
        Ok(events)
    }

    /// The last event, of a server that closes the connection instead of ending it.
    pub(crate) fn finish(&mut self) -> Option<String> {
        self.end_line().or_else(|| self.data.take())
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}
