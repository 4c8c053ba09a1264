//! What only programs ask for; the API of one family of pages stands in that family's file.

pub mod apply;
pub mod definitions;
pub mod export;
