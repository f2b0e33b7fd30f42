//! The server as clients see it, over a tiny model.

mod anthropic;
mod connections;
mod fleet;
mod forms;
mod hostile;
mod llama;
mod model;
mod ollama;
mod openai;
mod responses;
mod slots;
mod support;
mod vectors;
