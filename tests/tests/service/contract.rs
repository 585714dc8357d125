//! The contract: every response, to valid and invalid requests, is one that the OpenAPI document describes,
//! with a body that matches its schema. Most requests go to the operator listener, which serves every path.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use reqwest::Method;
use reqwest::blocking::Response;
use reqwest::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// Headers that programs need, so that they are documented wherever they are sent.
const HEADERS_FOR_PROGRAMS: [&str; 9] = [
    "content-range",
    "etag",
    "job-id",
    "location",
    "retry-after",
    "tus-resumable",
    "tus-version",
    "upload-offset",
    "www-authenticate",
];

/// Headers for clients that are limited, or that wait for the end of a job: other tests do.
const SENT_ON_CONDITION: [&str; 4] =
    ["content-location", "preference-applied", "ratelimit", "ratelimit-policy"];

/// The document, and which of its responses and headers were seen.
struct Contract {
    document: Value,
    seen: BTreeSet<(String, String, u16)>,
    headers_seen: BTreeSet<String>,
}

impl Contract {
    fn of(server: &TestServer) -> Result<Self> {
        let document = server.json("/openapi.json")?;
        Ok(Self { document, seen: BTreeSet::new(), headers_seen: BTreeSet::new() })
    }

    fn operations(&self) -> Vec<(String, String)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let of_path = |(path, item): (&String, &Value)| {
            let item = item.clone();
            let path = path.clone();
            let methods = METHODS.into_iter().filter(move |method| item[*method].is_object());
            methods.map(move |method| (method.to_owned(), path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// Checks the response to a documented operation.
    fn check(&mut self, method: &str, path: &str, answer: Response) -> Result<()> {
        let status = answer.status().as_u16();
        let what = format!("{} {path}: {status}", method.to_uppercase());
        let responses = &self.document["paths"][path][method]["responses"];
        let promised = responses[status.to_string()].clone();
        let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        if [423, 429, 503, 507].contains(&status) {
            let wait = answer.headers().get(RETRY_AFTER).context(what.clone())?;
            ensure!(wait.to_str()?.parse::<u64>()? > 0, "{what}: {wait:?}");
        }
        self.check_headers(&what, &promised["headers"], answer.headers())?;
        let is_compressed = answer.headers().contains_key(CONTENT_ENCODING);
        // This stream has no end.
        let is_endless = path == "/api/monitor" && status == 200;
        let body = if is_endless { first_byte(answer)? } else { answer.bytes()?.to_vec() };
        let body = if is_compressed { decompressed(&body)? } else { body };
        ensure!(
            promised.is_object(),
            "{what} is not documented: {kind:?} {}",
            String::from_utf8_lossy(&body)
        );
        self.seen.insert((method.to_owned(), path.to_owned(), status));
        let Some(contents) = promised["content"].as_object() else {
            ensure!(body.is_empty(), "{what}: a body that is not documented");
            return Ok(());
        };
        let kind = kind.with_context(|| format!("{what}: no content type"))?;
        let plain = kind.split(';').next().unwrap_or_default();
        let content = contents.get(plain).or_else(|| contents.get("*/*"));
        let content = content.with_context(|| format!("{what}: {kind} is not documented"))?;
        if plain.ends_with("json") && contents.contains_key(plain) && method != "head" {
            let documents = serde_json::Deserializer::from_slice(&body).into_iter();
            let documents: Vec<Value> = documents.collect::<Result<_, _>>()?;
            ensure!(plain.ends_with("ndjson") || documents.len() == 1, "{what}: {documents:?}");
            for document in &documents {
                self.validate(&what, &content["schema"], document)?;
            }
        }
        Ok(())
    }

    fn check_headers(&mut self, what: &str, promised: &Value, sent: &HeaderMap) -> Result<()> {
        let promised: BTreeSet<String> = promised
            .as_object()
            .into_iter()
            .flat_map(|headers| headers.keys())
            .map(|name| name.to_lowercase())
            .collect();
        for name in HEADERS_FOR_PROGRAMS.iter().filter(|name| sent.contains_key(**name)) {
            // An upload that exists is named also if its first bytes are refused.
            let is_of_refusal = *name == "location" && what.starts_with("POST /api/tus: ");
            ensure!(
                promised.contains(*name) || is_of_refusal,
                "{what}: the header {name} is not documented"
            );
        }
        self.headers_seen.extend(promised.into_iter().filter(|name| sent.contains_key(name)));
        Ok(())
    }

    /// The headers that some success documents, in lower case. Each header of any response has a description.
    fn documented_headers(&self) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for (method, path) in self.operations() {
            let responses = self.document["paths"][&path][&method]["responses"].as_object();
            for (status, response) in responses.context("responses")? {
                for (name, header) in response["headers"].as_object().into_iter().flatten() {
                    let what = format!("{method} {path} {status}: {name}");
                    ensure!(header["description"].is_string(), "{what} has no description");
                    if !status.starts_with(['4', '5']) {
                        names.insert(name.to_lowercase());
                    }
                }
            }
        }
        Ok(names)
    }

    fn validate(&self, what: &str, schema: &Value, body: &Value) -> Result<()> {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": self.document["components"],
            "allOf": [schema],
        });
        let validator = jsonschema::validator_for(&schema).context(what.to_owned())?;
        let errors: Vec<_> = validator.iter_errors(body).map(|error| error.to_string()).collect();
        ensure!(errors.is_empty(), "{what}: {errors:?} in {body}");
        if let Some(name) = schema["allOf"][0]["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
            let known = &self.document["components"]["schemas"][name]["properties"];
            for field in body.as_object().into_iter().flat_map(|body| body.keys()) {
                ensure!(known[field].is_object(), "{what}: the field {field} is not documented");
            }
        }
        Ok(())
    }

    /// Checks a refusal that belongs to no operation.
    fn check_problem(&self, answer: Response, status: u16, code: &str) -> Result<()> {
        ensure!(answer.status() == status, "{} is {}, not {status}", answer.url(), answer.status());
        ensure!(answer.headers()[CONTENT_TYPE] == "application/problem+json", "{}", answer.url());
        let url = answer.url().clone();
        let body: Value = answer.json()?;
        ensure!(body["code"] == code, "{url}: {body}");
        self.validate(url.as_str(), &json!({"$ref": "#/components/schemas/Problem"}), &body)
    }
}

fn first_byte(mut answer: Response) -> Result<Vec<u8>> {
    let mut byte = vec![0];
    answer.read_exact(&mut byte)?;
    Ok(byte)
}

fn decompressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Values for the parameter of a path: valid, invalid and malicious.
fn values(id: &str) -> Vec<String> {
    let mut values: Vec<String> = [
        "nonsense",
        "%ff",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%F0%9F%92%A9",
        "a%0d%0ab:c",
        "-",
        "%20",
    ]
    .map(String::from)
    .into();
    values.extend([id.to_owned(), "0".repeat(32), id.to_uppercase(), "9".repeat(5000)]);
    values
}

/// Addresses for a template of a path.
fn addresses(template: &str, id: &str) -> Vec<String> {
    let names = ["output.mp4", "pose_data.csv", "metadata.json", "video", "json", "exe", "%ff"];
    let mut open = vec![template.to_owned()];
    for (parameter, values) in [
        ("{id}", values(id)),
        ("{name}", names.map(String::from).into()),
        ("{kind}", names.map(String::from).into()),
        ("{category}", ["dance", "%ff"].map(String::from).into()),
        ("{example}", ["waltz"].map(String::from).into()),
        ("{code}", ["queue_full", "not_a_video", "nothing", "%ff"].map(String::from).into()),
    ] {
        open = open
            .into_iter()
            .flat_map(|address| match address.contains(parameter) {
                true => values.iter().map(|value| address.replace(parameter, value)).collect(),
                false => vec![address],
            })
            .collect();
    }
    open
}

const HEADERS: [&[(&str, &str)]; 12] = [
    &[],
    &[("range", "bytes=0-9")],
    &[("range", "bytes=999999999-")],
    &[("range", "lines=1-2")],
    &[("if-none-match", "*"), ("if-modified-since", "Sat, 01 Jan 2050 00:00:00 GMT")],
    &[("if-match", "\"other\""), ("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT")],
    &[("accept", "image/png"), ("accept-encoding", "gzip, br;q=0.1, *;q=0")],
    &[("last-event-id", "nonsense"), ("authorization", "Bearer nonsense")],
    &[("x-forwarded-for", "203.0.113.9"), ("host", "evil.example")],
    &[("tus-resumable", "1.0.0"), ("upload-length", "9"), ("upload-offset", "0")],
    &[("tus-resumable", "1.0.0"), ("upload-length", "99999999999"), ("upload-checksum", "md5 =")],
    &[("tus-resumable", "1.0.0"), ("upload-length", "0"), ("upload-metadata", "mode d2FycA==")],
];

const BODIES: [(&str, &str); 8] = [
    ("", ""),
    ("text/plain", "hello"),
    ("application/json", "{\"file\": 1}"),
    ("multipart/form-data", "no boundary"),
    ("multipart/form-data; boundary=x", "--x\r\nno header"),
    (
        "multipart/form-data; boundary=x",
        "--x\r\nContent-Disposition: form-data; name=\"mode\"\r\n\r\nwarp\r\n--x--\r\n",
    ),
    ("video/mp4", "FAULT ok\n"),
    ("application/offset+octet-stream", "chunk"),
];

const QUERIES: [&str; 8] = [
    "",
    "?mode=fast&interval=2",
    "?interval=0",
    "?interval=1&interval=1",
    "?mode=%ff",
    "?%zz=&&=",
    "?limit=1&offset=1",
    "?limit=0",
];

/// A complete resumable upload, with each request in both forms that exist.
fn resumable(server: &TestServer, contract: &mut Contract) -> Result<()> {
    let one = "/api/tus/{id}";
    let ask = |method: Method, url: &str, headers: &[(&str, &str)]| {
        let request = server.client().request(method, url).header("tus-resumable", "1.0.0");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let named = [("upload-length", "9"), ("upload-metadata", "filename YS5tcDQ=")];
    let begin = || {
        let answer = ask(Method::POST, &server.url("/api/tus"), &named).send()?;
        let url = server.url(answer.headers()["location"].to_str()?);
        Ok::<_, anyhow::Error>((answer, url))
    };
    let bytes = ("content-type", "application/offset+octet-stream");
    let (begun, url) = begin()?;
    contract.check("post", "/api/tus", begun)?;
    contract.check("head", one, ask(Method::HEAD, &url, &[]).send()?)?;
    for (offset, body) in [("0", "FAULT ok\n and more"), ("1", "FAULT"), ("0", "FAULT ok\n")] {
        let request = ask(Method::PATCH, &url, &[("upload-offset", offset), bytes]);
        contract.check("patch", one, request.body(body).send()?)?;
    }
    contract.check("delete", one, ask(Method::DELETE, &url, &[]).send()?)?;
    contract.check("delete", one, ask(Method::DELETE, &url, &[]).send()?)?;
    let (_, url) = begin()?;
    for method in ["HEAD", "PATCH", "DELETE", "DELETE", "GET"] {
        let headers = [("x-http-method-override", method), ("upload-offset", "0"), bytes];
        let request = ask(Method::POST, &url, &headers);
        contract.check("post", one, request.body("FAULT ok\n").send()?)?;
    }
    Ok(())
}

#[test]
fn every_response_matches_the_openapi_document() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("video");
    std::fs::write(&video, "FAULT ok\n")?;
    let gallery = folder.path().join("gallery");
    std::fs::create_dir_all(gallery.join("dance/waltz"))?;
    for file in ["thumbnail.jpg", "preview.mp4", "output.mp4"] {
        std::fs::write(gallery.join("dance/waltz").join(file), file.repeat(5))?;
    }
    let gallery = gallery.to_str().context("a plain path")?;
    let server = start_fault_service(&["--queue-max", "1000", "--gallery-dir", gallery])?;
    let mut contract = Contract::of(&server)?;
    let id = server.submit(&video)?;
    server.await_end(&id)?;
    for (method, path) in contract.operations() {
        // Last, because it removes the job that the others use.
        if path.starts_with("/api/cleanup") {
            continue;
        }
        let verb = Method::from_bytes(method.to_uppercase().as_bytes())?;
        let takes_body = contract.document["paths"][&path][&method]["requestBody"].is_object();
        let bodies = if takes_body { &BODIES[..] } else { &BODIES[..1] };
        for address in addresses(&path, &id) {
            for headers in HEADERS {
                let url = server.operator_url(&address)?;
                let request = server.client().request(verb.clone(), url);
                let request =
                    headers.iter().fold(request, |r, (name, value)| r.header(*name, *value));
                contract.check(&method, &path, request.send()?)?;
            }
            for (kind, body) in bodies {
                for query in QUERIES {
                    let url = server.operator_url(&format!("{address}{query}"))?;
                    let mut request = server.client().request(verb.clone(), url).body(*body);
                    if !kind.is_empty() {
                        request = request.header(CONTENT_TYPE, *kind);
                    }
                    contract.check(&method, &path, request.send()?)?;
                }
            }
        }
    }
    resumable(&server, &mut contract)?;
    let answer = server.upload(&video, &[("interval", "2")])?;
    contract.check("post", "/api/upload", answer)?;
    for _ in 0..2 {
        let url = server.url(&format!("/api/cleanup/{id}"));
        contract.check("delete", "/api/cleanup/{id}", server.client().delete(url).send()?)?;
    }
    let documented = contract.documented_headers()?;
    let unsent = documented.difference(&contract.headers_seen);
    let unsent: Vec<_> =
        unsent.filter(|name| !SENT_ON_CONDITION.contains(&name.as_str())).collect();
    assert_eq!(unsent, Vec::<&String>::new(), "never sent");
    let succeeded = |(method, path): &(String, String)| {
        contract.seen.iter().any(|(m, p, status)| (m, p) == (method, path) && *status < 400)
    };
    let unseen: Vec<_> = contract.operations().into_iter().filter(|one| !succeeded(one)).collect();
    // Other tests cancel and retry jobs: here none is pending long enough, and none fails.
    let elsewhere =
        ["/api/cancel/{id}", "/api/retry/{id}"].map(|path| ("post".into(), path.into()));
    assert_eq!(unseen, elsewhere, "never succeeded");
    Ok(())
}

#[test]
fn undocumented_paths_do_not_exist() -> Result<()> {
    let server = start_fault_service(&["--queue-max", "1000"])?;
    let contract = Contract::of(&server)?;
    for (path, item) in contract.document["paths"].as_object().context("paths")? {
        let address = path.replace("{id}", &"0".repeat(32)).replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            let is_there = item[method.to_lowercase()].is_object();
            if is_there {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes())?;
            let answer = server.client().request(method, server.url(&address)).send()?;
            let allowed =
                answer.headers().get(ALLOW).context(address.clone())?.to_str()?.to_owned();
            contract.check_problem(answer, 405, "method_not_allowed")?;
            let documented = METHODS.iter().filter(|method| item[**method].is_object());
            for method in documented {
                assert!(allowed.contains(&method.to_uppercase()), "{path}: {allowed}");
            }
        }
    }
    for nowhere in ["/api/", "/nothing", "/api/status", "/api/status/a/b", "/%ff", "//", "/docs/"] {
        contract.check_problem(server.get(nowhere)?, 404, "unknown_address")?;
    }
    Ok(())
}

#[test]
fn the_documentation_page_lists_every_operation_without_scripts() -> Result<()> {
    let server = start_fault_service(&["--queue-max", "1000"])?;
    let contract = Contract::of(&server)?;
    let answer = server.get("/docs")?;
    let policy = answer.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = answer.text()?;
    for (method, path) in contract.operations() {
        assert!(page.contains(&format!("{} {path}", method.to_uppercase())), "{method} {path}");
    }
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("//cdn"));
    assert_eq!(contract.document["openapi"], "3.1.0");
    Ok(())
}
