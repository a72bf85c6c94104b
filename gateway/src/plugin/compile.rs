//! From the bytes of a file to a compiled component that speaks this gateway's version of the contract. Runs nothing
//! of it.

use std::{
    borrow::Cow,
    panic::{self, AssertUnwindSafe},
};

use wasmtime::{Engine, Module, component::Component};
use wit_component::ComponentEncoder;

use super::Rejected;

/// What every version of the contract starts with.
const PACKAGE: &str = "symgate:plugin/";
/// The contract's version that this gateway speaks, and what every compatible one starts with.
pub const VERSION: &str = "0.1.0";
const COMPATIBLE: &str = "0.1.";
const SECTION: &str = "component-type";

/// The first eight bytes of the two kinds of WebAssembly file.
pub(super) const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
pub(super) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A component that imports and exports only what the contract knows.
pub(super) struct Compiled {
    pub(super) component: Component,
    /// Whether it exports `extract`.
    pub(super) extracts: bool,
    /// Whether it exports `select`.
    pub(super) selects: bool,
}

/// Compiles a core module that carries the contract, or a component, and checks it against the contract.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Compiled, Rejected> {
    let (_, component) = component(engine, bytes)?;
    check(engine, component)
}

/// Compiles a core module that carries the contract, or a component; with the component's bytes.
pub(super) fn component<'a>(engine: &Engine, bytes: &'a [u8]) -> Result<(Cow<'a, [u8]>, Component), Rejected> {
    // Encoder and compiler are large programs that read outside input: a slip of theirs refuses the file, no more.
    panic::catch_unwind(AssertUnwindSafe(|| component_unguarded(engine, bytes)))
        .unwrap_or_else(|_panic| Err(Rejected("the compiler panicked over it; the log says where".into())))
}

fn component_unguarded<'a>(engine: &Engine, bytes: &'a [u8]) -> Result<(Cow<'a, [u8]>, Component), Rejected> {
    let bytes = if bytes.starts_with(CORE_MODULE) {
        encode(engine, bytes)?.into()
    } else if bytes.starts_with(COMPONENT) {
        bytes.into()
    } else {
        return Err(Rejected(format!("not a WebAssembly file: {}", describe(bytes))));
    };
    let component =
        Component::new(engine, &bytes).map_err(|error| Rejected(format!("it does not compile: {error:#}")))?;
    Ok((bytes, component))
}

/// Checks imports and exports against the contract.
pub(super) fn check(engine: &Engine, component: Component) -> Result<Compiled, Rejected> {
    let ty = component.component_type();
    for (name, _) in ty.imports(engine) {
        check_import(name)?;
    }
    let (mut extracts, mut selects, mut foreign) = (false, false, None);
    for (name, _) in ty.exports(engine) {
        match check_export(name)? {
            Export::Extract => extracts = true,
            Export::Select => selects = true,
            Export::Foreign => foreign = Some(name),
        }
    }
    if !extracts && !selects {
        return Err(Rejected(match foreign {
            Some(name) => format!("it exports {name}, which symgate does not know; expected {}", expected()),
            None => format!("it exports nothing; expected {}: register_extractor!(..) of symgate-sdk", expected()),
        }));
    }
    Ok(Compiled { component, extracts, selects })
}

enum Export {
    Extract,
    Select,
    /// None of the contract's. The tools that make components of Python and JavaScript leave their own there, beside
    /// those of the contract; nobody calls it.
    Foreign,
}

/// Makes a component of a core module by the contract that its custom section describes.
fn encode(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, Rejected> {
    let invalid = |error: String| Rejected(format!("not a valid WebAssembly module: {error}"));
    // First, because the next step panics over a module that is cut off.
    Module::validate(engine, module).map_err(|error| invalid(format!("{error:#}")))?;
    let (stripped, _) = wit_component::metadata::decode(module).map_err(|error| invalid(format!("{error:#}")))?;
    if stripped.is_none() {
        return Err(Rejected(format!(
            "a core module without the contract's custom section `{SECTION}`: build the plugin with symgate-sdk"
        )));
    }
    ComponentEncoder::default().validate(true).module(module).and_then(|mut encoder| encoder.encode()).map_err(
        |error| {
            let error = format!("{error:#}");
            // The encoder names the module that it has no adapter for.
            if error.contains("wasi_snapshot_preview1") {
                return wants_wasi("wasi_snapshot_preview1");
            }
            Rejected(format!("the module does not fit the contract in its custom section `{SECTION}`: {error}"))
        },
    )
}

fn check_import(name: &str) -> Result<(), Rejected> {
    if name.starts_with("wasi:") {
        return Err(wants_wasi(name));
    }
    match contract(name) {
        Some(("log" | "types", version)) if version.starts_with(COMPATIBLE) => Ok(()),
        Some(("log" | "types", _)) => {
            Err(Rejected(format!("it imports {name}, this gateway speaks {VERSION}: build it with this symgate-sdk")))
        }
        _ => Err(Rejected(format!("it imports {name}; symgate gives plugins only {PACKAGE}log@{VERSION}"))),
    }
}

fn check_export(name: &str) -> Result<Export, Rejected> {
    let export = match contract(name) {
        Some(("extract", version)) => (Export::Extract, version),
        Some(("select", version)) => (Export::Select, version),
        Some(_) => {
            return Err(Rejected(format!("it exports {name}, which symgate does not know; expected {}", expected())));
        }
        None => return Ok(Export::Foreign),
    };
    match export {
        (export, version) if version.starts_with(COMPATIBLE) => Ok(export),
        _ => Err(Rejected(format!("it exports {name}, this gateway speaks {VERSION}: build it with this symgate-sdk"))),
    }
}

/// Interface and version of a name that belongs to the contract.
fn contract(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn expected() -> String {
    format!("{PACKAGE}extract@{VERSION}, {PACKAGE}select@{VERSION} or both")
}

fn wants_wasi(name: &str) -> Rejected {
    Rejected(format!("it imports {name}; symgate gives plugins no WASI: build it for wasm32-unknown-unknown"))
}

fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "it is empty".into(),
        [b'(', ..] => "it looks like the text format; symgate reads the binary one".into(),
        _ if COMPONENT.starts_with(bytes) || CORE_MODULE.starts_with(bytes) => "it is cut off".into(),
        _ => "it does not start with the bytes `\\0asm` and a known version".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        check_bytes(&wat::parse_str(text).unwrap(), expected);
    }

    #[track_caller]
    fn check_bytes(bytes: &[u8], expected: &str) {
        let refused = compile(&Engine::default(), bytes).err().expect("it must be refused").0;
        assert!(refused.contains(expected), "{refused:?} does not say {expected:?}");
    }

    #[test]
    fn what_is_not_webassembly_is_refused() {
        check_bytes(b"", "not a WebAssembly file: it is empty");
        check_bytes(b"(module)", "it looks like the text format");
        check_bytes(b"\0asm\x01\0", "it is cut off");
        check_bytes(b"\x7fELF\x02\x01\x01\0", "not a WebAssembly file: it does not start with");
        check_bytes(b"\0asm\x01\0\0\0\x01", "not a valid WebAssembly module");
        check_bytes(b"\0asm\x0d\0\x01\0\x01", "it does not compile");
    }

    #[test]
    fn a_module_needs_the_contract() {
        check("(module)", "a core module without the contract's custom section `component-type`");
    }

    #[test]
    fn a_plugin_gets_nothing_but_the_log() {
        check(
            r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#,
            "it imports wasi:cli/environment@0.2.0; symgate gives plugins no WASI",
        );
        check(
            r#"(component (import "symgate:plugin/log@0.2.0" (instance)))"#,
            "it imports symgate:plugin/log@0.2.0, this gateway speaks 0.1.0",
        );
        check(r#"(component (import "symgate:plugin/clock@0.1.0" (instance)))"#, "only symgate:plugin/log@0.1.0");
        check(r#"(component (import "now" (func)))"#, "it imports now; symgate gives plugins only");
    }

    #[test]
    fn exports_are_the_contract_s() {
        check("(component)", "it exports nothing; expected symgate:plugin/extract@0.1.0, symgate:plugin/select@0.1.0");
        check(
            r#"(component (instance $i) (export "symgate:plugin/select@0.2.0" (instance $i)))"#,
            "it exports symgate:plugin/select@0.2.0, this gateway speaks 0.1.0",
        );
        check(
            r#"(component (instance $i) (export "symgate:plugin/score@0.1.0" (instance $i)))"#,
            "it exports symgate:plugin/score@0.1.0, which symgate does not know",
        );
        check(
            r#"(component (instance $i) (export "init" (instance $i)))"#,
            "it exports init, which symgate does not know; expected symgate:plugin/extract@0.1.0",
        );
    }

    #[test]
    fn what_a_language_s_tools_leave_beside_the_contract_does_not_matter() {
        let text = r#"(component (instance $i) (export "init" (instance $i))
            (export "symgate:plugin/extract@0.1.0" (instance $i)) (export "exports" (instance $i)))"#;
        let compiled = compile(&Engine::default(), &wat::parse_str(text).unwrap()).unwrap();
        assert!(compiled.extracts && !compiled.selects);
    }
}
