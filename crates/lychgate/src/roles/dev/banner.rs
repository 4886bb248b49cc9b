//! What `lychgate dev` prints once it is ready: where everything is, and commands to paste.

use super::providers::Report;
use super::setup::MEMBER_TOKEN_FILE;
use std::path::Path;

/// What the text is about.
#[derive(Debug)]
pub(crate) struct Facts {
    /// How this program is called.
    pub(crate) program: String,
    /// The control plane's address.
    pub(crate) control_url: String,
    /// The replica's address.
    pub(crate) gateway_url: String,
    /// The data directory, as it was given.
    pub(crate) data_dir: String,
    /// The providers.
    pub(crate) providers: Vec<Report>,
}

/// The text.
pub(crate) fn text(facts: &Facts) -> String {
    let Facts {
        control_url,
        gateway_url,
        data_dir,
        ..
    } = facts;
    let owner = quoted(&format!("{data_dir}/{}", lychgate_control::OWNER_TOKEN_FILE));
    let member = quoted(&format!("{data_dir}/{MEMBER_TOKEN_FILE}"));
    let program = quoted(&facts.program);
    let mut text = format!(
        "\ncontrol plane  {control_url}\ngateway        {gateway_url}\n\n\
         owner token    {owner}  (for the API)\nmember token   {member}  (for AI clients)\n\n"
    );
    for (at, report) in facts.providers.iter().enumerate() {
        let title = if at == 0 { "providers" } else { "" };
        text += &format!("{title:15}{}: {}\n", report.name, report.about);
    }
    text += "\nTry it, in another terminal:\n";
    for request in requests() {
        text += &format!("\n# {}\n{}\n", request.title, request.curl(gateway_url, &member));
    }
    text += &format!(
        "\nThe gateway embedded in the control plane answers the same requests: write {control_url} instead of {gateway_url}.\n\
         \nAI clients: {program} clients claude-code --url {gateway_url} --token-file {member}\n\
         prints what to set; {program} clients lists the others.\n\
         \nSee what was recorded:\n\
         \nLYCHGATE_URL={control_url} LYCHGATE_TOKEN_FILE={owner} {program} interceptions list\n\
         \nCtrl-C stops all of it; the data stays in {data_dir}.\n"
    );
    text
}

struct Line {
    title: &'static str,
    path: String,
    /// The header that the token goes in, up to the token.
    credential: &'static str,
    /// Further flags.
    more: &'static str,
    body: String,
    streaming: bool,
}

impl Line {
    fn curl(&self, gateway_url: &str, token_file: &str) -> String {
        let Self {
            path,
            credential,
            more,
            body,
            ..
        } = self;
        let flags = if self.streaming { "-sN" } else { "-s" };
        // Of the paths, some have a query.
        let url = quoted(&format!("{gateway_url}{path}"));
        format!(
            "curl {flags} {url} -H 'content-type: application/json' -H \"{credential}$(cat {token_file})\"{more} -d '{body}'"
        )
    }
}

fn requests() -> Vec<Line> {
    let apis = [
        (
            ["Anthropic Messages", "Anthropic Messages, streaming"],
            "/ai/anthropic/v1/messages",
            "x-api-key: ",
            " -H 'anthropic-version: 2023-06-01'",
            r#"{"model":"claude-sonnet-5","max_tokens":256,"messages":[{"role":"user","content":"What is a lychgate?"}]}"#,
        ),
        (
            ["OpenAI Chat Completions", "OpenAI Chat Completions, streaming"],
            "/ai/openai/v1/chat/completions",
            "authorization: Bearer ",
            "",
            r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"What is a lychgate?"}]}"#,
        ),
        (
            ["OpenAI Responses", "OpenAI Responses, streaming"],
            "/ai/openai/v1/responses",
            "authorization: Bearer ",
            "",
            r#"{"model":"gpt-5-mini","input":"What is a lychgate?"}"#,
        ),
    ];
    let line = |(titles, path, credential, more, body): ([&'static str; 2], &str, _, _, &str)| {
        [false, true].map(|streaming| Line {
            title: titles[usize::from(streaming)],
            path: path.to_owned(),
            credential,
            more,
            body: match streaming {
                true => format!("{},\"stream\":true}}", body.trim_end_matches('}')),
                false => body.to_owned(),
            },
            streaming,
        })
    };
    // Its path says whether to stream.
    let gemini = |(title, verb, streaming): (_, &str, _)| Line {
        title,
        path: format!("/ai/gemini/v1beta/models/gemini-3-flash:{verb}"),
        credential: "x-goog-api-key: ",
        more: "",
        body: r#"{"contents":[{"parts":[{"text":"What is a lychgate?"}]}]}"#.to_owned(),
        streaming,
    };
    let geminis = [
        ("Gemini", "generateContent", false),
        ("Gemini, streaming", "streamGenerateContent?alt=sse", true),
    ];
    apis.into_iter().flat_map(line).chain(geminis.map(gemini)).collect()
}

/// How this program can be called again: the path that it was called with, relative to the current directory if it is below it.
pub(crate) fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let path = Path::new(&called);
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned()));
    match relative.as_deref().unwrap_or(path).to_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => "lychgate".to_owned(),
    }
}

/// The text quoted as one word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(data_dir: &str) -> Facts {
        Facts {
            program: "target/release/lychgate".to_owned(),
            control_url: "http://127.0.0.1:8080".to_owned(),
            gateway_url: "http://127.0.0.1:4001".to_owned(),
            data_dir: data_dir.to_owned(),
            providers: vec![Report {
                name: "anthropic",
                about: "scripted".to_owned(),
            }],
        }
    }

    #[test]
    fn it_says_where_things_are() {
        let text = text(&facts("./lychgate-dev"));
        for line in [
            "control plane  http://127.0.0.1:8080",
            "gateway        http://127.0.0.1:4001",
            "LYCHGATE_URL=http://127.0.0.1:8080 LYCHGATE_TOKEN_FILE=./lychgate-dev/owner-token target/release/lychgate interceptions list",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} is missing in:\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("curl ")).count(), 8);
        assert_eq!(text.matches("$(cat ./lychgate-dev/dev-token)").count(), 8);
    }

    #[test]
    fn bodies_are_json_and_say_whether_to_stream() {
        for request in requests() {
            let line = request.curl("http://h", "token");
            let body = line.split("-d '").nth(1).unwrap().trim_end_matches('\'');
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let streams = body["stream"] == true || line.contains(":streamGenerateContent?alt=sse'");
            assert_eq!(streams, request.streaming, "{line}");
        }
    }

    #[test]
    fn a_shell_reads_odd_paths_as_one_word() {
        assert!(text(&facts("/tmp/it's here")).contains(r"$(cat '/tmp/it'\''s here/dev-token')"));
    }
}
