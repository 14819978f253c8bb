//! The program: arguments to configuration to reactor to exit code.

fn main() {
    println!("hoop-lite {}", env!("CARGO_PKG_VERSION"));
}
