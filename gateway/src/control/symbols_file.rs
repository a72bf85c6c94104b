//! A list of symbols in a file, one a line, watched and told as if it were a registry. Knows no table.
//!
//! ```text
//! # what we list
//! BTC_USDT
//! ETH_USDT    # since May
//! ```

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::{
    file_watch::FileWatch,
    source::{Change, Entry, Update},
};

/// Tells what the file holds, as what is said of `service`, whenever it changes, until nobody listens any more.
pub(super) async fn watch(path: PathBuf, service: usize, updates: mpsc::Sender<Update>) {
    let nobody = updates.clone();
    tokio::select! {
        () = nobody.closed() => {}
        () = tell(&path, service, &updates) => {}
    }
}

async fn tell(path: &Path, service: usize, updates: &mpsc::Sender<Update>) {
    // When nobody listens, `watch` ends.
    let say = async |change| drop(updates.send(Update { service, change }).await);
    let lost = async |reason: String| say(Change::Lost { reason: format!("{}: {reason}", path.display()) }).await;
    let mut watch = match FileWatch::new(vec![path.to_owned()]) {
        Ok(watch) => watch,
        Err(error) => return lost(format!("cannot be watched: {error}")).await,
    };
    while let Some(change) = watch.changed().await {
        match change.content.map_err(|error| error.to_string()).and_then(|content| parse(&content)) {
            Ok(symbols) => say(Change::Listed { revision: 1, entries: symbols.into_iter().map(entry).collect() }).await,
            Err(reason) => lost(format!("{reason}; it is read again when it changes")).await,
        }
    }
    lost("its watch broke down; restart the gateway".into()).await;
}

/// The symbols of a file, in its order. What follows a `#` that begins a line or comes after white space is a comment.
///
/// # Errors
/// When it is no text, or nothing at all: far more often a file that is about to be written than one that expects nothing.
pub fn parse(content: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(content).map_err(|_utf8| "it is not UTF-8 text".to_owned())?;
    if text.trim().is_empty() {
        return Err("it is empty; if no symbol is meant, leave a comment in it".into());
    }
    let symbols = text.lines().map(|line| without_comment(line).trim()).filter(|symbol| !symbol.is_empty());
    Ok(symbols.map(str::to_owned).collect())
}

fn without_comment(line: &str) -> &str {
    let begins = |at: usize| line.get(..at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']));
    let end = line.match_indices('#').map(|(at, _)| at).find(|at| begins(*at));
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

fn entry(key: String) -> Entry {
    Entry { key: key.into(), value: Vec::new(), create_revision: 1, mod_revision: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_symbol_a_line() {
        let text = "# list\nBTC_USDT\r\n\n  ETH/USDT \t# since May\nA#B\n#X\n \n\u{5e01}\u{5b89}";
        assert_eq!(
            parse(text.as_bytes()),
            Ok(["BTC_USDT", "ETH/USDT", "A#B", "\u{5e01}\u{5b89}"].map(String::from).into())
        );
        assert_eq!(parse(b"# none\n"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert!(parse(b" \n").expect_err("nothing").contains("empty"));
        assert!(parse(b"BTC\xff").expect_err("no text").contains("UTF-8"));
    }
}
