//! Loading a model and generating text with it.
//!
//! [`Engine`] is what a model file holds, ready for use and shared by all: weights, tokenizer, chat
//! template. [`Session`] is one conversation with it: a backend and the memory of the tokens seen.
#![forbid(unsafe_code)]

mod diffusion;
mod disk_cache;
mod embedding;
mod encoder;
mod error;
pub mod fleet;
mod job;
mod metrics;
mod normalization;
mod plan;
mod record;
mod request;
mod scheduler;
mod session;
mod slots;
mod speculation;
mod stop;
mod texts;
mod vocabulary;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use backend::KvTypes;
use cpu::host::Memory;
use cpu::{Cpu, CpuOptions};
use gguf::{Gguf, Location, Value};
use grammar::{Constraint, Grammar};
use model::Model;
use sample::{Params, Sampler, Vocabulary};
use tokenizer::Tokenizer;

use diffusion::Masks;

pub use cpu::Kernel;
pub use cpu::isa::Isa;
pub use cpu::topology::{Placement, PlacementError};
pub use diffusion::{Algorithm, Diffusion, Draw, OnStep, Schedule};
pub use disk_cache::{DiskCacheOptions, DiskCacheTotals};
pub use error::Error;
pub use metrics::{Metrics, RequestStatus, SlotStatus, Totals};
pub use model::Pooling;
pub use normalization::Normalization;
pub use plan::{Bytes, Plan, Reason};
pub use request::{Choice, Client, Event, Outcome, Progress, Request};
pub use scheduler::{Load, Scheduler};
pub use selftest::Fault;
pub use session::{Finish, Session, Stats};
pub use slots::SlotFile;
pub use speculation::{DraftModel, Drafter, NGrams, Speculation};
pub use stop::StopTexts;
pub use texts::Texts;
use vocabulary::Words;
pub use worker::Worker;

/// Settings of an engine; see the fields of the default.
#[derive(Debug, Clone)]
pub struct Options {
    /// Positions that a text may have; `None` or 0 for the model's training length, or what memory
    /// has room for where that is less.
    pub n_ctx: Option<usize>,
    /// Positions that a [`Scheduler`] remembers of all texts, earlier ones too; `None` for those of
    /// one.
    pub n_positions: Option<usize>,
    /// Texts that a [`Scheduler`] works on at once.
    pub parallel: usize,
    /// Whether these may be fewer, down to 4, where the model has large recurrent states: these shall
    /// take no more than a GiB or a quarter of the weights' bytes.
    pub fewer_for_states: bool,
    /// Whether more memory may be asked for than is available.
    pub overcommit: bool,
    /// Threads; `None` for the physical performance cores that the process may use.
    pub threads: Option<usize>,
    /// Where threads run; the calling thread of [`Engine::session`] is one of them, and stays bound.
    pub placement: Placement,
    /// Instruction set; `None` for the best of the processor.
    pub isa: Option<Isa>,
    /// Kernels that are not used.
    pub disabled: Vec<Kernel>,
    /// Hears of kernels that are wrong on this machine: those that a model will use are tested when it
    /// is loaded, and others take the place of wrong ones.
    pub on_fault: fn(&Fault),
    /// Prompt tokens evaluated at once.
    pub n_batch: usize,
    /// Whether results must be the same bits however tokens are batched; generation then takes about
    /// three times as long.
    pub batch_invariant: bool,
    /// Formats of stored keys and values.
    pub kv_types: KvTypes,
    /// Whether layers on sliding windows keep all positions: sequences then go back anywhere, and take
    /// more memory.
    pub full_windows: bool,
    /// What becomes of the embeddings of a text's tokens; `None` for what the model's file says.
    pub pooling: Option<Pooling>,
    /// Whether tokens see only earlier ones, or the whole text; `None` for what the model says.
    pub causal: Option<bool>,
    /// Where a [`Scheduler`] keeps what it has seen beyond its end.
    pub disk_cache: Option<DiskCacheOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            n_ctx: None,
            n_positions: None,
            parallel: 1,
            fewer_for_states: false,
            overcommit: false,
            threads: None,
            placement: Placement::default(),
            isa: None,
            disabled: Vec::new(),
            on_fault: |_| (),
            n_batch: 512,
            batch_invariant: false,
            kv_types: KvTypes::default(),
            full_windows: false,
            pooling: None,
            causal: None,
            disk_cache: None,
        }
    }
}

impl Options {
    /// Threads; the calling one is the first.
    fn backend(&self) -> Result<Cpu, Error> {
        let Self { threads, isa, batch_invariant, .. } = *self;
        let disabled = self.disabled.clone();
        let options = CpuOptions { threads, isa, batch_invariant, disabled };
        Ok(Cpu::placed(options, &self.placement)?)
    }

    /// The same without kernels that are wrong, of those that the model will use.
    fn tested(&self, gguf: &Gguf) -> Self {
        let isa = self.isa.unwrap_or_else(Isa::detect);
        let types = gguf.matrix_types();
        let faults = selftest::wrong_kernels(isa, &self.disabled, types, self.kv_types);
        faults.iter().for_each(self.on_fault);
        let mut options = self.clone();
        options.disabled.extend(faults.iter().map(|fault| fault.kernel));
        options
    }
}

/// What people want to know of a model.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// `general.name`, or the file's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// `general.architecture`.
    pub architecture: String,
    /// Number of parameters: elements of all tensors.
    pub n_params: u64,
    /// Bytes of the file, or of all its shards.
    pub bytes: u64,
    /// Context length in training.
    pub n_ctx_train: usize,
    /// Size of the vocabulary.
    pub n_vocab: usize,
}

/// A loaded model with its tokenizer and chat template.
pub struct Engine {
    gguf: Gguf,
    model: Arc<dyn Model>,
    tokenizer: Arc<Tokenizer>,
    vocabulary: Arc<dyn Vocabulary>,
    /// Tokens made ready for grammars, once there is one.
    grammar_vocabulary: OnceLock<grammar::Vocabulary>,
    sampling: Params,
    template: TemplateSource,
    masks: Option<Masks>,
    facts: texts::Facts,
    info: ModelInfo,
    options: Options,
    plan: Plan,
    load_time: Duration,
}

impl Engine {
    /// Maps the model file and checks all that is needed to run it, memory too.
    pub fn load(file: impl Into<Location>, options: &Options) -> Result<Self, Error> {
        let available = Memory::of_machine().and_then(|memory| memory.available);
        Self::load_within(file, options, available)
    }

    /// The same with so many bytes of memory for all of it, if that is known.
    pub fn load_within(
        file: impl Into<Location>,
        options: &Options,
        available: Option<u64>,
    ) -> Result<Self, Error> {
        let file = file.into();
        let start = Instant::now();
        let gguf = file.open()?;
        let model = model::load(&gguf)?;
        let tokenizer = Arc::new(tokenizer_of(&gguf, &*model)?);
        let masks = Masks::of(&gguf, &*model, &tokenizer)?;
        let template = TemplateSource::new(&gguf, &tokenizer)?;
        let facts = texts::Facts::read(&gguf)?;
        let info = model_info(file.path(), &gguf, &*model)?;
        let weights = gguf.tensors().iter().map(|tensor| tensor.size() as u64).sum();
        let plan = Plan::new(&*model, weights, options, available)?;
        let options = options.tested(&gguf);
        let load_time = start.elapsed();
        let vocabulary: Arc<dyn Vocabulary> = Arc::new(Words(tokenizer.clone()));
        let mut sampling = Params::default();
        sampling.recommend(|key| gguf.metadata().get(key).and_then(text_of));
        let grammar_vocabulary = OnceLock::new();
        Ok(Self {
            gguf,
            model,
            tokenizer,
            vocabulary,
            grammar_vocabulary,
            sampling,
            template,
            masks,
            facts,
            info,
            options,
            plan,
            load_time,
        })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// How the model file recommends to choose tokens.
    pub fn sampling(&self) -> &Params {
        &self.sampling
    }

    /// A sampler for this model.
    pub fn sampler(&self, params: &Params) -> Result<Sampler, Error> {
        Ok(Sampler::new(params, &self.vocabulary)?)
    }

    /// Holds text of this model to `grammar`. The first call makes the vocabulary ready for that.
    pub fn constraint(&self, grammar: &Grammar) -> Result<Constraint, Error> {
        let vocabulary = match self.grammar_vocabulary.get() {
            Some(vocabulary) => vocabulary,
            None => {
                let made = grammar::Vocabulary::new(&self.tokenizer)?;
                self.grammar_vocabulary.get_or_init(|| made)
            }
        };
        Ok(Constraint::new(grammar, vocabulary)?)
    }

    /// Compiles the model's chat template; ChatML where the file has none.
    pub fn template(&self) -> Result<chat::Template, Error> {
        let TemplateSource { text, bos, eos } = &self.template;
        let source = text.as_deref().unwrap_or(chat::CHATML);
        Ok(chat::Template::new(source, bos, eos)?)
    }

    /// Tokens of a rendered conversation, with the one that begins a text where the model wants it
    /// and the template has not written it already.
    pub fn chat_tokens(&self, text: &str) -> Vec<u32> {
        let tokenizer = &self.tokenizer;
        let mut tokens = tokenizer.encode(text, false, true);
        if let Some(bos) = tokenizer.bos().filter(|_| tokenizer.add_bos())
            && tokens.first() != Some(&bos)
        {
            tokens.insert(0, bos);
        }
        tokens
    }

    /// Facts about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Time that loading took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// The memory that it takes, and the context that this is for.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Threads as the options say; the calling one is the first.
    fn backend(&self) -> Result<Cpu, Error> {
        self.options.backend()
    }

    /// Starts an empty session.
    pub fn session(&self) -> Result<Session<'_>, Error> {
        self.check_generates()?;
        Session::new(self)
    }

    fn check_generates(&self) -> Result<(), Error> {
        match self.is_generative() {
            true => Ok(()),
            false => Err(Error::NotGenerative { architecture: self.info.architecture.clone() }),
        }
    }

    /// Whether tokens see only earlier ones.
    fn is_causal(&self) -> bool {
        self.options.causal.unwrap_or(self.model.is_causal())
    }
}

/// The file's tokenizer, all of whose tokens the model must know.
fn tokenizer_of(gguf: &Gguf, model: &dyn Model) -> Result<Tokenizer, Error> {
    let tokenizer = Tokenizer::from_metadata(gguf.metadata())?;
    let n_vocab = model.shape().n_vocab;
    if tokenizer.n_vocab() > n_vocab {
        return Err(Error::Vocabulary { tokens: tokenizer.n_vocab(), rows: n_vocab });
    }
    Ok(tokenizer)
}

/// What a chat template is compiled from.
struct TemplateSource {
    text: Option<String>,
    bos: String,
    eos: String,
}

impl TemplateSource {
    fn new(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let text_of = |id: Option<u32>| {
            id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default().to_owned()
        };
        Ok(Self {
            text: gguf.metadata().opt_str("tokenizer.chat_template")?.map(str::to_owned),
            bos: text_of(tokenizer.bos()),
            eos: text_of(tokenizer.eos()),
        })
    }
}

fn model_info(path: &Path, gguf: &Gguf, model: &dyn Model) -> Result<ModelInfo, Error> {
    let file_name = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let elements = |shape: &[usize]| shape.iter().map(|&n| n as u64).product::<u64>();
    Ok(ModelInfo {
        name: gguf.metadata().opt_str("general.name")?.map_or_else(file_name, str::to_owned),
        path: path.to_owned(),
        architecture: gguf.metadata().str("general.architecture")?.to_owned(),
        n_params: gguf.tensors().iter().map(|tensor| elements(&tensor.shape)).sum(),
        bytes: gguf.size(),
        n_ctx_train: model.shape().n_ctx_train,
        n_vocab: model.shape().n_vocab,
    })
}

/// A single value of the metadata as text.
fn text_of(value: Value<'_>) -> Option<String> {
    Some(match value {
        Value::String(text) => text.to_owned(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::U8(number) => number.to_string(),
        Value::I8(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        _ => return None,
    })
}
