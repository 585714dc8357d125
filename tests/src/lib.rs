//! Test support: people whose joints are known, video files made of them, and the programs under
//! test. Called by the tests of this workspace; the service must never depend on it.

pub mod browser;
pub mod crashing;
pub mod crowd;
pub mod disks;
pub mod filled;
pub mod fixture;
pub mod line;
pub mod mutant;
pub mod orders;
pub mod pose_table;
pub mod programs;
pub mod proxies;
pub mod recorded;
pub mod remains;
pub mod report;
pub mod server;
pub mod told;
pub mod traces;
pub mod tus_client;
pub mod tus_hand;

pub use bodyscript_mannequin as mannequin;
