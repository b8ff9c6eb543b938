//! Who tells a person, as the settings have it at the moment at which something is told: what was chosen
//! on the settings' page, else what the program was started with, else the log.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    adapters::log::LogNotifier,
    domain::retry::Class,
    flow::{Note, Notifier, NotifyError},
    store::{Store, rules},
};

/// Makes a notifier for an address.
pub type Make = Box<dyn Fn(SecretString) -> Result<Arc<dyn Notifier>, String> + Send + Sync>;

/// Looks before each message where it is to go.
pub struct Chosen {
    store: Store,
    /// Of the settings of the start.
    start: Arc<dyn Notifier>,
    make: Make,
    /// The one that was used last, and its address: a client is not made for each message.
    last: Mutex<Option<(SecretString, Arc<dyn Notifier>)>>,
}

impl Chosen {
    pub fn new(store: Store, start: Option<Arc<dyn Notifier>>, make: Make) -> Chosen {
        Chosen {
            store,
            start: start.unwrap_or_else(|| Arc::new(LogNotifier)),
            make,
            last: Mutex::new(None),
        }
    }

    fn now(&self) -> Result<Arc<dyn Notifier>, NotifyError> {
        let failed = |class, what: String| NotifyError {
            class,
            what,
            retry_after: None,
        };
        let url = self
            .store
            .read(rules::slack)
            .map_err(|error| failed(Class::Transient, error.to_string()))?;
        let Some(url) = url else {
            return Ok(self.start.clone());
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, notifier)) = &*last
            && of.expose_secret() == url.expose_secret()
        {
            return Ok(notifier.clone());
        }
        let made = (self.make)(url.clone()).map_err(|why| failed(Class::Permanent, why))?;
        *last = Some((url, made.clone()));
        Ok(made)
    }
}

impl Notifier for Chosen {
    fn send<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<&'static str, NotifyError>> {
        Box::pin(async move { self.now()?.send(note).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{alert::Alert, rules::Rule},
        store::Clock,
    };

    /// Writes down where each message went.
    struct Told {
        to: String,
        all: Arc<Mutex<Vec<String>>>,
    }

    impl Notifier for Told {
        fn send<'a>(&'a self, _: &'a Note) -> BoxFuture<'a, Result<&'static str, NotifyError>> {
            self.all.lock().unwrap().push(self.to.clone());
            Box::pin(async { Ok("slack") })
        }
    }

    #[tokio::test]
    async fn a_change_holds_from_the_next_message_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Clock::default()).unwrap();
        let all = Arc::new(Mutex::new(Vec::new()));
        let kept = all.clone();
        let told = move |to: &str| -> Arc<dyn Notifier> {
            let (to, all) = (to.to_owned(), kept.clone());
            Arc::new(Told { to, all })
        };
        let start = told("start");
        let make: Make = Box::new(move |url: SecretString| Ok(told(url.expose_secret())));
        let chosen = Chosen::new(store.clone(), Some(start), make);
        let note = Note {
            id: 1,
            at: store.now(),
            alert: Alert::GatewayBack,
            link: String::new(),
            links: Vec::new(),
        };
        for to in [
            None,
            Some("https://a"),
            Some("https://a"),
            Some("https://b"),
            None,
        ] {
            store
                .write(move |tx| rules::put(tx, Rule::Slack, to))
                .await
                .unwrap();
            assert_eq!(chosen.send(&note).await, Ok("slack"));
        }
        let all = all.lock().unwrap().clone();
        assert_eq!(
            all,
            ["start", "https://a", "https://a", "https://b", "start"]
        );
        store.close().await;
    }
}
