//! Lets only citations of given sources through.

/// A citation that is longer is none.
const MAX_HELD_BYTES: usize = 64;

/// Filters a text that arrives in any pieces.
///
/// `[2]`, `[1, 2]` and `[1-3]` are citations: each number that names a source comes out as a
/// citation of its own, every other number is dropped.
/// What could still become a citation is held back; dropping one never makes another of what
/// stands around it.
#[derive(Debug)]
pub(crate) struct CitationFilter {
    sources: usize,
    held: String,
}

impl CitationFilter {
    /// Sources are numbered from 1.
    pub(crate) fn new(sources: usize) -> Self {
        Self { sources, held: String::new() }
    }

    /// What may leave now that this piece has come.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            match c {
                '[' => self.held.push(c),
                _ if self.held.is_empty() => out.push(c),
                ']' => self.close(&mut out),
                _ if c.is_ascii_digit() || is_separator(c) => self.held.push(c),
                _ => {
                    out.push_str(&std::mem::take(&mut self.held));
                    out.push(c);
                }
            }
            if self.held.len() > MAX_HELD_BYTES {
                out.push_str(&std::mem::take(&mut self.held).replace('[', ""));
            }
        }
        out
    }

    /// What was held back when the text ended.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    fn close(&mut self, out: &mut String) {
        let Some((before, inside)) = self.held.rsplit_once('[') else {
            return;
        };
        let numbers: Vec<&str> = inside.split(is_separator).filter(|n| !n.is_empty()).collect();
        if numbers.is_empty() {
            out.push_str(&self.held);
            out.push(']');
            self.held.clear();
            return;
        }
        let valid: Vec<usize> = numbers
            .iter()
            .filter_map(|number| number.parse().ok())
            .filter(|number| (1..=self.sources).contains(number))
            .collect();
        let before = before.to_owned();
        if valid.is_empty() {
            self.held = before;
        } else {
            out.push_str(&before);
            out.extend(valid.iter().map(|number| format!("[{number}]")));
            self.held.clear();
        }
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '-' | '–' | ' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::CitationFilter;

    fn filter(text: &str, sources: usize) -> String {
        let mut filter = CitationFilter::new(sources);
        filter.push(text) + &filter.finish()
    }

    #[test]
    fn citations_of_given_sources_stay_and_others_go() {
        for (text, expected) in [
            ("Yes [1]. No [3].", "Yes [1]. No ."),
            ("[1, 2; 9]", "[1][2]"),
            ("[1-2]", "[1][2]"),
            ("[0][00002][-1]", "[2][1]"),
            ("[[9]8]", ""),
            ("[[9]1]", "[1]"),
            ("[[1]8]", "[[1]8]"),
            ("a[i] = [x] []", "a[i] = [x] []"),
            ("[1", "[1"),
            ("[99999999999999999999999]", ""),
        ] {
            assert_eq!(filter(text, 2), expected, "{text}");
        }
    }

    /// The numbers that a reader would take for citations.
    fn cited(text: &str) -> Vec<usize> {
        text.split('[')
            .skip(1)
            .filter_map(|part| part.split_once(']'))
            .filter_map(|(inside, _)| inside.trim().parse().ok())
            .collect()
    }

    proptest! {
        #[test]
        fn only_valid_citations_leave_however_the_text_is_cut(
            text in "([\\[\\]0-9 ,a–-]|\\[[0-9]{1,2}\\]){0,60}|[\\[0-9]{60,90}\\]",
            sources in 0_usize..12,
            size in 1_usize..5,
        ) {
            let whole = filter(&text, sources);
            prop_assert!(cited(&whole).iter().all(|n| (1..=sources).contains(n)), "{text} → {whole}");
            let mut filter = CitationFilter::new(sources);
            let chars: Vec<char> = text.chars().collect();
            let mut pieces: String =
                chars.chunks(size).map(|piece| filter.push(&String::from_iter(piece))).collect();
            pieces += &filter.finish();
            prop_assert_eq!(pieces, whole);
        }
    }
}
