//! The CAs that providers' certificates are verified with: the system's, and those an operator has added.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};

/// CA certificates in addition to the system's.
#[derive(Debug, Clone, Default)]
pub struct CaCertificates(Vec<CertificateDer<'static>>);

/// Why a file of CA certificates can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// It contains no certificate.
    #[error("it contains no certificate; expected PEM: -----BEGIN CERTIFICATE----- and so on")]
    Empty,
    /// It is not PEM, or a section of it is broken.
    #[error("certificate {number} is not valid PEM")]
    Pem {
        /// Which, counted from 1.
        number: usize,
    },
    /// It is a certificate that can't be a trust anchor.
    #[error("certificate {number} can't be used as a CA: {reason}")]
    Unusable {
        /// Which, counted from 1.
        number: usize,
        /// What the TLS library says.
        reason: String,
    },
}

impl CaCertificates {
    /// Parses a PEM file: one certificate or several. Anything else in it is ignored.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CaError> {
        let mut found = Vec::new();
        let mut tried = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let number = found.len() + 1;
            let certificate = match certificate {
                Ok(certificate) => certificate,
                Err(PemError::NoItemsFound) => break,
                Err(_) => return Err(CaError::Pem { number }),
            };
            tried.add(certificate.clone()).map_err(|error| CaError::Unusable {
                number,
                reason: error.to_string(),
            })?;
            found.push(certificate);
        }
        if found.is_empty() {
            return Err(CaError::Empty);
        }
        Ok(Self(found))
    }
}

/// The system's CAs and `extra`. Without any, which is logged, no https provider can be reached.
pub(crate) fn roots(extra: &CaCertificates) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(extra.0.iter().cloned());
    if roots.is_empty() {
        tracing::warn!(
            "no CA certificates found on this system, so no https provider can be reached; install ca-certificates, \
             set SSL_CERT_FILE, or give them with --provider-ca-file"
        );
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cant_be_used_says_why() {
        assert_eq!(CaCertificates::from_pem(b"").unwrap_err(), CaError::Empty);
        assert_eq!(CaCertificates::from_pem(b"\x30\x82 der").unwrap_err(), CaError::Empty);
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert_eq!(CaCertificates::from_pem(cut).unwrap_err(), CaError::Pem { number: 1 });
        let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            CaCertificates::from_pem(nonsense).unwrap_err(),
            CaError::Unusable { number: 1, .. }
        ));
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(CaCertificates::from_pem(key).unwrap_err(), CaError::Empty);
    }
}
