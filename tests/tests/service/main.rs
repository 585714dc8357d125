//! Tests of the programs from outside: `bodyscript serve` over HTTP and `bodyscript run`, with real workers.
//! One binary: linking each module by itself takes minutes. Each test has a service, a port and a folder of its own,
//! so they run side by side. What loads the whole host is in the binary `load`.

mod accuracy;
mod api;
mod browser;
mod browser_uploads;
mod cli;
mod connections;
mod contract;
mod copies;
mod deletions;
mod disk;
mod events;
mod formats;
mod idempotency;
mod journal_loss;
mod logs;
mod manager;
mod mannequin;
mod modes;
mod operator;
mod operators;
mod outputs;
mod patience;
mod people;
mod poison;
mod proxies;
mod readers;
mod recovery;
mod refusals;
mod requests;
mod resumable;
mod service;
mod sound;
mod standby;
mod transfer;
mod truth;
mod verdicts;
mod webhooks;
