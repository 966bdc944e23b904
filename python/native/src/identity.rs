//! `Verifier` and `Claims`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_identity as identity;
use bailiwick_identity::jws::KeySet;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde_json::{Map, Value};

use crate::errors::{self, BailiwickError, Unavailable};
use crate::{convert, runtime};

/// How long a verifier that has just been made waits for its keys.
const FIRST_KEYS: Duration = Duration::from_secs(5);

/// See `_native.pyi`.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Verifier(Arc<identity::Verifier>);

#[pymethods]
impl Verifier {
    #[new]
    #[pyo3(signature = (issuer, audience, *, jwks=None, **options))]
    fn new(
        py: Python<'_>,
        issuer: &str,
        audience: &Bound<'_, PyAny>,
        jwks: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let config = options.map_or_else(|| Ok(PyDict::new(py)), |options| options.copy())?;
        config.set_item("issuer", issuer)?;
        config.set_item("audience", audience)?;
        let problem = |problem: String| BailiwickError::new_err(format!("identity: {problem}"));
        let config = convert::from_python(config.as_any()).map_err(problem)?;
        let verifier = match jwks {
            Some(jwks) => identity::Verifier::with_keys(config, keys(jwks)?),
            None => {
                let _runtime = runtime()?.enter();
                identity::Verifier::start(config)
            }
        };
        verifier.map(Self).map_err(|error| BailiwickError::new_err(error.to_string()))
    }

    fn verify(&self, py: Python<'_>, token: &str) -> PyResult<Claims> {
        let runtime = runtime()?;
        let verified = py.detach(|| {
            runtime.block_on(async {
                self.first_keys().await?;
                Ok::<_, String>(self.0.verify(token).await)
            })
        });
        match verified {
            Ok(Ok(claims)) => Ok(Claims(claims)),
            Ok(Err(rejection)) => Err(errors::of_token(py, rejection)),
            Err(reason) => Err(Unavailable::new_err(reason)),
        }
    }
}

impl Verifier {
    async fn first_keys(&self) -> Result<(), String> {
        let until = Instant::now() + FIRST_KEYS;
        loop {
            match self.0.readiness() {
                Err(_) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Reads a JWK set: a dict, its JSON text, or the path of a file.
fn keys(jwks: &Bound<'_, PyAny>) -> PyResult<KeySet> {
    let problem = |problem: String| BailiwickError::new_err(format!("jwks: {problem}"));
    let json = if let Ok(text) = jwks.cast::<PyString>() {
        text.to_str()?.as_bytes().to_vec()
    } else if let Ok(path) = jwks.extract::<PathBuf>() {
        let read = std::fs::read(&path);
        read.map_err(|error| problem(format!("{} cannot be read: {error}", path.display())))?
    } else {
        let keys: Map<String, Value> = convert::from_python(jwks).map_err(|error| {
            problem(format!("{error}; give a dict, its JSON text, or a pathlib.Path"))
        })?;
        Value::Object(keys).to_string().into_bytes()
    };
    let (keys, ignored) = KeySet::from_jwks(&json).map_err(|error| {
        problem(format!("{error}; give a dict, its JSON text, or a pathlib.Path"))
    })?;
    let reasons: Vec<_> =
        ignored.iter().map(|key| format!("key {}: {}", key.position, key.reason)).collect();
    let reasons = reasons.join("; ");
    if keys.is_empty() {
        return Err(problem(format!("it has no key that may verify tokens; {reasons}")));
    }
    if !reasons.is_empty() {
        errors::log(jwks.py(), &format!("jwks: not every key is used; {reasons}"));
    }
    Ok(keys)
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Claims(pub(crate) identity::Claims);

#[pymethods]
impl Claims {
    #[getter]
    fn issuer(&self) -> &str {
        self.0.issuer()
    }

    #[getter]
    fn subject(&self) -> &str {
        self.0.subject()
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.0.expires_at()
    }

    #[getter]
    fn token_id(&self) -> Option<&str> {
        self.0.token_id()
    }

    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        convert::dict(py, self.0.as_map())
    }

    fn __repr__(&self) -> String {
        format!("<Claims of {} at {}>", self.0.subject(), self.0.issuer())
    }
}
