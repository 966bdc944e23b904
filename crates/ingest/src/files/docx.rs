//! DOCX → Markdown: headings, paragraphs, list items and tables. Headers, footers, footnotes and
//! comments are left out.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use zip::ZipArchive;

use super::Problem;

/// The most bytes that one part of the archive may unpack to.
const PART_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn read(bytes: &[u8]) -> Result<String, Problem> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(Problem::broken)?;
    let styles = match archive.index_for_name("word/styles.xml") {
        Some(_) => headings(&part(&mut archive, "word/styles.xml")?)?,
        None => HashMap::new(),
    };
    let mut body = Body { styles, ..Body::default() };
    body.read(&part(&mut archive, "word/document.xml")?)?;
    Ok(body.text)
}

fn part(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<String, Problem> {
    let file = archive.by_name(name).map_err(Problem::broken)?;
    let mut unpacked = Vec::new();
    // The size that the archive claims is not believed.
    file.take(PART_BYTES + 1).read_to_end(&mut unpacked).map_err(Problem::broken)?;
    if unpacked.len() as u64 > PART_BYTES {
        return Err(Problem::TooLarge(PART_BYTES));
    }
    super::text(unpacked)
}

/// Style ids and their heading levels. Word translates the ids, but never the names.
fn headings(xml: &str) -> Result<HashMap<String, usize>, Problem> {
    let mut reader = Reader::from_str(xml);
    let mut levels = HashMap::new();
    let mut style = None;
    loop {
        match reader.read_event().map_err(Problem::broken)? {
            Event::Eof => return Ok(levels),
            Event::Start(tag) if tag.name().as_ref() == "w:style" => {
                style = attribute(&tag, "w:styleId");
            }
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "w:name" => {
                let name = attribute(&tag, "w:val").unwrap_or_default().to_lowercase();
                let level = match name.as_str() {
                    "title" => Some(1),
                    name => name.strip_prefix("heading ").and_then(|level| level.parse().ok()),
                };
                if let (Some(style), Some(level)) = (style.take(), level) {
                    levels.insert(style, level);
                }
            }
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.try_get_attribute(name).ok()??;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
}

#[derive(Default)]
struct Body {
    styles: HashMap<String, usize>,
    text: String,
    paragraph: String,
    heading: Option<usize>,
    in_list: bool,
    in_text: bool,
    /// The cells of the outermost table's row; tables inside it are text in its cell.
    row: Vec<String>,
    tables: usize,
    /// Inside what repeats the text for older programs.
    fallbacks: usize,
}

impl Body {
    fn read(&mut self, xml: &str) -> Result<(), Problem> {
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().map_err(Problem::broken)? {
                Event::Eof => return Ok(()),
                Event::Start(tag) => self.open(&tag),
                Event::Empty(tag) => {
                    self.open(&tag);
                    self.close(tag.name().as_ref());
                }
                Event::End(tag) => self.close(tag.name().as_ref()),
                Event::Text(text) if self.in_text => self.say(&text.xml10_content()),
                Event::CData(text) if self.in_text => self.say(&text.xml10_content()),
                Event::GeneralRef(entity) if self.in_text => self.refer(&entity),
                _ => {}
            }
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        match tag.name().as_ref() {
            "w:t" => self.in_text = true,
            "w:tab" if !self.paragraph.is_empty() => self.say(" "),
            "w:br" | "w:cr" => self.say("\n"),
            "w:pStyle" => {
                let style = attribute(tag, "w:val");
                self.heading = style.and_then(|style| self.styles.get(&style).copied());
            }
            "w:numPr" => self.in_list = true,
            "w:tbl" => self.tables += 1,
            "w:tc" if self.tables == 1 => self.row.push(String::new()),
            "mc:Fallback" => self.fallbacks += 1,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "w:t" => self.in_text = false,
            "w:p" => self.end_paragraph(),
            "w:tr" if self.tables == 1 => {
                let row = std::mem::take(&mut self.row);
                self.text.push_str(&format!("| {} |\n", row.join(" | ")));
            }
            "w:tbl" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.text.push('\n');
                }
            }
            "mc:Fallback" => self.fallbacks = self.fallbacks.saturating_sub(1),
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if self.fallbacks == 0 {
            self.paragraph.push_str(text);
        }
    }

    fn refer(&mut self, entity: &BytesRef<'_>) {
        if let Ok(Some(letter)) = entity.resolve_char_ref() {
            self.say(letter.encode_utf8(&mut [0; 4]));
        } else if let Some(text) = resolve_predefined_entity(entity) {
            self.say(text);
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let heading = self.heading.take();
        let in_list = std::mem::take(&mut self.in_list);
        let paragraph = paragraph.trim();
        if paragraph.is_empty() {
            return;
        }
        if let (true, Some(cell)) = (self.tables > 0, self.row.last_mut()) {
            if !cell.is_empty() {
                cell.push(' ');
            }
            cell.push_str(&paragraph.replace('\n', " "));
            return;
        }
        if let Some(level) = heading {
            self.text.push_str(&"#".repeat(level.clamp(1, 6)));
            self.text.push(' ');
            self.text.push_str(&paragraph.replace('\n', " "));
        } else {
            self.text.push_str(if in_list { "- " } else { "" });
            self.text.push_str(paragraph);
        }
        self.text.push_str("\n\n");
    }
}
