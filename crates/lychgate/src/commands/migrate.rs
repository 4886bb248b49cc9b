//! `lychgate migrate`: brings the tables up to date and ends; `lychgate server` does the same at its start.
