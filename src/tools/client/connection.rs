//! One kept connection, made again after it was lost.

use std::{rc::Rc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task,
    time::{Instant, timeout, timeout_at},
};

use super::{ConnectError, Endpoint, Request, TransportError};

/// The longest wait for a connection and, where [`Bounds`] do not differ, for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 1 << 20;
/// The fewest bytes of a stream in each wait of the length of its timeout, so that one that trickles does not last for ever.
const STREAM_BYTES_MIN: usize = 4 << 10;

/// What one answer may take.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// From sending the request to the end of the answer. For a stream: to its head, and to each further 4 KiB or its end.
    pub timeout: Duration,
    /// A stream has no such bound.
    pub body_bytes_max: usize,
}

/// An answer with its whole body.
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
    /// How long the reader waited, and what came meanwhile.
    waited: Duration,
    came: usize,
    /// The connection lives as long as somebody may send on it.
    _sender: SendRequest<Full<Bytes>>,
}

impl Stream {
    /// The next piece, as it arrives; `None` after the last.
    ///
    /// # Errors
    /// [`TransportError`]: more pieces should have come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let left = self.bounds.timeout.saturating_sub(self.waited);
            let begun = Instant::now();
            let frame = timeout(left, self.body.frame()).await;
            // A reader that is slow itself is not counted.
            self.waited += begun.elapsed();
            let Some(frame) = frame.map_err(|_| self.too_slow())? else { return Ok(None) };
            // Everything but data is a trailer, and nobody asked for one.
            if let Ok(data) = frame.map_err(|error| TransportError::Broken(error.into()))?.into_data() {
                self.came += data.len();
                if self.came >= STREAM_BYTES_MIN {
                    (self.came, self.waited) = (0, Duration::ZERO);
                }
                return Ok(Some(data));
            }
        }
    }

    fn too_slow(&self) -> TransportError {
        let (timeout, bytes) = (self.bounds.timeout, self.came);
        if bytes == 0 { TransportError::TimedOut(timeout) } else { TransportError::TooSlow { timeout, bytes } }
    }

    /// The whole answer.
    ///
    /// # Errors
    /// [`TransportError`]; also when the answer is larger than its bound.
    pub async fn collect(self) -> Result<Answer, TransportError> {
        let deadline = Instant::now() + self.bounds.timeout;
        let (status, headers) = (self.status, self.headers);
        Ok(Answer { status, headers, body: collect(self.body, self.bounds, deadline).await? })
    }
}

/// One kept connection. Dropping it ends the connection.
pub struct Connection {
    endpoint: Rc<Endpoint>,
    sender: Option<SendRequest<Full<Bytes>>>,
    bounds: Bounds,
}

impl Connection {
    pub fn new(endpoint: Rc<Endpoint>) -> Self {
        Self::bounded(endpoint, Bounds { timeout: TIMEOUT, body_bytes_max: BODY_BYTES_MAX })
    }

    pub fn bounded(endpoint: Rc<Endpoint>, bounds: Bounds) -> Self {
        Self { endpoint, sender: None, bounds }
    }

    /// Connects, if there is no connection yet. A failure shows when the next request is sent.
    pub async fn warm(&mut self) {
        if self.sender.is_none() {
            self.sender = self.connect().await.ok();
        }
    }

    /// # Errors
    /// [`TransportError`]; the next request is sent on a new connection.
    pub async fn send(&mut self, request: Request) -> Result<Answer, TransportError> {
        let Begun { sender, response, deadline } = self.begin(request).await?;
        let (head, body) = response.into_parts();
        let body = collect(body, self.bounds, deadline).await?;
        self.sender = Some(sender).filter(|sender| !sender.is_closed());
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Like [`Connection::send`], but the caller reads the body piece by piece. The next request is sent on a new
    /// connection.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn stream(&mut self, request: Request) -> Result<Stream, TransportError> {
        let Begun { sender, response, .. } = self.begin(request).await?;
        let (head, body) = response.into_parts();
        let bounds = self.bounds;
        Ok(Stream {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            bounds,
            waited: Duration::ZERO,
            came: 0,
            _sender: sender,
        })
    }

    async fn begin(&mut self, mut request: Request) -> Result<Begun, TransportError> {
        // Taken out, so that a connection is not used again after something went wrong on it.
        let mut kept = self.sender.take();
        loop {
            let fresh = kept.is_none();
            let mut sender = match kept.take() {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let deadline = Instant::now() + self.bounds.timeout;
            let sent = timeout_at(deadline, sender.try_send_request(request)).await;
            let mut failed = match sent.map_err(|_| TransportError::TimedOut(self.bounds.timeout))? {
                Ok(response) => return Ok(Begun { sender, response, deadline }),
                Err(failed) => failed,
            };
            match failed.take_message() {
                // The server ended an idle connection, as it may. This request never went out.
                Some(unsent) if !fresh => request = unsent,
                Some(_) => return Err(ConnectError::Http(failed.into_error()).into()),
                None => return Err(TransportError::Broken(failed.into_error().into())),
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ConnectError> {
        timeout(TIMEOUT, self.open()).await.map_err(|_| ConnectError::TimedOut(TIMEOUT))?
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, ConnectError> {
        let stream = TcpStream::connect(&self.endpoint.addrs[..]).await.map_err(ConnectError::Tcp)?;
        stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
        match &self.endpoint.tls {
            None => shake_hands(TokioIo::new(stream)).await,
            Some((connector, name)) => {
                let secured = connector.connect(name.clone(), stream).await.map_err(ConnectError::from_tls)?;
                shake_hands(TokioIo::new(secured)).await
            }
        }
    }
}

async fn shake_hands<T>(io: T) -> Result<SendRequest<Full<Bytes>>, ConnectError>
where
    T: Read + Write + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(ConnectError::Http)?;
    // The request that waits for an answer gets its errors.
    task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

/// An answer of which the head has come.
struct Begun {
    sender: SendRequest<Full<Bytes>>,
    response: Response<Incoming>,
    /// When the whole answer is due.
    deadline: Instant,
}

async fn collect(body: Incoming, bounds: Bounds, deadline: Instant) -> Result<Bytes, TransportError> {
    let body = timeout_at(deadline, Limited::new(body, bounds.body_bytes_max).collect()).await;
    let body = body.map_err(|_| TransportError::TimedOut(bounds.timeout))?;
    Ok(body.map_err(TransportError::Broken)?.to_bytes())
}
