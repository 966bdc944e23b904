//! JSON (an object is one document, a list is many) and JSON lines.

use bailiwick_json::{Fault, read as read_json};
use bailiwick_policy::Schema;

use super::{Draft, DraftId, Problem};
use crate::record::{Record, Records};

pub(super) fn read(text: &str, schema: &Schema) -> Result<Vec<Draft>, Problem> {
    let records = read_json(text.as_bytes()).map_err(|cause| match cause.fault() {
        Fault::Shape => Problem::broken("it is neither an object nor a list of objects"),
        _ => Problem::broken(cause),
    })?;
    match records {
        Records::One(record) => Ok(vec![draft(DraftId::File, &record, schema)]),
        Records::Many(records) => {
            let drafts =
                records.iter().enumerate().map(|(place, record)| many(place, record, schema));
            Ok(drafts.collect())
        }
    }
}

/// The records of a file, each with what is wrong with it.
pub(super) fn read_lines(text: &str, schema: &Schema) -> Vec<Result<Draft, Problem>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let drafts = lines.enumerate().map(|(place, (number, line))| {
        let record = read_json(line.as_bytes())
            .map_err(|cause| Problem::broken(format!("line {}: {cause}", number + 1)))?;
        Ok(many(place, &record, schema))
    });
    drafts.collect()
}

fn many(place: usize, record: &Record, schema: &Schema) -> Draft {
    let id = record.id().unwrap_or_else(|| place.to_string());
    draft(DraftId::Record(id), record, schema)
}

fn draft(id: DraftId, record: &Record, schema: &Schema) -> Draft {
    let mut metadata = record.details(schema);
    schema.overlay(&mut metadata, record.attributes(schema));
    Draft { id, metadata, ..Draft::plain(record.text(schema)) }
}
