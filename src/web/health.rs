//! Whether the process lives, whether it can work, and how much it does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Web;
use crate::store::{StoreError, jobs, leases, schedules};

/// What the app's own loops report about themselves.
#[derive(Debug, Default)]
pub struct Health {
    /// When the database last took a write, and what it said if it did not.
    writable: Mutex<Option<(Instant, Result<(), String>)>>,
    workers_gone: Arc<AtomicBool>,
}

impl Health {
    /// `workers_gone` is set when the workers ended.
    pub fn new(workers_gone: Arc<AtomicBool>) -> Health {
        Health {
            workers_gone,
            ..Health::default()
        }
    }

    pub fn wrote(&self, result: Result<(), String>) {
        let mut writable = self.writable.lock().unwrap_or_else(PoisonError::into_inner);
        *writable = Some((Instant::now(), result));
    }

    fn database(&self) -> Result<(), String> {
        let writable = self.writable.lock().unwrap_or_else(PoisonError::into_inner);
        match &*writable {
            None => Ok(()), // it was written to at start
            Some((at, _)) if at.elapsed() > Duration::from_secs(15) => {
                Err("no write for 15 seconds".into())
            }
            Some((_, result)) => result.clone(),
        }
    }

    fn workers(&self) -> Result<(), String> {
        if self.workers_gone.load(Ordering::Relaxed) {
            Err("the workers have stopped".into())
        } else {
            Ok(())
        }
    }
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok"
}

/// `GET /readyz`: it can do its work. Says what it cannot.
pub async fn readyz(State(web): State<Web>) -> Response {
    let health = &web.site.health;
    let checks = [
        ("database", health.database()),
        ("broker", web.site.broker.health()),
        ("workers", health.workers()),
        (
            "accepting",
            if web.site.stopping.is_cancelled() {
                Err("stopping".into())
            } else {
                Ok(())
            },
        ),
    ];
    let ready = checks.iter().all(|(_, result)| result.is_ok());
    let swept = web.ctx.store.read(schedules::last_sweep).ok().flatten();
    let keeper = web
        .ctx
        .store
        .read(|conn| leases::get(conn, leases::KEEPER))
        .ok()
        .flatten();
    let mut body = json!({
        "ready": ready,
        "broker": web.site.broker.engine().as_str(),
        "keeper": keeper,
        "last_sweep": swept,
        "writes_waiting": web.ctx.store.waiting(),
    });
    // PortOne is not ours to be ready: while it refuses us, messages are kept all the same, and a
    // proxy must not turn them away. It is told beside the checks.
    body["gateway"] = json!(web.ctx.gateway.halted().unwrap_or_else(|| "ok".into()));
    for (name, result) in checks {
        body["checks"][name] = json!(result.err().unwrap_or_else(|| "ok".into()));
    }
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

/// `GET /metrics`: Prometheus' text format, for whoever may see jobs.
pub async fn metrics(
    State(web): State<Web>,
    _: super::auth::Actor,
) -> Result<Response, super::error::Problem> {
    let now = web.ctx.store.now();
    let depths = web
        .ctx
        .store
        .read_long(move |conn| jobs::depths(conn, now.as_millisecond()))
        .await?;
    let known = crate::domain::job::Job::KINDS.map(str::to_owned);
    let kinds: std::collections::BTreeSet<String> = known
        .into_iter()
        .chain(depths.iter().map(|depth| depth.kind.clone()))
        .collect();
    for kind in kinds {
        let depth = depths.iter().find(|depth| depth.kind == kind);
        let depth = depth.cloned().unwrap_or_default();
        for (state, count) in [
            ("waiting", depth.waiting),
            ("scheduled", depth.scheduled),
            ("retrying", depth.retrying),
            ("running", depth.running),
            ("dead", depth.dead),
        ] {
            metrics::gauge!("jeongsan_jobs", "kind" => kind.clone(), "state" => state)
                .set(count as f64);
        }
        for (state, since) in [("waiting", depth.oldest_due), ("dead", depth.oldest_dead)] {
            let age = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
            metrics::gauge!("jeongsan_oldest_job_seconds", "kind" => kind.clone(), "state" => state)
                .set(age.max(0.0));
        }
    }
    metrics::gauge!("jeongsan_broker_up").set(if web.site.broker.health().is_ok() {
        1.0
    } else {
        0.0
    });
    metrics::gauge!("jeongsan_writes_waiting").set(web.ctx.store.waiting() as f64);
    let halted = web.ctx.gateway.halted().is_some();
    metrics::gauge!("jeongsan_gateway_halted").set(if halted { 1.0 } else { 0.0 });
    let text = web.site.metrics.render();
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}

/// One small write, so that readiness tells the truth about the disk.
pub async fn probe(web: &Web) {
    let now = web.ctx.store.now().as_millisecond().to_string();
    let result = web
        .ctx
        .store
        .write(move |tx| crate::store::admin::set(tx, "alive_at", &now))
        .await
        .map_err(|error: StoreError| error.to_string());
    web.site.health.wrote(result);
}
