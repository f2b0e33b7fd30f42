//! The models that are served.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chat::{Chat, Template};
use engine::fleet::{Fleet, ModelStatus};
use engine::{Engine, Texts, Worker};
use gguf::Location;
use sample::Params;

use crate::error::{ApiError, Kind};
use crate::generation::Generation;

/// How a model is talked with.
pub struct Manner {
    /// How conversations are written for it; why that is not known, where its own template is not valid.
    pub template: Result<Template, String>,
    /// How tokens are chosen where requests don't say.
    pub sampling: Params,
}

/// A model in memory, with what runs it. While somebody has it, it stays there.
pub struct Loaded {
    name: String,
    worker: Arc<Worker>,
    prepared: Arc<Prepared>,
}

struct Prepared {
    chat: Result<Chat, String>,
    sampling: Params,
}

impl Loaded {
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
        self.prepared.chat.as_ref().map_err(ApiError::invalid)
    }

    /// How tokens are chosen where requests don't say.
    pub fn sampling(&self) -> &Params {
        &self.prepared.sampling
    }

    /// Has its thread do what may take until the step that runs is over.
    ///
    /// # Errors
    /// What `ask` says, and that the engine has stopped.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&Worker) -> Result<T, engine::Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        let model = self.clone();
        blocking(move || ask(&model.worker)).await?.map_err(ApiError::from)
    }

    /// The vectors of texts, or their scores.
    ///
    /// # Errors
    /// Texts that don't fit, and more requests than may wait.
    pub async fn embed(&self, texts: Texts) -> Result<Vec<Vec<Vec<f32>>>, ApiError> {
        Generation::embed(self, texts)?.vectors().await
    }
}

type MannerOf = Box<dyn Fn(&Engine) -> Manner + Send + Sync>;

/// Which models there are now.
pub type Finder = Box<dyn Fn() -> io::Result<BTreeMap<String, Location>> + Send + Sync>;

/// The models that are served.
#[derive(Clone)]
pub struct Models(Arc<Shared>);

struct Shared {
    fleet: Fleet,
    manner: MannerOf,
    finder: Option<Finder>,
    /// What was prepared for the models that are loaded.
    prepared: Mutex<HashMap<String, Known>>,
}

/// What was prepared, for as long as its model stays.
type Known = (Weak<Worker>, Arc<Prepared>);

impl Models {
    /// The models of `fleet`, each with its manner, and those that `finder` finds from now on: in a
    /// folder, to which some may be added.
    pub fn new(
        fleet: Fleet,
        manner: impl Fn(&Engine) -> Manner + Send + Sync + 'static,
        finder: Option<Finder>,
    ) -> Self {
        let (manner, prepared) = (Box::new(manner), Mutex::default());
        Self(Arc::new(Shared { fleet, manner, finder, prepared }))
    }

    /// The model for a request that asks for `name`, loaded where it is not. Where there is only one,
    /// it serves all: clients ask for names of elsewhere.
    ///
    /// # Errors
    /// An unknown name, and models that can't be loaded.
    pub async fn get(&self, name: Option<&str>) -> Result<Arc<Loaded>, ApiError> {
        let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        let shared = self.0.clone();
        blocking(move || shared.get(name.as_deref(), false)).await?
    }

    /// Loads a model, also where requests don't.
    ///
    /// # Errors
    /// As [`Models::get`].
    pub async fn load(&self, name: &str) -> Result<Arc<Loaded>, ApiError> {
        let (shared, name) = (self.0.clone(), name.to_owned());
        blocking(move || shared.get(Some(&name), true)).await?
    }

    /// Unloads a model that nobody uses.
    ///
    /// # Errors
    /// An unknown name, and a model that is not loaded or has requests.
    pub async fn unload(&self, name: &str) -> Result<(), ApiError> {
        let (shared, name) = (self.0.clone(), name.to_owned());
        let asked = name.clone();
        if blocking(move || shared.fleet.unload(&asked)).await?? {
            return Ok(());
        }
        let what = "is not loaded, or has requests to answer";
        Err(ApiError::new(Kind::Invalid, format!("model '{name}' {what}")))
    }

    /// All models.
    ///
    /// # Errors
    /// That the server stops.
    pub async fn list(&self) -> Result<Vec<ModelStatus>, ApiError> {
        let shared = self.0.clone();
        blocking(move || {
            shared.find();
            shared.fleet.list()
        })
        .await
    }

    /// The models in memory.
    pub fn loaded(&self) -> Vec<Arc<Loaded>> {
        let loaded = self.0.fleet.loaded().into_iter();
        loaded.map(|(name, worker)| Arc::new(self.0.prepare(name, worker))).collect()
    }

    /// Whether there is but one model.
    pub fn is_one(&self) -> bool {
        self.0.fleet.sole().is_some()
    }
}

impl Shared {
    fn get(&self, name: Option<&str>, load: bool) -> Result<Arc<Loaded>, ApiError> {
        let sole = self.fleet.sole();
        let name = if sole.is_some() && self.finder.is_none() { sole.as_deref() } else { name };
        let get = || match name {
            Some(name) if load => self.fleet.load(name),
            name => self.fleet.get(name),
        };
        let worker = match get() {
            Err(engine::Error::NoModel { .. }) if self.find() => get(),
            result => result,
        }?;
        let name = name.map(str::to_owned).or(sole).or_else(|| self.fleet.default_model());
        Ok(Arc::new(self.prepare(name.unwrap_or_default(), worker)))
    }

    /// Looks for models that have been added; returns whether there is somewhere to look.
    fn find(&self) -> bool {
        let Some(finder) = &self.finder else { return false };
        // A folder that is gone has no models to add.
        for (name, location) in finder().unwrap_or_default() {
            self.fleet.add(&name, location);
        }
        true
    }

    fn prepare(&self, name: String, worker: Arc<Worker>) -> Loaded {
        let mut all = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&name).filter(|(known, _)| known.as_ptr() == Arc::as_ptr(&worker));
        let known = known.map(|(_, prepared)| prepared.clone());
        let prepared = known.unwrap_or_else(|| {
            let Manner { template, sampling } = (self.manner)(worker.engine());
            let prepared = Arc::new(Prepared { chat: template.map(Chat::from_template), sampling });
            all.insert(name.clone(), (Arc::downgrade(&worker), prepared.clone()));
            prepared
        });
        Loaded { name, worker, prepared }
    }
}

/// Has a thread wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| ApiError::new(Kind::Internal, "the engine doesn't answer"))
}
