//! What the run prints at its end.

use super::book::Book;

const STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Prints the tables.
pub(crate) fn print(book: &Book) {
    println!("\n{:>9}  {:<20} reason", "calls", "status");
    for ((code, reason), count) in &book.outcomes() {
        let status = STATUS.get(usize::from(*code)).copied().unwrap_or("?");
        println!("{count:>9}  {status:<20} {reason}");
    }
    println!("\n{:>9}  fault", "times");
    for (kind, count) in &book.faults() {
        println!("{count:>9}  {kind}");
    }
    let (made, arrived) = book.calls();
    println!("\n{made} calls made, {arrived} of them reached an instance");
}

/// Prints what was wrong, if anything was; whether nothing was.
pub(crate) fn verdict(book: &Book, seed: u64) -> bool {
    let (violations, texts) = book.violations();
    if violations.is_empty() {
        println!("0 calls at a wrong owner, 0 delivered twice, 0 that hung; everything back to its level. Seed {seed}");
        return true;
    }
    println!("\nfaults and what was noted, from the start:");
    book.history().iter().for_each(|line| println!("{line}"));
    println!("\nwhat was wrong (seed {seed}):");
    texts.iter().for_each(|text| println!("  {text}"));
    for (kind, count) in &violations {
        println!("{count:>9}  {kind}");
    }
    false
}
