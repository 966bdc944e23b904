//! Messages on a pipe: the length in bytes as eight bytes, little-endian, then the bytes.

use std::io::{self, Read, Write};

pub(crate) fn write(pipe: &mut impl Write, message: &[u8]) -> io::Result<()> {
    pipe.write_all(&(message.len() as u64).to_le_bytes())?;
    pipe.write_all(message)?;
    pipe.flush()
}

/// What a pipe brought.
pub(crate) enum Frame {
    Message(Vec<u8>),
    /// The other side has closed it.
    End,
    /// The message is longer than it may be; it was not read.
    TooLong,
}

pub(crate) fn read(pipe: &mut impl Read, max_bytes: u64) -> io::Result<Frame> {
    let mut length = [0; 8];
    match pipe.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Frame::End),
        read => read?,
    }
    let length = u64::from_le_bytes(length);
    if length > max_bytes {
        return Ok(Frame::TooLong);
    }
    let mut message = Vec::new();
    // Memory grows with what arrives, not with what was announced.
    pipe.take(length).read_to_end(&mut message)?;
    Ok(if message.len() as u64 == length { Frame::Message(message) } else { Frame::End })
}
