//! `c-bindings WIT WORLD FOLDER`: writes what `wit-bindgen c` writes. That command takes minutes to install; its library is
//! built here in seconds, from the same crates as the bindings of Rust plugins.

use std::{env, fs, path::Path};

use anyhow::{Context, bail};
use wit_bindgen_core::{Files, wit_parser::Resolve};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [wit, world, folder] = arguments.as_slice() else { bail!("usage: c-bindings WIT WORLD FOLDER") };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).with_context(|| format!("{wit} cannot be read"))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(folder).with_context(|| format!("{folder} cannot be made"))?;
    for (name, bytes) in files.iter() {
        let path = Path::new(folder).join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
