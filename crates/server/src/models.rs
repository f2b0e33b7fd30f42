//! The models that are served.

use std::sync::Arc;
use std::time::SystemTime;

use chat::{Chat, Template};
use engine::{Engine, Worker};

use crate::error::ApiError;

/// A model in memory, with what runs it.
pub struct Loaded {
    name: String,
    worker: Worker,
    chat: Result<Chat, String>,
    created: SystemTime,
}

impl Loaded {
    /// Starts a thread for a model that is called `name` and chats by `template`; at most
    /// `most_waiting` requests wait.
    ///
    /// # Errors
    /// Memory that is not to be had.
    pub fn start(
        name: String,
        engine: Engine,
        template: Result<Template, String>,
        most_waiting: usize,
    ) -> Result<Self, engine::Error> {
        let chat = template.map(Chat::from_template);
        let worker = Worker::start(Arc::new(engine), most_waiting)?;
        Ok(Self { name, worker, chat, created: SystemTime::now() })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What runs it.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The model.
    pub fn engine(&self) -> &Engine {
        self.worker.engine()
    }

    /// Positions that a text may have.
    pub fn n_ctx(&self) -> usize {
        self.worker.n_ctx()
    }

    /// How to chat with it.
    ///
    /// # Errors
    /// A template that is not valid.
    pub fn chat(&self) -> Result<&Chat, ApiError> {
        self.chat.as_ref().map_err(ApiError::invalid)
    }

    /// When it was loaded.
    pub fn created(&self) -> SystemTime {
        self.created
    }
}

/// The models that are served.
pub struct Models {
    default: Arc<Loaded>,
}

impl Models {
    /// One model.
    pub fn one(model: Loaded) -> Self {
        Self { default: Arc::new(model) }
    }

    /// The model for a request that asks for `name`. Where there is only one, it serves all: clients
    /// ask for names of elsewhere.
    pub async fn get(&self, _name: Option<&str>) -> Result<Arc<Loaded>, ApiError> {
        Ok(self.default.clone())
    }

    /// All models.
    pub fn list(&self) -> Vec<Arc<Loaded>> {
        vec![self.default.clone()]
    }
}
