//! Builds this crate anew when the web app in `web/dist` was.

fn main() {
    println!("cargo::rerun-if-changed=../../web/dist");
}
