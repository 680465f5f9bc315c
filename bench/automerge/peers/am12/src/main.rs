#[path = "../../automerge_rows.rs"]
mod rows;

fn main() {
    rows::main()
}
