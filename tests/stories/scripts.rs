//! Scripts in everything that others write: on every page they are text.

use std::collections::BTreeMap;

use jeongsan::sandbox::{NewPayment, Status};
use reqwest::header;
use serde_json::json;

use crate::{
    house::{House, Words},
    support::{TOKEN, read},
};

/// What runs in a browser if it is written into a page as it is.
const SCRIPTS: [&str; 60] = [
    "<script>alert('xss')</script>",
    "<ScRiPt>alert('xss')</sCrIpT>",
    "<script src=//evil.example/xss.js></script>",
    "<script/xss>alert(1)</script>",
    "</title><script>xss()</script>",
    "</textarea><script>xss()</script>",
    "</script><script>xss()</script>",
    "</style><script>xss()</script>",
    "--><script>xss()</script>",
    "]]><script>xss()</script>",
    "<img src=x onerror=xss()>",
    "<img src=x:x onerror=\"xss()\">",
    "<img/src=`x`onerror=xss()>",
    "<svg onload=xss()>",
    "<svg/onload=xss()//",
    "<svg><script>xss()</script></svg>",
    "<svg><animate onbegin=xss() attributeName=x>",
    "<svg><a xlink:href=javascript:xss()><text y=9>x",
    "<body onload=xss()>",
    "<iframe src=javascript:xss()>",
    "<iframe srcdoc='<script>xss()</script>'>",
    "<object data=javascript:xss()>",
    "<embed src=javascript:xss()>",
    "<a href=javascript:xss()>x</a>",
    "<a href='java\u{9}script:xss()'>x",
    "<math href=javascript:xss()>x",
    "<form action=javascript:xss()><input type=submit>",
    "<button formaction=javascript:xss()>x",
    "<input autofocus onfocus=xss()>",
    "<select autofocus onfocus=xss()>",
    "<details open ontoggle=xss()>",
    "<video><source onerror=xss()>",
    "<audio src onerror=xss()>",
    "<marquee onstart=xss()>",
    "<meta http-equiv=refresh content='0;url=javascript:xss()'>",
    "<link rel=stylesheet href=//evil.example/xss.css>",
    "<base href=//evil.example/xss/>",
    "<style>@import'//evil.example/xss.css';</style>",
    "<div style=background:url(javascript:xss())>",
    "<table background=javascript:xss()>",
    "<div hx-get=/xss hx-trigger=load>",
    "<div data-hx-on:load=xss()>",
    "<div hx-on::load=xss()>",
    "\"><script>xss()</script>",
    "'><script>xss()</script>",
    "\" onmouseover=\"xss()",
    "' onmouseover='xss()",
    "\" autofocus onfocus=xss() x=\"",
    "`onmouseover=xss()",
    "javascript:xss()",
    "JaVaScRiPt:xss()//",
    "data:text/html,<script>xss()</script>",
    "vbscript:xss()",
    "&lt;script&gt;xss()&lt;/script&gt;",
    "&#60;script&#62;xss()&#60;/script&#62;",
    "\\u003cscript\\u003exss()\\u003c/script\\u003e",
    "%3Cscript%3Exss()%3C/script%3E",
    "＜script＞xss()＜/script＞",
    "{{constructor.constructor('xss()')()}}${xss()}<%=xss()%>",
    "<noscript><p title=\"</noscript><img src=x onerror=xss()>\">",
];

/// The tags of a page with their attributes, as a browser takes them apart.
fn tags(html: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with("!--") {
            rest = rest.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut attributes = BTreeMap::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            let end = rest
                .find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))
                .unwrap_or(rest.len())
                .max(1);
            let key = rest[..end].to_ascii_lowercase();
            rest = rest[end..].trim_start();
            let mut value = String::new();
            if let Some(behind) = rest.strip_prefix('=') {
                rest = behind.trim_start();
                let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
                let (text, behind) = match quote {
                    Some(quote) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
                    None => rest.split_at(
                        rest.find(|c: char| c.is_whitespace() || c == '>')
                            .unwrap_or(rest.len()),
                    ),
                };
                value = text.into();
                rest = behind;
            }
            attributes.insert(key, value);
        }
        found.push((name, attributes));
    }
    found
}

/// A page's tags are ours alone: nothing that was written by somebody is a tag or an attribute.
fn check_html(path: &str, html: &str) {
    const NEVER: [&str; 14] = [
        "iframe",
        "object",
        "embed",
        "base",
        "math",
        "style",
        "animate",
        "video",
        "audio",
        "marquee",
        "body onload",
        "source",
        "table background",
        "frame",
    ];
    for (name, attributes) in tags(html) {
        assert!(
            !NEVER.contains(&name.as_str()) && !name.contains("xss"),
            "{path}: <{name} {attributes:?}>"
        );
        for (key, value) in &attributes {
            assert!(
                !key.starts_with("on") && !key.contains("hx-on"),
                "{path}: <{name} {key}=…>"
            );
            assert!(
                !key.contains("xss") && key != "style" && key != "srcdoc",
                "{path}: <{name} {key}=…>"
            );
            let plain: String = value
                .to_lowercase()
                .chars()
                .filter(|c| !c.is_whitespace() && !c.is_control())
                .collect();
            let leads = [
                "href",
                "src",
                "action",
                "formaction",
                "data",
                "xlink:href",
                "hx-get",
                "hx-post",
                "sse-connect",
            ];
            if leads.contains(&key.as_str()) {
                let ours = plain.is_empty()
                    || plain.starts_with(['/', '#', '?'])
                    || plain.starts_with("http://")
                    || plain.starts_with("https://");
                assert!(
                    ours && !plain.starts_with("//"),
                    "{path}: <{name} {key}={value}>"
                );
            }
        }
        if name == "script" {
            let from = attributes.get("src").map_or("", String::as_str);
            assert!(
                from.starts_with("/assets/") || from.ends_with("/v1/iamport.js"),
                "{path}: a script of {from:?}"
            );
        }
        if name == "img" {
            assert!(
                attributes["src"].starts_with("/assets/"),
                "{path}: {attributes:?}"
            );
        }
        if name == "meta"
            && attributes
                .get("http-equiv")
                .is_some_and(|of| of == "refresh")
        {
            assert!(
                attributes["content"].bytes().all(|b| b.is_ascii_digit()),
                "{path}: {attributes:?}"
            );
        }
    }
}

#[test]
fn the_checker_sees_every_script_that_is_not_escaped() {
    let mut seen = 0;
    for script in SCRIPTS.iter().filter(|script| script.starts_with('<')) {
        let html = format!("<p>{script}</p>");
        let checked = std::panic::catch_unwind(|| check_html("x", &html));
        seen += usize::from(checked.is_err());
    }
    // Of what begins with a tag some do nothing until something else is wrong, too.
    assert!(seen >= 39, "{seen}");
    assert!(
        std::panic::catch_unwind(|| check_html("x", "<input value=\"\" onmouseover=\"xss()\">"))
            .is_err()
    );
    check_html(
        "x",
        "<p class=\"a\">&lt;script&gt;</p><a href=\"/x?a=1&amp;b=2\">x</a>",
    );
}

#[tokio::test]
async fn what_others_write_is_text_on_every_page() {
    let house = House::open(&Words::all("\"><img src=x onerror=xss()>")).await;
    let app = &house.app;
    // Each script as a payment of its own, in every field that PortOne or a webhook can set.
    let mut paths = house.addresses();
    for (n, script) in SCRIPTS.iter().enumerate() {
        let order = format!("ord-x-{n}");
        let status = if n % 3 == 0 {
            Status::Failed
        } else {
            Status::Paid
        };
        let imp_uid = app.charge_as(NewPayment {
            merchant_uid: order.clone(),
            amount: 10_000,
            name: (*script).into(),
            buyer: House::buyer(&Words::all(script)),
            custom_data: Some((*script).into()),
            fail_reason: Some((*script).into()),
            channel: None,
            status,
            ..NewPayment::default()
        });
        let body = json!({ "imp_uid": imp_uid, "merchant_uid": order, "status": script.chars().take(40).collect::<String>(),
            "custom_data": script, "buyer_name": script });
        app.post("/api/payment/portone", &body).await;
        let reason: String = script.chars().filter(|c| !c.is_control()).collect();
        let cancel = json!({ "amount": 100, "reason": reason });
        app.post(&format!("/api/payment/{imp_uid}/cancel"), &cancel)
            .await;
        let adjust = json!({ "partner": "farm", "amount": -1, "reason": reason });
        app.post("/api/adjustments", &adjust).await;
        for of in [
            "/payment/{}",
            "/payment/{}/live",
            "/payment/{}/cancel",
            "/payment/result/{}",
            "/payment/mypage/rows/{}",
        ] {
            paths.push(of.replace("{}", &imp_uid));
        }
        let encoded: String = url::form_urlencoded::byte_serialize(script.as_bytes()).collect();
        for of in [
            "/payment/mypage?q=",
            "/payment/mypage?status=",
            "/admin/partners?q=",
            "/admin/dead-letters?error=",
            "/payment/orders/ord-1?error=",
            "/sign-in?next=",
            "/payment?order=",
            "/payment/return?merchant_uid=ord-1&error_code=",
            "/admin/settlements?partner=",
            "/nowhere/",
        ] {
            paths.push(format!("{of}{encoded}"));
        }
    }
    // And by file.
    let mut file = String::from("파트너사 ID,금액,사유\n");
    let mut partners = String::from("id,name,type,account_holder,bank,account_number,memo\n");
    for (n, script) in SCRIPTS.iter().enumerate() {
        let cell = format!("\"{}\"", script.replace('"', "\"\"").replace('\t', " "));
        file += &format!("farm,{},{cell}\n", n + 1);
        partners += &format!("x-{n},{cell},INDIVIDUAL,{cell},004,0040123456789,{cell}\n");
    }
    let import = async |path: &str, file: &str| {
        let request = app.http.post(app.url(path)).bearer_auth(TOKEN);
        read(request.body(file.to_owned()).send().await.unwrap()).await
    };
    let (status, said) = import("/api/partners/import", &partners).await;
    assert!(matches!(status, 200 | 201), "{said}");
    let part = reqwest::header::HeaderValue::from_static("multipart/form-data; boundary=b");
    let body = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x.csv\"\r\n\r\n{file}\r\n--b--\r\n"
    );
    for path in ["/api/adjustments/import", "/admin/adjustments/import"] {
        let request = app
            .http
            .post(app.url(path))
            .bearer_auth(TOKEN)
            .header("sec-fetch-site", "same-origin");
        let answer = request
            .header(header::CONTENT_TYPE, part.clone())
            .body(body.clone())
            .send()
            .await
            .unwrap();
        assert!(answer.status().as_u16() < 500);
        if path.starts_with("/admin/") {
            check_html(path, &answer.text().await.unwrap());
        }
    }
    for n in 0..SCRIPTS.len() {
        paths.push(format!("/admin/partners/x-{n}"));
        paths.push(format!("/admin/partners/x-{n}/edit"));
    }
    app.drain().await;
    let mut pages = 0;
    let mut written = 0;
    for path in &paths {
        let answer = house.get(path).await;
        let status = answer.status().as_u16();
        assert!(status < 500, "{path}: {status}");
        let kind = answer
            .headers()
            .get("content-type")
            .map_or("", |kind| kind.to_str().unwrap())
            .to_owned();
        if let Some(to) = answer.headers().get(header::LOCATION) {
            let to = to.to_str().unwrap();
            assert!(
                to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'),
                "{path} leads to {to}"
            );
        }
        if !kind.starts_with("text/html") {
            assert!(
                !kind.contains("svg") || path.starts_with("/assets/"),
                "{path}: {kind}"
            );
            continue;
        }
        let text = answer.text().await.unwrap();
        check_html(path, &text);
        pages += 1;
        written += usize::from(text.contains("xss"));
    }
    assert!(
        pages > 800 && written > 300,
        "{pages} pages, {written} with what was written"
    );
}
