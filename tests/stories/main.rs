//! Stories of payments, told through HTTP to the real server on a real file.

mod accounts;
mod alerting;
mod approving;
mod approving_dice;
mod auditing;
mod breaking_in;
mod cancelling;
mod chaos;
mod command_line;
mod console;
mod exports;
mod guarding;
mod hostile;
mod house;
mod house_rules;
mod intake;
mod keys;
mod killing;
mod listing;
#[path = "../support/rabbitmq.rs"]
mod node;
mod once;
mod operating;
mod partnering;
mod paying_out;
#[path = "../support/people.rs"]
mod people;
mod portal;
mod private;
mod queue;
mod rabbit_life;
mod rare;
mod reference;
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
mod trying_out;
