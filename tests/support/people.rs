//! People with accounts, and their browsers as far as forms go: cookies, and the token of each form.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use jeongsan::{
    domain::{
        account::{Role, UserName},
        ids::PartnerId,
    },
    flow::manage_users,
    store::{Store, accounts},
    web::{auth::form_token, gate},
};
use reqwest::{Client, RequestBuilder, Response, header, redirect::Policy};

/// Of everybody here.
pub const PASSWORD: &str = "correct horse battery";

/// Makes an account that can sign in with [`PASSWORD`]. Gives its number.
pub async fn add(store: &Store, name: &str, role: Role, partner: Option<&str>) -> i64 {
    let name = UserName::new(name).unwrap();
    if let Some(there) = store
        .read(|conn| accounts::by_name(conn, name.as_str()))
        .unwrap()
    {
        return there.id;
    }
    let partner = partner.map(|id| PartnerId::new(id).unwrap());
    let link = manage_users::add(store, name.clone(), role, partner, "test")
        .await
        .unwrap();
    manage_users::choose_password(store, link, name.as_str(), PASSWORD.to_owned().into())
        .await
        .unwrap()
}

/// A browser without scripts: keeps cookies, sends forms with their token, follows nothing.
#[derive(Clone)]
pub struct Visitor {
    http: Client,
    base: String,
    /// Name and value of each cookie.
    pub cookies: Vec<(String, String)>,
}

impl Visitor {
    pub fn new(base: &str) -> Visitor {
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .unwrap();
        Visitor {
            http,
            base: base.to_owned(),
            cookies: vec![("jeongsan_form".to_owned(), "a-form-of-a-test".to_owned())],
        }
    }

    /// Somebody who has an account, signed in by the form.
    pub async fn signed_in(store: &Store, base: &str, name: &str, role: Role) -> Visitor {
        add(store, name, role, None).await;
        let mut visitor = Visitor::new(base);
        let answer = visitor.sign_in(name, PASSWORD, "/payment/mypage").await;
        assert_eq!(answer.status(), 303, "{name} signs in");
        visitor
    }

    pub async fn sign_in(&mut self, name: &str, password: &str, next: &str) -> Response {
        let form = [("name", name), ("password", password), ("next", next)];
        let answer = self.post("/sign-in", &form).await;
        self.keep(&answer);
        answer
    }

    /// Takes over the cookies that an answer sets.
    pub fn keep(&mut self, answer: &Response) {
        for line in answer.headers().get_all(header::SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        let known = self.cookies.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.as_str())
    }

    /// What a `Cookie` header would say.
    pub fn header(&self) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    /// The token that this browser's forms carry.
    pub fn token(&self) -> String {
        let secret = self
            .cookie("jeongsan_session")
            .or_else(|| self.cookie("jeongsan_form"))
            .unwrap_or_default();
        form_token(secret)
    }

    /// Sent from a page of ours.
    pub fn with(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .header(header::COOKIE, self.header())
            .header("sec-fetch-site", "same-origin")
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Response {
        let request = self.request(reqwest::Method::GET, path);
        self.with(request).send().await.unwrap()
    }

    pub async fn text(&self, path: &str) -> (u16, String) {
        let answer = self.get(path).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let token = self.token();
        let mut fields = vec![(gate::FIELD, token.as_str())];
        fields.extend_from_slice(form);
        let request = self.request(reqwest::Method::POST, path);
        self.with(request).form(&fields).send().await.unwrap()
    }
}
