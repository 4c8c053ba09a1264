//! A million rows for a real MariaDB, that of `.ci/services`.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use crate::rig::program;
use shared::config::env;
use std::fmt::Write;
use std::path::Path;

pub const ROWS: u64 = 1_000_000;

/// A database of its own with an empty table `orders`, and a file with what is to go there.
pub struct Orders {
    pub port: String,
    pub name: &'static str,
    /// Of the amounts in the file.
    pub sum: u64,
}

impl Orders {
    pub fn new(name: &'static str, file: &Path) -> Orders {
        // mysql://root@127.0.0.1:PORT
        let address = env("HCNDC_TEST_MYSQL").expect("HCNDC_TEST_MYSQL: make test-engines");
        let port = address.rsplit(':').next().unwrap().to_owned();
        let mut orders = Orders { port, name, sum: 0 };
        orders.sql(&format!(
            "DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}; \
             CREATE TABLE {name}.orders (id BIGINT, region VARCHAR(20), amount BIGINT)"
        ));
        let mut text = String::from("id,region,amount\n");
        for id in 1..=ROWS {
            let amount = id * 37 % 1_000;
            orders.sum += amount;
            writeln!(text, "{id},r{},{amount}", id % 7).unwrap();
        }
        std::fs::write(file, text).unwrap();
        orders
    }

    /// By the client that comes with the server.
    fn sql(&self, text: &str) -> String {
        let mut client = program(Path::new("mariadb"));
        client.args(["--no-defaults", "-h127.0.0.1", "-uroot", "-N", "-B"]);
        let told = client.args(["-P", &self.port, "-e", text]).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    }

    /// How many rows are there, and the sum of their amounts.
    pub fn there(&self) -> String {
        self.sql(&format!("SELECT COUNT(*), SUM(amount) FROM {}.orders", self.name))
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.sql(&format!("DROP DATABASE {}", self.name));
        }
    }
}
