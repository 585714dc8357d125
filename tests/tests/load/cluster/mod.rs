//! Hosts that share a journal and a store, under disturbances that take long.

mod disturbances;
mod fence;
mod outage;
mod real_videos;
mod versions;
