//! `cargo xtask bench`: what a call costs through symgate and through the proxies that are installed, measured in turn
//! so that the machine's moods cancel in the ratios. Everything is on loopback; nothing that it starts outlives it.

mod admin;
mod figures;
mod ground;
mod load;
mod process;
mod proxy;
mod report;
pub(crate) mod scale;
mod shape;
mod usage;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use self::{
    figures::{Figures, Results},
    ground::{Ground, Place},
    load::Load,
    proxy::{Kind, Proxy},
    shape::{Setting, Shape, Subject},
};
use crate::say;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each measurement is made, in turn with the others.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A fraction of the calls: shows that everything works, and figures that say little.
    #[arg(long)]
    quick: bool,
    /// Only shapes whose name contains this, e.g. `unary` or `stream-1KiB`. May be repeated.
    #[arg(long, value_name = "SHAPE")]
    only: Vec<String>,
    /// Only these peers, or none: `haproxy,nginx`, `none`. Otherwise every one that is installed.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    peers: Option<Vec<String>>,
    /// A gateway that is built already, instead of building one as it is deployed.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let shapes = shape::chosen(&options.only, options.quick)?;
    let peers = proxy::installed(options.peers.as_deref())?;
    let kinds: Vec<_> = [Kind::SymgateWasm, Kind::SymgateNative].into_iter().chain(peers).collect();
    let ground = Ground::prepare(options.gateway.as_deref())?;

    let mut run = Run { ground: &ground, rounds: options.rounds, results: Results::default(), failures: Vec::new() };
    for setting in [Setting::OneWorker, Setting::TwoWorkers, Setting::Fresh] {
        let shapes: Vec<_> = shapes.iter().filter(|shape| shape.setting == setting).collect();
        if !shapes.is_empty() {
            run.setting(setting, &shapes, &kinds)?;
        }
    }
    let Run { results, failures, .. } = run;
    results.write(&ground.folder.join("measurements.tsv"))?;
    report::print(&results, &shapes, &kinds);
    if !failures.is_empty() {
        bail!("{} of the measurements failed:\n{}", failures.len(), failures.join("\n"));
    }
    Ok(())
}

/// The measurements under way.
struct Run<'a> {
    ground: &'a Ground,
    rounds: u32,
    results: Results,
    failures: Vec<String>,
}

impl Run<'_> {
    /// Measures the shapes that are measured in one way.
    fn setting(&mut self, setting: Setting, shapes: &[&Shape], kinds: &[Kind]) -> Result<()> {
        match setting {
            Setting::OneWorker => {
                let mut proxies = self.start_all(kinds, 1, setting)?;
                proxies.push(Proxy::none(self.ground));
                self.rounds(shapes, &proxies, Place::Load);
            }
            Setting::TwoWorkers => {
                let mut proxies = self.start_all(kinds, 1, setting)?;
                proxies.extend(self.start_all(kinds, 2, setting)?);
                self.rounds(shapes, &proxies, Place::All);
            }
            Setting::Fresh => {
                for (round, shape) in (0..self.rounds).flat_map(|round| shapes.iter().map(move |shape| (round, shape)))
                {
                    self.announce(round, shape);
                    for kind in kinds {
                        let proxy = Proxy::start(*kind, self.ground, 1, setting)?;
                        self.note(round, shape, &proxy, Place::Load);
                    }
                }
            }
        }
        Ok(())
    }

    fn start_all(&self, kinds: &[Kind], workers: u8, setting: Setting) -> Result<Vec<Proxy>> {
        kinds.iter().map(|kind| Proxy::start(*kind, self.ground, workers, setting)).collect()
    }

    /// Each shape with one proxy right after the other: what is compared was measured within seconds.
    fn rounds(&mut self, shapes: &[&Shape], proxies: &[Proxy], load: Place) {
        for round in 0..self.rounds {
            for shape in shapes {
                self.announce(round, shape);
                for proxy in proxies.iter().filter(|proxy| shape.is_for(proxy)) {
                    self.note(round, shape, proxy, load);
                }
            }
        }
    }

    fn announce(&self, round: u32, shape: &Shape) {
        say(&format!("round {} of {}: {}", round + 1, self.rounds, shape.name));
    }

    /// Makes one measurement. One that fails is told at the end; the others go on.
    fn note(&mut self, round: u32, shape: &Shape, proxy: &Proxy, load: Place) {
        match self.measure(shape, proxy, load) {
            Ok(figures) => self.results.add(round, shape.name, &proxy.name, figures),
            Err(error) => {
                let failure = format!("{} through {}: {error:#}", shape.name, proxy.name);
                say(&failure);
                self.failures.push(failure);
            }
        }
    }

    fn measure(&self, shape: &Shape, proxy: &Proxy, place: Place) -> Result<Figures> {
        let asked = proxy.counters()?;
        let mut load = Load::start(self.ground, place, &shape.arguments, proxy)?;
        let warm = load.used_at("warm", proxy)?;
        let figures = if shape.about == Subject::Memory {
            let held = load.used_at("held", proxy)?;
            load.figures()?.with_memory(warm, held)
        } else {
            let figures = load.figures()?;
            figures.with_cpu(warm, proxy.usage()?)
        };
        let made = figures.count("made").context("the load did not say how many calls it made")?;
        proxy.asked_twice_each(asked, made)?;
        Ok(figures)
    }
}
