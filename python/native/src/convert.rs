//! Values on their way between Python and Rust.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::BailiwickError;

/// Reads what `json.dumps` writes of an object.
///
/// # Errors
/// A sentence when it has no JSON form, or not this one.
pub(crate) fn from_python<T: DeserializeOwned>(object: &Bound<'_, PyAny>) -> Result<T, String> {
    let py = object.py();
    let text = || -> PyResult<String> {
        let options = PyDict::new(py);
        options.set_item("allow_nan", false)?;
        py.import("json")?.call_method("dumps", (object,), Some(&options))?.extract()
    };
    let text = text().map_err(|error| error.value(py).to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Makes the Python object that `json.loads` makes.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    value: &impl Serialize,
) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| {
        BailiwickError::new_err(format!("a stored value has no JSON form: {error}"))
    })?;
    py.import("json")?.call_method1("loads", (text,))
}

/// Reads one vector, or rows of vectors of one length: whatever numpy makes an array of.
///
/// # Errors
/// A sentence when it is not an array of so many axes.
pub(crate) fn vectors(object: &Bound<'_, PyAny>, axes: usize) -> Result<Vec<Vec<f32>>, String> {
    let py = object.py();
    let read = || -> PyResult<(Vec<usize>, Vec<u8>)> {
        let array = py.import("numpy")?.call_method1("ascontiguousarray", (object, "<f4"))?;
        let shape = array.getattr("shape")?.extract()?;
        Ok((shape, array.call_method0("tobytes")?.extract()?))
    };
    let (shape, bytes) = read().map_err(|error| error.value(py).to_string())?;
    if shape.len() != axes {
        return Err(format!("it has {} axes, and {axes} are wanted", shape.len()));
    }
    let (halves, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = halves.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let rows = if axes == 1 { 1 } else { shape.first().copied().unwrap_or_default() };
    let length = shape.last().copied().unwrap_or_default();
    Ok((0..rows)
        .map(|row| numbers.iter().skip(row * length).take(length).copied().collect())
        .collect())
}

/// A numpy array of numbers.
pub(crate) fn array<'py>(py: Python<'py>, numbers: &[f32]) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let array =
        py.import("numpy")?.call_method1("frombuffer", (PyBytes::new(py, &bytes), "<f4"))?;
    Ok(array)
}
