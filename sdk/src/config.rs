//! A plugin's options, from the JSON text that it is given to the author's own struct. Reads no files.

use serde::de::DeserializeOwned;

/// Parses the configuration that `new` is given.
///
/// Derive `Deserialize` for the options with `#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]`: an option
/// that is misspelt must not pass as one that was left out.
///
/// ```
/// use symgate_sdk::{config, serde::Deserialize};
///
/// #[derive(Deserialize)]
/// #[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
/// struct Options {
///     key: Option<String>,
/// }
///
/// let Options { key } = config::parse(r#"{"key":"symbol"}"#)?;
/// assert_eq!(key.as_deref(), Some("symbol"));
/// assert_eq!(config::parse::<Options>(r#"{"kee":"symbol"}"#).err().as_deref(), Some("unknown field `kee`, expected `key`"));
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// The text for the operator: which option is unknown, missing or of the wrong type.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| {
        // The operator wrote TOML: a place in our JSON text would send them to the wrong line.
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        text.strip_suffix(&place).unwrap_or(&text).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(crate = "crate::serde", default, deny_unknown_fields)]
    struct Options {
        key: String,
    }

    impl Default for Options {
        fn default() -> Self {
            Self { key: "symbol".into() }
        }
    }

    #[track_caller]
    fn check(json: &str, expected: Result<&str, &str>) {
        let expected = expected.map(|key| Options { key: key.into() }).map_err(String::from);
        assert_eq!(parse::<Options>(json), expected, "{json}");
    }

    #[test]
    fn options_are_read_and_mistakes_named() {
        check("{}", Ok("symbol"));
        check(r#"{"key":"x-symbol"}"#, Ok("x-symbol"));
        check(r#"{"kee":"x-symbol"}"#, Err("unknown field `kee`, expected `key`"));
        check(r#"{"key":4}"#, Err("invalid type: integer `4`, expected a string"));
        check("", Err("EOF while parsing a value"));
    }
}
