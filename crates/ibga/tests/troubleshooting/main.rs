//! The messages that `docs/troubleshooting.md` quotes, against what the program says: every line of a quotation has to be printed by
//! one and the same run, and every heading has to be a part of some message.
//!
//! To quote another message, write it into the page, and add a scene in `scenes.rs` that brings it about.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

#[path = "../common/mod.rs"]
mod common;
mod engine;
mod scenes;

use std::fs::File;
use std::io;
use std::path::Path;

/// The messages of the page: each quotation with its lines, and the words in headings.
struct Page {
    quotations: Vec<Vec<String>>,
    headings: Vec<String>,
}

impl Page {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/troubleshooting.md");
        let text = File::open(path).and_then(io::read_to_string).expect("the page");
        let (mut quotations, mut headings, mut open) = (Vec::new(), Vec::new(), None);
        for line in text.lines() {
            match (line.trim(), &mut open) {
                ("```text", None) => open = Some(Vec::new()),
                ("```", Some(_)) => quotations.extend(open.take()),
                (quoted, Some(lines)) => lines.push(quoted.to_owned()),
                (line, None) if line.starts_with("### ") => {
                    headings.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
                }
                _ => {}
            }
        }
        Self { quotations, headings }
    }
}

#[test]
fn every_quoted_message_is_real() {
    let page = Page::read();
    let scenes = scenes::all();
    assert!(page.quotations.len() > 30 && page.headings.len() > 20, "the page was not understood");
    let has = |text: &str, line: &String| text.lines().any(|printed| printed == line);
    let mut faults = Vec::new();
    for lines in &page.quotations {
        if !scenes.iter().any(|(_, text)| lines.iter().all(|line| has(text, line))) {
            let unheard = lines.iter().find(|line| !scenes.iter().any(|(_, text)| has(text, line)));
            faults.push(format!("no run prints all of {lines:#?}; nothing ever says {unheard:?}"));
        }
    }
    for heading in &page.headings {
        let parts: Vec<&str> = heading.split('…').map(str::trim).collect();
        let is_part = |line: &str| parts.iter().all(|part| line.contains(part));
        if !scenes.iter().flat_map(|(_, text)| text.lines()).any(is_part) {
            faults.push(format!("no message has `{heading}` in it"));
        }
    }
    for (name, text) in &scenes {
        if !page.quotations.iter().any(|lines| lines.iter().all(|line| has(text, line))) {
            faults.push(format!("the page quotes nothing of the scene `{name}`:\n{text}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The three that operators know come first, and links within the page lead somewhere.
#[test]
fn the_page_begins_with_what_operators_know_and_its_links_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/troubleshooting.md");
    let text = File::open(path).and_then(io::read_to_string).expect("the page");
    let anchors: Vec<String> = text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    let links: Vec<&str> = text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for link in &links {
        assert!(anchors.iter().any(|anchor| anchor == link), "#{link} is none of {anchors:#?}");
    }
    let known = [
        "pre-flight-failed---agent-cannot-start",
        "status-is-stale-152-minutes-old-max-10",
        "container-ibga-is-stopped",
    ];
    assert_eq!(links.get(..3), Some(&known[..]));
}

/// As the usual renderers make it of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}
