//! Text from elsewhere (a user agent, a prompt) made so that it can't control the terminal: what steers it is shown as an escape.

/// Text in one line, with everything that could steer a terminal made visible.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, false)
}

/// Text with its line ends and tabs, everything else that could steer a terminal made visible.
pub(crate) fn plain_lines(text: &str) -> String {
    escaped(text, true)
}

/// The same JSON with what steers a terminal as escapes: outside of strings there is none of it, but for the line ends.
pub(super) fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if c != '\n' && steers(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a character is a control character, sets the direction of writing (by which text can be made to look like other text),
/// has no width (so that two names look the same), or ends a line without looking so.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || turns || hides || matches!(c, '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, keep_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keep_lines => out.push(c),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn nothing_in_an_answer_steers_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(plain("a\u{9b}2J\u{85}"), "a\\u{9b}2J\\u{85}");
        assert_eq!(plain("user\u{202e}nimda"), "user\\u{202e}nimda");
        assert_eq!(plain("ad\u{200b}a\u{e0041}"), "ad\\u{200b}a\\u{e0041}");
        assert_eq!(plain_lines("a\n\tb\r"), "a\n\tb\\r");
        assert_eq!(plain("zoë – 漢字 👩‍💻"), "zoë – 漢字 👩‍💻", "emoji keep their joiners");
        let answer = json!({"name": "a\u{9b}2J\u{7f}\u{202e}b\u{2028}zoë\n\u{e0041}"});
        let printed = plain_json(&format!("{answer:#}"));
        let wanted = "{\n  \"name\": \"a\\u009b2J\\u007f\\u202eb\\u2028zoë\\n\\udb40\\udc41\"\n}";
        assert_eq!(printed, wanted);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), answer);
    }
}
