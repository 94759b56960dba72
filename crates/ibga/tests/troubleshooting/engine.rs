//! A container engine with one container, as far as the program asks: the list of containers, and the end of the log.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Answers at this socket from now on, in a thread that ends with the tests.
pub(crate) fn serve(socket: &Path, name: &str, state: &str, log: &str) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let list = format!(r#"[{{"Id":"bbbbbbbbbbbb2222","Names":["/{name}"],"State":"{state}","Created":1,"Ports":[]}}]"#);
    // The engine marks each piece of a log with its stream and length.
    let length = u32::try_from(log.len()).expect("a short log").to_be_bytes();
    let log = [&[1, 0, 0, 0][..], &length, log.as_bytes()].concat();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            answer(connection.expect("a connection"), list.as_bytes(), &log);
        }
    });
}

fn answer(mut connection: UnixStream, list: &[u8], log: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if connection.read_exact(&mut byte).is_err() {
            return;
        }
        request.extend(byte);
    }
    let is_log = String::from_utf8_lossy(&request).contains("/logs?");
    let (kind, body) =
        if is_log { ("application/vnd.docker.multiplexed-stream", log) } else { ("application/json", list) };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = connection.write_all(&[head.as_bytes(), body].concat());
}
