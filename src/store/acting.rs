//! Who is at it. Set around a request or a command; a write notes it, so that the audit log's row and
//! what it tells of are one transaction.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

tokio::task_local! {
    static ACTING: Acting;
}

/// A person or a key that acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    /// `@minji`, `key:shop`, `api`, `cli`.
    pub by: &'static str,
    /// An address, or `terminal`.
    pub origin: Arc<str>,
    /// The row of the idempotency key that this request came with.
    pub once: Option<i64>,
}

/// Runs what `acting` does.
pub async fn scope<T>(acting: Acting, work: impl Future<Output = T>) -> T {
    ACTING.scope(acting, work).await
}

/// Who acts in this task; nobody, where the program acts by itself.
pub fn now() -> Option<Acting> {
    ACTING.try_with(Acting::clone).ok()
}

/// For work that goes on in another task: it does not forget for whom it is done.
pub fn carry<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let acting = now();
    async move {
        match acting {
            Some(acting) => scope(acting, work).await,
            None => work.await,
        }
    }
}

/// A name that lives as long as the program, so that flows hand on a person as they hand on a part
/// of the program. There are as many as there are accounts and keys: each is kept once.
pub fn name(text: &str) -> &'static str {
    static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(name) = kept.get(text) {
        return name;
    }
    let name: &'static str = Box::leak(text.to_owned().into_boxed_str());
    kept.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_acts_is_known_in_the_task_and_in_those_that_it_starts() {
        assert_eq!(now(), None);
        let acting = Acting {
            by: name("@minji"),
            origin: "10.0.0.1".into(),
            once: None,
        };
        scope(acting.clone(), async {
            assert_eq!(now().as_ref(), Some(&acting));
            let lost = tokio::spawn(async { now() }).await.unwrap();
            let kept = tokio::spawn(carry(async { now() })).await.unwrap();
            assert_eq!((lost, kept.as_ref()), (None, Some(&acting)));
        })
        .await;
        assert_eq!(now(), None);
    }

    #[test]
    fn a_name_is_kept_once() {
        assert!(std::ptr::eq(name("@same"), name(&String::from("@same"))));
    }
}
