//! `bailiwick worker`, which this program starts for itself: see the crate `worker`.

use std::process::ExitCode;

use crate::cli::Work;

/// Works within limits until the process that started it closes the pipe.
pub(crate) fn run(work: Work) -> ExitCode {
    let done = match work {
        Work::Rego => bailiwick_policy::serve_proposed_rego(),
        Work::Extract { format } => bailiwick_ingest::files::serve_extraction(format),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The other process sees that the pipe was closed, and reads these words.
        Err(error) => {
            crate::print::warning(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
