//! The World by cases, in a notation that makes a hundred of them cheap.

mod age;
mod backfill;
mod backfill_refused;
mod calendar;
mod dag;
mod definition;
mod environment;
mod explain;
mod explain_then;
mod external;
mod hosts;
mod lab;
mod mesh;
mod notation;
mod oracle;
mod overlap;
mod part;
mod rules;
mod scale;
mod slices;
mod time;
mod verbs;
