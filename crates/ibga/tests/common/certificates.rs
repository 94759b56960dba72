//! Certificates for servers of tests: an authority of their own, and a server's certificate by it for `localhost`.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::common::Desk;

/// Files in PEM form.
pub(crate) struct Certificates {
    /// The authority, which a client has to believe.
    pub(crate) authority: PathBuf,
    /// The server's certificate.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Certificates {
    pub(crate) fn new(desk: &Desk, name: &str) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, name);
        let authority_key = KeyPair::generate().expect("a key");
        let authority_certificate = authority.self_signed(&authority_key).expect("a certificate");
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = server.signed_by(&key, &issuer).expect("a certificate");
        Self {
            authority: desk.write(&format!("{name}-authority.pem"), &authority_certificate.pem()),
            certificate: desk.write(&format!("{name}.pem"), &certificate.pem()),
            key: desk.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }
}
