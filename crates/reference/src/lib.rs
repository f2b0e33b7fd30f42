//! Every backend operation in plain scalar Rust: the judge in tests.
