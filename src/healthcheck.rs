//! `jeongsan healthcheck`: asks the server beside it whether it lives, as a container's engine does.
//!
//! So that an image needs neither a shell nor curl.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(3);
/// More of an answer is not read: its first line decides.
const ENOUGH: u64 = 4_096;

/// Asks `GET /healthz` where the server listens. The error says what came instead.
pub fn ask(listen: SocketAddr) -> Result<(), String> {
    let at = reachable(listen);
    let failed = |why: std::io::Error| format!("no answer from {at}: {why}");
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream
        .take(ENOUGH)
        .read_to_end(&mut answer)
        .map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(format!("{at} answered `{status}`"))
    }
}

/// A server on all addresses is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn asked(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let told = ask(SocketAddr::from(([0, 0, 0, 0], port)));
        server.join().unwrap();
        told
    }

    #[test]
    fn only_200_is_healthy() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\nok"), Ok(()));
        assert!(asked("HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
        assert!(asked("").is_err());
    }

    #[test]
    fn nobody_there_is_an_error_at_once() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = free.local_addr().unwrap();
        drop(free);
        assert!(ask(at).unwrap_err().contains("no answer"));
    }
}
