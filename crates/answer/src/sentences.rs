//! Cuts a passage into what can be quoted: sentences, list items, table rows, records.

use unicode_segmentation::UnicodeSegmentation;

/// Longer pieces are cut, so that a quote stays a quote.
const MAX_BYTES: usize = 600;

/// Words whose full stop does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "art", "ca", "capt", "cf", "col", "dept", "dr", "e.g", "ed", "eds", "esp",
    "est", "fig", "figs", "gen", "gov", "hon", "i.e", "jr", "lt", "maj", "mr", "mrs", "ms", "mt",
    "no", "nos", "op", "p", "pp", "prof", "rep", "rev", "sec", "sen", "sgt", "sr", "st", "u.s",
    "viz", "vol", "vs",
];

/// A piece of a passage, verbatim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sentence<'a> {
    pub(crate) text: &'a str,
    /// It says what follows is about, and is no answer itself.
    pub(crate) is_heading: bool,
}

/// The sentences of a passage of Markdown, plain text, `Key: value` lines or JSON, in order.
pub(crate) fn sentences(passage: &str) -> Vec<Sentence<'_>> {
    let mut cutter = Cutter { passage, block: None, in_code: false, sentences: Vec::new() };
    let mut start = 0;
    for line in passage.split_inclusive('\n') {
        cutter.take_line(start, line);
        start += line.len();
    }
    cutter.end_block();
    cutter.sentences
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prose,
    Record,
}

/// Lines that belong together.
struct Block {
    kind: Kind,
    start: usize,
    end: usize,
    lines: usize,
}

struct Cutter<'a> {
    passage: &'a str,
    block: Option<Block>,
    in_code: bool,
    sentences: Vec<Sentence<'a>>,
}

impl<'a> Cutter<'a> {
    fn take_line(&mut self, start: usize, line: &'a str) {
        let text = line.trim();
        let end = start + line.len();
        if text.starts_with("```") || text.starts_with("~~~") {
            self.end_block();
            self.in_code = !self.in_code;
        } else if text.is_empty() {
            self.end_block();
        } else if self.in_code {
            self.push(text, false);
        } else if let Some(heading) = heading(text) {
            self.end_block();
            self.push(heading, true);
        } else if text.starts_with('|') {
            self.end_block();
            if text.chars().any(char::is_alphanumeric) {
                self.push(text, false);
            }
        } else if let Some(item) = list_item(text) {
            self.end_block();
            let indent = line.len() - line.trim_start().len();
            let marker = text.len() - item.len();
            self.extend(Kind::Prose, start + indent + marker, end);
        } else {
            let kind = if is_record_line(text) { Kind::Record } else { Kind::Prose };
            if self.block.as_ref().is_some_and(|block| block.kind != kind) {
                self.end_block();
            }
            self.extend(kind, start, end);
        }
    }

    fn extend(&mut self, kind: Kind, start: usize, end: usize) {
        let block = self.block.get_or_insert(Block { kind, start, end, lines: 0 });
        block.end = end;
        block.lines += 1;
    }

    fn end_block(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        let Some(text) = self.passage.get(block.start..block.end) else {
            return;
        };
        if block.kind == Kind::Record && block.lines > 1 {
            self.push_record(text);
        } else {
            self.push_prose(text);
        }
    }

    /// A short record is one quote; a long one is cut where an object ends or it gets too long.
    fn push_record(&mut self, text: &'a str) {
        if text.len() <= MAX_BYTES {
            self.push(text, false);
            return;
        }
        let (mut start, mut end) = (0, 0);
        for line in text.split_inclusive('\n') {
            if end - start + line.len() > MAX_BYTES {
                self.push_part(text, start, end);
                start = end;
            }
            end += line.len();
            if line.trim_start().starts_with('}') {
                self.push_part(text, start, end);
                start = end;
            }
        }
        self.push_part(text, start, end);
    }

    fn push_prose(&mut self, text: &'a str) {
        // A line end inside a paragraph is a space; both are one byte, so that places agree.
        let flat = text.replace(['\n', '\r', '\t'], " ");
        let (mut start, mut end) = (0, 0);
        for piece in flat.split_sentence_bounds() {
            end += piece.len();
            let so_far = flat.get(start..end).unwrap_or_default();
            if !ends_with_abbreviation(so_far) {
                self.push_part(text, start, end);
                start = end;
            }
        }
        self.push_part(text, start, end);
    }

    fn push_part(&mut self, text: &'a str, start: usize, end: usize) {
        let mut rest = text.get(start..end).unwrap_or_default().trim();
        while rest.len() > MAX_BYTES {
            let cut = cut(rest);
            self.push(rest.get(..cut).unwrap_or_default(), false);
            rest = rest.get(cut..).unwrap_or_default();
        }
        self.push(rest, false);
    }

    fn push(&mut self, text: &'a str, is_heading: bool) {
        let text = text.trim();
        if text.chars().any(char::is_alphanumeric) {
            self.sentences.push(Sentence { text, is_heading });
        }
    }
}

/// Where to cut a text that is too long: after an object, else before a word, else anywhere.
fn cut(text: &str) -> usize {
    let head = (MAX_BYTES - 3..=MAX_BYTES).rev().find_map(|end| text.get(..end)).unwrap_or(text);
    head.rfind("},")
        .map(|place| place + 2)
        .or_else(|| head.rfind(char::is_whitespace).filter(|place| *place > 0))
        .unwrap_or(head.len())
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim_end_matches('#').trim())
}

fn list_item(line: &str) -> Option<&str> {
    let bullet = line.strip_prefix(['-', '*', '+', '•']);
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let ordered = (1..=3).contains(&(line.len() - number.len()));
    let rest = bullet.or_else(|| number.strip_prefix(['.', ')']).filter(|_| ordered))?;
    rest.starts_with(' ').then(|| rest.trim_start())
}

/// `Key: value`, or a line of indented JSON.
fn is_record_line(line: &str) -> bool {
    if line.starts_with(['{', '}', '[', ']', '"']) {
        return line.len() <= 2 || line.contains("\":") || line.ends_with(['"', ',', '{', '[']);
    }
    line.split_once(": ").is_some_and(|(key, value)| {
        !value.trim().is_empty()
            && key.len() <= 40
            && key.split_whitespace().count() <= 4
            && key.starts_with(char::is_alphabetic)
            && key.chars().all(|c| c.is_alphanumeric() || " _-./()".contains(c))
    })
}

/// Whether the sentence that seems to end here goes on: after "Dr." or an initial.
fn ends_with_abbreviation(text: &str) -> bool {
    let Some(text) = text.trim_end().strip_suffix('.') else {
        return false;
    };
    let last = text.rsplit(|c: char| c.is_whitespace() || "([\"“".contains(c)).next();
    last.is_some_and(|word| {
        let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
        is_initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sentences;

    fn quotable(passage: &str) -> Vec<&str> {
        sentences(passage).iter().filter(|s| !s.is_heading).map(|s| s.text).collect()
    }

    #[test]
    fn abbreviations_and_wrapped_lines_stay_whole() {
        let passage =
            "Dr. J. Smith met Prof. Lee, e.g. at 3.5 p.m. on\nMonday. They agreed! Did they? Yes.";
        assert_eq!(
            quotable(passage),
            [
                "Dr. J. Smith met Prof. Lee, e.g. at 3.5 p.m. on\nMonday.",
                "They agreed!",
                "Did they?",
                "Yes."
            ]
        );
    }

    #[test]
    fn markdown_is_cut_at_its_structure() {
        let passage = "# Phoenix ##\nThe plan.\n\n- First item. It is long\n  and wrapped.\n2. Second\n\n\
            | who | what |\n|---|:--|\n| Ann | pumps |\n\n```\nlet a = 1;\nlet b = 2;\n```\nEnd.";
        assert_eq!(sentences(passage)[0].text, "Phoenix");
        assert_eq!(
            quotable(passage),
            [
                "The plan.",
                "First item.",
                "It is long\n  and wrapped.",
                "Second",
                "| who | what |",
                "| Ann | pumps |",
                "let a = 1;",
                "let b = 2;",
                "End."
            ]
        );
    }

    #[test]
    fn a_record_is_one_quote() {
        let first = "Record ID: USER-001\nSubject: Alice Vance\nClearance level: TopSecret";
        let second = "{\n  \"id\": \"USER-002\",\n  \"tags\": [\n    \"a\"\n  ]\n}";
        let passage = format!("{first}\n\n{second}\n\nNote: this is prose. It has two sentences.");
        assert_eq!(
            quotable(&passage),
            [first, second, "Note: this is prose.", "It has two sentences."]
        );
    }

    #[test]
    fn long_records_are_cut_between_objects() {
        let record = "{\n\"id\": \"USER-003\",\n\"subject\": \"Carol\"\n},\n";
        let many = record.repeat(30);
        assert_eq!(quotable(&many), vec![record.trim(); 30]);
        let line = "{\"id\": \"USER-004\", \"subject\": \"Dan\"}, ".repeat(40);
        assert!(quotable(&line).iter().all(|part| part.len() <= 600 && part.ends_with("},")));
    }

    proptest! {
        #[test]
        fn sentences_are_verbatim_in_order_and_lose_no_word(
            passage in "([A-Za-z é.!?:#|\"{}\\[\\]\n-]|```|, |\r\n|漢){0,300}"
        ) {
            let mut rest = passage.as_str();
            for sentence in sentences(&passage) {
                prop_assert!(sentence.text.len() <= 600);
                let (between, after) = rest.split_once(sentence.text).unwrap();
                if !passage.contains("```") {
                    prop_assert!(!between.chars().any(char::is_alphanumeric), "lost {between:?}");
                }
                rest = after;
            }
        }
    }
}
