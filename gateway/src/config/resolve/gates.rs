//! `max_changed` of a `[[plugin]]`: how much a new version of a plugin may change.

use std::collections::BTreeMap;

use super::Mistakes;
use crate::config::{Decisions, raw};

/// By the plugin's name.
pub(super) fn gates(plugins: &[raw::Plugin], decisions: Decisions, mistakes: &mut Mistakes) -> BTreeMap<String, f64> {
    let mut gates = BTreeMap::new();
    for plugin in plugins {
        let (Some(share), name) = (plugin.max_changed, plugin.name.get_ref()) else { continue };
        if plugin.path.is_none() {
            let text = format!("plugin {name:?} has max_changed and no `path`; a built-in never changes: take it away");
            mistakes.say(plugin.name.span(), text);
        } else if decisions.ring == 0 {
            let fix = "let `ring` of [decisions] be above 0, or take max_changed away";
            let text = format!("plugin {name:?} has max_changed, and no decision is recorded to compare with; {fix}");
            mistakes.say(plugin.name.span(), text);
        }
        gates.insert(name.clone(), share);
    }
    gates
}
