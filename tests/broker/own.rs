//! A RabbitMQ of its own for a test, which can be killed.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
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

/// Debian keeps the server itself beside the command, which wants to be root.
fn program() -> PathBuf {
    let known = [
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        "/usr/local/sbin/rabbitmq-server",
        "/usr/sbin/rabbitmq-server",
    ];
    known
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("no rabbitmq-server is installed: `tests/run` installs it, or `apt-get install rabbitmq-server`")
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
        std::fs::write(
            path("rabbitmq.conf"),
            format!("listeners.tcp.1 = 127.0.0.1:{}\n", self.port),
        )
        .unwrap();
        std::fs::write(path("enabled_plugins"), "[].\n").unwrap();
        let log = std::fs::File::create(path("out.log")).unwrap();
        let child = Command::new(program())
            .env("HOME", self.dir.path())
            .env(
                "RABBITMQ_NODENAME",
                format!("jeongsan{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.dist.to_string())
            .env("RABBITMQ_MNESIA_BASE", path("db"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
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
        // The script becomes the virtual machine or its parent; the file names the machine.
        if let Ok(pid) = std::fs::read_to_string(self.dir.path().join("pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
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
