//! What every adapter of a port must do: one suite per port, run on each adapter there is.

mod db;
