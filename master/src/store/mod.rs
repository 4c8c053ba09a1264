//! Rows in and out: the only place with SQL. One file per aggregate owns all of its SQL.

pub mod edit;
pub mod sequence;

pub mod catalog;
pub mod project;

pub mod audit;
pub mod token;
pub mod user;

pub mod whereabouts;
