//! Why there is no endpoint, no connection, or no answer. Each error keeps its cause.

use std::{error::Error, io, time::Duration};

use hyper::Error as HttpError;
use tokio_rustls::rustls;

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("\"{url}\" must be http:// or https:// with a host and perhaps a port, such as http://127.0.0.1:8080")]
    Malformed { url: String },
    #[error("the host of {url} is unknown: {source}")]
    UnknownHost { url: String, source: io::Error },
    #[error("no certificate authorities were found on this machine; name a file of them in SSL_CERT_FILE")]
    NoAuthorities,
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("--api-key must be visible ASCII characters")]
    ApiKey,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no connection within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("{0}")]
    Tcp(#[source] io::Error),
    #[error("{0}")]
    Tls(#[source] io::Error),
    /// The server has a certificate that nobody here trusts, or that is for another name.
    #[error("{0}")]
    Certificate(#[source] io::Error),
    #[error("{0}")]
    Http(#[source] HttpError),
}

impl ConnectError {
    pub(super) fn from_tls(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Certificate(error)
            }
            _ => Self::Tls(error),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Nothing was sent.
    #[error(transparent)]
    NotConnected(#[from] ConnectError),
    /// The request was sent, and no answer came in time.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer has begun, and goes on too slowly to end.
    #[error("only {bytes} bytes came within {} s", .timeout.as_secs())]
    TooSlow { timeout: Duration, bytes: usize },
    /// The request was sent, and the connection ended before the answer did.
    #[error("{0}")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

impl TransportError {
    /// Whether the service may have done what it was asked.
    pub fn may_have_effect(&self) -> bool {
        !matches!(self, Self::NotConnected(_))
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    #[test]
    fn only_a_certificate_that_is_not_trusted_is_an_error_of_the_certificate() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = ConnectError::from_tls(io::Error::new(io::ErrorKind::InvalidData, unknown));
        assert!(matches!(error, ConnectError::Certificate(_)), "{error:?}");
        assert!(error.source().is_some_and(<dyn Error>::is::<io::Error>));
        let reset = ConnectError::from_tls(io::ErrorKind::ConnectionReset.into());
        assert!(matches!(reset, ConnectError::Tls(_)), "{reset:?}");
    }
}
