//! Rust's errors as Python's: what the caller reads is raised, what only an operator should read is
//! logged to the logger `bailiwick`.

use bailiwick_identity::Rejection;
use bailiwick_index::IndexError;
use pyo3::prelude::*;

pyo3::import_exception!(bailiwick.errors, BailiwickError);
pyo3::import_exception!(bailiwick.errors, Denied);
pyo3::import_exception!(bailiwick.errors, InvalidFilter);
pyo3::import_exception!(bailiwick.errors, InvalidQuery);
pyo3::import_exception!(bailiwick.errors, InvalidToken);
pyo3::import_exception!(bailiwick.errors, RefusedDocument);
pyo3::import_exception!(bailiwick.errors, TokenExpired);
pyo3::import_exception!(bailiwick.errors, Unavailable);

/// The most ids of other sources that an error names.
const NAMED: usize = 10;

/// Why a token is not accepted. The cause says more than its bearer should learn.
pub(crate) fn of_token(py: Python<'_>, rejection: Rejection) -> PyErr {
    log(py, &format!("a token was refused: {}", rejection.cause()));
    match rejection {
        Rejection::Expired(_) => TokenExpired::new_err("Token has expired"),
        Rejection::Invalid(_) => InvalidToken::new_err("Invalid token"),
        Rejection::Unavailable(_) => Unavailable::new_err(rejection.to_string()),
    }
}

/// Why the index cannot do what it was asked to; whoever opened it in her own process reads the
/// cause too.
#[expect(clippy::needless_pass_by_value, reason = "this is what map_err calls")]
pub(crate) fn of_index(error: IndexError) -> PyErr {
    use IndexError::{Dimensions, ForeignBailiwick, NotFinite, OtherSpace};
    if let IndexError::OtherSource(others) = &error {
        let named = others.iter().map(|(id, owner)| format!("`{id}` belongs to `{owner}`"));
        let named: Vec<String> = named.take(NAMED).collect();
        return RefusedDocument::new_err(format!(
            "nothing is written: ids of other sources ({}): {}; name their source, or pass \
             replace=True",
            others.len(),
            named.join(", ")
        ));
    }
    let text = match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    match error {
        Dimensions { .. } | NotFinite | OtherSpace { .. } => InvalidQuery::new_err(text),
        ForeignBailiwick => BailiwickError::new_err(text),
        _ => Unavailable::new_err(text),
    }
}

/// Writes to the logger `bailiwick`.
pub(crate) fn log(py: Python<'_>, text: &str) {
    let logged = py
        .import("logging")
        .and_then(|logging| logging.call_method1("getLogger", ("bailiwick",)))
        .and_then(|logger| logger.call_method1("warning", ("%s", text)));
    // A logger that fails must not hide what is raised.
    drop(logged);
}
