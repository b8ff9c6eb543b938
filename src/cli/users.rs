//! `jeongsan user`: who may sign in.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use jeongsan::{
    config::Config,
    domain::{
        account::{Role, UserName},
        ids::PartnerId,
    },
    flow::manage_users,
    store::accounts,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{beside, fail, say};

#[derive(Subcommand)]
pub enum Users {
    /// Add an account. Prints the link by which its person chooses a password, good for an hour.
    Add {
        /// Small letters, digits, `-`, `_` or `.`.
        name: String,
        #[arg(long, value_enum)]
        role: RoleName,
        /// The partner's id, with `--role partner`.
        #[arg(long, value_name = "ID")]
        partner: Option<String>,
    },
    /// Take an account's password and authenticator away, end its sessions, and print a new link.
    Reset { name: String },
    /// Everybody who has an account.
    List,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum RoleName {
    Owner,
    Operator,
    Accountant,
    Viewer,
    Partner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Role {
        match name {
            RoleName::Owner => Role::Owner,
            RoleName::Operator => Role::Operator,
            RoleName::Accountant => Role::Accountant,
            RoleName::Viewer => Role::Viewer,
            RoleName::Partner => Role::Partner,
        }
    }
}

/// The address of a link, as people reach the server.
fn link(config: &Config, code: &SecretString) -> String {
    format!("{}set-up?code={}", config.public_url, code.expose_secret())
}

pub async fn users(config: &Config, action: Users, as_json: bool) -> ExitCode {
    let ctx = match beside(config) {
        Ok(ctx) => ctx,
        Err(code) => return code,
    };
    let made = |name: &str, code: &SecretString| {
        if as_json {
            say(&json!({ "name": name, "link": link(config, code) }).to_string());
        } else {
            say(&format!(
                "Give {name} this link: it lets them choose a password, once, within an hour.\n\n    {}\n",
                link(config, code)
            ));
        }
        ExitCode::SUCCESS
    };
    let code = match action {
        Users::Add {
            name,
            role,
            partner,
        } => {
            let wanted = UserName::new(&name).map_err(|error| fail(&error));
            let partner = partner
                .map(PartnerId::new)
                .transpose()
                .map_err(|error| fail(&error));
            match (wanted, partner) {
                (Ok(wanted), Ok(partner)) => {
                    match manage_users::add(&ctx.store, wanted, role.into(), partner, "cli").await {
                        Ok(code) => made(&name, &code),
                        Err(error) => fail(&error),
                    }
                }
                (Err(code), _) | (_, Err(code)) => code,
            }
        }
        Users::Reset { name } => match UserName::new(&name) {
            Ok(wanted) => match manage_users::reset(&ctx.store, wanted, true).await {
                Ok(code) => made(&name, &code),
                Err(error) => fail(&error),
            },
            Err(error) => fail(&error),
        },
        Users::List => match ctx.store.read(accounts::list) {
            Ok(users) if as_json => {
                say(&json!(users).to_string());
                ExitCode::SUCCESS
            }
            Ok(users) => {
                for user in &users {
                    let state = match (&user.disabled_at, user.has_password, user.has_totp) {
                        (Some(_), _, _) => "disabled",
                        (None, false, _) => "has not chosen a password yet",
                        (None, true, true) => "password and authenticator",
                        (None, true, false) => "password",
                    };
                    let seen = user
                        .signed_in_at
                        .map_or_else(|| "never".to_owned(), |at| at.to_string());
                    let of = user
                        .partner
                        .as_ref()
                        .map(|partner| format!(" of {partner}"))
                        .unwrap_or_default();
                    say(&format!(
                        "{:<20} {:<12}{of} {state}, signed in: {seen}",
                        user.name,
                        user.role.as_str()
                    ));
                }
                if users.is_empty() {
                    say("Nobody has an account yet: `jeongsan serve` prints a link for the owner.");
                }
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
    };
    ctx.store.close().await;
    code
}
