//! `Verifier` and `Claims`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_identity as identity;
use pyo3::prelude::*;
use pyo3::types::PyDict;

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
    #[pyo3(signature = (issuer, audience, **options))]
    fn new(
        py: Python<'_>,
        issuer: &str,
        audience: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let config = options.map_or_else(|| Ok(PyDict::new(py)), |options| options.copy())?;
        config.set_item("issuer", issuer)?;
        config.set_item("audience", audience)?;
        let problem = |problem: String| BailiwickError::new_err(format!("identity: {problem}"));
        let config = convert::from_python(config.as_any()).map_err(problem)?;
        let _runtime = runtime()?.enter();
        let verifier = identity::Verifier::start(config);
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

    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, self.0.as_map())
    }

    fn __repr__(&self) -> String {
        format!("<Claims of {} at {}>", self.0.subject(), self.0.issuer())
    }
}
