//! A RabbitMQ of its own for a test, which can be killed.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

/// A RabbitMQ of its own, with a disk of its own.
pub struct Node {
    dir: tempfile::TempDir,
    port: u16,
    dist: u16,
    child: Option<Child>,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Node {
    pub fn start() -> Node {
        let mut node = Node {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            dist: free_port(),
            child: None,
        };
        node.run();
        node
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Starts it, on the disk that it had before.
    pub fn run(&mut self) {
        let path = |name: &str| self.dir.path().join(name);
        let child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rabbitmq"))
            .arg(self.dir.path())
            .args([self.port.to_string(), self.dist.to_string()])
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let out = || std::fs::read_to_string(path("out.log")).unwrap_or_default();
            if let Some(code) = self.child.as_mut().and_then(|c| c.try_wait().unwrap()) {
                panic!("RabbitMQ ended with {code}:\n{}", out());
            }
            assert!(
                begun.elapsed() < Duration::from_secs(90),
                "RabbitMQ does not come up:\n{}",
                out()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGKILL, all of it.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = child.kill();
        let _ = child.wait();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
