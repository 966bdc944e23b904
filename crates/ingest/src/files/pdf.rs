//! PDF → text.

use std::collections::BTreeSet;

use pdf_extract::content::Content;
use pdf_extract::{Dictionary, Document, Object, ObjectId, PlainTextOutput, Stream, output_doc};

use super::Problem;

/// How deep forms may be drawn inside forms. The extraction calls itself once for each level, and
/// what runs out of stack cannot be caught.
const MAX_FORM_DEPTH: usize = 16;

/// How many forms may be drawn, because forms that draw forms multiply.
const MAX_FORMS: usize = 20_000;

pub(super) fn read(bytes: &[u8]) -> Result<String, Problem> {
    let mut document = Document::load_mem(bytes).map_err(Problem::broken)?;
    if document.is_encrypted() {
        // Many files are encrypted with no password, only to forbid printing.
        document.decrypt("").map_err(|_| Problem::broken("it is protected by a password"))?;
    }
    Bounds { document: &document, forms: 0 }.check()?;
    let mut text = String::new();
    output_doc(&document, &mut PlainTextOutput::new(&mut text)).map_err(Problem::broken)?;
    Ok(text)
}

/// Follows what the extraction will follow, and stops where that would never end.
struct Bounds<'a> {
    document: &'a Document,
    forms: usize,
}

impl<'a> Bounds<'a> {
    fn check(&mut self) -> Result<(), Problem> {
        let empty = Dictionary::new();
        for page in self.document.get_pages().into_values() {
            let resources = self.inherited(page)?.unwrap_or(&empty);
            let content = self.document.get_page_content(page).map_err(Problem::broken)?;
            self.drawn(&content, resources, 0)?;
        }
        Ok(())
    }

    /// The resources of a page or of the nearest folder above it that has some. The whole way up
    /// is walked, because the extraction looks there for other things too.
    fn inherited(&self, page: ObjectId) -> Result<Option<&'a Dictionary>, Problem> {
        let mut seen = BTreeSet::new();
        let mut found = None;
        let mut next = Some(page);
        while let Some(id) = next {
            if !seen.insert(id) {
                return Err(Problem::broken("its pages stand in a circle"));
            }
            let folder = self.document.get_dictionary(id).map_err(Problem::broken)?;
            found = found.or_else(|| self.dictionary(folder, b"Resources"));
            next = folder.get(b"Parent").and_then(Object::as_reference).ok();
        }
        Ok(found)
    }

    fn drawn(
        &mut self,
        content: &[u8],
        resources: &Dictionary,
        depth: usize,
    ) -> Result<(), Problem> {
        let operations = Content::decode(content).map_err(Problem::broken)?.operations;
        for operation in operations.iter().filter(|operation| operation.operator == "Do") {
            let name = operation.operands.first().and_then(|name| name.as_name().ok());
            let Some(form) = name.and_then(|name| self.form(resources, name)) else {
                continue;
            };
            self.forms += 1;
            if depth == MAX_FORM_DEPTH || self.forms > MAX_FORMS {
                return Err(Problem::broken("its forms are nested too deeply"));
            }
            let inner = self.dictionary(&form.dict, b"Resources").unwrap_or(resources);
            let content = form.decompressed_content().unwrap_or_else(|_| form.content.clone());
            self.drawn(&content, inner, depth + 1)?;
        }
        Ok(())
    }

    fn form(&self, resources: &Dictionary, name: &[u8]) -> Option<&'a Stream> {
        let forms = match resources.get(b"XObject").ok()? {
            Object::Dictionary(forms) => forms,
            other => self.document.dereference(other).ok()?.1.as_dict().ok()?,
        };
        let id = forms.get(name).and_then(Object::as_reference).ok()?;
        self.document.get_object(id).and_then(Object::as_stream).ok()
    }

    fn dictionary<'b>(&self, within: &'b Dictionary, name: &[u8]) -> Option<&'b Dictionary>
    where
        'a: 'b,
    {
        self.document.dereference(within.get(name).ok()?).ok()?.1.as_dict().ok()
    }
}
