//! The journal of attempts.
