//! How an answer is sent amiss: what is done to events that are in order, or to a blocking answer.

use crate::families::Stream;
use crate::scenario::Scenario;
use crate::script::{Script, Step};
use bytes::Bytes;
use std::time::Duration;

/// Longer than any time-out.
const FOR_EVER: Duration = Duration::from_secs(3600);
const SLOW: Duration = Duration::from_millis(20);
const SILENCE: Duration = Duration::from_millis(1300);

/// The stream that the scenario makes of these events. `framing` puts one into a frame, where streams have frames.
pub(crate) fn stream(scenario: Scenario, stream: Stream, framing: Option<fn(&str) -> Vec<u8>>) -> Script {
    let content_type = stream.content_type;
    let mut script = spoilt(scenario, stream, framing);
    script.headers[0].1 = content_type.to_owned();
    script
}

fn spoilt(scenario: Scenario, stream: Stream, framing: Option<fn(&str) -> Vec<u8>>) -> Script {
    let Stream { events, error, .. } = stream;
    let (mut events, error) = match framing {
        None => (
            respelled(scenario, events).into_iter().map(Bytes::from).collect(),
            Bytes::from(error),
        ),
        Some(frame) => (
            framed(scenario, events.iter().map(|event| frame(event)).collect()),
            Bytes::from(frame(&error)),
        ),
    };
    let sent = |events: Vec<Bytes>| Script::events(events);
    let half = events.len() / 2;
    let mut script = match scenario {
        Scenario::StreamError | Scenario::Failed => {
            events.truncate(half);
            events.push(error);
            sent(events)
        }
        Scenario::Cut | Scenario::Reset => {
            let broken = events[half].clone();
            events.truncate(half);
            let mut script = sent(events);
            // In the middle of an event, and maybe of a character.
            script.steps.push(Step::Send(broken.slice(..broken.len() / 2)));
            script.steps.push(if scenario == Scenario::Cut {
                Step::Close
            } else {
                Step::Reset
            });
            script
        }
        Scenario::Early => {
            events.truncate(half);
            sent(events)
        }
        Scenario::Idle => {
            events.truncate(half);
            let mut script = sent(events);
            script.steps.push(Step::Pause(FOR_EVER));
            script
        }
        Scenario::Slow => {
            let steps = events
                .into_iter()
                .flat_map(|event| [Step::Pause(SLOW), Step::Send(event)])
                .collect();
            Script {
                steps,
                ..sent(Vec::new())
            }
        }
        Scenario::Silent => {
            let mut script = sent(events);
            for at in [half, 0] {
                script.steps.insert(at, Step::Pause(SILENCE));
            }
            script
        }
        Scenario::Split => {
            let all = Bytes::from(events.concat());
            let cuts = (0..all.len()).step_by(7);
            sent(cuts.map(|at| all.slice(at..(at + 7).min(all.len()))).collect())
        }
        _ => sent(events),
    };
    if scenario == Scenario::Hang {
        script.delay = FOR_EVER;
    }
    script
}

/// The blocking answer that the scenario makes of this text.
pub(crate) fn blocking(scenario: Scenario, text: String) -> Script {
    let half = text.as_bytes()[..text.len() / 2].to_vec();
    let mut script = Script::json(200, text);
    match scenario {
        // The head promises more than comes.
        Scenario::Cut => script.steps = vec![Step::Send(half.into()), Step::Close],
        Scenario::Reset => script.steps = vec![Step::Send(half.into()), Step::Reset],
        Scenario::Idle => script.steps = vec![Step::Send(half.into()), Step::Pause(FOR_EVER)],
        Scenario::Early | Scenario::Malformed => {
            script.headers.retain(|(name, _)| *name != "content-length");
            script.steps = vec![Step::Send(half.into())];
        }
        Scenario::Slow => script.steps.insert(0, Step::Pause(SLOW)),
        Scenario::Hang => script.delay = FOR_EVER,
        _ => {}
    }
    script
}

/// The same frames, of which one is damaged where that is wanted: its checksum is wrong.
fn framed(scenario: Scenario, mut frames: Vec<Vec<u8>>) -> Vec<Bytes> {
    let half = frames.len() / 2;
    let checksum = frames.get_mut(half).and_then(|frame| frame.last_mut());
    if let (Scenario::Malformed, Some(byte)) = (scenario, checksum) {
        *byte ^= 1;
    }
    frames.into_iter().map(Bytes::from).collect()
}

/// The same events in another spelling that the format allows, or with two broken ones among them.
fn respelled(scenario: Scenario, mut events: Vec<String>) -> Vec<String> {
    let half = events.len() / 2;
    match scenario {
        Scenario::Malformed => {
            events.insert(
                half,
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\n\n".to_owned(),
            );
            events.insert(half + 1, "data: this is not JSON\n\n".to_owned());
        }
        Scenario::Comments => {
            events.insert(0, ": welcome\n\n".to_owned());
            events.insert(half, ": keep-alive\n\n".to_owned());
            events.insert(half + 1, "id: 7\nretry: 3000\nnobody: knows this field\n\n".to_owned());
            events.insert(half + 2, ":\n: data: {\"not\": \"data\"}\n\n".to_owned());
        }
        Scenario::Crlf => {
            for event in &mut events {
                *event = event.replace("\r\n", "\n").replace('\n', "\r\n");
            }
        }
        Scenario::Cr => {
            for event in &mut events {
                *event = event.replace("\r\n", "\n").replace('\n', "\r");
            }
        }
        Scenario::Multiline => events.iter_mut().for_each(|event| *event = several_lines(event)),
        Scenario::Bom => events.insert(0, "\u{feff}".to_owned()),
        Scenario::Unterminated => {
            if let Some(last) = events.last_mut() {
                last.truncate(last.trim_end().len());
            }
        }
        Scenario::Trailing => events.push("\n\n\n".to_owned()),
        _ => {}
    }
    events
}

/// Breaks the line behind the first member of the data, where JSON allows it.
fn several_lines(event: &str) -> String {
    match event.split_once("data: {\"") {
        Some((before, rest)) => match rest.split_once("\",\"") {
            Some((first, rest)) => format!("{before}data: {{\"{first}\",\ndata: \ndata: \"{rest}"),
            None => event.to_owned(),
        },
        None => event.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<String> {
        (0..6)
            .map(|n| format!("event: e\ndata: {{\"type\":\"e\",\"n\":\"{n}é\"}}\n\n"))
            .collect()
    }

    fn of(events: Vec<String>) -> Stream {
        Stream {
            events,
            error: "event: error\ndata: {}\n\n".to_owned(),
            content_type: "text/event-stream",
        }
    }

    fn bytes(scenario: Scenario) -> String {
        String::from_utf8_lossy(&stream(scenario, of(events()), None).bytes()).into_owned()
    }

    #[test]
    fn other_spellings_say_the_same() {
        let plain = events().concat();
        assert_eq!(bytes(Scenario::Split), plain);
        assert_eq!(bytes(Scenario::Slow), plain);
        assert_eq!(bytes(Scenario::Silent), plain);
        assert_eq!(bytes(Scenario::Crlf).replace("\r\n", "\n"), plain);
        assert_eq!(bytes(Scenario::Cr).replace('\r', "\n"), plain);
        assert_eq!(bytes(Scenario::Multiline).replace("\ndata: \ndata: ", ""), plain);
        assert_eq!(bytes(Scenario::Bom).trim_start_matches('\u{feff}'), plain);
        assert_eq!(bytes(Scenario::Unterminated) + "\n\n", plain);
        assert_eq!(bytes(Scenario::Trailing).trim_end(), plain.trim_end());
    }

    #[test]
    fn broken_streams_end_inside() {
        let plain = events().concat();
        for scenario in [Scenario::Cut, Scenario::Reset, Scenario::Early, Scenario::Idle] {
            let bytes = bytes(scenario);
            assert!(
                plain.starts_with(bytes.trim_end_matches('\u{fffd}')) && bytes.len() < plain.len(),
                "{bytes}"
            );
        }
        assert!(bytes(Scenario::StreamError).ends_with("event: error\ndata: {}\n\n"));
        let cut = stream(Scenario::Cut, of(events()), None);
        assert_eq!(cut.steps.last(), Some(&Step::Close));
        let cut = blocking(Scenario::Cut, "0123456789".to_owned());
        assert_eq!(
            (cut.bytes().as_slice(), cut.steps.last()),
            (b"01234".as_slice(), Some(&Step::Close))
        );
        assert!(cut.headers.contains(&("content-length", "10".to_owned())));
    }
}
