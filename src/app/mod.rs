//! The one place that knows everyone: puts the parts together, starts and stops them.

pub mod logging;
mod notifier;
mod room;
pub mod switch;
mod work;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use secrecy::SecretString;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

use crate::{
    adapters::{broker::amqp::UrlError, outbound::Reach, portone::Portone, slack::Slack},
    config::Config,
    flow::{Ctx, Notifier, buyer_links, manage_users::first_owner_link, passwords},
    store::{Clock, OpenError, Store, StoreError, search, sessions::Lasts},
    web::{self, Site, Web, auth, health, limits::Limits},
};

pub use room::{Role, Room, Runs};
pub use work::Worker;

/// A request's head is a few hundred bytes. Who takes longer, or keeps a connection and asks
/// nothing, holds it for nothing.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot listen on {at}: {why}; is another server running there?")]
    Listen { at: SocketAddr, why: std::io::Error },
    #[error("cannot set up the client of {what}: {why}")]
    Client {
        what: &'static str,
        why: reqwest::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the shop's own partner could not be set up: {0}")]
    Own(#[from] crate::flow::save_partner::OwnError),
    #[error("jobs of the last run could not be recovered: {0}")]
    Recover(#[from] crate::store::jobs::SettleError),
    #[error(transparent)]
    Broker(#[from] UrlError),
    #[error(
        "this process is set to hand out jobs by `{engine}`, but `jeongsan {role}` (process {pid}) works on the same \
         books by `{theirs}`: give both the same broker.url, or stop that one first"
    )]
    OtherEngine {
        engine: &'static str,
        role: String,
        pid: u32,
        theirs: String,
    },
}

/// A running server.
pub struct App {
    pub addr: SocketAddr,
    pub web: Web,
    /// The code of the link by which the first owner's account is made, while there is none.
    pub set_up: Option<SecretString>,
    stop: CancellationToken,
    http: JoinHandle<()>,
    room: Room,
    ticker: JoinHandle<()>,
    limit: Duration,
}

/// What tests may have otherwise.
#[derive(Clone, Debug)]
pub struct Parts {
    pub clock: Clock,
    /// Whether workers and schedules run by themselves.
    pub workers: bool,
    /// What shows a newcomer around: the demo's.
    pub tour: Option<web::Tour>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            clock: Clock::default(),
            workers: true,
            tour: None,
        }
    }
}

/// What flows need, without a server: for the command line beside a running one.
pub fn context(config: &Config, store: Store) -> Result<Ctx, StartError> {
    let gateway = Portone::new(config.portone.clone()).map_err(|why| StartError::Client {
        what: "PortOne",
        why,
    })?;
    let start: Option<Arc<dyn Notifier>> = match &config.slack {
        Some(url) => {
            let reach = match config.slack_inside {
                true => Reach::Anywhere,
                false => Reach::Public,
            };
            let slack = Slack::new(url.clone(), reach);
            Some(Arc::new(
                slack.map_err(|why| StartError::Client { what: "Slack", why })?,
            ))
        }
        None => None,
    };
    // What is chosen on the page is one of Slack's own addresses: the page takes no other.
    let make: notifier::Make = Box::new(|url: SecretString| -> Result<Arc<dyn Notifier>, String> {
        match Slack::new(url, Reach::Public) {
            Ok(slack) => Ok(Arc::new(slack)),
            Err(why) => Err(why.to_string()),
        }
    });
    let notifier = notifier::Chosen::new(store.clone(), start, make);
    let boot = store.boot();
    Ok(Ctx {
        store,
        gateway: Arc::new(gateway),
        notifier: Arc::new(notifier),
        policy: Arc::new(config.policy.clone()),
        boot,
    })
}

impl App {
    pub async fn start(config: Config, parts: Parts) -> Result<App, StartError> {
        let at = config.listen;
        let listener = TcpListener::bind(at)
            .await
            .map_err(|why| StartError::Listen { at, why })?;
        App::start_on(listener, config, parts).await
    }

    /// Starts on a socket that is bound already.
    pub async fn start_on(
        listener: TcpListener,
        config: Config,
        parts: Parts,
    ) -> Result<App, StartError> {
        let addr = listener.local_addr().map_err(|why| StartError::Listen {
            at: config.listen,
            why,
        })?;
        let store = Store::open(&config.data_dir, parts.clock)?;
        let ctx = context(&config, store.clone())?;
        auth::forget_codes(&store).await?;
        auth::keep_token(&store, config.admin_token.as_ref()).await?;
        let buyers = buyer_links::Keys::ready(&store, config.buyers_secret.clone()).await?;
        let set_up = first_owner_link(&store).await?;
        tokio::task::spawn_blocking(passwords::warm);

        let stop = CancellationToken::new();
        let runs = Runs {
            workers: parts.workers && config.workers,
            schedules: parts.workers,
        };
        let room = Room::open(&config, &ctx, Role::Serve, runs, &stop).await?;
        let web = Web {
            ctx: ctx.clone(),
            site: Arc::new(Site {
                public_url: config.public_url,
                pay: config.pay,
                notice: config.notice,
                settings: config.shown,
                lasts: Lasts {
                    whole: config.session,
                    idle: config.idle,
                },
                buyers,
                tour: parts.tour,
                max_body: config.max_body,
                limits: Limits::new(
                    config.rate,
                    config.unknown_ids,
                    config.in_flight,
                    config.api_rate,
                    config.api_address_rate,
                    config.trusted_proxies,
                    config.webhook_sources,
                )
                .only_sources(config.only_sources),
                under_way: Arc::default(),
                key_uses: auth::KeyUses::default(),
                broker: room.broker.clone(),
                health: health::Health::new(room.workers_gone.clone()),
                metrics: metrics_handle(),
                stopping: stop.clone(),
            }),
        };
        let http = tokio::spawn(serve(listener, web.clone(), stop.clone()));
        let ticker = tokio::spawn(tick(web.clone(), stop.clone()));
        Ok(App {
            addr,
            web,
            set_up,
            stop,
            http,
            room,
            ticker,
            limit: config.shutdown,
        })
    }

    /// Stops: answers what was begun, lets running jobs finish within the limit, gives the rest
    /// back uncharged, and closes the books.
    pub async fn stop(self) {
        self.stop.cancel();
        let began = std::time::Instant::now();
        let limit = self.limit + Duration::from_secs(2);
        let all = async {
            let _ = self.http.await;
            let _ = self.ticker.await;
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(limit = ?self.limit, "some requests did not end in time");
        }
        self.room.close(limit.saturating_sub(began.elapsed())).await;
        let store = &self.web.ctx.store;
        store.close().await;
    }
}

/// Bounds of histograms, in seconds: from a local write to a call that PortOne lets wait.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0,
];

fn metrics_handle() -> PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                // The only error is an empty list of bounds.
                .set_buckets(&SECONDS)
                .unwrap_or_default()
                .build_recorder();
            let handle = recorder.handle();
            // A second recorder in one process (tests) is not an error: the first keeps counting.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

/// Takes connections until the end, then answers what was begun on each.
async fn serve(listener: TcpListener, web: Web, stop: CancellationToken) {
    let routes = web::routes(web);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD);
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((line, peer)) => {
                // The last part of an answer must not wait until the part before it is acknowledged.
                let _ = line.set_nodelay(true);
                open.spawn(connection(&http, line, peer, routes.clone(), stop.clone()));
            }
            Err(error) => {
                // Too many files are open, or the peer was gone already: neither is an end.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// One connection, to its end. What breaks off is the peer's affair.
fn connection(
    http: &http1::Builder,
    line: TcpStream,
    peer: SocketAddr,
    routes: Router,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().call(request)
    });
    let connection = http.serve_connection(TokioIo::new(line), service);
    async move {
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// What happens by the clock beside jobs: readiness, limits, the search index.
async fn tick(web: Web, stop: CancellationToken) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = second.tick() => {}
        }
        if count.is_multiple_of(5) {
            health::probe(&web).await;
        }
        if count.is_multiple_of(60) {
            web.site.limits.tidy();
        }
        if let Err(error) = fill_search(&web, &stop).await {
            tracing::warn!(%error, "the search index could not be filled");
        }
        count += 1;
    }
}

/// Fills the search index in small steps, and keeps out of the way while much is written: unless
/// it falls so far behind that searches would suffer.
async fn fill_search(web: &Web, stop: &CancellationToken) -> Result<(), StoreError> {
    let store = &web.ctx.store;
    for _ in 0..200 {
        let behind = store.read(search::behind)?;
        let busy = store.waiting() > 4 && behind < search::TAIL;
        if behind == 0 || stop.is_cancelled() || busy {
            break;
        }
        store.write(|tx| search::fill(tx, 100)).await?;
    }
    Ok(())
}
