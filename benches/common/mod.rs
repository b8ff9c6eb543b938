//! What the benches share: PortOne on a thread of its own, the release binary as a process of its own,
//! and reading answers off a connection.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use jeongsan::sandbox::{NewPayment, Sandbox, SandboxConfig};
use rusqlite::Connection;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

pub const TOKEN: &str = "load-token-0123456789abcdef0123456789";

// ---- PortOne

/// The sandbox on a thread of its own.
pub struct Portone {
    pub sandbox: Arc<Sandbox>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Portone {
    pub fn start() -> Portone {
        let (give, take) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let config = SandboxConfig {
                    log_requests: false,
                    ..SandboxConfig::default()
                };
                let sandbox = Sandbox::start(config).await.expect("the sandbox");
                let _ = give.send(Arc::new(sandbox));
                let _ = stopped.await;
            });
        };
        thread::Builder::new()
            .name("sandbox".into())
            .spawn(run)
            .expect("a thread");
        Portone {
            sandbox: take.recv().expect("the sandbox"),
            _stop: stop,
        }
    }

    /// Payments that nobody was told about. Their orders are numbered from 0.
    pub fn pay(&self, many: u64, order: &str) -> Vec<String> {
        let new = (0..many).map(|i| NewPayment {
            merchant_uid: format!("{order}-{i}"),
            amount: 12_000 + (i % 100) as i64 * 100,
            name: "햇사과 5kg".into(),
            ..NewPayment::default()
        });
        self.sandbox.pay_many(new).expect("payments")
    }
}

// ---- the server

pub struct Server {
    pub child: Child,
    pub addr: SocketAddr,
    pub took: Duration,
}

/// The product's settings: only what stands in the way of a load is lifted.
pub fn command(dir: &Path, portone: &str, addr: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeongsan"));
    command.env_clear();
    for (key, value) in [
        ("SERVER_LISTEN", addr.to_string().as_str()),
        ("DATA_DIR", &dir.display().to_string()),
        ("PORTONE_MODE", "live"),
        ("PORTONE_IMP_KEY", "imp_apikey"),
        ("PORTONE_IMP_SECRET", "imp_secret"),
        ("PORTONE_MERCHANT_CODE", "imp00000000"),
        ("PORTONE_BASE_URL", portone),
        ("PORTONE_WEBHOOK_SOURCES", "127.0.0.1"),
        ("INTAKE_RATE", "1000000"),
        ("INTAKE_UNKNOWN_IDS", "1000000"),
        ("INTAKE_IN_FLIGHT", "4096"),
        ("API_RATE", "1000000"),
        ("API_ADDRESS_RATE", "1000000"),
        ("ORDERS_UNKNOWN", "accept"),
        // A sweep would enter the payments before their webhooks do.
        ("SWEEP_CRON", "0 0 29 2 *"),
        ("PRUNE_CRON", "0 0 29 2 *"),
        ("SETTLE_CRON", "0 0 29 2 *"),
        ("ADMIN_TOKEN", TOKEN),
        ("LOG_LEVEL", "warn"),
    ] {
        command.env(format!("JEONGSAN_{key}"), value);
    }
    command
}

impl Server {
    pub fn start(dir: &Path, portone: &str) -> Server {
        Server::with(dir, portone, &[])
    }

    /// The same with other settings.
    pub fn with(dir: &Path, portone: &str, settings: &[(&str, &str)]) -> Server {
        let addr = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port");
        let began = Instant::now();
        let child = command(dir, portone, addr)
            .envs(settings.iter().copied())
            .arg("serve")
            .stdout(Stdio::null())
            .spawn()
            .expect("the server");
        let mut server = Server {
            child,
            addr,
            took: Duration::ZERO,
        };
        let health = "GET /healthz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
        while server.took.is_zero() {
            if let Ok(mut stream) = std::net::TcpStream::connect(addr) {
                let mut answer = String::new();
                let asked = stream
                    .write_all(health.as_bytes())
                    .and_then(|()| stream.read_to_string(&mut answer));
                if asked.is_ok() && answer.starts_with("HTTP/1.1 200") {
                    server.took = began.elapsed();
                }
            }
            if let Ok(Some(ended)) = server.child.try_wait() {
                panic!("the server ended by itself: {ended}");
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the server does not answer"
            );
            thread::sleep(Duration::from_micros(500));
        }
        server
    }

    /// As an operator stops it: what was begun is finished, the WAL goes into the file.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let ended = self.child.wait().expect("the server");
        assert!(ended.success(), "the server ended with {ended}");
    }

    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// In MB of 1,000,000 bytes.
    pub fn peak_rss(&self) -> f64 {
        peak_rss(self.child.id())
    }
}

/// The most memory that a process has had, in MB of 1,000,000 bytes.
pub fn peak_rss(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) * 1_024.0 / 1e6
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn migrate(dir: &Path) -> bool {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    command(dir, "http://127.0.0.1:1", addr)
        .arg("migrate")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

pub fn count(conn: &Connection, sql: &str) -> u64 {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0))
        .expect("a count") as u64
}

// ---- the client

pub fn webhook(request: &mut String, imp_uid: &str, order: &str) {
    let body = format!(r#"{{"imp_uid":"{imp_uid}","merchant_uid":"{order}","status":"paid"}}"#);
    let _ = write!(
        request,
        "POST /api/payment/portone HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// Reads one answer; gives its status and where its body begins.
pub async fn receive(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<(u16, usize)> {
    answer.clear();
    let mut whole = None;
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if whole.is_none()
            && let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&answer[..end]);
            let status = head.get(9..12).and_then(|text| text.parse().ok());
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|text| text.parse::<usize>().ok());
            let (Some(status), Some(length)) = (status, length) else {
                return Err(io::Error::other(format!("no answer to read: {head}")));
            };
            whole = Some((status, end + 4, length));
        }
        if let Some((status, body, length)) = whole
            && answer.len() >= body + length
        {
            return Ok((status, body));
        }
    }
}
