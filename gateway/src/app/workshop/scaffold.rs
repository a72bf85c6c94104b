//! A crate to begin a plugin with: it builds, passes its tests and its cases, and has a gateway's configuration beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::sdk;

/// What a plugin decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Which symbol.
    Extractor,
    /// Which instance.
    Selector,
    /// Both, in one file.
    Both,
}

/// A crate that is to be made.
#[derive(Clone, Debug)]
pub struct Scaffold {
    /// What it is called.
    pub name: String,
    /// What it decides.
    pub kind: Kind,
    /// The folder in which its own is made.
    pub into: PathBuf,
}

/// What differs between the kinds.
struct Template {
    code: &'static str,
    cases: &'static str,
    options: &'static str,
    what: &'static str,
}

/// Names that cargo or rustc give a meaning of their own, or that this crate depends on.
const TAKEN: [&str; 7] = ["alloc", "core", "proc-macro", "std", "symgate-sdk", "test", "vendor"];
/// Rust's own words, which no crate can be called.
const WORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
/// Letters of a name; file systems take 255 with what is put around it.
const LONGEST: usize = 64;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Extractor, Self::Selector, Self::Both];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Extractor => "extractor",
            Self::Selector => "selector",
            Self::Both => "both",
        }
    }

    /// What decides, in words.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Extractor => "an extractor",
            Self::Selector => "a selector",
            Self::Both => "an extractor and a selector in one file",
        }
    }

    const fn template(self) -> Template {
        match self {
            Self::Extractor => Template {
                code: include_str!("../../../scaffold/extractor/lib.rs"),
                cases: include_str!("../../../scaffold/extractor/cases.toml"),
                options: include_str!("../../../scaffold/extractor/options.toml"),
                what: "it says which symbol a call belongs to",
            },
            Self::Selector => Template {
                code: include_str!("../../../scaffold/selector/lib.rs"),
                cases: include_str!("../../../scaffold/selector/cases.toml"),
                options: include_str!("../../../scaffold/selector/options.toml"),
                what: "it says which of a symbol's instances gets a call",
            },
            Self::Both => Template {
                code: include_str!("../../../scaffold/both/lib.rs"),
                cases: include_str!("../../../scaffold/both/cases.toml"),
                options: include_str!("../../../scaffold/both/options.toml"),
                what: "it says which symbol a call belongs to, and which of its instances gets it",
            },
        }
    }
}

impl Scaffold {
    /// Makes the crate; its folder.
    ///
    /// # Errors
    /// When the name cannot be one, its folder is there already, or a file cannot be written: then nothing is left of it.
    pub fn make(&self) -> anyhow::Result<PathBuf> {
        check_name(&self.name)?;
        let files = self.files()?;
        let folder = self.into.join(&self.name);
        fs::create_dir(&folder).map_err(|error| self.no_folder(&folder, &error))?;
        let written = files.iter().try_for_each(|(place, text)| write(&folder.join(place), text));
        if written.is_err() {
            // It was made a moment ago, by us.
            drop(fs::remove_dir_all(&folder));
        }
        written.map(|()| folder)
    }

    /// What its Wasm file is called.
    pub fn file(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }

    fn files(&self) -> anyhow::Result<Vec<(PathBuf, String)>> {
        let template = self.kind.template();
        let filled = |text: &str| self.filled(text, &template);
        let mut files = vec![
            ("Cargo.toml".into(), filled(include_str!("../../../scaffold/Cargo.toml.in"))?),
            ("README.md".into(), filled(include_str!("../../../scaffold/README.md.in"))?),
            ("symgate.toml".into(), filled(include_str!("../../../scaffold/symgate.toml.in"))?),
            ("instances.toml".into(), include_str!("../../../scaffold/instances.toml").into()),
            (".gitignore".into(), include_str!("../../../scaffold/gitignore").into()),
            ("src/lib.rs".into(), template.code.into()),
            ("cases.toml".into(), template.cases.into()),
        ];
        let vendor = Path::new("vendor/symgate-sdk");
        files.extend(sdk::vendored()?.into_iter().map(|(place, text)| (vendor.join(place), text)));
        Ok(files)
    }

    /// A template with this crate's own words.
    fn filled(&self, text: &str, template: &Template) -> anyhow::Result<String> {
        let (extract, select) = (format!("extract = {:?}", self.name), format!("select = {:?}", self.name));
        let uses = match self.kind {
            Kind::Extractor => extract,
            Kind::Selector => format!("extract = \"metadata-key\"\n{select}"),
            Kind::Both => format!("{extract}\n{select}"),
        };
        let words = [
            ("name", self.name.clone()),
            ("file", self.file()),
            ("what", template.what.into()),
            ("options", template.options.into()),
            ("uses", uses),
            ("version", sdk::of_package("version")?),
            ("edition", sdk::of_package("edition")?),
            ("rust-version", sdk::of_package("rust-version")?),
            ("repository", sdk::of_package("repository")?),
        ];
        let fill = |text: String, (word, meaning): &(&str, String)| text.replace(&format!("{{{{{word}}}}}"), meaning);
        Ok(words.iter().fold(text.to_owned(), fill))
    }

    fn no_folder(&self, folder: &Path, error: &io::Error) -> anyhow::Error {
        let (shown, into) = (folder.display(), self.into.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                anyhow::anyhow!("{shown} is there already; choose another name, or another folder with --into")
            }
            io::ErrorKind::NotFound => anyhow::anyhow!("the folder {into} is not there; make it first"),
            _ => anyhow::anyhow!("{shown} cannot be made: {error}"),
        }
    }
}

/// Whether a crate can be called so.
fn check_name(name: &str) -> anyhow::Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.contains(['/', '\\']) {
        bail!("{name:?} is a path; say the name alone, and where with --into");
    }
    if name.len() > LONGEST {
        bail!("the name has {} letters, {LONGEST} are allowed", name.len());
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.ends_with('-') || !name.chars().all(allowed) {
        bail!("{name:?} is no name for a plugin: lower-case letters, digits and `-`, a letter first, such as by-order");
    }
    if WORDS.contains(&name) {
        bail!("{name:?} is a word of Rust, which no crate can be called; choose another name");
    }
    if TAKEN.contains(&name) {
        bail!("{name:?} is the name of something that the crate needs; choose another one");
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn scaffold(name: &str, kind: Kind, into: &Path) -> Scaffold {
        Scaffold { name: name.into(), kind, into: into.into() }
    }

    #[track_caller]
    fn refused(name: &str, expected: &str) {
        let nowhere = tempfile::tempdir().unwrap();
        let error = scaffold(name, Kind::Both, nowhere.path()).make().unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        assert_eq!(fs::read_dir(nowhere.path()).unwrap().count(), 0, "nothing is made");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in ["", "By-Order", "by order", "1st", "-x", "x-", "by_order", "größe", "."] {
            refused(name, "is no name for a plugin: lower-case letters");
        }
        refused("../x", "is a path; say the name alone");
        refused("match", "is a word of Rust");
        refused("symgate-sdk", "is the name of something that the crate needs");
        refused(&"x".repeat(65), "65 letters, 64 are allowed");
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let scaffold = scaffold("by-order", Kind::Extractor, folder.path());
        fs::create_dir(folder.path().join("by-order")).unwrap();
        let error = scaffold.make().unwrap_err().to_string();
        assert!(error.ends_with("by-order is there already; choose another name, or another folder with --into"));
        assert_eq!(fs::read_dir(folder.path().join("by-order")).unwrap().count(), 0);
        let nowhere = Scaffold { into: folder.path().join("no/such"), ..scaffold };
        assert!(nowhere.make().unwrap_err().to_string().ends_with("no/such is not there; make it first"));
    }

    #[test]
    fn its_files_are_whole() {
        for kind in Kind::ALL {
            let folder = tempfile::tempdir().unwrap();
            let made = scaffold("by-order", kind, folder.path()).make().unwrap();
            let text = |file: &str| fs::read_to_string(made.join(file)).unwrap();
            for file in ["Cargo.toml", "README.md", "symgate.toml", "cases.toml", ".gitignore", "src/lib.rs"] {
                assert!(!text(file).contains("{{"), "{file} of {}: a word was not filled in", kind.name());
            }
            let config = Config::read(&made.join("symgate.toml")).unwrap();
            let path = made.join("target/wasm32-unknown-unknown/release/by_order.wasm");
            assert_eq!(config.plugins[0].path.as_deref(), Some(path.as_path()));
            assert!(text("vendor/symgate-sdk/wit/plugin.wit").contains("package symgate:plugin@"));
        }
    }

    #[test]
    fn it_is_built_as_the_shipped_plugins_are() {
        let workspace: toml::Table = include_str!("../../../../Cargo.toml").parse().unwrap();
        let scaffold: toml::Table = include_str!("../../../scaffold/Cargo.toml.in").parse().unwrap();
        let (profiles, release) = (&workspace["profile"], &scaffold["profile"]["release"]);
        for (key, value) in release.as_table().unwrap() {
            let shipped = profiles["plugin"].get(key).or_else(|| profiles["dist"].get(key));
            assert_eq!(shipped, Some(value), "{key}");
        }
    }
}
