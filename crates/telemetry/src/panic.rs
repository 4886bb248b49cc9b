//! The panic hook: where it happened goes to the log, what it said only when that is a fixed text of the program. A message
//! made at run time may hold anything, a secret too.

use std::panic::PanicHookInfo;

/// Puts the hook in place of the standard one, which would print every message.
pub fn install() {
    std::panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic
        .payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(withheld)");
    tracing::error!(target: "lychgate_telemetry::panic", %location, message, "a bug: the program panicked");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    #[test]
    fn fixed_texts_are_shown_and_formatted_ones_withheld() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let writer = move || Sink(Arc::clone(&sink));
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            let before = std::panic::take_hook();
            super::install();
            let _ = std::panic::catch_unwind(|| panic!("a fixed text"));
            let secret = "sk-secret";
            let _ = std::panic::catch_unwind(|| panic!("made with {secret}"));
            std::panic::set_hook(before);
        });
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        assert!(text.contains("a fixed text") && text.contains("(withheld)"), "{text}");
        assert!(text.contains("panic.rs:") && !text.contains("sk-secret"), "{text}");
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
