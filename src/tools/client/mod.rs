//! HTTP/1.1 as a client: one kept connection per line, made again when it is lost. Every wait and every body has a bound.

pub mod admin;
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
    HeaderMap, Method, Request, Response, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

/// How long a connection is waited for, and, unless somebody has more patience, an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 1 << 20;
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What one answer may take.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// From sending the request to the whole answer; of a stream, to its head, and from piece to piece.
    pub patience: Duration,
    /// Of a stream there is no bound.
    pub body_bytes_max: usize,
}

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
        let wrong = || {
            format!(
                "\"{url}\" must be http:// or https:// with a host and perhaps a port, such as http://127.0.0.1:8080"
            )
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let has_strange_port = !after_host.is_empty() && authority.port_u16().is_none();
        if has_strange_port || uri.query().is_some() || url.contains('#') {
            return Err(wrong());
        }
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

    /// Whether a key is shown with every request.
    pub fn has_api_key(&self) -> bool {
        self.api_key.is_some()
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Ask {
        self.request(Method::GET, path, None, Bytes::new())
    }

    /// A request with a JSON body.
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Ask {
        self.request(Method::POST, path, Some("application/json"), body.into())
    }

    fn request(&self, method: Method, path: &str, content_type: Option<&'static str>, body: Bytes) -> Ask {
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
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer that has begun. Dropping it ends the connection.
pub struct Stream {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    bounds: Bounds,
    /// The connection lives as long as somebody may send on it.
    _sender: SendRequest<Full<Bytes>>,
}

impl Stream {
    /// The next piece, as it arrives; `None` after the last.
    ///
    /// # Errors
    /// [`Lost`]: what came so far is not all there is.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        loop {
            let frame = timeout(self.bounds.patience, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| Lost::TimedOut(self.bounds.patience))? else { return Ok(None) };
            // What is no data are trailers, and nobody asked for any.
            if let Ok(data) = frame.map_err(|error| Lost::Broken(error.to_string()))?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The whole answer.
    ///
    /// # Errors
    /// [`Lost`]; also when it is larger than it may be.
    pub async fn collect(self) -> Result<Answer, Lost> {
        let deadline = Instant::now() + self.bounds.patience;
        let (status, headers) = (self.status, self.headers);
        Ok(Answer { status, headers, body: collect(self.body, self.bounds, deadline).await? })
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// Nothing was sent.
    Unconnected(String),
    /// It was sent, and nothing came in time.
    TimedOut(Duration),
    /// It was sent, and the connection ended before the answer did.
    Broken(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconnected(why) | Self::Broken(why) => f.write_str(why),
            Self::TimedOut(patience) => write!(f, "no answer within {} s", patience.as_secs()),
        }
    }
}

/// One kept connection. Dropping it ends the connection.
pub struct Line {
    endpoint: Rc<Endpoint>,
    sender: Option<SendRequest<Full<Bytes>>>,
    bounds: Bounds,
}

impl Line {
    pub fn new(endpoint: Rc<Endpoint>) -> Self {
        Self::bounded(endpoint, Bounds { patience: PATIENCE, body_bytes_max: BODY_BYTES_MAX })
    }

    pub fn bounded(endpoint: Rc<Endpoint>, bounds: Bounds) -> Self {
        Self { endpoint, sender: None, bounds }
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
        let Begun { sender, response, deadline } = self.begin(request).await?;
        let (head, body) = response.into_parts();
        let body = collect(body, self.bounds, deadline).await?;
        self.sender = Some(sender).filter(|sender| !sender.is_closed());
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// As [`Line::send`], and the body is read piece by piece. The next request is sent on a new connection.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn stream(&mut self, request: Ask) -> Result<Stream, Lost> {
        let Begun { sender, response, .. } = self.begin(request).await?;
        let (head, body) = response.into_parts();
        let bounds = self.bounds;
        Ok(Stream { status: head.status.as_u16(), headers: head.headers, body, bounds, _sender: sender })
    }

    async fn begin(&mut self, mut request: Ask) -> Result<Begun, Lost> {
        // Taken out, so that a connection on which something went wrong is not used again.
        let mut kept = self.sender.take();
        loop {
            let fresh = kept.is_none();
            let mut sender = match kept.take() {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let deadline = Instant::now() + self.bounds.patience;
            let sent = timeout_at(deadline, sender.try_send_request(request)).await;
            let mut failed = match sent.map_err(|_| Lost::TimedOut(self.bounds.patience))? {
                Ok(response) => return Ok(Begun { sender, response, deadline }),
                Err(failed) => failed,
            };
            match failed.take_message() {
                // The server ended an idle connection, as it may; this request never went out.
                Some(unsent) if !fresh => request = unsent,
                Some(_) => return Err(Lost::Unconnected(failed.into_error().to_string())),
                None => return Err(Lost::Broken(failed.into_error().to_string())),
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

/// The head of an answer is there, and the whole answer is due.
struct Begun {
    sender: SendRequest<Full<Bytes>>,
    response: Response<Incoming>,
    deadline: Instant,
}

async fn collect(body: Incoming, bounds: Bounds, deadline: Instant) -> Result<Bytes, Lost> {
    let body = timeout_at(deadline, Limited::new(body, bounds.body_bytes_max).collect()).await;
    let body = body.map_err(|_| Lost::TimedOut(bounds.patience))?;
    Ok(body.map_err(|error| Lost::Broken(error.to_string()))?.to_bytes())
}

/// A header whose value is made here.
pub fn with_header(mut request: Ask, name: &'static str, value: &str) -> Ask {
    if let Ok(value) = HeaderValue::from_str(value) {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn a_url_goes_where_it_says_or_nowhere() {
        for url in ["http://127.0.0.1", "http://127.0.0.1:8080/", "http://[::1]:80/shop", "http://localhost:65535"] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
        let strange_ports = ["99999", "65536", "abc", "-1", ""].map(|port| format!("http://127.0.0.1:{port}"));
        let others =
            ["ftp://127.0.0.1", "127.0.0.1:80", "http://a@127.0.0.1", "http://127.0.0.1/?x=1", "http://127.0.0.1/#x"];
        for url in strange_ports.iter().map(String::as_str).chain(others) {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }
}
