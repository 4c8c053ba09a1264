//! The World by cases, in a notation that makes a hundred of them cheap.

mod dag;
mod lab;
