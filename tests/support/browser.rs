//! A real browser for tests: Chromium, driven over WebDriver by the few calls that are needed.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};

pub const WINDOW_SEEN: &str =
    "const f = document.querySelector('iframe'); return f && f.style.visibility === 'visible'";

/// A browser of our own, which ends with the test.
pub struct Browser {
    driver: Child,
    http: Client,
    session: String,
}

/// The free port on which it says it listens. What else it says is read, so that it can go on talking.
fn port_of(driver: &mut Child) -> u16 {
    let (say, hear) = std::sync::mpsc::channel();
    let told = BufReader::new(driver.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in told.lines().map_while(Result::ok) {
            let port = line.split("successfully on port ").nth(1);
            if let Some(Ok(port)) = port.map(|port| port.trim_end_matches('.').parse()) {
                let _ = say.send(port);
            }
        }
    });
    hear.recv_timeout(Duration::from_secs(20))
        .expect("chromedriver says on which port it listens")
}

impl Browser {
    pub async fn start(width: u32) -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        let port = port_of(&mut driver);
        let http = Client::builder().no_proxy().build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Browser {
            driver,
            http,
            session: base.clone(),
        };
        let start = Instant::now();
        let url = format!("{base}/status");
        while browser.http.get(&url).send().await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "chromedriver");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let size = format!("--window-size={width},900");
        let args = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--lang=ko-KR",
            size
        ]);
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args, "prefs": {"intl.accept_languages": "ko-KR,ko"}},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = browser.post("/session", wanted).await;
        browser.session = format!("{base}/session/{}", made["sessionId"].as_str().unwrap());
        browser
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }

    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    pub async fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Waits until a script gives something.
    pub async fn until(&self, script: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.script(script).await;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != "" {
                return value;
            }
            if start.elapsed() > Duration::from_secs(20) {
                let page = self.script("return document.body.innerText").await;
                panic!("never: {script}\n{}", page.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn until_there(&self, css: &str) {
        self.until(&format!("return document.querySelector({css:?}) !== null"))
            .await;
    }

    pub async fn until_text(&self, text: &str) {
        self.until(&format!(
            "return document.body.innerText.includes({text:?})"
        ))
        .await;
    }

    pub async fn element(&self, css: &str) -> String {
        self.until_there(css).await;
        let found = json!({"using": "css selector", "value": css});
        let element = self.post("/element", found).await;
        let id = element.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    pub async fn click(&self, css: &str) {
        // What changes by itself may be another element by the time it is clicked.
        for _ in 0..5 {
            let element = self.element(css).await;
            let url = format!("{}{element}/click", self.session);
            let answer = self.http.post(url).json(&json!({})).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            match answer["value"]["error"].as_str() {
                None => return,
                Some("stale element reference") => {}
                // Something stands over it that stays where it is: a phone's tabs.
                Some("element click intercepted") => {
                    self.script(&format!(
                        "document.querySelector({css:?})?.scrollIntoView({{ block: 'center' }})"
                    ))
                    .await;
                }
                Some(_) => panic!("{css}: {answer}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{css} never stood still");
    }

    pub async fn write(&self, css: &str, text: &str) {
        let element = self.element(css).await;
        self.post(&format!("{element}/clear"), json!({})).await;
        self.post(&format!("{element}/value"), json!({ "text": text }))
            .await;
    }

    /// Chooses something in a select, or a day in a field for days.
    pub async fn choose(&self, css: &str, value: &str) {
        self.until_there(css).await;
        let chosen = self
            .script(&format!(
                "const e = document.querySelector({css:?}); e.value = {value:?}; \
                 e.dispatchEvent(new Event('change', {{ bubbles: true }})); return e.value"
            ))
            .await;
        assert_eq!(chosen, value, "{css} has no such value");
    }

    /// Puts a file of this machine into a field for files.
    pub async fn upload(&self, css: &str, path: &std::path::Path) {
        let element = self.element(css).await;
        let text = path.display().to_string();
        self.post(&format!("{element}/value"), json!({ "text": text }))
            .await;
    }

    /// What a link or form would download, fetched as the page would.
    pub async fn download(&self, path: &str) -> Vec<u8> {
        let script = format!(
            "const done = arguments[0]; fetch({path:?}).then(async answer => {{ \
               const bytes = new Uint8Array(await answer.arrayBuffer()); \
               done(answer.ok ? Array.from(bytes) : String(answer.status)); }}, why => done(String(why)))"
        );
        let got = self
            .post("/execute/async", json!({ "script": script, "args": [] }))
            .await;
        let bytes = got.as_array().unwrap_or_else(|| panic!("{path}: {got}"));
        bytes
            .iter()
            .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
            .collect()
    }

    pub async fn frame(&self, number: Option<u32>) {
        self.post("/frame", json!({ "id": number })).await;
    }

    /// A phone's screen, narrower than any window of a desktop's.
    pub async fn shrink(&self, width: u32) {
        let metrics =
            json!({ "width": width, "height": 844, "deviceScaleFactor": 2, "mobile": true });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.post("/goog/cdp/execute", command).await;
    }

    /// Nothing was kept from loading or running by our own policy, and no script failed.
    pub async fn complains_of_nothing(&self) {
        let log = self.post("/se/log", json!({ "type": "browser" })).await;
        let bad: Vec<&Value> = log
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| {
                let text = entry["message"].as_str().unwrap_or_default();
                text.contains("Content Security Policy") || text.contains("Uncaught")
            })
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    pub async fn stop(mut self) {
        let _ = self.http.delete(&self.session).send().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
