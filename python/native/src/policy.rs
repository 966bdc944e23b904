//! `Policy`, `Bailiwick` and `Explanation`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_identity as identity;
use bailiwick_index::{EmbeddedIndex, Index as _};
use bailiwick_policy as policy;
use bailiwick_policy::{AttributeConfig, PolicyConfig, Schema};
use bailiwick_redact::without_values;
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::convert;
use crate::errors::{BailiwickError, Denied, RefusedDocument, TokenExpired};
use crate::identity::Claims;

/// How long past its expiry a token may still be good: the most that `clock_skew_seconds` can be.
const SKEW_SECONDS: i64 = 60;

/// What of a configuration a policy is made of; the rest of `bailiwick.toml` is not looked at.
#[derive(Deserialize)]
struct Config {
    attribute: Value,
    #[serde(default)]
    policy: PolicyConfig,
}

/// Makes what labels are made of.
pub(crate) fn schema(attributes: Value) -> PyResult<Arc<Schema>> {
    let attributes: Vec<AttributeConfig> =
        bailiwick_json::from_value(attributes).map_err(|error| {
            let advice = r#"give dicts such as {"name": "department", "type": "keyword"}"#;
            BailiwickError::new_err(format!("attribute: {error}; {advice}"))
        })?;
    let schema = Schema::new(&attributes);
    schema.map(Arc::new).map_err(|error| BailiwickError::new_err(error.to_string()))
}

/// See `_native.pyi`.
#[pyfunction]
pub(crate) fn meant_name(name: &str, known: Vec<String>) -> Option<String> {
    policy::meant_name(name, &known).map(str::to_owned)
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Policy {
    policy: Arc<policy::Policy>,
    attributes: Value,
}

impl Policy {
    fn of(config: Config) -> PyResult<Self> {
        let Config { attribute: attributes, policy: config } = config;
        let schema = schema(attributes.clone())?;
        let policy = policy::Policy::new(&config, schema)
            .map_err(|error| BailiwickError::new_err(error.to_string()))?;
        Ok(Self { policy: Arc::new(policy), attributes })
    }
}

#[pymethods]
impl Policy {
    #[new]
    fn new(config: &Bound<'_, PyAny>) -> PyResult<Self> {
        let config = convert::from_python(config);
        Self::of(config.map_err(|error| BailiwickError::new_err(format!("policy: {error}")))?)
    }

    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Self> {
        let config = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            let problem = without_values(error.message());
            BailiwickError::new_err(format!("policy, line {line}: {problem}"))
        });
        Self::of(config?)
    }

    #[staticmethod]
    fn from_file(path: PathBuf) -> PyResult<Self> {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            BailiwickError::new_err(format!("{} cannot be read: {error}", path.display()))
        });
        Self::from_toml(&text?)
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.attributes)
    }

    #[getter]
    fn claims(&self) -> Vec<String> {
        self.policy.claims()
    }

    #[getter]
    fn revision(&self) -> String {
        self.policy.revision()
    }

    fn decide(&self, claims: &Bound<'_, Claims>) -> PyResult<Bailiwick> {
        let claims = &claims.get().0;
        let (_, missing_claims) = self.policy.claims_read(claims);
        if !self.policy.could_open(claims) {
            return Err(Denied::new_err(match missing_claims.as_slice() {
                [] => "the policy has no rules, so nobody may read anything; add some".to_owned(),
                missing => format!(
                    "without the claims {} this person may read nothing; have the identity \
                     provider put them into access tokens",
                    missing.join(", ")
                ),
            }));
        }
        let rights = Rights::Decided { policy: Arc::clone(&self.policy), claims: claims.clone() };
        Ok(Bailiwick { rights, missing_claims })
    }

    fn explain(
        &self,
        py: Python<'_>,
        claims: &Bound<'_, PyAny>,
        document: &Bound<'_, PyAny>,
    ) -> PyResult<Explanation> {
        let claims = match claims.cast::<Claims>() {
            Ok(claims) => claims.get().0.as_map().clone(),
            Err(_) => convert::from_python(claims)
                .map_err(|error| BailiwickError::new_err(format!("claims: {error}")))?,
        };
        let document: Map<String, Value> = convert::from_python(document)
            .map_err(|error| RefusedDocument::new_err(format!("document: {error}")))?;
        let label = self.policy.schema().label_of_new(&document);
        let label = label.map_err(|error| RefusedDocument::new_err(error.to_string()))?;
        let explained = py.detach(|| policy::wait(self.policy.explain(&claims, &label)));
        explained.map(Explanation).map_err(undecided)
    }
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Explanation(policy::Explanation);

#[pymethods]
impl Explanation {
    #[getter]
    fn allowed(&self) -> bool {
        self.0.allowed
    }

    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let steps = serde_json::to_value(&self.0.steps);
        convert::to_python(py, &steps.map_err(|error| BailiwickError::new_err(error.to_string()))?)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}

/// What one person may read. It is decided on the labels of an index whenever that is searched, so
/// labels that are new are inside at once if they should be.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Bailiwick {
    rights: Rights,
    #[pyo3(get)]
    missing_claims: Vec<String>,
}

enum Rights {
    Decided { policy: Arc<policy::Policy>, claims: identity::Claims },
    Everything,
}

impl Bailiwick {
    /// Everything there is, for nobody in particular.
    pub(crate) fn danger_everything() -> Self {
        Self { rights: Rights::Everything, missing_claims: Vec::new() }
    }

    /// The labels of this index that may be read now. An engine may be asked over the network.
    pub(crate) fn of(
        &self,
        py: Python<'_>,
        index: &EmbeddedIndex,
        schema: &Schema,
    ) -> PyResult<Arc<policy::Bailiwick>> {
        match &self.rights {
            Rights::Everything => {
                Ok(Arc::new(policy::Bailiwick::danger_everything(index.labels())))
            }
            Rights::Decided { claims, .. } if has_expired(claims) => {
                Err(TokenExpired::new_err("Token has expired"))
            }
            Rights::Decided { policy, .. } if **policy.schema() != *schema => {
                Err(BailiwickError::new_err(
                    "the policy and the index were given different attributes; open the index \
                     with `attributes=policy.attributes`",
                ))
            }
            Rights::Decided { policy, claims } => {
                let decided = py.detach(|| policy::wait(policy.decide(claims, index.labels())));
                decided.map_err(undecided)
            }
        }
    }

    fn claims(&self) -> Option<&identity::Claims> {
        match &self.rights {
            Rights::Decided { claims, .. } => Some(claims),
            Rights::Everything => None,
        }
    }
}

/// Whoever runs the policy in her own process reads why it could not be evaluated.
#[expect(clippy::needless_pass_by_value, reason = "this is what map_err calls")]
fn undecided(error: policy::Unavailable) -> PyErr {
    BailiwickError::new_err(format!("{error}: {}", error.cause()))
}

fn has_expired(claims: &identity::Claims) -> bool {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    now >= claims.expires_at().saturating_add(SKEW_SECONDS)
}

#[pymethods]
impl Bailiwick {
    #[getter]
    fn issuer(&self) -> Option<&str> {
        self.claims().map(identity::Claims::issuer)
    }

    #[getter]
    fn subject(&self) -> Option<&str> {
        self.claims().map(identity::Claims::subject)
    }

    #[getter]
    fn expires_at(&self) -> Option<i64> {
        self.claims().map(identity::Claims::expires_at)
    }

    fn __repr__(&self) -> String {
        match self.claims() {
            Some(claims) => format!("<Bailiwick of {} at {}>", claims.subject(), claims.issuer()),
            None => "<Bailiwick of everything, for nobody in particular>".to_owned(),
        }
    }
}
