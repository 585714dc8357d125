//! Tests of the programs from outside: `bodyscript serve` over HTTP and `bodyscript run`, with real workers.
//! One binary: linking each module by itself takes minutes. Each test has a service, a port and a folder of its own,
//! so they run side by side. What loads the whole host is in the binary `load`.

mod accuracy;
mod api;
mod apparmor;
mod browser;
mod browser_uploads;
mod cli;
mod connection_limits;
mod contract;
mod deletions;
mod disk;
mod events;
mod fairness;
mod formats;
mod fuzz_corpus;
mod ground_truth;
mod hdr;
mod idempotency;
mod journal_loss;
mod logs;
mod lying_workers;
mod mannequin;
mod memory_need;
mod modes;
mod multiple_people;
mod operator_access;
mod operator_commands;
mod outputs;
mod poison;
mod processing;
mod proxies;
mod recovery;
mod refusals;
mod requests;
mod responses;
mod resumable;
mod service_manager;
mod shared_artefacts;
mod sound;
mod third_party_readers;
mod timeouts;
mod transformed_videos;
mod verdicts;
mod webhooks;
mod worker_pool;
