//! The door: parse the command line, run the command, turn the outcome into an exit code.

mod allocator;
mod ask_server;
mod books;
mod cli;
mod clock;
mod config;
mod config_checks;
mod configured;
mod connection;
mod decode;
mod deliver;
mod demo_page;
mod demo_run;
mod demo_send;
mod descriptors;
mod evidence;
mod flow;
mod import;
mod import_formats;
mod import_items;
mod import_post;
mod incidents_report;
mod intake;
mod keys;
mod lanes;
mod listen;
mod locate_report;
mod mail;
mod mcp;
mod notify;
mod notify_queue;
mod pattern_books;
mod pattern_metrics;
mod patterns;
mod ranges;
mod recover;
mod renew;
mod roll;
mod roll_feed;
mod roll_hot;
mod roll_metrics;
mod roll_minutes;
mod sift;
mod status;
mod storage;
mod vitals;
mod watch_metrics;
mod watching;
mod waterline;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    allocator::set_up();
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprint_chain(&error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr)] // Errors that end the program are for people.
fn eprint_chain(error: &anyhow::Error) {
    eprintln!("hypocenter: {error:#}");
}
