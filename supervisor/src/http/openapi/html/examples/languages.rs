//! How a request is written in each language.

use super::request::{Answer, Body, ExampleRequest, ListenerOf};

/// A language of examples.
pub(super) struct Language {
    pub(super) name: &'static str,
    /// Code before all examples.
    pub(super) preparation: &'static str,
    /// The code of a request.
    pub(super) example: fn(&ExampleRequest) -> String,
}

/// The languages, the most common first.
pub(super) const LANGUAGES: [Language; 3] = [
    Language {
        name: "curl",
        preparation: "SERVICE=http://127.0.0.1:8000\nOPERATORS=http://127.0.0.1:8001\n\
                      JOB=...     # job_id of an upload\nUPLOAD=...  # end of the Location of a resumable upload",
        example: curl,
    },
    Language {
        name: "Python",
        preparation: "import requests\n\nservice = \"http://127.0.0.1:8000\"\n\
                      operators = \"http://127.0.0.1:8001\"\njob = \"...\"     # job_id of an upload\n\
                      upload = \"...\"  # end of the Location of a resumable upload",
        example: python,
    },
    Language {
        name: "JavaScript",
        preparation: "const service = \"http://127.0.0.1:8000\";\n\
                      const operators = \"http://127.0.0.1:8001\";\n\
                      const job = \"...\"; // job_id of an upload\n\
                      const upload = \"...\"; // end of the Location of a resumable upload\n\
                      const video = document.querySelector(\"input[type=file]\").files[0];",
        example: java_script,
    },
];

const fn listener(request: &ExampleRequest) -> &'static str {
    match request.listener {
        ListenerOf::Clients => "service",
        ListenerOf::Operators => "operators",
    }
}

fn curl(request: &ExampleRequest) -> String {
    let path = request.path.replace("{job}", "$JOB").replace("{upload}", "$UPLOAD");
    let mut words = vec!["curl".to_owned()];
    words.extend(match (request.method.as_str(), request.body) {
        ("get", _) | ("post", Body::Form) => None,
        ("head", _) => Some("--head".to_owned()),
        (method, _) => Some(format!("--request {}", method.to_uppercase())),
    });
    let headers = request.headers.iter();
    words.extend(headers.map(|(name, value)| format!("--header \"{name}: {value}\"")));
    words.extend(match request.body {
        Body::Nothing => None,
        Body::Form => Some("--form file=@walk.mp4".to_owned()),
        Body::Video => Some("--data-binary @walk.mp4".to_owned()),
    });
    words.extend(match request.answer {
        Answer::Headers if request.method != "head" => Some("--include".to_owned()),
        Answer::File(name) => Some(format!("--location --output {name}")),
        Answer::Stream => Some("--no-buffer".to_owned()),
        Answer::Headers | Answer::Json | Answer::Text => None,
    });
    words.push(format!("\"${}{path}\"", listener(request).to_uppercase()));
    match words.len() {
        0..=3 => words.join(" "),
        _ => words.join(" \\\n  "),
    }
}

fn python(request: &ExampleRequest) -> String {
    let mut arguments = vec![format!("f\"{{{}}}{}\"", listener(request), request.path)];
    if !request.headers.is_empty() {
        let headers =
            request.headers.iter().map(|(name, value)| format!("\"{name}\": \"{value}\""));
        arguments.push(format!("headers={{{}}}", headers.collect::<Vec<_>>().join(", ")));
    }
    arguments.extend(match request.body {
        Body::Nothing => None,
        Body::Form => Some("files={\"file\": open(\"walk.mp4\", \"rb\")}".to_owned()),
        Body::Video => Some("data=open(\"walk.mp4\", \"rb\")".to_owned()),
    });
    if request.answer == Answer::Stream {
        arguments.push("stream=True".to_owned());
    }
    let call = call(&format!("requests.{}(", request.method), &arguments, ")");
    let rest = match request.answer {
        Answer::Headers => "print(answer.status_code, dict(answer.headers))".to_owned(),
        Answer::Json => "print(answer.json())".to_owned(),
        Answer::Text => "print(answer.text)".to_owned(),
        Answer::File(name) => {
            format!("with open(\"{name}\", \"wb\") as file:\n    file.write(answer.content)")
        }
        Answer::Stream => "for line in answer.iter_lines():\n    print(line.decode())".to_owned(),
    };
    format!("answer = {call}\nanswer.raise_for_status()\n{rest}")
}

fn java_script(request: &ExampleRequest) -> String {
    let path = request.path.replace('{', "${");
    let mut options = Vec::new();
    if request.method != "get" {
        options.push(format!("method: \"{}\"", request.method.to_uppercase()));
    }
    if !request.headers.is_empty() {
        let headers =
            request.headers.iter().map(|(name, value)| format!("\"{name}\": \"{value}\""));
        options.push(format!("headers: {{ {} }}", headers.collect::<Vec<_>>().join(", ")));
    }
    let before = match request.body {
        Body::Form => "const body = new FormData();\nbody.append(\"file\", video);\n",
        Body::Nothing | Body::Video => "",
    };
    options.extend(match request.body {
        Body::Nothing => None,
        Body::Form => Some("body".to_owned()),
        Body::Video => Some("body: video".to_owned()),
    });
    let mut arguments = vec![format!("`${{{}}}{path}`", listener(request))];
    if !options.is_empty() {
        arguments.push(format!("{{ {} }}", options.join(", ")));
    }
    let call = call("await fetch(", &arguments, ");");
    let rest = match request.answer {
        Answer::Headers => "console.log(answer.status, Object.fromEntries(answer.headers));",
        Answer::Json => "console.log(await answer.json());",
        Answer::Text => "console.log(await answer.text());",
        Answer::File(_) => "const file = await answer.blob();",
        Answer::Stream => {
            "for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {\n  \
             console.log(text);\n}"
        }
    };
    format!("{before}const answer = {call}\n{rest}")
}

/// A call on one line if it is short, else with an argument on each.
fn call(begin: &str, arguments: &[String], end: &str) -> String {
    let line = format!("{begin}{}{end}", arguments.join(", "));
    if line.len() <= 60 {
        return line;
    }
    let lines = arguments.iter().map(|argument| format!("    {argument},\n"));
    format!("{begin}\n{}{end}", lines.collect::<String>())
}
