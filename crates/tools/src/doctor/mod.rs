//! What the machine has, what is used of it and why, and whether a model fits.

mod fit;
mod text;

use backend::{KvTypes, TensorType};
use cpu::host::Memory;
use cpu::isa::{self, Isa};
use cpu::topology::{CoreKind, Placement, Topology};
use cpu::{Cpu, CpuOptions, Kernel};
use gguf::Location;
use serde::Serialize;

use crate::Error;
pub use fit::Fit;

/// What to examine.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A model file that shall fit.
    pub model: Option<Location>,
    /// Its context; `None` for the one it was trained with, or what fits.
    pub n_ctx: Option<usize>,
    /// Threads; `None` for as many as suit the machine.
    pub threads: Option<usize>,
    /// Where they run; the calling thread is one of them, and stays bound.
    pub placement: Placement,
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// This program and its version.
    pub build: String,
    /// The operating system and its version.
    pub os: String,
    /// The processor's architecture.
    pub architecture: &'static str,
    /// The processors.
    pub processor: ProcessorFacts,
    /// Which instructions are used.
    pub instructions: Instructions,
    /// Which kernels are not used.
    pub kernels: KernelFacts,
    /// How many threads are used.
    pub threads: Threads,
    /// Main memory; `None` where the system does not tell.
    pub memory: Option<MemoryFacts>,
    /// What the threads can do at most, measured.
    pub limits: LimitFacts,
    /// Whether the model fits, if one was given.
    pub model: Option<Fit>,
}

impl Diagnosis {
    /// All of it as a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// The processors.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessorFacts {
    /// What it calls itself.
    pub name: Option<String>,
    /// Logical processors of the machine.
    pub online: usize,
    /// The numbers of those that the process may use.
    pub allowed: Vec<usize>,
    /// Physical cores among these that are made for speed.
    pub performance_cores: usize,
    /// Physical cores among these that are made for saving power.
    pub efficiency_cores: usize,
    /// Processors' worth of time that the process may use, where that is limited.
    pub quota: Option<f64>,
    /// Caches for data, the innermost first.
    pub caches: Vec<CacheFacts>,
    /// Features that kernels use or may use, and the processor has.
    pub features: Vec<&'static str>,
}

/// Caches of one level and size.
#[derive(Debug, Clone, Serialize)]
pub struct CacheFacts {
    /// 1 is the innermost.
    pub level: u8,
    /// Bytes of each.
    pub bytes: u64,
    /// How many there are.
    pub instances: usize,
}

/// Which instructions are used.
#[derive(Debug, Clone, Serialize)]
pub struct Instructions {
    /// Name of the level in use.
    pub chosen: &'static str,
    /// What the environment asks for, if anything.
    pub asked: Option<String>,
    /// The levels of this architecture, lowest first.
    pub levels: Vec<Level>,
}

/// A level of instruction sets.
#[derive(Debug, Clone, Serialize)]
pub struct Level {
    /// Its name.
    pub name: &'static str,
    /// The features that it needs and the processor lacks: with none it can be used.
    pub missing: Vec<&'static str>,
}

/// Which kernels are not used, by name; those of lower instruction sets take their place.
#[derive(Debug, Clone, Serialize)]
pub struct KernelFacts {
    /// Those that the environment disables.
    pub disabled: Vec<String>,
    /// Those that models might use and that are wrong on this machine.
    pub wrong: Vec<WrongKernel>,
}

/// A kernel that is wrong on this machine.
#[derive(Debug, Clone, Serialize)]
pub struct WrongKernel {
    /// Its name.
    pub name: String,
    /// What it got wrong, for people.
    pub why: String,
    /// What is used instead; `None` where all are wrong.
    pub instead: Option<String>,
}

/// How many threads are used.
#[derive(Debug, Clone, Serialize)]
pub struct Threads {
    /// Their number.
    pub chosen: usize,
    /// Where that comes from, for people.
    pub reason: String,
}

/// Main memory, in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryFacts {
    /// What the machine has.
    pub total: u64,
    /// What can be had without pushing others out.
    pub available: Option<u64>,
    /// What a container or service may use, where that is limited.
    pub limit: Option<u64>,
}

/// What the threads can do at most.
#[derive(Debug, Clone, Serialize)]
pub struct LimitFacts {
    /// Reading memory, in GB/s.
    pub bandwidth_gb_s: Option<f64>,
    /// 8-bit multiplications and additions with the level in use, in GOPS.
    pub int8_gops: Option<f64>,
    /// The same of 32-bit floats, in GFLOPS.
    pub f32_gflops: Option<f64>,
}

/// Examines the machine and the model. Takes less than half a second.
///
/// # Errors
/// A file that can't be read or is no model, processors that can't be used, or an environment that
/// names such an instruction set.
pub fn diagnose(options: &Options) -> Result<Diagnosis, Error> {
    let isa = Isa::from_env().map_err(Error::Isa)?;
    let kernels = kernels(isa)?;
    let topology = Topology::of_process();
    // Before the measurement takes memory.
    let memory = Memory::of_machine();
    let available = memory.and_then(|memory| memory.available);
    let fit = |file: &Location| Fit::of_file(file, options, available);
    let model = options.model.as_ref().map(fit).transpose()?;
    let plan = options.placement.plan(topology, options.threads)?;
    let backend = CpuOptions { threads: Some(plan.threads), isa: Some(isa), ..<_>::default() };
    let limits = Cpu::placed(backend, &options.placement)?.limits();
    let os_version = cpu::host::os_version().map_or_else(String::new, |text| format!(" {text}"));
    Ok(Diagnosis {
        build: concat!("llamafile ", env!("CARGO_PKG_VERSION")).to_owned(),
        os: std::env::consts::OS.to_owned() + &os_version,
        architecture: std::env::consts::ARCH,
        processor: processor(topology),
        instructions: instructions(isa),
        kernels,
        threads: Threads { chosen: plan.threads, reason: reason(topology, options) },
        memory: memory.map(|Memory { total, available, limit }| MemoryFacts {
            total,
            available,
            limit,
        }),
        limits: LimitFacts {
            bandwidth_gb_s: limits.bandwidth,
            int8_gops: limits.int8,
            f32_gflops: limits.f32,
        },
        model,
    })
}

fn processor(topology: &Topology) -> ProcessorFacts {
    let caches = topology.caches.iter().map(|cache| CacheFacts {
        level: cache.level,
        bytes: cache.bytes,
        instances: cache.instances,
    });
    ProcessorFacts {
        name: cpu::host::cpu_name(),
        online: topology.online,
        allowed: topology.processors.iter().map(|p| p.id).collect(),
        performance_cores: topology.cores(CoreKind::Performance),
        efficiency_cores: topology.cores(CoreKind::Efficiency),
        quota: topology.quota,
        caches: caches.collect(),
        features: isa::features().filter(|(_, has)| *has).map(|(name, _)| name).collect(),
    }
}

fn instructions(isa: Isa) -> Instructions {
    let here = |isa: &Isa| isa.architecture().is_none_or(|name| name == std::env::consts::ARCH);
    let levels = Isa::ALL.into_iter().filter(here);
    Instructions {
        chosen: isa.name(),
        asked: std::env::var(isa::ENV).ok(),
        levels: levels.map(|isa| Level { name: isa.name(), missing: isa.missing() }).collect(),
    }
}

/// Tests what models of any type use, a little.
fn kernels(isa: Isa) -> Result<KernelFacts, Error> {
    let disabled = Kernel::disabled_by_env().map_err(Error::Kernels)?;
    let faults = ::selftest::wrong_kernels(isa, &disabled, TensorType::all(), KvTypes::default());
    let wrong = faults.iter().map(|fault| WrongKernel {
        name: fault.kernel.to_string(),
        why: fault.wrong.to_string(),
        instead: fault.instead.map(|kernel| kernel.to_string()),
    });
    let disabled = disabled.iter().map(Kernel::to_string).collect();
    Ok(KernelFacts { disabled, wrong: wrong.collect() })
}

/// Why there are as many threads as [`Placement::plan`] says.
fn reason(topology: &Topology, options: &Options) -> String {
    if options.threads.is_some() {
        return "as asked for".to_owned();
    }
    if options.placement.processors.is_some() {
        return "one for each core of the processors asked for, within the quota".to_owned();
    }
    let (performance, efficiency) =
        (topology.cores(CoreKind::Performance), topology.cores(CoreKind::Efficiency));
    let with_efficiency = options.placement.efficiency_cores;
    let cores = if with_efficiency { performance + efficiency } else { performance };
    let threads = topology.threads(with_efficiency);
    let mut parts = vec![match (threads < cores, efficiency, with_efficiency) {
        (true, ..) => {
            let quota = topology.quota.unwrap_or_default();
            format!("a quota of {quota} processors' time, rounded up, for {cores} cores")
        }
        (false, 0, _) => "one for each core".to_owned(),
        (false, _, true) => "one for each core, efficiency cores too".to_owned(),
        (false, _, false) => "one for each performance core".to_owned(),
    }];
    if efficiency > 0 && !with_efficiency {
        parts.push(format!("{efficiency} efficiency cores stay out (--efficiency-cores)"));
    }
    if topology.processors.len() > performance + efficiency {
        parts.push("second threads of cores stay out".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use cpu::topology::Processor;

    use super::*;

    /// Cores of two threads, then efficiency cores of one.
    fn topology(performance: usize, efficiency: usize, quota: Option<f64>) -> Topology {
        let fast = (0..2 * performance).map(|id| (id, id / 2 * 2, CoreKind::Performance));
        let slow = (2 * performance..2 * performance + efficiency)
            .map(|id| (id, id, CoreKind::Efficiency));
        let processors: Vec<Processor> =
            fast.chain(slow).map(|(id, core, kind)| Processor { id, core, kind }).collect();
        Topology { online: processors.len(), processors, quota, caches: Vec::new() }
    }

    #[test]
    fn the_number_of_threads_is_explained() {
        let default = Options::default();
        assert_eq!(
            reason(&topology(8, 4, None), &default),
            "one for each performance core; 4 efficiency cores stay out (--efficiency-cores); \
             second threads of cores stay out"
        );
        let placement = Placement { efficiency_cores: true, ..Placement::default() };
        let all = Options { placement, ..Options::default() };
        assert_eq!(
            reason(&topology(8, 4, None), &all),
            "one for each core, efficiency cores too; second threads of cores stay out"
        );
        assert_eq!(reason(&topology(0, 4, None), &all), "one for each core, efficiency cores too");
        assert!(reason(&topology(8, 0, Some(2.5)), &default).starts_with("a quota of 2.5 "));
        assert!(reason(&topology(8, 0, Some(64.0)), &default).starts_with("one for each core;"));
        let asked = Options { threads: Some(3), ..Options::default() };
        assert_eq!(reason(&topology(8, 0, None), &asked), "as asked for");
    }

    #[test]
    fn levels_are_those_of_this_architecture() {
        let found = instructions(Isa::Scalar);
        assert_eq!(found.levels[0].name, "scalar");
        assert!(found.levels[0].missing.is_empty());
        let both = ["avx2", "neon"].map(|name| found.levels.iter().any(|l| l.name == name));
        assert_ne!(both, [true, true]);
    }
}
