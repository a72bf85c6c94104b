//! `${NAME}` in the file's text values, from the environment. `$$` is a dollar sign; keys stay as they are.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::Mistake;

/// The value of an environment variable; `None`: it is not set, or not text.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every text value of the document in place; places in the file stay what they were.
pub(super) fn expand(document: &mut DeTable<'_>, lookup: Lookup<'_>) -> Result<(), Vec<Mistake>> {
    let mut mistakes = Vec::new();
    for (_, value) in document.iter_mut() {
        expand_value(value, lookup, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

fn expand_value(value: &mut Spanned<DeValue<'_>>, lookup: Lookup<'_>, mistakes: &mut Vec<Mistake>) {
    let at = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains('$') => match expand_text(text, lookup) {
            Ok(expanded) => *text = expanded.into(),
            Err(reason) => mistakes.push(Mistake::new(at, reason)),
        },
        DeValue::Array(values) => values.iter_mut().for_each(|value| expand_value(value, lookup, mistakes)),
        DeValue::Table(table) => table.iter_mut().for_each(|(_, value)| expand_value(value, lookup, mistakes)),
        _ => {}
    }
}

fn expand_text(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("\"${{\" in {text:?} has no \"}}\"; for a plain dollar sign write \"$$\""))?;
            let value = lookup(name).ok_or_else(|| {
                format!("environment variable {name:?} is not set; set it, or write \"$$\" for a plain dollar sign")
            })?;
            expanded.push_str(&value);
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| (name == "HOST").then(|| "etcd$1".to_owned());
        assert_eq!(expand_text(text, &lookup).unwrap_or_else(|reason| reason), expected, "{text}");
    }

    #[test]
    fn variables_and_dollar_signs() {
        check("plain", "plain");
        check("http://${HOST}:2379/${HOST}", "http://etcd$1:2379/etcd$1");
        check("a$$b $${HOST} 5$ $x", "a$b ${HOST} 5$ $x");
        check("${PORT}", "environment variable \"PORT\" is not set; set it, or write \"$$\" for a plain dollar sign");
        check("a${HOST", "\"${\" in \"a${HOST\" has no \"}\"; for a plain dollar sign write \"$$\"");
    }
}
