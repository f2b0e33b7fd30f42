//! The `llamafile` command.
fn main() {}
