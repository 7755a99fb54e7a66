//! HTTP/1.1 as a client: one kept connection per line, made again when it is lost. Every wait and every body has a bound.

pub mod dice;

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderName, HeaderValue},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

/// How long an answer is waited for; also a connection.
pub const PATIENCE: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 1 << 20;
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A request that has its body.
pub type Ask = Request<Full<Bytes>>;

/// Where the service is.
#[derive(Clone)]
pub struct Endpoint {
    url: String,
    prefix: String,
    host: HeaderValue,
    addrs: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    api_key: Option<HeaderValue>,
}

impl Endpoint {
    /// # Errors
    /// What is wrong with the URL, or that its host is unknown.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("--url {url} must be http:// or https:// with a host, such as http://127.0.0.1:8080");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        let (secure, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(wrong()),
        };
        let name = authority.host().trim_matches(['[', ']']);
        let found = (name, authority.port_u16().unwrap_or(port)).to_socket_addrs();
        let addrs: Vec<_> = found.map_err(|error| format!("the host of {url} is unknown: {error}"))?.collect();
        let server = ServerName::try_from(name.to_owned()).map_err(|_| wrong())?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            addrs,
            tls: if secure { Some((connector()?, server)) } else { None },
            api_key: None,
        })
    }

    /// Shows this key with every request; without one as before.
    ///
    /// # Errors
    /// That it cannot stand in a header.
    pub fn with_api_key(self, key: Option<&str>) -> Result<Self, String> {
        let api_key = key.map(HeaderValue::from_str).transpose();
        Ok(Self { api_key: api_key.map_err(|_| "--api-key must be visible ASCII characters")?, ..self })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Ask {
        self.request(Method::GET, path, Bytes::new())
    }

    /// A request with a JSON body.
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Ask {
        self.request(Method::POST, path, body.into())
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Ask {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.prefix).parse().unwrap_or_default();
        request.headers_mut().insert(HOST, self.host.clone());
        if let Some(key) = &self.api_key {
            request.headers_mut().insert(API_KEY, key.clone());
        }
        if request.method() == Method::POST {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
        }
        request
    }
}

fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "no certificate authorities were found on this machine; name a file of them in SSL_CERT_FILE".into()
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// An answer that came as a whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// Nothing was sent.
    Unconnected(String),
    /// It was sent, and nothing came in time.
    TimedOut,
    /// It was sent, and the connection ended before the answer did.
    Broken(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconnected(why) | Self::Broken(why) => f.write_str(why),
            Self::TimedOut => write!(f, "no answer within {} s", PATIENCE.as_secs()),
        }
    }
}

/// One kept connection. Dropping it ends the connection.
pub struct Line {
    endpoint: Rc<Endpoint>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    pub fn new(endpoint: Rc<Endpoint>) -> Self {
        Self { endpoint, sender: None }
    }

    /// Connects, when it is not connected. Whether it worked, the next request will tell.
    pub async fn warm(&mut self) {
        if self.sender.is_none() {
            self.sender = self.connect().await.ok();
        }
    }

    /// # Errors
    /// [`Lost`]; the next request is sent on a new connection.
    pub async fn send(&mut self, request: Ask) -> Result<Answer, Lost> {
        // Taken out, so that a connection on which something went wrong is not used again.
        let mut kept = self.sender.take();
        let mut request = request;
        loop {
            let fresh = kept.is_none();
            let mut sender = match kept.take() {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            match timeout(PATIENCE, exchange(&mut sender, request)).await {
                Err(_elapsed) => return Err(Lost::TimedOut),
                Ok(Ok(answer)) => {
                    self.sender = Some(sender).filter(|sender| !sender.is_closed());
                    return Ok(answer);
                }
                // The server ended an idle connection, as it may; this request never went out.
                Ok(Err((Some(unsent), _))) if !fresh => request = unsent,
                Ok(Err((Some(_), why))) => return Err(Lost::Unconnected(why)),
                Ok(Err((None, why))) => return Err(Lost::Broken(why)),
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        let slow = |_| Lost::Unconnected(format!("no connection within {} s", PATIENCE.as_secs()));
        let made = timeout(PATIENCE, self.open()).await.map_err(slow)?;
        made.map_err(Lost::Unconnected)
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(&self.endpoint.addrs[..]).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        match &self.endpoint.tls {
            None => shake_hands(TokioIo::new(stream)).await,
            Some((connector, name)) => {
                let secured = connector.connect(name.clone(), stream).await.map_err(|error| error.to_string())?;
                shake_hands(TokioIo::new(secured)).await
            }
        }
    }
}

async fn shake_hands<T>(io: T) -> Result<SendRequest<Full<Bytes>>, String>
where
    T: Read + Write + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(|error| error.to_string())?;
    // Its errors are told to whoever waits for an answer on it.
    task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

/// On failure also the request, when nothing of it was sent.
async fn exchange(sender: &mut SendRequest<Full<Bytes>>, request: Ask) -> Result<Answer, (Option<Ask>, String)> {
    let response = sender.try_send_request(request).await.map_err(|mut error| {
        let unsent = error.take_message();
        (unsent, error.into_error().to_string())
    })?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| (None, error.to_string()))?.to_bytes();
    Ok(Answer { status, body })
}

/// A header whose value is made here.
pub fn with_header(mut request: Ask, name: &'static str, value: &str) -> Ask {
    if let Ok(value) = HeaderValue::from_str(value) {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    request
}
