//! Pictures of the states of the pages in every kind of window, side by side on one page in
//! `target/screenshots/review`.

use crate::browser::{Browser, ColourScheme, View, screenshots};
use anyhow::{Result, ensure};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// The kinds of windows. The last is 1280 pixels wide, of a page at 200 %.
const VIEWS: [(&str, View); 4] = [
    ("light", View { width: 1280, scale: 1, colours: ColourScheme::Light }),
    ("dark", View { width: 1280, scale: 1, colours: ColourScheme::Dark }),
    ("phone", View { width: 390, scale: 1, colours: ColourScheme::Light }),
    ("zoom", View { width: 640, scale: 2, colours: ColourScheme::Dark }),
];

/// Views in which axe-core looks at a page: both colour schemes, in the narrow layouts.
const EXAMINED: [&str; 2] = ["phone", "zoom"];

/// The pictures so far.
pub struct Review<'a> {
    browser: &'a Browser,
    folder: PathBuf,
    states: Vec<&'static str>,
}

impl<'a> Review<'a> {
    /// Begins without pictures.
    pub fn of(browser: &'a Browser) -> Self {
        Self { browser, folder: screenshots().join("review"), states: Vec::new() }
    }

    /// Takes the pictures of the page as it is.
    ///
    /// # Errors
    /// The page is wider than its window, or has barriers.
    pub fn capture(&mut self, state: &'static str) -> Result<()> {
        self.states.push(state);
        for (name, view) in VIEWS {
            self.browser.show_as(view)?;
            self.browser.save_picture(&self.folder.join(format!("{state}-{name}.png")))?;
            let widths = self.browser.run(
                "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]",
            )?;
            let is_within = widths[0].as_u64() <= widths[1].as_u64();
            ensure!(is_within, "{state}, {name}: the page and its window are {widths} pixels wide");
            if EXAMINED.contains(&name) {
                let found = self.browser.accessibility_faults()?;
                ensure!(found.is_empty(), "{state}, {name}: {}", json!(found));
            }
        }
        Ok(())
    }

    /// Writes the page with all pictures.
    pub fn finish(self) -> Result<()> {
        let titles = VIEWS.map(|(name, _)| format!("<th>{name}</th>")).concat();
        let rows: String = self.states.iter().map(|state| row(state)).collect();
        let page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>States of the pages</title>\n\
             <style>img {{ width: 20vw; border: 1px solid gray }} td, th {{ vertical-align: top }}</style>\n\
             <table>\n<tr><th></th>{titles}</tr>\n{rows}</table>\n</html>\n"
        );
        Ok(fs::write(self.folder.join("index.html"), page)?)
    }
}

fn row(state: &str) -> String {
    let picture = |(name, _): (&str, View)| {
        let file = format!("{state}-{name}.png");
        format!("<td><a href=\"{file}\"><img src=\"{file}\" alt=\"{state}, {name}\"></a></td>")
    };
    format!("<tr><th>{state}</th>{}</tr>\n", VIEWS.map(picture).concat())
}
