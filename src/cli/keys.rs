//! `jeongsan key`: keys of programs.

use std::{io::Write, process::ExitCode};

use clap::Subcommand;
use jeongsan::{
    config::Config,
    domain::{
        account::Right,
        api_key::{KeyName, scopes},
    },
    flow::manage_keys,
    store::api_keys,
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{beside, fail, say};

#[derive(Subcommand)]
pub enum Keys {
    /// Make a key. Prints it, once: `TOKEN=$(jeongsan key add shop --scope payments:read)`.
    Add {
        /// Small letters, digits, `-`, `_` or `.`: what the key goes by in the records.
        name: String,
        /// A right that the key carries; may be given more than once, or as a list with commas.
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// How long it is good, such as 90d. For ever if not given.
        #[arg(long, value_name = "TIME")]
        expires: Option<humantime::Duration>,
    },
    /// All keys, newest first: what each may do, and when it was used.
    List,
    /// End a key at once.
    Revoke { name: String },
}

/// Keys that are listed.
const MOST: usize = 1_000;

pub async fn keys(config: &Config, action: Keys, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let store = &ctx.store;
    let code = match action {
        Keys::Add {
            name,
            scopes: wanted,
            expires,
        } => {
            let asked = KeyName::new(&name)
                .and_then(|name| Ok((name, scopes(wanted.iter().map(String::as_str))?)));
            match asked {
                Ok((name, rights)) => {
                    let lasts = expires.map(Into::into);
                    match manage_keys::make(store, name, rights, lasts, "cli").await {
                        Ok(made) if as_json => {
                            let key = made.secret.expose_secret();
                            say(&json!({ "key": key, "about": made.key }).to_string());
                            ExitCode::SUCCESS
                        }
                        Ok(made) => {
                            // On standard output the key alone, so that a script can take it.
                            let _ = writeln!(
                                std::io::stderr(),
                                "The key {} is shown once: keep it safe.",
                                made.key.name
                            );
                            say(made.secret.expose_secret());
                            ExitCode::SUCCESS
                        }
                        Err(error) => fail(&error),
                    }
                }
                Err(error) => fail(&error),
            }
        }
        Keys::List => match store.read(|conn| api_keys::list(conn, None, MOST)) {
            Ok(keys) if as_json => {
                say(&json!(keys).to_string());
                ExitCode::SUCCESS
            }
            Ok(keys) => {
                for key in &keys {
                    let scopes: Vec<_> = key.scopes.list().into_iter().map(Right::as_str).collect();
                    let at = |at: Option<jiff::Timestamp>| {
                        at.map_or_else(|| "never".to_owned(), |at| at.to_string())
                    };
                    say(&format!(
                        "{:<20} {}_… {:<8} used: {}, expires: {}, scopes: {}",
                        key.name,
                        key.prefix,
                        key.standing(store.now()).as_str(),
                        at(key.last_used_at),
                        at(key.expires_at),
                        scopes.join(",")
                    ));
                }
                if keys.is_empty() {
                    say("There are no keys yet: `jeongsan key add NAME --scope …` makes one.");
                }
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Keys::Revoke { name } => match manage_keys::revoke_named(store, &name, "cli").await {
            Ok(key) if as_json => {
                say(&json!(key).to_string());
                ExitCode::SUCCESS
            }
            Ok(key) => {
                say(&format!("The key {} opens nothing any more.", key.name));
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
    };
    store.close().await;
    code
}
