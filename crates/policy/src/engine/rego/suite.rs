//! The tests that a policy in Rego brings along: rules whose names begin with `test_`.

use regorus::Value;
use serde::Serialize;

use super::{Rego, RegoConfig};
use crate::policy::PolicyError;

/// What came out of one test.
#[derive(Clone, Debug, Serialize)]
pub struct RegoTest {
    /// Its path, such as `data.bailiwick_test.test_hr`.
    pub name: String,
    /// Whether it is true.
    pub passed: bool,
    /// Why it could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl RegoConfig {
    /// Runs the tests of the files, in the order of their paths.
    ///
    /// # Errors
    /// When the files do not compile.
    pub fn test(&self) -> Result<Vec<RegoTest>, PolicyError> {
        let rego = Rego::open(self)?;
        let mut interpreter = rego.compiled.whole.interpreter.clone();
        interpreter.set_execution_timer_config(rego.limits.timer());
        let tests = rego.compiled.tests.iter().map(|name| {
            interpreter.set_input(Value::new_object());
            let verdict = interpreter.eval_rule(name.clone());
            RegoTest {
                name: name.clone(),
                passed: matches!(verdict, Ok(Value::Bool(true))),
                problem: verdict.err().map(|error| error.to_string().trim().to_owned()),
            }
        });
        Ok(tests.collect())
    }
}
