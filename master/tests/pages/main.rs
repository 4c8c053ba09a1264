//! Pages and API through the router, without a socket.

mod app;
mod apply;

mod access;
mod api;
mod definitions;
mod execution;
mod executions;
mod texts;
