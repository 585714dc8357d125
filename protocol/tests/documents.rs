//! The tables of options, output formats and warnings in the documentation are made from those of the code.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::options::{OPTIONS, Options};
use bodyscript_protocol::warning::WARNINGS;
use std::fmt::Write;

/// Compares the part of a document between two markers; with `BLESS` set, it is written instead.
fn check(document: &str, marker: &str, table: &str) {
    let path = format!("{}/../docs/{document}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the document exists");
    let (begin, end) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->"));
    let (head, rest) = text.split_once(&begin).expect("the start of the table");
    let (printed, tail) = rest.split_once(&end).expect("the end of the table");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{head}{begin}{table}{end}{tail}")).expect("writes");
    } else {
        assert_eq!(printed, table, "run this test with BLESS=1 to update docs/{document}");
    }
}

#[test]
fn the_table_of_options_in_docs_api_md_is_current() {
    let mut table = String::from("| Option | Accepted | Default | Meaning |\n|---|---|---|---|\n");
    for row in &OPTIONS {
        let default = (row.get)(&Options::default());
        let default = default.map_or(String::new(), |value| format!("`{value}`"));
        let excluded = row.excludes.map_or(String::new(), |other| format!("; not with `{other}`"));
        let (name, values, help) = (row.name, row.values, row.help);
        writeln!(table, "| `{name}` | {values} | {default} | {help}{excluded} |").expect("fits");
    }
    check("api.md", "options", &table);
}

#[test]
fn the_table_of_warnings_in_docs_outputs_md_is_current() {
    let mut table = String::from("| Code | Sentence |\n|---|---|\n");
    for row in &WARNINGS {
        writeln!(table, "| `{}` | {} |", row.code, row.sentence).expect("fits");
    }
    check("outputs.md", "warnings", &table);
}

#[test]
fn the_table_of_formats_in_docs_outputs_md_is_current() {
    let mut table =
        String::from("| Name | File | Media type | Default | Content |\n|---|---|---|---|---|\n");
    for artefact in Artefact::ALL {
        let (name, file, content) = (artefact.name(), artefact.file_name(), artefact.content());
        let media_type = artefact.media_type().split(';').next().unwrap_or_default();
        let default = if artefact.is_default() { "yes" } else { "" };
        writeln!(table, "| `{name}` | `{file}` | `{media_type}` | {default} | {content} |")
            .expect("fits");
    }
    check("outputs.md", "formats", &table);
}
