//! The command language is in oracle.rs.
#[path = "../../oracle.rs"]
mod oracle;

fn main() {
    oracle::main();
}
