//! What a new version of a plugin must prove before it decides: that it says about the gateway's own recorded decisions
//! what the version said that decides now, up to the share that may change. Asks workers what they recorded, and runs the
//! new version off their threads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::spawn_blocking;
use tracing::info;

use crate::{
    plugin::{
        Plugin,
        decision::{Asked, Decision, Message},
        replay::{Tally, replay},
    },
    snapshot::Readers,
};

/// How long a new version may take to make recorded decisions again; a small plugin makes a million in that time.
const TIME: Duration = Duration::from_secs(5);

/// Judges new versions.
pub struct Gate {
    /// For plugins that must prove themselves: the share, 0 to 1, that may change.
    shares: BTreeMap<String, f64>,
    readers: Readers,
}

impl Gate {
    /// With `max_changed` of the plugins by their names.
    pub fn new(shares: BTreeMap<String, f64>, readers: Readers) -> Self {
        Self { shares, readers }
    }

    /// The new version, if it changes no more than it may, or need not prove anything.
    ///
    /// # Errors
    /// Says how much it would change, with an example.
    pub async fn judge(&self, new: Arc<Plugin>) -> Result<Arc<Plugin>, String> {
        let Some(share) = self.shares.get(new.name()).copied() else { return Ok(new) };
        let deciding = self.version(new.name());
        let mut decisions = self.readers.questions().decisions(Some(new.name().into())).await;
        decisions.retain(|decision| Some(&decision.version) == deciding.as_ref());
        let again = new.clone();
        let replayed = spawn_blocking(move || {
            let tally = replay(&again, &decisions, 1, TIME);
            (decisions, tally)
        });
        let (decisions, tally) = replayed.await.map_err(|panic| format!("asking it again broke down: {panic}"))?;
        let Tally { decisions: count, changed, unknown, .. } = tally;
        if tally.not_proven() > share {
            return Err(too_much(share, &tally, &decisions));
        }
        info!(
            plugin = new.name(),
            version = new.version(),
            decisions = count,
            changed,
            unknown,
            "recorded decisions made again"
        );
        Ok(new)
    }

    /// The version that decides now.
    fn version(&self, name: &str) -> Option<String> {
        let mut reader = self.readers.reader();
        let plugins = &reader.snapshot().plugins;
        plugins.iter().find(|plugin| plugin.name() == name).map(|plugin| plugin.version().to_owned())
    }
}

fn too_much(share: f64, tally: &Tally, decisions: &[Decision]) -> String {
    let Tally { decisions: count, changed, unknown, unknown_because, examples } = tally;
    let mut text = format!(
        "of {count} recorded decisions it would change {changed}, and {unknown} cannot be known: {:.1}%, and max_changed is \
         {}%",
        100.0 * tally.not_proven(),
        100.0 * share
    );
    if let Some((decision, after)) = examples.first().and_then(|(at, after)| Some((decisions.get(*at)?, after))) {
        let after = serde_json::to_string(after).unwrap_or_default();
        text += &format!("; for example {}, and now {after}", without_message(decision).line());
    }
    if let Some((why, times)) = unknown_because.first_key_value() {
        text += &format!("; {times} times {why}");
    }
    text
}

/// A message is never logged.
fn without_message(decision: &Decision) -> Decision {
    let mut decision = decision.clone();
    if let Asked::Extract { message: Some(message), .. } = &mut decision.asked
        && let Message::Hex(bytes) = message
    {
        *message = Message::WithheldBytes(bytes.len());
    }
    decision
}
