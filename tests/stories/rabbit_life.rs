//! The life of a payment where RabbitMQ hands out the jobs, and what people do there with tools of
//! their own.

use std::time::Duration;

use jeongsan::{
    adapters::broker::amqp,
    sandbox::{Fault, Kind, Target},
};
use lapin::{
    BasicProperties, Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;

use crate::{node, support::TestApp};

const DOWN: Kind = Kind::Status {
    status: 503,
    retry_after: None,
};

/// A server on RabbitMQ, and a line to see what lies there.
struct OnRabbit {
    app: TestApp,
    channel: Channel,
    prefix: String,
}

impl OnRabbit {
    async fn start() -> OnRabbit {
        let (url, prefix) = (node::url(), node::prefix());
        let set = [
            ("broker.url", url.as_str()),
            ("broker.prefix", prefix.as_str()),
        ];
        let app = TestApp::with(&set, true).await;
        let line = lapin::Connection::connect(&url, Default::default())
            .await
            .unwrap();
        let channel = line.create_channel().await.unwrap();
        OnRabbit {
            app,
            channel,
            prefix,
        }
    }

    /// A payment of 10,000 won whose cancel is a dead letter, with its copy in RabbitMQ.
    async fn dead_cancel(&self) -> String {
        let imp_uid = self.app.paid("ord-1", 10_000).await;
        self.app.portone.fault(Fault::new(Target::Cancel, DOWN));
        assert_eq!(self.app.cancel(&imp_uid, None).await.status(), 202);
        self.app.until(&imp_uid, "CANCEL_FAILED").await;
        self.app.portone.clear_faults();
        imp_uid
    }

    /// Takes a message out of a queue for good, as soon as there is one.
    async fn take(&self, queue: &str) -> Delivery {
        let name = format!("{}.{queue}", self.prefix);
        for _ in 0..400 {
            let got = self
                .channel
                .basic_get(name.as_str().into(), BasicGetOptions::default())
                .await
                .unwrap();
            if let Some(got) = got {
                got.delivery
                    .acker
                    .ack(BasicAckOptions::default())
                    .await
                    .unwrap();
                return got.delivery;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing comes into {name}");
    }

    /// Puts a message into a queue, as a tool that moves one does.
    async fn put(&self, queue: &str, message: &Delivery, note: Option<&str>) {
        let mut headers = FieldTable::default();
        if let Some(note) = note {
            headers.insert("x-note".into(), AMQPValue::LongString(note.into()));
        }
        self.channel
            .basic_publish(
                "".into(),
                format!("{}.{queue}", self.prefix).into(),
                BasicPublishOptions::default(),
                &message.data,
                BasicProperties::default().with_headers(headers),
            )
            .await
            .unwrap();
    }

    async fn end(mut self) {
        self.app.shut_down().await;
        amqp::remove(&node::url().into(), &self.prefix)
            .await
            .unwrap();
    }
}

fn header(message: &Delivery, name: &str) -> String {
    let headers = message.properties.headers().as_ref().unwrap();
    match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        Some(AMQPValue::LongLongInt(number)) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_failed_is_replayed_by_moving_its_message() {
    let rabbit = OnRabbit::start().await;
    let imp_uid = rabbit.dead_cancel().await;
    let app = &rabbit.app;
    let copy = rabbit.take("cancel.dead").await;
    assert_eq!(header(&copy, "x-reason"), "exhausted");
    assert!(
        header(&copy, "x-error").contains("503"),
        "{}",
        header(&copy, "x-error")
    );
    rabbit.put("cancel", &copy, None).await;
    app.until(&imp_uid, "CANCELED").await;
    assert_eq!(
        app.portone.cancels_of(&imp_uid).len(),
        1,
        "carried out once"
    );
    let story = app
        .json(&format!("/api/payment/{imp_uid}"))
        .await
        .to_string();
    assert!(
        story.contains("cancel_replayed") && story.contains("\"amqp\""),
        "{story}"
    );
    assert!(app.dead().is_empty());
    app.settled().await;
    rabbit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_failed_is_given_up_by_moving_its_message_to_the_discard_queue() {
    let rabbit = OnRabbit::start().await;
    let imp_uid = rabbit.dead_cancel().await;
    let app = &rabbit.app;
    let copy = rabbit.take("cancel.dead").await;
    // PortOne cannot be asked whether it was carried out after all: it stays a dead letter.
    app.portone.fault(Fault::new(Target::Get, DOWN));
    rabbit
        .put("discard", &copy, Some("paid back by hand"))
        .await;
    let back = rabbit.take("cancel.dead").await;
    assert_eq!(app.status(&imp_uid).await, "CANCEL_FAILED");
    app.portone.clear_faults();
    rabbit
        .put("discard", &back, Some("paid back by hand"))
        .await;
    app.until(&imp_uid, "PAID").await;
    let note: String = app.sql("select note from job where kind = 'retry_cancel'");
    assert_eq!(note, "paid back by hand");
    assert!(app.portone.cancels_of(&imp_uid).is_empty());
    app.settled().await;
    rabbit.end().await;
}

/// Whatever becomes of RabbitMQ, money is taken in and given back, and nobody is told that all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rabbitmq_payments_go_on_jobs_wait_and_readiness_says_so() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "amqp://guest:canary-password@{}/%2f",
        nowhere.local_addr().unwrap()
    );
    drop(nowhere);
    let mut app = TestApp::with(&[("broker.url", url.as_str())], true).await;
    let imp_uid = app.paid("ord-1", 10_000).await;
    assert_eq!(app.cancel(&imp_uid, Some(4_000)).await.status(), 200);
    // What PortOne does not answer at once waits in the books.
    app.portone.fault(Fault::new(Target::Get, DOWN).times(1));
    let waits = app.charge("ord-2", 5_000);
    assert_eq!(app.webhook(&waits, "ord-2", "paid").await.status(), 202);
    let answer = app.http.get(app.url("/readyz")).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["ready"], false);
    let why = body["checks"]["broker"].as_str().unwrap();
    assert!(why.contains("RabbitMQ"), "{why}");
    assert!(!body.to_string().contains("canary-password"), "{body}");
    let page = app.get("/admin/jobs").await.text().await.unwrap();
    assert!(page.contains("RabbitMQ") && !page.contains("canary-password"));
    // Started without it, the same books go on.
    app.shut_down().await;
    app.set("broker.url", "embedded");
    app.boot().await;
    app.until_known(&waits).await;
    app.settled().await;
}
