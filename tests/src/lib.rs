//! Test support: people whose joints are known, video files made of them, and the programs under
//! test. Called by the tests of this workspace; the service must never depend on it.

pub mod balanced_users;
pub mod browser;
pub mod cluster;
pub mod connection_flood;
pub mod crash_ledger;
pub mod ctl;
pub mod database;
pub mod disks;
pub mod faulty_link;
pub mod fixture;
pub mod leftovers;
pub mod mutant;
pub mod object_server;
pub mod polling;
pub mod pose_table;
pub mod prefilled_state;
pub mod programs;
pub mod promtool;
pub mod proxies;
pub mod raw_tus;
pub mod recorded_footage;
pub mod report;
pub mod screenshot_review;
pub mod server;
pub mod terminal;
pub mod traces;
pub mod truth;
pub mod tus_client;

pub use bodyscript_mannequin as mannequin;
