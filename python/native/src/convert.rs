//! Values on their way between Python and Rust.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// How deep lists and dicts may lie in each other, as in the JSON that is read elsewhere.
const DEEPEST: usize = 127;

/// Reads an object that has a JSON form: dicts, lists, tuples, texts, numbers, booleans and None.
///
/// # Errors
/// A sentence when it has none, or not this one.
pub(crate) fn from_python<T: DeserializeOwned>(object: &Bound<'_, PyAny>) -> Result<T, String> {
    bailiwick_json::from_value(json(object, DEEPEST)?).map_err(|error| error.to_string())
}

fn json(object: &Bound<'_, PyAny>, depth: usize) -> Result<Value, String> {
    let wrong = |error: PyErr| error.value(object.py()).to_string();
    let inside = || depth.checked_sub(1).ok_or("it is nested too deeply, or in itself");
    let list = |items: &mut dyn Iterator<Item = Bound<'_, PyAny>>| {
        let depth = inside()?;
        items.map(|item| json(&item, depth)).collect::<Result<_, _>>().map(Value::Array)
    };
    if let Ok(text) = object.cast::<PyString>() {
        text.extract().map(Value::String).map_err(wrong)
    } else if object.is_none() {
        Ok(Value::Null)
    } else if let Ok(truth) = object.cast::<PyBool>() {
        Ok(Value::Bool(truth.is_true()))
    } else if let Ok(whole) = object.cast::<PyInt>() {
        match (whole.extract::<i64>(), whole.extract::<u64>()) {
            (Ok(number), _) => Ok(number.into()),
            (_, Ok(number)) => Ok(number.into()),
            _ => number(whole),
        }
    } else if let Ok(float) = object.cast::<PyFloat>() {
        number(float)
    } else if let Ok(members) = object.cast::<PyDict>() {
        let depth = inside()?;
        let member = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            Ok((self::name(&name)?, json(&value, depth)?))
        };
        members.iter().map(member).collect::<Result<_, String>>().map(Value::Object)
    } else if let Ok(items) = object.cast::<PyList>() {
        list(&mut items.iter())
    } else if let Ok(items) = object.cast::<PyTuple>() {
        list(&mut items.iter())
    } else {
        let kind = object.get_type().name().map_err(wrong)?;
        Err(format!("a {kind} has no JSON form"))
    }
}

/// A key of a dict; numbers and the like are written out, as JSON does.
fn name(key: &Bound<'_, PyAny>) -> Result<String, String> {
    match json(key, 0)? {
        Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}

fn number(object: &Bound<'_, PyAny>) -> Result<Value, String> {
    let float = object.extract::<f64>().ok().and_then(Number::from_f64);
    float.map(Value::Number).ok_or(format!("the number {object} has no JSON form"))
}

/// Makes the Python object that a JSON text of this value stands for.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(truth) => Ok(PyBool::new(py, *truth).to_owned().into_any()),
        Value::String(text) => Ok(PyString::new(py, text).into_any()),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(members) => Ok(dict(py, members)?.into_any()),
        Value::Number(number) => Ok(match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => whole.into_pyobject(py)?.into_any(),
            (_, Some(whole)) => whole.into_pyobject(py)?.into_any(),
            _ => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        }),
    }
}

/// [`to_python`], of an object.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    members: &Map<String, Value>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in members {
        dict.set_item(name, to_python(py, value)?)?;
    }
    Ok(dict)
}

/// Reads one vector, or rows of vectors of one length: whatever numpy makes an array of.
///
/// # Errors
/// A sentence when it is not an array of so many axes.
pub(crate) fn vectors(object: &Bound<'_, PyAny>, axes: usize) -> Result<Vec<Vec<f32>>, String> {
    let py = object.py();
    if let Some(rows) = listed(object, axes) {
        return Ok(rows);
    }
    let read = || -> PyResult<(Vec<usize>, Bound<'_, PyBytes>)> {
        let array = py.import("numpy")?.call_method1("ascontiguousarray", (object, "<f4"))?;
        let shape = array.getattr("shape")?.extract()?;
        Ok((shape, array.call_method0("tobytes")?.cast_into()?))
    };
    let (shape, bytes) = read().map_err(|error| error.value(py).to_string())?;
    if shape.len() != axes {
        return Err(format!("it has {} axes, and {axes} are wanted", shape.len()));
    }
    let (quarters, _) = bytes.as_bytes().as_chunks::<4>();
    let numbers: Vec<f32> = quarters.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let rows = if axes == 1 { 1 } else { shape.first().copied().unwrap_or_default() };
    let length = shape.last().copied().unwrap_or_default();
    Ok((0..rows)
        .map(|row| numbers.iter().skip(row * length).take(length).copied().collect())
        .collect())
}

/// Lists of numbers, which is what embedding models give; numpy takes ten times as long for them.
fn listed(object: &Bound<'_, PyAny>, axes: usize) -> Option<Vec<Vec<f32>>> {
    let row = |row: &Bound<'_, PyAny>| {
        let numbers = row.cast::<PyList>().ok()?;
        numbers.iter().map(|number| number.extract().ok()).collect::<Option<Vec<f32>>>()
    };
    match axes {
        1 => Some(vec![row(object)?]),
        _ => object.cast::<PyList>().ok()?.iter().map(|numbers| row(&numbers)).collect(),
    }
}

/// A numpy array of numbers.
pub(crate) fn array<'py>(py: Python<'py>, numbers: &[f32]) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let array =
        py.import("numpy")?.call_method1("frombuffer", (PyBytes::new(py, &bytes), "<f4"))?;
    Ok(array)
}
