//! Several models from one process: loaded when they are asked for, unloaded when they were not for
//! some time, or when another one needs the room.

mod folder;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use gguf::Location;

use crate::{Engine, Error, ModelInfo, Options, Worker};
pub use folder::models_in;

/// Settings of a fleet.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Of each model.
    pub engine: Options,
    /// Requests that may wait for each model.
    pub most_waiting: usize,
    /// Models that may be loaded at once (`--models-max`); 0 for as many as there is memory for.
    pub most_loaded: usize,
    /// Whether [`Fleet::get`] loads (`--models-autoload`).
    pub autoload: bool,
    /// Time after which a model is unloaded that nobody used.
    pub idle_time: Option<Duration>,
    /// The model of those who name none. It is never unloaded to make room or for its age.
    pub default_model: Option<String>,
    /// Bytes for all models together; `None` for what is available at the start.
    pub memory: Option<u64>,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            engine: Options::default(),
            most_waiting: 256,
            most_loaded: 4,
            autoload: true,
            idle_time: None,
            default_model: None,
            memory: None,
        }
    }
}

/// Models by name. Dropping it waits for the requests that run.
pub struct Fleet {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

struct Shared {
    options: FleetOptions,
    /// Bytes for all models together.
    memory: Option<u64>,
    state: Mutex<State>,
    /// Something has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    models: BTreeMap<String, Entry>,
    /// Whether a model is being loaded: one at a time, so that they don't plan with the same memory.
    is_loading: bool,
    is_over: bool,
}

struct Entry {
    location: Location,
    stage: Stage,
    last_used: Option<Instant>,
    /// Why it could not be loaded last time.
    error: Option<String>,
}

enum Stage {
    Unloaded,
    Loading,
    Loaded(Arc<Worker>),
    Unloading,
}

/// What a model of a fleet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    /// It takes no memory.
    Unloaded,
    /// It will be there soon.
    Loading,
    /// It takes requests.
    Loaded,
    /// It will be gone soon.
    Unloading,
}

impl ModelState {
    /// Its name in llama.cpp's lists of models.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unloaded => "unloaded",
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Unloading => "unloading",
        }
    }
}

/// A model of a fleet.
#[derive(Debug, Clone)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// Bytes of its first file, if that is there.
    pub bytes: Option<u64>,
    /// When that was last changed.
    pub modified: Option<SystemTime>,
    /// What it does.
    pub state: ModelState,
    /// What it is, if it is loaded, and positions that a text may have.
    pub loaded: Option<(ModelInfo, usize)>,
    /// Time since it was used, if it was.
    pub idle: Option<Duration>,
    /// Why it could not be loaded last time.
    pub error: Option<String>,
}

impl Fleet {
    /// Knows these models and loads none.
    ///
    /// # Errors
    /// A default that is none of them, and no more threads.
    pub fn new(models: BTreeMap<String, Location>, options: FleetOptions) -> Result<Self, Error> {
        let available = || cpu::host::Memory::of_machine().and_then(|memory| memory.available);
        let memory = options.memory.or_else(available);
        let entry =
            |location| Entry { location, stage: Stage::Unloaded, last_used: None, error: None };
        let models = models.into_iter().map(|(name, location)| (name, entry(location))).collect();
        let state = Mutex::new(State { models, ..State::default() });
        let shared = Arc::new(Shared { options, memory, state, changed: Condvar::new() });
        if let Some(name) = &shared.options.default_model {
            shared.lock().entry(name)?;
        }
        let idle_time = shared.options.idle_time;
        let of_keeper = shared.clone();
        let keep = |idle_time| {
            let keeper = std::thread::Builder::new().name("fleet".into());
            keeper.spawn(move || of_keeper.keep(idle_time)).map_err(Error::Thread)
        };
        let keeper = idle_time.map(keep).transpose()?;
        Ok(Self { shared, keeper })
    }

    /// The model of that name, or the default one, or the only one; loads it where it isn't. While
    /// someone has it, it stays.
    ///
    /// # Errors
    /// [`Error::NoModel`], [`Error::NotLoaded`], [`Error::FleetBusy`], and why it can't be loaded.
    pub fn get(&self, name: Option<&str>) -> Result<Arc<Worker>, Error> {
        self.shared.get(name, self.shared.options.autoload)
    }

    /// As [`Fleet::get`], also without [`FleetOptions::autoload`].
    ///
    /// # Errors
    /// As [`Fleet::get`].
    pub fn load(&self, name: &str) -> Result<Arc<Worker>, Error> {
        self.shared.get(Some(name), true)
    }

    /// Unloads a model, once nobody has it and its requests are done; returns whether it did.
    ///
    /// # Errors
    /// [`Error::NoModel`].
    pub fn unload(&self, name: &str) -> Result<bool, Error> {
        let mut state = self.shared.lock();
        if !state.entry(name)?.is_idle() {
            return Ok(false);
        }
        drop(self.shared.unload(state, name));
        Ok(true)
    }

    /// Adds a model, or has the name stand for another file from the next time on that it is loaded.
    pub fn add(&self, name: &str, location: Location) {
        let mut state = self.shared.lock();
        let entry = state.models.entry(name.to_owned()).or_insert_with(|| Entry {
            location: location.clone(),
            stage: Stage::Unloaded,
            last_used: None,
            error: None,
        });
        entry.location = location;
    }

    /// All models, by name.
    pub fn list(&self) -> Vec<ModelStatus> {
        let state = self.shared.lock();
        let status = |(name, entry): (&String, &Entry)| ModelStatus {
            name: name.clone(),
            location: entry.location.clone(),
            bytes: None,
            modified: None,
            state: entry.state(),
            loaded: entry.worker().map(|worker| (worker.engine().info().clone(), worker.n_ctx())),
            idle: entry.last_used.map(|used| used.elapsed()),
            error: entry.error.clone(),
        };
        let mut all: Vec<ModelStatus> = state.models.iter().map(status).collect();
        drop(state);
        // Disks may take their time.
        for model in &mut all {
            if let Ok(file) = std::fs::metadata(model.location.path()) {
                model.bytes = Some(file.len());
                model.modified = file.modified().ok();
            }
        }
        all
    }

    /// The name of the only model, if there is but one.
    pub fn sole(&self) -> Option<String> {
        let state = self.shared.lock();
        let mut names = state.models.keys();
        names.next().filter(|_| names.next().is_none()).cloned()
    }

    /// The model of those who name none.
    pub fn default_model(&self) -> Option<String> {
        self.shared.options.default_model.clone()
    }

    /// The models that are loaded, by name.
    pub fn loaded(&self) -> Vec<(String, Arc<Worker>)> {
        let state = self.shared.lock();
        let loaded =
            |(name, entry): (&String, &Entry)| Some((name.clone(), entry.worker()?.clone()));
        state.models.iter().filter_map(loaded).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl Entry {
    fn worker(&self) -> Option<&Arc<Worker>> {
        match &self.stage {
            Stage::Loaded(worker) => Some(worker),
            _ => None,
        }
    }

    fn state(&self) -> ModelState {
        match self.stage {
            Stage::Unloaded => ModelState::Unloaded,
            Stage::Loading => ModelState::Loading,
            Stage::Loaded(_) => ModelState::Loaded,
            Stage::Unloading => ModelState::Unloading,
        }
    }

    /// Whether it is loaded and nobody has it, nor waits for an answer.
    fn is_idle(&self) -> bool {
        self.worker().is_some_and(|worker| Arc::strong_count(worker) == 1 && worker.is_idle())
    }

    /// Bytes that it takes.
    fn memory(&self) -> u64 {
        self.worker().map_or(0, |worker| worker.engine().plan().total())
    }
}

impl State {
    fn entry(&mut self, name: &str) -> Result<&mut Entry, Error> {
        if !self.models.contains_key(name) {
            let known = self.models.keys().cloned().collect();
            return Err(Error::NoModel { name: name.to_owned(), known });
        }
        self.models.get_mut(name).ok_or(Error::Stopped)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while the state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: Option<&str>, may_load: bool) -> Result<Arc<Worker>, Error> {
        let mut state = self.lock();
        let name = match name.or(self.options.default_model.as_deref()) {
            Some(name) => name.to_owned(),
            None if state.models.len() == 1 => {
                state.models.keys().next().cloned().unwrap_or_default()
            }
            None => String::new(),
        };
        loop {
            let is_loading = state.is_loading;
            let entry = state.entry(&name)?;
            match &entry.stage {
                Stage::Loaded(worker) => {
                    let worker = worker.clone();
                    entry.last_used = Some(Instant::now());
                    return Ok(worker);
                }
                Stage::Unloaded if !may_load => return Err(Error::NotLoaded { name }),
                Stage::Unloaded if !is_loading => break,
                _ => state = self.wait(state),
            }
        }
        state.is_loading = true;
        state.entry(&name)?.stage = Stage::Loading;
        let location = state.entry(&name)?.location.clone();
        drop(state);
        let result = self.start(&name, location);
        let mut state = self.lock();
        state.is_loading = false;
        let entry = state.entry(&name)?;
        entry.last_used = Some(Instant::now());
        entry.error = result.as_ref().err().map(ToString::to_string);
        entry.stage = match &result {
            Ok(worker) => Stage::Loaded(worker.clone()),
            Err(_) => Stage::Unloaded,
        };
        drop(state);
        self.changed.notify_all();
        result
    }

    /// Loads a model, at the cost of those that are idle.
    fn start(&self, name: &str, location: Location) -> Result<Arc<Worker>, Error> {
        let mut state = self.lock();
        let most_loaded = self.options.most_loaded;
        let n_loaded =
            |state: &State| state.models.values().filter(|m| m.worker().is_some()).count();
        while most_loaded > 0 && n_loaded(&state) >= most_loaded {
            state = self.make_room(state, name)?;
        }
        let busy = |state: &State| -> u64 {
            let stays = |(name, entry): &(&String, &Entry)| !self.may_go(name, entry);
            state.models.iter().filter(stays).map(|(_, entry)| entry.memory()).sum()
        };
        let available = self.memory.map(|memory| memory.saturating_sub(busy(&state)));
        drop(state);
        let engine = Engine::load_within(location, &self.options.engine, available)?;
        let needed = engine.plan().total();
        let mut state = self.lock();
        if let Some(memory) = self.memory.filter(|_| !self.options.engine.overcommit) {
            let used = |state: &State| state.models.values().map(Entry::memory).sum::<u64>();
            while used(&state).saturating_add(needed) > memory {
                state = self.make_room(state, name)?;
            }
        }
        drop(state);
        Ok(Arc::new(Worker::start(Arc::new(engine), self.options.most_waiting)?))
    }

    /// Whether a model may be unloaded for another one.
    fn may_go(&self, name: &str, entry: &Entry) -> bool {
        entry.is_idle() && self.options.default_model.as_deref() != Some(name)
    }

    /// Unloads the idle model that was not used for the longest time.
    fn make_room<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        name: &str,
    ) -> Result<MutexGuard<'a, State>, Error> {
        let idle = state.models.iter().filter(|(name, entry)| self.may_go(name, entry));
        let oldest = idle.min_by_key(|(_, entry)| entry.last_used).map(|(name, _)| name.clone());
        match oldest {
            Some(oldest) => Ok(self.unload(state, &oldest)),
            None => Err(Error::FleetBusy { name: name.to_owned() }),
        }
    }

    /// Unloads an idle model.
    fn unload<'a>(&'a self, mut state: MutexGuard<'a, State>, name: &str) -> MutexGuard<'a, State> {
        let Ok(entry) = state.entry(name) else { return state };
        let stage = std::mem::replace(&mut entry.stage, Stage::Unloading);
        drop(state);
        // Ends its thread, which may have something to write yet.
        drop(stage);
        let mut state = self.lock();
        if let Ok(entry) = state.entry(name) {
            entry.stage = Stage::Unloaded;
        }
        self.changed.notify_all();
        state
    }

    /// Unloads models that nobody has used for `idle_time`.
    fn keep(&self, idle_time: Duration) {
        let mut state = self.lock();
        while !state.is_over {
            let now = Instant::now();
            let mut next = idle_time;
            let mut over = None;
            for (name, entry) in &mut state.models {
                if entry.worker().is_some() && !entry.is_idle() {
                    entry.last_used = Some(now);
                }
                if !self.may_go(name, entry) {
                    continue;
                }
                let age = entry.last_used.map_or(Duration::ZERO, |used| now - used);
                match idle_time.checked_sub(age) {
                    Some(left) if !left.is_zero() => next = next.min(left),
                    _ => over = Some(name.clone()),
                }
            }
            state = match over {
                Some(name) => self.unload(state, &name),
                None => {
                    let waited = self.changed.wait_timeout(state, next);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
