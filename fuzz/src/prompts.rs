//! Prompt and thread of a request, read from the whole value by the words of the specification.

use serde_json::Value;

/// The user's own words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The prompt, uncut; never empty.
    pub prompt: Option<String>,
    /// The id of the tool call whose result the last message brings.
    pub thread: Option<String>,
}

/// Anthropic: the last text block of a last message of the user's, unless it brings tool results.
pub fn anthropic(request: &Value) -> Said {
    let last = last(&request["messages"]);
    let blocks = || last["content"].as_array().into_iter().flatten();
    let result = blocks().rfind(|block| block["type"] == "tool_result");
    let mut text = blocks()
        .filter(|block| block["type"] == "text")
        .filter_map(|block| block["text"].as_str());
    let prompt = last["content"].as_str().or(text.next_back());
    Said {
        prompt: prompt
            .filter(|_| result.is_none() && last["role"] == "user")
            .and_then(some),
        thread: result.and_then(|block| block["tool_use_id"].as_str()).and_then(some),
    }
}

/// Chat: the last text part of a last message of the user's.
pub fn chat(request: &Value) -> Said {
    let last = last(&request["messages"]);
    let parts = last["content"].as_array().into_iter().flatten();
    let mut text = parts
        .filter(|part| part["type"] == "text")
        .filter_map(|part| part["text"].as_str());
    let prompt = last["content"].as_str().or(text.next_back());
    Said {
        prompt: prompt.filter(|_| last["role"] == "user").and_then(some),
        thread: last["tool_call_id"]
            .as_str()
            .filter(|_| last["role"] == "tool")
            .map(str::to_owned),
    }
}

/// Responses: the input, or all text parts of a last item of the user's.
pub fn responses(request: &Value) -> Said {
    let last = last(&request["input"]);
    let is_message = last["type"].is_null() || last["type"] == "message";
    let parts = last["content"].as_array().into_iter().flatten();
    let texts: Vec<&str> = parts
        .filter(|part| part["type"] == "input_text" || part["type"] == "text")
        .filter_map(|part| part["text"].as_str())
        .collect();
    let of_item = last["content"].as_str().map_or_else(|| texts.join("\n"), str::to_owned);
    let of_item = Some(of_item).filter(|_| is_message && last["role"] == "user");
    let prompt = request["input"].as_str().map(str::to_owned).or(of_item);
    let is_output = last["type"] == "function_call_output" || last["type"] == "custom_tool_call_output";
    Said {
        prompt: prompt.filter(|text| !text.is_empty()),
        thread: last["call_id"].as_str().filter(|_| is_output).map(str::to_owned),
    }
}

fn last(list: &Value) -> &Value {
    list.as_array().and_then(|list| list.last()).unwrap_or(&Value::Null)
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
