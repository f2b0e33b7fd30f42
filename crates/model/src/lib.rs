//! Model architectures over the backend interface.
