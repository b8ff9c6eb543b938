//! Alerts into the log, where no Slack is set up. The alerts page shows them as well.

use futures::future::BoxFuture;

use crate::{
    domain::alert::Severity,
    flow::{Note, Notifier, NotifyError},
};

pub struct LogNotifier;

impl Notifier for LogNotifier {
    fn send<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<&'static str, NotifyError>> {
        Box::pin(async move {
            let body = serde_json::to_string(&note.alert).unwrap_or_default();
            match note.alert.severity() {
                Severity::Urgent => {
                    tracing::error!(alert = note.id, kind = note.alert.kind(), %body, link = %note.link, "alert");
                }
                Severity::Notice => {
                    tracing::warn!(alert = note.id, kind = note.alert.kind(), %body, link = %note.link, "alert");
                }
            }
            Ok("log")
        })
    }
}
