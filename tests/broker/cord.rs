//! A way to RabbitMQ that can be cut.

use std::{net::Ipv4Addr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// Passes on what it gets, both ways.
pub struct Cord {
    port: u16,
    cut: Arc<watch::Sender<u64>>,
    _task: AbortOnDropHandle<()>,
}

impl Cord {
    pub async fn to(url: &str) -> Cord {
        let uri: lapin::uri::AMQPUri = url.parse().unwrap();
        let target = (uri.authority.host, uri.authority.port);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(watch::channel(0).0);
        let cuts = cut.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut cuts) = (target.clone(), cuts.subscribe());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Cord {
            port,
            cut,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The same address, by this way.
    pub fn url(&self, url: &str) -> String {
        let mut uri: lapin::uri::AMQPUri = url.parse().unwrap();
        uri.authority.host = Ipv4Addr::LOCALHOST.to_string();
        uri.authority.port = self.port;
        format!(
            "amqp://{}:{}@{}:{}/{}",
            uri.authority.userinfo.username,
            uri.authority.userinfo.password,
            uri.authority.host,
            uri.authority.port,
            uri.vhost.replace('/', "%2f"),
        )
    }

    /// Every connection that is there is gone; new ones are let through.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}
