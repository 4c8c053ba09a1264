//! Kettle: on our stand-in of an install, which does as real ones were recorded to do; or, with HCNDC_TEST_PDI
//! (`PDI_HOME=… make test-engines E=kettle`), the same on a real one. What only a stand-in can be told to do is tried on
//! the stand-in in either case.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod install;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../host/rig.rs"]
mod rig;
#[path = "../host/served.rs"]
mod served;

mod carte;
mod etl;
mod repository;
mod warm;
