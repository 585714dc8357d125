//! How operators and the host control the service: signals, control socket, systemd, logs.

pub(crate) mod commands;
pub(crate) mod control_socket;
pub(crate) mod descriptors;
pub(crate) mod job_log;
pub(crate) mod listeners;
pub(crate) mod operations;
pub(crate) mod signals;
pub(crate) mod systemd;
pub(crate) mod telemetry;
