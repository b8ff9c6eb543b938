//! Stories of payments, told through HTTP to the real server on a real file.

mod accounts;
mod alerting;
mod buying;
mod auditing;
mod breaking_in;
mod cancelling;
mod chaos;
mod command_line;
mod guarding;
mod intake;
mod killing;
mod listing;
#[path = "../support/rabbitmq.rs"]
mod node;
mod operating;
mod partnering;
mod paying_out;
#[path = "../support/people.rs"]
mod people;
mod portal;
mod queue;
mod rabbit_life;
mod rare;
mod roles;
mod settling;
mod settling_dice;
mod settling_hard;
mod sharing;
mod shop;
mod statements;
mod storage;
mod support;
mod sweeping;
mod touring;
mod trying_out;
