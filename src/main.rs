//! Arguments in, exit code out.

use std::process::ExitCode;

use cos_auth_proxy::{cli, config::ProcessEnvironment};

fn main() -> ExitCode {
    let mut terminal = cli::Terminal::standard();
    ExitCode::from(cli::main(std::env::args_os(), &ProcessEnvironment, &mut terminal))
}
