//! Pages are embedded: what is new under `templates/` or `static/` (vendored files, fetched after a
//! first build) must reach the binary too.

fn main() {
    println!("cargo::rerun-if-changed=../static");
    println!("cargo::rerun-if-changed=../templates");
}
