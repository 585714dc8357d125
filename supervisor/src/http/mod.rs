//! The HTTP interface: routes, handlers, middleware and the documents that describe them.

pub(crate) mod accept;
pub(crate) mod access;
pub(crate) mod api;
pub(crate) mod blocking;
pub(crate) mod connections;
pub(crate) mod extract;
pub(crate) mod gallery;
pub(crate) mod jobs;
pub(crate) mod markup;
pub(crate) mod middleware;
pub(crate) mod openapi;
pub(crate) mod operators;
pub(crate) mod pages;
pub(crate) mod problem;
pub(crate) mod request_counter;
pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod starting;
pub(crate) mod tus;
pub(crate) mod upload;
