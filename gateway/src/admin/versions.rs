//! `/plugins/NAME/rollback` and `/plugins/NAME/reload`: which version of a plugin decides. Waits for what came of it, for
//! a while.

use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use super::newest;
use crate::snapshot::Readers;

/// How long an operator waits: compiling a large plugin takes longer.
const PATIENCE: Duration = Duration::from_secs(8);

/// What can be done to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    RollBack,
    Reload,
}

/// What a path wants to be done, to which plugin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    name: String,
    action: Action,
}

impl Change {
    /// `None`: the path is about something else.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (name, action) = path.strip_prefix("/plugins/")?.rsplit_once('/')?;
        let action = match action {
            "rollback" => Action::RollBack,
            "reload" => Action::Reload,
            _ => return None,
        };
        let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?.into_owned();
        Some(Self { name, action })
    }

    /// Does it; what to answer. No snapshot is held meanwhile.
    pub(super) async fn make(self, readers: &Readers) -> (StatusCode, String) {
        let Self { name, action } = self;
        let Some(at) = newest(readers).plugins.iter().position(|plugin| plugin.name() == name) else {
            return (StatusCode::NOT_FOUND, format!("there is no plugin {name:?}; /plugins lists them\n"));
        };
        let control = readers.doubts();
        let asked = match action {
            Action::RollBack => control.roll_back(at),
            Action::Reload => control.reload(at),
        };
        let Some(answer) = asked else {
            return (StatusCode::SERVICE_UNAVAILABLE, "the control plane is busy; try again\n".into());
        };
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(done))) => (StatusCode::OK, format!("plugin {name}: {done}\n")),
            Ok(Ok(Err(reason))) => (StatusCode::CONFLICT, format!("plugin {name}: {reason}\n")),
            Ok(Err(_gone)) => {
                let text = "plugin files are not looked after any more; restart the gateway\n";
                (StatusCode::SERVICE_UNAVAILABLE, text.into())
            }
            Err(_elapsed) => (StatusCode::ACCEPTED, format!("plugin {name}: still at it; see /plugins\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_what_to_do_to_which_plugin() {
        let check = |path, expected: Option<(&str, Action)>| {
            let expected = expected.map(|(name, action)| Change { name: name.into(), action });
            assert_eq!(Change::of(path), expected, "{path}");
        };
        check("/plugins/by-symbol/rollback", Some(("by-symbol", Action::RollBack)));
        check("/plugins/by%20symbol/reload", Some(("by symbol", Action::Reload)));
        check("/plugins/a/b/reload", Some(("a/b", Action::Reload)));
        check("/plugins/by-symbol", None);
        check("/plugins/by-symbol/restart", None);
        check("/plugins", None);
        check("/plugins/rollback", None);
    }
}
