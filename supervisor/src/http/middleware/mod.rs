//! Middleware around the handlers, and the client addresses and limits it uses.

pub(crate) mod client_address;
pub(crate) mod clients;
pub(crate) mod compress;
pub(crate) mod cors;
pub(crate) mod host;
pub(crate) mod operators_only;
pub(crate) mod request_id;
pub(crate) mod security_headers;
pub(crate) mod transfer_coding;
pub(crate) mod unidentified_clients;
