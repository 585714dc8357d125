//! Limits on concurrent connections, requests and event streams.
//!
//! `server` counts each connection when it is accepted, `admit` each request when its header has
//! been read; handlers of event streams call `RequestSlot::become_stream`. Each count ends when
//! its guard is dropped. The limits:
//!
//! | what is counted | per client | in total |
//! |---|---|---|
//! | connections, at accept, by peer address unless it is a trusted proxy | `client_connections_max` | `connections_max` and 16 |
//! | requests and streams in progress, by client address | `client_connections_max` | `connections_max` |
//! | streams among them | `client_streams_max` | `streams_max` |
//!
//! A trusted proxy opens connections for many clients, so only the requests of its clients are
//! counted. Idle connections don't exhaust the limit, because they are closed when a new one needs
//! room. Health checks are answered beyond all limits.

pub(crate) mod admit;
pub(crate) mod minimum_rate;
pub(crate) mod registry;
pub(crate) mod server;
mod small_reads;
mod spare_descriptor;
pub(crate) mod table;
