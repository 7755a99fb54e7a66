//! The API client where the command line does not show it: bodies that come in pieces, and the headers of an upload.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use flashsale::tools::client::{
    CallPath, Endpoint, TransportError,
    api::{ApiCall, ApiClient, CallError},
};
use tokio::task::LocalSet;

/// A service that does this with its only connection, and a client of it.
fn serve(answer: impl FnOnce(TcpStream) + Send + 'static) -> (ApiClient, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/shop/", listener.local_addr().unwrap());
    let server = thread::spawn(move || answer(listener.accept().unwrap().0));
    (ApiClient::new(Endpoint::parse(&url).unwrap(), Some("hunter2")).unwrap(), server)
}

fn export() -> CallPath {
    CallPath::of("/api/admin/orders/export")
}

/// Everything that the client sends, up to this end.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut sent = Vec::new();
    let mut byte = [0];
    while !sent.ends_with(end.as_bytes()) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&sent));
        sent.push(byte[0]);
    }
    String::from_utf8(sent).unwrap()
}

#[tokio::test]
async fn a_stream_gives_each_piece_as_it_arrives_and_its_break_is_no_end() {
    let (go_on, received) = mpsc::channel::<()>();
    let (mut client, server) = serve(move |mut stream| {
        let request = read_until(&mut stream, "\r\n\r\n");
        assert!(request.starts_with("GET /shop/api/admin/orders/export?format=csv HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer hunter2\r\n"), "{request}");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).unwrap();
        // Sent only after the client has the first piece.
        received.recv().unwrap();
        stream.write_all(b"6\r\nsecond\r\n").unwrap();
        received.recv().unwrap();
    });
    let reading = async {
        let mut stream = client.stream(ApiCall::get(export().with("format", "csv"))).await.unwrap();
        assert_eq!(stream.headers.get("content-type").unwrap(), "text/csv");
        for piece in ["first", "second"] {
            assert_eq!(stream.next().await.unwrap().unwrap(), piece);
            go_on.send(()).unwrap();
        }
        let broken = stream.next().await;
        assert!(matches!(broken, Err(TransportError::Broken(_))), "{broken:?}");
    };
    LocalSet::new().run_until(reading).await;
    server.join().unwrap();
}

#[tokio::test]
async fn a_stream_that_is_refused_says_why() {
    let (mut client, server) = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let problem = r#"{"code":"draining","title":"Draining","detail":"soon gone"}"#;
        let head = format!("HTTP/1.1 503 x\r\nretry-after: 3\r\ncontent-length: {}\r\n\r\n", problem.len());
        stream.write_all((head + problem).as_bytes()).unwrap();
    });
    let refused = LocalSet::new().run_until(client.stream(ApiCall::get(export()))).await;
    let Err(CallError::Refused(refusal)) = refused else { panic!("the stream is refused") };
    assert_eq!((refusal.code.as_str(), refusal.retry_after_seconds), ("draining", Some(3)));
    server.join().unwrap();
}

#[tokio::test]
async fn an_upload_has_its_content_type_and_headers() {
    let (mut client, server) = serve(|mut stream| {
        let sent = read_until(&mut stream, "id,name\n");
        assert!(sent.starts_with("POST /shop/api/admin/import HTTP/1.1\r\n"), "{sent}");
        for header in ["content-type: text/csv\r\n", "content-length: 8\r\n", "idempotency-key: k1\r\n"] {
            assert!(sent.contains(header), "{header} in {sent}");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-request-id: r1\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    });
    let call = ApiCall::upload(CallPath::of("/api/admin/import"), "text/csv", "id,name\n")
        .with_header("idempotency-key", "k1");
    let reply = LocalSet::new().run_until(client.send(call)).await.unwrap();
    assert_eq!(
        (reply.header("x-request-id"), reply.json::<serde_json::Value>().unwrap()),
        (Some("r1"), serde_json::json!({}))
    );
    server.join().unwrap();
}
