//! Programs that do not describe themselves, asked for real: by the embedded watcher, under every Python there is.

mod asking;
mod copies;
mod generated;
mod help_pages;
mod honest;
mod listings;
mod own_words;
mod programs;
mod refusals;
mod serving;
mod truths;
mod unasked;
mod uppers;
mod watched;
