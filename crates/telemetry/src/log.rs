//! The subscriber that writes the log.
//!
//! The environment variable `LYCHGATE_LOG` takes the usual directives (`info`, `lychgate_gateway=debug,warn`, …). Whatever it
//! says, crates that are not ours write nothing below `info`: at `debug` and `trace` they print headers and bodies.

use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The environment variable with the directives.
pub const LOG_VARIABLE: &str = "LYCHGATE_LOG";
/// What is logged when nothing else is asked for. `sqlx` tells at `info` what PostgreSQL notices when nothing is amiss.
const DEFAULT: &str = "info,sqlx=warn";
/// Targets of our own crates begin with this.
const OURS: &str = "lychgate";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format),
        }
    }
}

/// Why logging can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a log format.
    #[error("a log format is text or json")]
    Format,
    /// The directives can't be read.
    #[error(
        "the log level (--log or {LOG_VARIABLE}) can't be read: {0}; write for example info, or lychgate_gateway=debug,info"
    )]
    Directives(String),
    /// A subscriber is there already.
    #[error("logging was set up twice")]
    Twice,
}

/// Sets up logging to standard error for the whole process, and the panic hook of [`crate::panic`]. `directives` is the value
/// of [`LOG_VARIABLE`], where it is set; else `info` (`sqlx`: `warn`).
pub fn start(directives: Option<&str>, format: Format) -> Result<(), LogError> {
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    subscriber(directives, format, colours, std::io::stderr)?
        .try_init()
        .map_err(|_| LogError::Twice)?;
    crate::panic::install();
    Ok(())
}

fn subscriber<W>(
    directives: Option<&str>,
    format: Format,
    colours: bool,
    writer: W,
) -> Result<impl tracing::Subscriber + Send + Sync, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let directives = directives
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .unwrap_or(DEFAULT);
    let filter = read_directives(directives)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Text => lines.with_ansi(colours).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter).with_filter(filter_fn(may_speak))))
}

/// A word alone is a level. `EnvFilter` would take any other for the name of a crate, and log nothing else.
fn read_directives(directives: &str) -> Result<EnvFilter, LogError> {
    for word in directives.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if !word.contains(['=', '[']) && !word.starts_with(OURS) && word.parse::<LevelFilter>().is_err() {
            let why = format!("`{word}` is not a level: use off, error, warn, info, debug or trace");
            return Err(LogError::Directives(why));
        }
    }
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(directives)
        .map_err(|error| LogError::Directives(error.to_string()))
}

fn may_speak(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(OURS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(directives: Option<&str>, format: Format, speak: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(directives, format, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, speak);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn others_stay_silent_below_info_whatever_is_asked() {
        let text = logged(Some("trace"), Format::Text, || {
            tracing::trace!(target: "lychgate_gateway::relay", "ours");
            tracing::debug!(target: "h2::codec", "authorization: Bearer x");
            tracing::info!(target: "h2::codec", "theirs");
        });
        assert!(text.contains("ours") && text.contains("theirs"), "{text}");
        assert!(!text.contains("Bearer"), "{text}");
    }

    #[test]
    fn info_is_the_default_and_json_is_one_object_a_line() {
        let text = logged(None, Format::Json, || {
            tracing::debug!(target: "lychgate_gateway", "quiet");
            tracing::info!(target: "lychgate_gateway", port = 8080, "listening");
            tracing::info!(target: "sqlx::postgres::notice", "relation already exists, skipping");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with('{') && text.contains(r#""message":"listening""#) && text.contains(r#""port":8080"#),
            "{text}"
        );
    }

    #[test]
    fn wrong_settings_say_what_to_write() {
        let error = subscriber(Some("lychgate=loud"), Format::Text, false, std::io::stderr)
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("LYCHGATE_LOG") && error.to_string().contains("info"),
            "{error}"
        );
        for bad in ["blah", "info,blah", "inof,lychgate_gateway=debug"] {
            let error = read_directives(bad).unwrap_err().to_string();
            assert!(error.contains("is not a level"), "{bad}: {error}");
        }
        for good in [
            "warn",
            "OFF",
            "info,sqlx=warn",
            "lychgate_gateway",
            "lychgate_link=debug,error",
            "info,",
        ] {
            assert!(read_directives(good).is_ok(), "{good}");
        }
        assert!("yaml".parse::<Format>().is_err());
        assert_eq!("json".parse::<Format>().unwrap(), Format::Json);
    }
}
