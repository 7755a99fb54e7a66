//! Where a service is, and requests to it.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use http_body_util::Full;
use hyper::{
    Method, Uri,
    body::Bytes,
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use super::EndpointError;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(super) const JSON: &str = "application/json";

/// A request with its whole body.
pub type Request = hyper::Request<Full<Bytes>>;

/// The address of a service, and the API key that it is shown.
#[derive(Clone)]
pub struct Endpoint {
    url: String,
    prefix: String,
    host: HeaderValue,
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    api_key: Option<HeaderValue>,
}

/// The URL as a message may show it: without what stands in front of an `@`, which is a password.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (&url[..scheme.len() + 3], rest));
    rest.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, place)| format!("{scheme}[hidden]@{place}"))
}

impl Endpoint {
    /// # Errors
    /// What is wrong with the URL, or that its host is unknown.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed { url: shown(url) };
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(malformed)?;
        let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let has_strange_port = !after_host.is_empty() && authority.port_u16().is_none();
        if has_strange_port || uri.query().is_some() || url.contains('#') {
            return Err(malformed());
        }
        let (secure, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(malformed()),
        };
        let name = authority.host().trim_matches(['[', ']']);
        let found = (name, authority.port_u16().unwrap_or(port)).to_socket_addrs();
        let addrs = found.map_err(|source| EndpointError::UnknownHost { url: url.to_owned(), source })?.collect();
        let server = ServerName::try_from(name.to_owned()).map_err(|_| malformed())?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| malformed())?,
            addrs,
            tls: if secure { Some((connector()?, server)) } else { None },
            api_key: None,
        })
    }

    /// The same endpoint, which shows this key with every request.
    ///
    /// # Errors
    /// When no header can carry the key.
    pub fn with_api_key(self, key: Option<&str>) -> Result<Self, EndpointError> {
        let api_key = key.map(HeaderValue::from_str).transpose();
        Ok(Self { api_key: api_key.map_err(|_| EndpointError::ApiKey)?, ..self })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn has_api_key(&self) -> bool {
        self.api_key.is_some()
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path, None, Bytes::new())
    }

    /// A request without a body that takes something away.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path, None, Bytes::new())
    }

    /// A request with a JSON body.
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Request {
        self.request(Method::POST, path, Some(JSON), body.into())
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Request {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.prefix).parse().unwrap_or_default();
        request.headers_mut().insert(HOST, self.host.clone());
        if let Some(key) = &self.api_key {
            request.headers_mut().insert(API_KEY, key.clone());
        }
        if let Some(content_type) = content_type {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        request
    }
}

/// The request with a header whose value this program made.
pub fn with_header(mut request: Request, name: &'static str, value: &str) -> Request {
    if let Ok(value) = HeaderValue::from_str(value) {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    request
}

fn connector() -> Result<TlsConnector, EndpointError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(EndpointError::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn a_url_leads_where_it_says_or_is_refused() {
        for url in ["http://127.0.0.1", "http://127.0.0.1:8080/", "http://[::1]:80/shop", "http://localhost:65535"] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
        let strange_ports = ["99999", "65536", "abc", "-1", ""].map(|port| format!("http://127.0.0.1:{port}"));
        let others =
            ["ftp://127.0.0.1", "127.0.0.1:80", "http://a@127.0.0.1", "http://127.0.0.1/?x=1", "http://127.0.0.1/#x"];
        for url in strange_ports.iter().map(String::as_str).chain(others) {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
        for (url, shown) in [
            ("http://anna:se@cret@shop.example:80", "http://[hidden]@shop.example:80"),
            ("anna:secret@shop.example", "[hidden]@shop.example"),
        ] {
            let complaint = Endpoint::parse(url).err().unwrap().to_string();
            assert!(complaint.contains(shown) && !complaint.contains("cret@shop"), "{complaint}");
        }
    }
}
