//! A scripted provider that speaks the providers' wire formats, for dev, tests and bench
