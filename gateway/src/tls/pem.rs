//! Certificates and keys as PEM. Files may hold other sections beside them.

use std::path::Path;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

use super::{Read, Unusable, certificate::Facts};

/// The certificate to show, those that lead from it to a root, and what they say.
pub(super) fn chain(path: &Path, read: Read<'_>) -> Result<(Vec<CertificateDer<'static>>, Facts), Unusable> {
    let chain = certificates(path, read)?;
    let mut facts: Option<Facts> = None;
    for (at, certificate) in chain.iter().enumerate() {
        let read = Facts::read(certificate).map_err(|error| {
            Unusable::new(path, format_args!("certificate {} cannot be understood: {error}; make it anew", at + 1))
        })?;
        match &mut facts {
            None => facts = Some(read),
            // A chain is good for as long as all of it is.
            Some(facts) => facts.narrow(&read),
        }
    }
    Ok((chain, facts.unwrap_or_default()))
}

/// All certificates of a file, one at least.
pub(super) fn certificates(path: &Path, read: Read<'_>) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let pem = content(path, read)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| broken(path, &error, "certificate"))?;
    if certificates.is_empty() { Err(broken(path, &Error::NoItemsFound, "certificate")) } else { Ok(certificates) }
}

/// The first private key of a file.
pub(super) fn key(path: &Path, read: Read<'_>) -> Result<PrivateKeyDer<'static>, Unusable> {
    PrivateKeyDer::from_pem_slice(&content(path, read)?).map_err(|error| broken(path, &error, "private key"))
}

fn content(path: &Path, read: Read<'_>) -> Result<Vec<u8>, Unusable> {
    let content = read(path).map_err(|error| {
        Unusable::new(path, format_args!("cannot be read: {error}; write the file or correct its path"))
    })?;
    if content.is_empty() { Err(Unusable::new(path, "the file is empty")) } else { Ok(content) }
}

fn broken(path: &Path, error: &Error, wanted: &str) -> Unusable {
    match error {
        Error::NoItemsFound => Unusable::new(
            path,
            format_args!("holds no {wanted}; expected PEM, a section that starts with -----BEGIN, not encrypted"),
        ),
        Error::MissingSectionEnd { .. } => Unusable::new(path, "cut off: a section of it has no -----END line"),
        Error::IllegalSectionStart { .. } => Unusable::new(path, "no PEM: a -----BEGIN line of it is malformed"),
        error => Unusable::new(path, format_args!("no PEM: {error}")),
    }
}
