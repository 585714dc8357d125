//! A headless Chromium for one test, driven over W3C WebDriver by `chromedriver`. Tests inspect the page
//! with JavaScript that runs in it.

use crate::report;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Longest wait for anything; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(240);
/// Height of a window, in pixels of style sheets.
const HEIGHT_PX: u64 = 844;
/// What of a long page a screenshot shows.
const HEIGHT_PX_MAX: u64 = 2400;
/// How an element is named in answers (WebDriver, 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running browser with one page.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    client: Client,
    session: String,
    _profile: TempDir,
}

/// A page's colour scheme.
#[derive(Debug, Clone, Copy)]
pub enum ColourScheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// How a page is shown.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// In pixels of style sheets.
    pub width: u32,
    /// Pixels of the screen for each of those.
    pub scale: u32,
    /// The colour scheme that the user prefers.
    pub colours: ColourScheme,
}

/// Where screenshots are saved.
pub fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots")
}

impl Browser {
    /// Starts one; none, which is counted as a skip, where `chromedriver` is not installed.
    pub fn start() -> Result<Option<Self>> {
        Self::start_with(&[])
    }

    /// Starts one with two cameras and a microphone, which show and play test patterns and are granted to every page.
    pub fn start_with_cameras() -> Result<Option<Self>> {
        Self::start_with(&[
            "--use-fake-device-for-media-stream=device-count=2",
            "--use-fake-ui-for-media-stream",
        ])
    }

    fn start_with(flags: &[&str]) -> Result<Option<Self>> {
        let profile = tempfile::tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(driver) = driver else {
            report::skipped("browser", "no chromedriver; install the package chromium-driver");
            return Ok(None);
        };
        let client = Client::builder().timeout(WAIT_MAX).build()?;
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, client, session: base, _profile: profile };
        browser.await_driver()?;
        browser.open_session(flags)?;
        Ok(Some(browser))
    }

    fn await_driver(&self) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        while self.client.get(format!("{}/status", self.session)).send().is_err() {
            ensure!(Instant::now() < deadline, "chromedriver does not answer");
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn open_session(&mut self, more_flags: &[&str]) -> Result<()> {
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", self._profile.path().display()),
        ];
        let flags = [&flags[..], more_flags].concat();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": flags }, "unhandledPromptBehavior": "accept",
        }}});
        let opened = self.call("/session", &capabilities)?;
        let id = opened["sessionId"].as_str().context("no session")?;
        self.session = format!("{}/session/{id}", self.session);
        Ok(())
    }

    fn call(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.client.post(format!("{}{path}", self.session)).json(body).send()?;
        let (status, mut answer): (_, Value) = (answer.status(), answer.json()?);
        ensure!(status.is_success(), "{path}: {}", answer["value"]["message"]);
        Ok(answer["value"].take())
    }

    /// Opens an address.
    pub fn visit(&self, url: &str) -> Result<()> {
        self.call("/url", &json!({ "url": url })).map(drop)
    }

    /// Runs a script in the page; gives what it returns.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.call("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true in the page.
    pub fn wait(&self, expression: &str) -> Result<()> {
        let deadline = Instant::now() + WAIT_MAX;
        while self.run(&format!("return Boolean({expression})"))? != true {
            if Instant::now() > deadline {
                let page = self.run("return document.querySelector('main').innerText")?;
                bail!("timed out waiting: {expression}; the page shows {page}");
            }
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// The text of the first element a selector finds.
    pub fn text(&self, selector: &str) -> Result<String> {
        let text = self.run(&format!("return document.querySelector('{selector}').textContent"))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    fn element(&self, selector: &str) -> Result<String> {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.call("/element", &query)?;
        Ok(found[ELEMENT].as_str().context("no element")?.to_owned())
    }

    /// Clicks as a user does: an element that is covered or disabled is not clicked.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.call(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// Types into an element; into a file field, the path of a file, or of several on a line each.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.call(&format!("/element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    /// Presses keys, one after the other, in what has the focus; special ones by their code points (WebDriver, 17.4.2).
    pub fn press(&self, keys: &str) -> Result<()> {
        let press =
            |key: char| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let presses: Vec<Value> = keys.chars().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": presses });
        self.call("/actions", &json!({ "actions": [keyboard] })).map(drop)
    }

    /// Drags from the middle of an element, by so many pixels to the right and down.
    pub fn drag(&self, selector: &str, [right, down]: [i32; 2]) -> Result<()> {
        // What is outside the window cannot be pointed at.
        let into_view = "scrollIntoView({block: 'center'})";
        self.run(&format!("document.querySelector('{selector}').{into_view}"))?;
        let element = json!({ ELEMENT: self.element(selector)? });
        let moves = json!([
            { "type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0 },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerMove", "duration": 0, "origin": "pointer", "x": right, "y": down },
            { "type": "pointerUp", "button": 0 },
        ]);
        let pointer = json!({ "type": "pointer", "id": "mouse", "actions": moves });
        self.call("/actions", &json!({ "actions": [pointer] })).map(drop)
    }

    /// Opens an upload page and selects a file.
    pub fn choose(&self, page: &str, file: &Path) -> Result<()> {
        self.visit(page)?;
        // Until the limits are known, a file that is too large is not yet refused.
        self.wait("document.querySelector('#limits').textContent.includes('Up to')")?;
        self.type_into("#file", &file.display().to_string())
    }

    /// Saves a screenshot of the whole page in `target/screenshots`.
    pub fn screenshot(&self, name: &str, width: u32, colours: ColourScheme) -> Result<PathBuf> {
        self.show_as(View { width, scale: 1, colours })?;
        let path = screenshots().join(format!("{name}.png"));
        self.save_picture(&path)?;
        self.devtools("Emulation.clearDeviceMetricsOverride", &json!({}))?;
        Ok(path)
    }

    /// Shows the page in a window of this kind, as high as the page.
    pub fn show_as(&self, View { width, scale, colours }: View) -> Result<()> {
        let scheme = match colours {
            ColourScheme::Light => "light",
            ColourScheme::Dark => "dark",
        };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }))?;
        let size = |height: u64| json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size(HEIGHT_PX))?;
        let height = self.run("return document.documentElement.scrollHeight")?;
        let height = height.as_u64().context("a height")?.min(HEIGHT_PX_MAX);
        self.devtools("Emulation.setDeviceMetricsOverride", &size(height)).map(drop)
    }

    /// Saves a picture of the window.
    pub fn save_picture(&self, path: &Path) -> Result<()> {
        let picture = self.devtools("Page.captureScreenshot", &json!({ "format": "png" }))?;
        let bytes = STANDARD.decode(picture["data"].as_str().context("a picture")?)?;
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, bytes).with_context(|| path.display().to_string())
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.call("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What axe-core reports as serious or critical, one line for each finding.
    pub fn accessibility_faults(&self) -> Result<Vec<String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = root.join("target/browser/node_modules/axe-core/axe.min.js");
        let Ok(axe) = fs::read_to_string(&path) else {
            let why = format!("it is not at {}; run `make browser-tools`", path.display());
            report::skipped("axe-core", &why);
            return Ok(Vec::new());
        };
        self.run(&axe)?;
        let script = "const done = arguments[0]; axe.run().then((found) => done(found.violations \
            .filter(({impact}) => impact === 'serious' || impact === 'critical') \
            .map(({id, nodes}) => `${id}: ${nodes.map((node) => node.target).join(', ')}`)), \
            (error) => done([String(error)]))";
        let found = self.call("/execute/async", &json!({ "script": script, "args": [] }))?;
        Ok(serde_json::from_value(found)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
