//! Which keys belong to which service, and which prefixes look like services that nobody named. Reads nothing.

use std::collections::BTreeMap;

use super::{
    Subject,
    reader::{Found, Range},
    report::LeftOut,
};
use crate::routing::Layout;

/// Keys, told apart.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Those of each service that was named, in the order of these.
    pub(super) named: Vec<Range>,
    /// Those of services that were found.
    pub(super) found: Vec<(Subject, Range)>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Tells all keys after `root` apart. Those that start with one of `lists` announce nothing.
pub(super) fn sort(all: Range, root: &str, named: &[Subject], lists: &[String]) -> Sorted {
    let mut ranges: Vec<Range> = named.iter().map(|_| Range::default()).collect();
    let mut groups: BTreeMap<(String, String), Range> = BTreeMap::new();
    for found in all.found {
        let key = &found.entry.key;
        if lists.iter().any(|list| key.starts_with(list)) {
            continue;
        }
        let fits = named.iter().enumerate().filter(|(_, subject)| key.starts_with(subject.layout.prefix()));
        match fits.max_by_key(|(_, subject)| subject.layout.prefix().len()).and_then(|(at, _)| ranges.get_mut(at)) {
            Some(range) => range.found.push(found),
            None => groups.entry(top(root, key)).or_default().found.push(found),
        }
    }
    let mut sorted = Sorted { named: ranges, ..Sorted::default() };
    for ((before, name), range) in groups {
        sorted.group(root, before, name, range);
    }
    sorted
}

impl Sorted {
    /// A service is what is read as one for the greater part: one address among many settings makes none.
    fn group(&mut self, root: &str, before: String, name: String, range: Range) {
        let deeper = (!before.is_empty()).then(|| format!("{root}{before}"));
        let root = deeper.as_deref().unwrap_or(root);
        let layout = Layout::new(root, &name, None);
        let is_read = |found: &&Found| layout.read(&found.entry.key, &found.entry.value).is_ok();
        let registrations = range.found.iter().filter(is_read).count();
        if !name.is_empty() && registrations * 2 >= range.found.len() {
            self.found.push((Subject { name, deeper, layout, exclusive: true, place: None }, range));
            return;
        }
        let prefix = if name.is_empty() { root.to_owned() } else { layout.prefix().to_owned() };
        self.left_out.push(LeftOut { prefix, keys: range.found.len(), registrations });
    }
}

/// What comes after the root: slashes that belong to it as well, and the first name. Without a slash after it there is no
/// name.
fn top(root: &str, key: &str) -> (String, String) {
    let rest = key.strip_prefix(root).unwrap_or(key);
    let names = rest.trim_start_matches('/');
    let slashes = rest.strip_suffix(names).unwrap_or_default();
    let name = names.split_once('/').map_or("", |(name, _)| name);
    (slashes.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::source::Entry;

    fn range(entries: &[(&str, &str)]) -> Range {
        let found = entries.iter().map(|(key, value)| Found {
            entry: Entry { key: (*key).into(), value: (*value).into(), create_revision: 1, mod_revision: 1 },
            lease: 0,
        });
        Range { found: found.collect(), no_text: Vec::new() }
    }

    fn subject(name: &str, layout: Layout) -> Subject {
        Subject { name: name.into(), deeper: None, layout, exclusive: true, place: None }
    }

    #[test]
    fn services_are_what_is_read_as_registrations_for_the_greater_part() {
        let all = range(&[
            ("/prod/BTC/1", "10.0.0.1:1"),
            ("Symbol/BTC", ""),
            ("account/1", "10.0.0.1:2"),
            ("alone", "10.0.0.1:3"),
            ("kline/BTC/1", "10.0.0.1:4"),
            ("kline/ETH/1", "broken"),
            ("settings/cache", "cache:6379"),
            ("settings/level", "info"),
            ("settings/size", "3"),
        ]);
        let sorted = sort(all, "", &[], &["Symbol/".into()]);
        let found: Vec<_> = sorted
            .found
            .iter()
            .map(|(found, range)| (&*found.name, found.deeper.as_deref(), range.found.len()))
            .collect();
        assert_eq!(found, [("account", None, 1), ("kline", None, 2), ("prod", Some("/"), 1)]);
        let left_out = |prefix: &str, keys, registrations| LeftOut { prefix: prefix.into(), keys, registrations };
        assert_eq!(sorted.left_out, [left_out("", 1, 0), left_out("settings/", 3, 1)]);
    }

    #[test]
    fn named_services_come_first_and_the_longest_name_wins() {
        let template = crate::routing::KeyTemplate::parse("kline_{symbol}/{id}").expect("a template");
        let named = [
            subject("kline", Layout::new("r/", "kline", None)),
            subject("kline_x", Layout::new("r/", "kline_x", Some(template))),
            subject("kline/deep", Layout::new("r/", "kline/deep", None)),
        ];
        let all =
            range(&[("r/kline/A/1", ""), ("r/kline/deep/A/1", ""), ("r/kline_BTC/1", ""), ("r/klineV2/A/1", "h:1")]);
        let sorted = sort(all, "r/", &named, &[]);
        assert_eq!(sorted.named.iter().map(|range| range.found.len()).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(sorted.found.len(), 1);
    }
}
