//! The GGUF container: reading, validating and writing.
