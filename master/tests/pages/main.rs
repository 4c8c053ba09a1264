//! Pages and API through the router, without a socket.

mod app;
mod apply;

mod access;
mod execution;
mod executions;
