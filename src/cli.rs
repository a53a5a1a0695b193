//! The command line: `run` (the default) and its companions. Standard output is for people, the log
//! goes to standard error.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::ask_server::ServerArgs;
use crate::config::{self, Config, Sources};
use crate::config_checks;
use crate::demo_run::DemoArgs;
use crate::flow;
use crate::import::ImportArgs;
use crate::incidents_report::IncidentsArgs;
use crate::locate_report::LocateArgs;

/// OpenTelemetry-compatible collector and trace correlator: finds where a failure began.
#[derive(Debug, Parser)]
#[command(name = "hypocenter", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive, store and serve (the default)
    Run(RunArgs),
    /// Read the configuration and say whether it is valid
    Validate(RunArgs),
    /// Print the effective configuration with the source of each value
    PrintConfig {
        /// Print every key with default, environment variable and meaning instead
        #[arg(long)]
        reference: bool,
        #[command(flatten)]
        args: RunArgs,
    },
    /// Send files (OTLP JSON lines, Zipkin JSON, Jaeger JSON) to a running server
    Import(ImportArgs),
    /// Play a shop of simulated services that sends real telemetry, and break it on command
    Demo(Box<DemoArgs>),
    /// Ask a running server who is guilty of a fault, and why
    Locate(LocateArgs),
    /// Say what is or was wrong: incidents, with who is to blame
    Incidents(IncidentsArgs),
    /// Let an assistant ask a running server: the Model Context Protocol over standard input and output
    Mcp(ServerArgs),
    /// The embedded engine: install its library, or serve (used by `run`)
    Engine {
        #[command(subcommand)]
        command: EngineCommand,
    },
    /// Print a completion script for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Subcommand)]
enum EngineCommand {
    /// Fetch the engine library once per user (pinned version, checked)
    Install {
        /// Install from this archive or library instead of the package registry
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Serve ClickHouse's HTTP interface over one data directory; ends with its parent
    #[command(hide = true)]
    Serve,
}

#[derive(Clone, Debug, Default, Args)]
struct RunArgs {
    /// YAML configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Form of the log on standard error: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any configuration key
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// End the process at a named point, the nth time it is passed (fault tests)
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "POINT[:NTH]", hide = true)]
    crash_at: Option<String>,
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => {
            args.arm_crash_point();
            let config = args.load()?;
            start_log(&config);
            for name in &config.strange_variables {
                tracing::warn!(name, "this environment variable is no key and changes nothing");
            }
            flow::run(config)
        }
        Command::Validate(args) => {
            let config = args.load()?;
            config_checks::try_files(&config)?;
            for name in &config.strange_variables {
                say(&format!("The environment variable {name} is no key and changes nothing."));
            }
            say("The configuration is valid.");
            Ok(ExitCode::SUCCESS)
        }
        Command::PrintConfig { reference, args } => {
            let page = if reference { crate::keys::reference() } else { args.load()?.print() };
            say(page.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Import(args) => crate::import::run(args),
        Command::Locate(args) => crate::locate_report::run(&args),
        Command::Incidents(args) => crate::incidents_report::run(&args),
        Command::Mcp(args) => crate::mcp::run(&args),
        Command::Demo(args) => crate::demo_run::run(*args),
        Command::Engine { command: EngineCommand::Install { from } } => install_engine(from),
        Command::Engine { command: EngineCommand::Serve } => engine::serve_from_parent(),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "hypocenter", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl RunArgs {
    fn load(&self) -> anyhow::Result<Config> {
        let mut set = Vec::new();
        for pair in &self.set {
            let (key, value) = pair.split_once('=').with_context(|| format!("--set takes key=value, not `{pair}`"))?;
            set.push((key.to_owned(), value.to_owned()));
        }
        let named = [
            ("data_dir", self.data_dir.as_ref().map(|dir| dir.display().to_string())),
            ("listen", self.listen.clone()),
            ("log.format", self.log_format.clone()),
        ];
        set.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Ok(config::load(&Sources { file: self.config.clone(), set })?)
    }

    #[cfg(debug_assertions)]
    fn arm_crash_point(&self) {
        if let Some(point) = &self.crash_at {
            let (name, nth) = point.split_once(':').unwrap_or((point, "1"));
            journal::crash::arm(name, nth.parse().unwrap_or(1));
        }
    }

    #[cfg(not(debug_assertions))]
    fn arm_crash_point(&self) {}
}

fn start_log(config: &Config) {
    // Its crate tells of every request of an assistant, at the level of our own events.
    let level = match config.log_level.contains("rmcp") {
        true => config.log_level.clone(),
        false => format!("{},rmcp=error", config.log_level),
    };
    let filter = tracing_subscriber::EnvFilter::try_new(&level)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,rmcp=error"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if config.log_json { log.json().init() } else { log.init() }
}

fn install_engine(from: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let config = config::load(&Sources::default())?;
    let installed = engine::install::install(from.as_deref(), &config.storage.embedded.cache_dir, &mut |step| {
        tell_step(&step).into_iter().for_each(say);
    })?;
    let state = if installed.already { "is installed already" } else { "is installed" };
    say(&format!("The engine library {state}: {}", installed.path.display()));
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout)] // The one place that speaks to people.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

fn tell_step(step: &engine::install::Step) -> Option<&'static str> {
    use engine::install::Step;
    match step {
        Step::Downloading => Some("Fetching the engine library with npm (about 180 MB, once per user) …"),
        Step::Verifying { done: 0, .. } => Some("Verifying its checksum …"),
        Step::Unpacking { done: 0, .. } => Some("Unpacking it …"),
        _ => None,
    }
}
