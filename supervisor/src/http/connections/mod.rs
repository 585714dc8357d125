//! Who may have how many connections, requests and streams of events at once.
//!
//! `server` enters each connection when it is accepted, `admit` each request when its header is
//! there, handlers of event streams call `Place::become_stream`. What is entered is left again
//! when its guard drops. Two limits count for each client and two for all together:
//!
//! | what is counted | of one client | of all |
//! |---|---|---|
//! | connections, at accept, by the address of a peer that is no trusted proxy | `client_connections_max` | `connections_max` and 16 |
//! | requests and streams under way, by who the request comes from | `client_connections_max` | `connections_max` |
//! | streams among them | `client_streams_max` | `streams_max` |
//!
//! A trusted proxy, this host included, may open connections for anybody, so it is its clients'
//! requests that are counted. Connections without a request are no burden, because they are given
//! up as soon as there is no room for another one. Health checks are answered beyond all limits.

pub(crate) mod admit;
pub(crate) mod least_rate;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod table;
