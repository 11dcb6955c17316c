//! `explain-signature`: fetches what is known of a failed request and shows why it failed.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{CLEAN, Terminal, USAGE, arguments::Explain, operator};
use crate::{
    app::OwnKey,
    config::{self, Inputs},
    explain::{self, Input, TestKey},
};

/// Most that is read of a trace or log.
const LARGEST_INPUT: u64 = 64 << 20;

/// Columns where the terminal does not say.
const USUAL_COLUMNS: usize = 100;

/// What to say instead of an explanation, and the exit code.
type Fault = (u8, String);

/// Explains the failure that is asked for. Returns the exit code.
pub(super) fn explain(asked: &Explain, inputs: &Inputs<'_>, terminal: &mut Terminal) -> u8 {
    match explanation(asked, inputs) {
        Ok(text) => {
            terminal.say(&text);
            CLEAN
        }
        Err((code, fault)) => {
            terminal.complain(&fault);
            code
        }
    }
}

fn explanation(asked: &Explain, inputs: &Inputs<'_>) -> Result<String, Fault> {
    let input = read(asked, inputs)?;
    let key = if asked.check_key { Some(own_key(&input, inputs)?) } else { None };
    let evidence = input.evidence(key.as_ref().map(|key| key as &dyn TestKey));
    let explanation = explain::explain(evidence);
    if asked.json {
        let json = serde_json::to_string_pretty(&explanation);
        return json.map_err(|problem| (super::BUG, problem.to_string()));
    }
    Ok(explain::show(&explanation, columns(inputs)))
}

fn read(asked: &Explain, inputs: &Inputs<'_>) -> Result<Input, Fault> {
    let usage = |text: &str| (USAGE, text.to_owned());
    match (asked.last, &asked.trace, &asked.request, &asked.error) {
        (true, None, None, None) => {
            let addresses = config::load_addresses(inputs);
            let addresses = addresses.map_err(|problems| (USAGE, problems.to_string()))?;
            let answer = operator::last_signature_error(&addresses)?;
            Input::read(answer.as_bytes()).map_err(|fault| (USAGE, fault.to_string()))
        }
        (false, Some(trace), None, None) => {
            let text = contents(trace, "the trace")?;
            Input::read(&text).map_err(|fault| (USAGE, fault.to_string()))
        }
        (false, None, Some(request), Some(error)) => {
            let (head, error) = (contents(request, "the request")?, contents(error, "the error")?);
            Input::of_parts(&head, &error).map_err(|fault| (USAGE, fault.to_string()))
        }
        (false, None, Some(_), None) => {
            Err(usage("--request needs --error FILE with COS's XML error too"))
        }
        (false, None, None, Some(_)) => {
            Err(usage("--error needs --request FILE with the request line and headers too"))
        }
        (false, None, None, None) => Err(usage(
            "nothing to explain: give --last (ask the running proxy), a FILE with a curl trace or \
             a log (- for standard input), or --request FILE --error FILE",
        )),
        _ => Err(usage("give one of --last, FILE, or --request with --error")),
    }
}

/// The contents of a file, or of standard input for `-`. The name is not repeated: somebody may
/// have typed a secret.
fn contents(path: &Path, what: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().take(LARGEST_INPUT).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST_INPUT).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) if bytes.is_empty() => Err((USAGE, format!("{what} is empty"))),
        Ok(_) => Ok(bytes),
        Err(problem) => Err((USAGE, format!("{what} cannot be read ({})", problem.kind()))),
    }
}

fn own_key(input: &Input, inputs: &Inputs<'_>) -> Result<OwnKey, Fault> {
    let Some(id) = input.secret_id() else {
        let text = "--check-key needs the request itself, with its signature: a curl trace, or \
                    --request with --error; --last and the log hold no signature";
        return Err((USAGE, text.to_owned()));
    };
    let settings = config::load(inputs).map_err(|problems| (USAGE, problems.to_string()))?;
    OwnKey::find(&settings, id).map_err(|fault| (USAGE, fault))
}

/// The width of the screen.
fn columns(inputs: &Inputs<'_>) -> usize {
    let said = inputs.environment.get("COLUMNS").and_then(|text| text.trim().parse().ok());
    let asked = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into());
    said.or_else(asked).filter(|columns| *columns > 0).unwrap_or(USUAL_COLUMNS)
}
