//! HTML → Markdown.

use std::rc::Rc;

use htmd::{HtmlToMarkdown, Node};

use super::Problem;

/// The deepest nesting. The conversion calls itself once for each level, and what runs out of
/// stack cannot be caught.
const MAX_DEPTH: usize = 512;

const UNSEEN: [&str; 7] = ["head", "script", "style", "noscript", "template", "svg", "iframe"];

pub(super) fn read(html: &str) -> Result<String, Problem> {
    let converter = HtmlToMarkdown::builder().skip_tags(UNSEEN.to_vec()).build();
    let tree = converter.html_to_tree(html)?;
    if is_deeper_than(MAX_DEPTH, &tree) {
        return Err(Problem::broken("its elements are nested too deeply"));
    }
    Ok(converter.tree_to_markdown(&tree))
}

fn is_deeper_than(limit: usize, tree: &Rc<Node>) -> bool {
    let mut level = vec![Rc::clone(tree)];
    for _ in 0..limit {
        level = level.iter().flat_map(|node| node.children.borrow().clone()).collect();
    }
    !level.is_empty()
}
