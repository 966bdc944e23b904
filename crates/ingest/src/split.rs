//! One text into the passages that are searched and quoted.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};
use text_splitter::{MarkdownSplitter, TextSplitter};

/// Changes whenever the same text would be split differently, so that it is split again.
pub(crate) const VERSION: &str = "2";

/// The most characters of a passage, without its heading path.
///
/// Passages do not overlap: they end at paragraphs and sentences, so nothing is cut in two, and a
/// sentence that stood in two passages would be found, and quoted, twice.
const PASSAGE_CHARACTERS: usize = 1_000;

/// The most characters of a heading path, so that a monstrous heading is not copied into every
/// passage beneath it.
const PATH_CHARACTERS: usize = 200;

/// The most bytes without an empty line that the splitter is given at once, because its time grows
/// with their square.
const RUN_BYTES: usize = 8_000;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Plain,
}

/// The passages of a text, in order; at least one when the text is not blank.
pub(crate) fn passages(text: &str, format: Format) -> Vec<String> {
    let mut passages = match format {
        Format::Markdown => markdown(text),
        Format::Plain => {
            let splitter = TextSplitter::new(PASSAGE_CHARACTERS);
            let blocks = blocks(text).into_iter();
            let passages = blocks.flat_map(|(_, block)| splitter.chunks(block));
            passages.map(str::to_owned).collect()
        }
    };
    passages.retain(|passage| !passage.trim().is_empty());
    passages
}

fn markdown(text: &str) -> Vec<String> {
    let mut headings = headings(text).into_iter().peekable();
    let mut path: Vec<Heading> = Vec::new();
    let splitter = MarkdownSplitter::new(PASSAGE_CHARACTERS);
    let blocks = blocks(text).into_iter();
    let passages = blocks.flat_map(|(offset, block)| {
        let passages = splitter.chunk_indices(block);
        passages.map(move |(start, passage)| (offset + start, passage))
    });
    let passages = passages.map(|(start, passage)| {
        while let Some(heading) = headings.next_if(|heading| heading.start < start) {
            path.retain(|above| above.level < heading.level);
            path.push(heading);
        }
        let indent = passage.len() - passage.trim_start().len();
        // A passage that opens with a heading says that one itself.
        let own = headings.peek().filter(|heading| heading.start <= start + indent);
        let above = path.iter().filter(|above| own.is_none_or(|own| above.level < own.level));
        let titles: Vec<&str> = above.map(|heading| heading.title.as_str()).collect();
        under(&titles, passage)
    });
    passages.collect()
}

/// The text, cut only inside what goes on for too long without an empty line: there at the end of
/// a line, or else of a word, or else anywhere. Each block comes with its place.
fn blocks(text: &str) -> Vec<(usize, &str)> {
    let mut blocks = Vec::new();
    let (mut start, mut end) = (0, 0);
    for run in text.split_inclusive("\n\n") {
        let run_end = end + run.len();
        while run_end - end > RUN_BYTES {
            let limit = (end..=end + RUN_BYTES).rev().find(|at| text.is_char_boundary(*at));
            let head = limit.and_then(|limit| text.get(end..limit)).unwrap_or_default();
            let cut = head.rfind('\n').or_else(|| head.rfind(' '));
            end += cut.map_or(head.len(), |at| at + 1);
            blocks.extend(text.get(start..end).map(|block| (start, block)));
            start = end;
        }
        end = run_end;
    }
    blocks.extend(text.get(start..).map(|block| (start, block)));
    blocks
}

/// The passage with its heading path as the first line.
fn under(titles: &[&str], passage: &str) -> String {
    let path = titles.join(" > ");
    let surplus = path.chars().count().saturating_sub(PATH_CHARACTERS);
    // What stands last is nearest to the passage.
    let path: String = path.chars().skip(surplus).collect();
    if path.is_empty() || passage.starts_with(&path) {
        return passage.to_owned();
    }
    format!("# {path}\n\n{passage}")
}

struct Heading {
    start: usize,
    level: HeadingLevel,
    title: String,
}

fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut open: Option<Heading> = None;
    for (event, place) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = Some(Heading { start: place.start, level, title: String::new() });
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut open {
                    heading.title.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut open {
                    heading.title.push(' ');
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                headings.extend(open.take().filter(|heading| !heading.title.is_empty()));
            }
            _ => {}
        }
    }
    headings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_knows_the_headings_above_it() {
        let filler = "Every sentence of this filler is short and plain. ".repeat(18);
        let text = format!(
            "# Handbook\n\n{filler}\n\n## Travel\n\n{filler}\n\n{filler}\n\n### Trains\n\n{filler}\n\n## Pay\n\n{filler}\n"
        );
        let passages = passages(&text, Format::Markdown);
        let first_lines: Vec<&str> =
            passages.iter().map(|passage| passage.lines().next().unwrap()).collect();
        assert_eq!(
            first_lines,
            [
                "# Handbook",
                "# Handbook",
                "# Handbook > Travel",
                "# Handbook > Travel",
                "# Handbook"
            ],
            "{passages:#?}"
        );
        assert!(passages[1].contains("## Travel"));
        assert!(passages[3].contains("### Trains"));
    }

    #[test]
    fn a_comment_in_a_code_block_is_no_heading() {
        let code = format!("# Title\n\n```sh\n# not a heading\n{}```\n\nEnd.", "run\n".repeat(400));
        for passage in passages(&code, Format::Markdown) {
            assert!(!passage.starts_with("not a heading"), "{passage}");
        }
    }

    #[test]
    fn a_monstrous_heading_is_not_multiplied() {
        let text = format!("# {}\n\n{}", "x".repeat(100_000), "word ".repeat(100_000));
        let split: usize = passages(&text, Format::Markdown).iter().map(String::len).sum();
        assert!(split < 2 * text.len(), "{split} bytes of {}", text.len());
    }

    #[test]
    fn a_text_without_an_empty_line_is_split_in_time_and_whole() {
        let text =
            ["é".repeat(200_000), "word ".repeat(50_000), "| row |\n".repeat(30_000)].concat();
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
        for format in [Format::Markdown, Format::Plain] {
            let began = std::time::Instant::now();
            let passages = passages(&text, format);
            assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
            assert_eq!(passages.iter().map(|p| letters(p)).sum::<usize>(), letters(&text));
        }
    }

    #[test]
    fn plain_text_loses_no_word_and_stays_short() {
        let text = (0..5_000).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
        let passages = passages(&text, Format::Plain);
        assert!(passages.iter().all(|passage| passage.chars().count() <= PASSAGE_CHARACTERS));
        let words: Vec<&str> = passages.iter().flat_map(|p| p.split_whitespace()).collect();
        assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
    }
}
