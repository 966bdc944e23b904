//! Texts and vectors become what segments hold, on all cores.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use half::f16;

use crate::analysis::Analyzer;
use crate::code::Coder;
use crate::segment::Analysed;

/// Fewer chunks than this are not worth a thread.
const WORTH_A_THREAD: usize = 32;

/// Analyses chunks. It keeps analyzers between calls, because they remember stems.
#[derive(Default)]
pub(crate) struct Analyst(Mutex<Vec<Analyzer>>);

impl std::fmt::Debug for Analyst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Analyst")
    }
}

impl Analyst {
    /// Works with an analyzer that nobody else uses meanwhile.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Analyzer) -> T) -> T {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut analyzer = idle.unwrap_or_else(Analyzer::new);
        let result = work(&mut analyzer);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(analyzer);
        result
    }

    /// What is derived of each chunk, in the same order.
    pub(crate) fn analyse(&self, chunks: Vec<(&str, Vec<f16>)>, coder: &Coder) -> Vec<Analysed> {
        let work = |chunks: Vec<(&str, Vec<f16>)>| {
            self.with(|analyzer| {
                let analysed = chunks
                    .into_iter()
                    .map(|(text, vector)| Analysed::new(analyzer.count(text), vector, coder));
                analysed.collect::<Vec<_>>()
            })
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = chunks.len().div_ceil(cores).max(WORTH_A_THREAD);
        let mut rest = chunks;
        let mut shares = Vec::new();
        while rest.len() > share {
            let next = rest.split_off(share);
            shares.push(std::mem::replace(&mut rest, next));
        }
        thread::scope(|scope| {
            let others: Vec<_> =
                shares.into_iter().map(|share| scope.spawn(move || work(share))).collect();
            let last = work(rest);
            let mut analysed: Vec<Analysed> = Vec::new();
            for other in others {
                match other.join() {
                    Ok(share) => analysed.extend(share),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            analysed.extend(last);
            analysed
        })
    }
}
