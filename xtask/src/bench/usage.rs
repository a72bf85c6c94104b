//! What a process and its children have used, from the kernel's own books. All threads count.

use std::{
    fs,
    iter::Sum,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// CPU time and memory, at one moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    /// Nanoseconds on a core.
    pub(super) cpu: u64,
    /// Resident memory in KiB.
    pub(super) resident: u64,
}

impl Usage {
    /// Of a process and all that it started.
    pub(super) fn of(process: u32) -> Result<Self> {
        let own = Self::alone(process).with_context(|| format!("process {process} has gone away"))?;
        let children = children(process)?.into_iter().map(Self::of);
        Ok(own + children.sum::<Result<Self>>()?)
    }

    fn alone(process: u32) -> Result<Self> {
        let mut cpu = 0;
        for task in tasks(process)? {
            // A thread may end between the list and the look.
            let Ok(text) = fs::read_to_string(task.join("schedstat")) else { continue };
            cpu += first_number(&text).context("schedstat says nothing")?;
        }
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(Self { cpu, resident: resident.and_then(first_number).context("no VmRSS")? })
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, resident: self.resident + other.resident }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| sum + one)
    }
}

fn tasks(process: u32) -> Result<Vec<PathBuf>> {
    let folder = format!("/proc/{process}/task");
    let entries = fs::read_dir(Path::new(&folder)).with_context(|| format!("{folder} cannot be read"))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

fn children(process: u32) -> Result<Vec<u32>> {
    let lists = tasks(process)?.into_iter().filter_map(|task| fs::read_to_string(task.join("children")).ok());
    Ok(lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Usage, first_number};

    #[test]
    fn numbers_are_read_from_the_kernels_lines() {
        assert_eq!(first_number("   12345 kB\n"), Some(12345));
        assert_eq!(first_number("987654321 123 45\n"), Some(987_654_321));
        assert_eq!(first_number(""), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.cpu > 0 && usage.resident > 0, "{} ns, {} KiB", usage.cpu, usage.resident);
    }
}
