//! The files of TLS: read at start, then watched; a change becomes new material or the reason why not. Publishes nothing:
//! what it finds goes to control.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, timeout_at},
};
use tracing::warn;

use super::file_watch::{FileChange, FileWatch};
use crate::{
    config::{Config, ListenTls, PeerTls, Source},
    snapshot::{Peers, Secured},
    tls::{Material, Unusable},
};

#[cfg(test)]
mod tests;

/// A certificate and its key are written one after the other: what follows within this time belongs to the change.
const SETTLE: Duration = Duration::from_millis(200);
/// Files that never come to rest are looked at nevertheless after this long.
const LONGEST: Duration = Duration::from_secs(2);

/// Files changed.
pub struct CertificateUpdate {
    /// Whose, as a place in [`CertificateFiles::secured`].
    pub at: usize,
    /// What they make, or why what was made before stays.
    pub outcome: Result<Arc<Material>, String>,
}

/// All files of TLS, watched until this is dropped.
pub struct CertificateFiles {
    users: Vec<User>,
    secured: Vec<Secured>,
}

/// Who uses files, and the files as they were read last.
struct User {
    purpose: Purpose,
    files: Vec<(PathBuf, Content)>,
    changed: bool,
}

/// A clone of [`io::Error`] would be its text.
type Content = Result<Vec<u8>, String>;

/// What the files are for.
enum Purpose {
    Clients(ListenTls),
    Peers(PeerTls),
}

impl CertificateFiles {
    /// Reads every file that the configuration names.
    ///
    /// # Errors
    /// Names the first that cannot be used, and what to do.
    pub fn load(config: &Config) -> Result<Self, Unusable> {
        let clients = config.listen.tls.iter();
        let clients = clients.map(|tls| (Peers::Clients, "listener".to_owned(), Purpose::Clients(tls.clone())));
        let instances = config.services.iter().enumerate().filter_map(|(place, service)| {
            let name = format!("service {}", service.name);
            Some((Peers::Instances(place), name, Purpose::Peers(service.tls.clone()?)))
        });
        let etcds = config.registries.iter().enumerate().filter_map(|(place, registry)| {
            let Source::Etcd(etcd) = &registry.source else { return None };
            Some((Peers::Etcd(place), format!("registry {}", registry.name), Purpose::Peers(etcd.tls.clone()?)))
        });
        let (mut users, mut secured) = (Vec::new(), Vec::new());
        for (peers, name, purpose) in clients.chain(instances).chain(etcds) {
            let user = User::new(purpose);
            let material = user.material().map_err(|unusable| unusable.of(&name))?;
            look_at_dates(&name, &material);
            let loaded = SystemTime::now();
            secured.push(Secured { peers, name: name.into(), material: Arc::new(material), loaded, refused: None });
            users.push(user);
        }
        Ok(Self { users, secured })
    }

    /// Who is spoken to with TLS, and by which material.
    pub fn secured(&self) -> &[Secured] {
        &self.secured
    }

    /// Watches the files; `None`: there are none.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn watch(&self) -> io::Result<Option<FileWatch>> {
        let paths: Vec<_> = self.users.iter().flat_map(|user| &user.files).map(|(path, _)| path.clone()).collect();
        if paths.is_empty() { Ok(None) } else { FileWatch::new(paths).map(Some) }
    }

    /// Sends what each change makes to `updates`, until nobody wants to know.
    pub async fn run(mut self, mut watch: FileWatch, updates: UnboundedSender<CertificateUpdate>) {
        while let Some(change) = watch.changed().await {
            self.take(change);
            let longest = Instant::now() + LONGEST;
            while let Ok(Some(change)) = timeout_at((Instant::now() + SETTLE).min(longest), watch.changed()).await {
                self.take(change);
            }
            for (at, user) in self.users.iter_mut().enumerate() {
                let Some(outcome) = user.news() else { continue };
                if let (Ok(material), Some(secured)) = (&outcome, self.secured.get(at)) {
                    look_at_dates(&secured.name, material);
                }
                if updates.send(CertificateUpdate { at, outcome }).is_err() {
                    return;
                }
            }
        }
        tracing::error!("the watch of the certificate files broke down; restart the gateway to change one");
    }

    /// A file is as it was last read when the watch begins, as a rule.
    fn take(&mut self, change: FileChange) {
        let mut index = change.index;
        for user in &mut self.users {
            match user.files.get_mut(index) {
                None => index -= user.files.len(),
                Some((_, known)) => {
                    let content = change.content.map_err(|error| error.to_string());
                    user.changed |= *known != content;
                    *known = content;
                    return;
                }
            }
        }
    }
}

impl User {
    fn new(purpose: Purpose) -> Self {
        let paths = match &purpose {
            Purpose::Clients(tls) => [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()],
            Purpose::Peers(tls) => {
                let own = tls.identity.as_ref();
                [Some(&tls.ca), own.map(|own| &own.certificate), own.map(|own| &own.key)]
            }
        };
        let files = paths.into_iter().flatten();
        let files = files.map(|path| (path.clone(), fs::read(path).map_err(|error| error.to_string()))).collect();
        Self { purpose, files, changed: false }
    }

    /// What the files make, if one has changed.
    fn news(&mut self) -> Option<Result<Arc<Material>, String>> {
        std::mem::take(&mut self.changed).then(|| match self.material() {
            Ok(material) => Ok(Arc::new(material)),
            Err(unusable) => Err(unusable.to_string()),
        })
    }

    fn material(&self) -> Result<Material, Unusable> {
        let read = |wanted: &Path| match self.files.iter().find(|(path, _)| path == wanted) {
            Some((_, content)) => content.clone().map_err(io::Error::other),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match &self.purpose {
            Purpose::Clients(tls) => Material::for_clients(tls, &read),
            Purpose::Peers(tls) => Material::for_peers(tls, &read),
        }
    }
}

/// A certificate that is not good today may be so tomorrow, or to a peer with another clock.
fn look_at_dates(name: &str, material: &Material) {
    let now = SystemTime::now();
    if material.not_after().is_some_and(|end| end < now) {
        warn!(of = name, "a certificate that is shown has expired; peers will refuse it: renew it");
    }
    if material.not_before().is_some_and(|begin| begin > now) {
        warn!(of = name, "a certificate that is shown is not valid yet; is the clock of this machine right?");
    }
}
