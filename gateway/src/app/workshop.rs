//! What who writes plugins needs: a crate to begin with, the build, a look at the file, its cases in the real sandbox,
//! and what its decisions cost. Says what it found in lines and documents; prints nothing, and runs no gateway.

mod asked;
mod bench;
mod build;
mod cases;
mod check;
mod figures;
mod scaffold;
mod sdk;
mod subject;

pub use self::{
    build::build,
    cases::{Cases, Ended},
    check::Checked,
    scaffold::{Kind, Scaffold},
    subject::Subject,
};
