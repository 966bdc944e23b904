//! Markdown, with YAML front matter.

use serde_json::{Map, Value};

use super::{Draft, DraftId, Problem};
use crate::record::Record;

/// The most bytes of front matter. YAML lets a few lines stand for very many.
const FRONT_MATTER_BYTES: usize = 16 * 1024;

pub(super) fn read(text: &str) -> Result<Draft, Problem> {
    let (front, body) = parts(text)?;
    let mut draft = Draft::markdown(body.to_owned());
    if let Some(front) = front {
        draft.metadata = metadata(front)?;
        match draft.metadata.remove("id") {
            None => {}
            Some(Value::String(id)) => draft.id = DraftId::Own(id),
            Some(_) => {
                return Err(Problem::broken("the `id` of its front matter is not a text"));
            }
        }
    }
    Ok(draft)
}

/// Front matter and body. A first line `---` that nothing closes is an error and not a ruler,
/// because it may have been meant to keep the document secret.
fn parts(text: &str) -> Result<(Option<&str>, &str), Problem> {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
        return Ok((None, text));
    };
    let start = first.len();
    let mut end = start;
    for line in lines {
        if matches!(line.trim_end(), "---" | "...") {
            let body = text.get(end + line.len()..).unwrap_or_default();
            return Ok((text.get(start..end), body));
        }
        end += line.len();
        if end > FRONT_MATTER_BYTES {
            break;
        }
    }
    let bound =
        format!("its front matter does not end with `---` within {FRONT_MATTER_BYTES} bytes");
    Err(Problem::Broken(bound))
}

fn metadata(yaml: &str) -> Result<Map<String, Value>, Problem> {
    if yaml.trim().is_empty() {
        return Ok(Map::new());
    }
    let front: Record = serde_norway::from_str(yaml)
        .map_err(|cause| Problem::broken(format!("its front matter: {cause}")))?;
    Ok(front.into_map())
}
