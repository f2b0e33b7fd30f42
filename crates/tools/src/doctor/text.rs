//! A diagnosis as text for people.

use std::fmt;

use super::{Diagnosis, Fit, Instructions, KernelFacts, LimitFacts, MemoryFacts, ProcessorFacts};
use crate::bench::size;

/// Width of the column of names.
const NAMES: usize = 16;
/// Width of the whole.
const WIDTH: usize = 96;

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "System")?;
        line(f, "program", &self.build)?;
        line(f, "system", &format!("{}, {}", self.os, self.architecture))?;
        processor(f, &self.processor)?;
        instructions(f, &self.instructions)?;
        kernels(f, &self.kernels)?;
        writeln!(f, "\nThreads")?;
        line(f, &self.threads.chosen.to_string(), &self.threads.reason)?;
        memory(f, self.memory.as_ref())?;
        limits(f, &self.limits, self.threads.chosen)?;
        self.model.as_ref().map_or(Ok(()), |fit| model(f, fit, self.memory.as_ref()))
    }
}

fn processor(f: &mut fmt::Formatter<'_>, found: &ProcessorFacts) -> fmt::Result {
    writeln!(f, "\nProcessor")?;
    line(f, "name", found.name.as_deref().unwrap_or("unknown"))?;
    let cores = match (found.performance_cores, found.efficiency_cores) {
        (cores, 0) => cores.to_string(),
        (performance, efficiency) => format!("{performance} performance, {efficiency} efficiency"),
    };
    let logical = found.allowed.len();
    let plural = if logical == 1 { "" } else { "s" };
    line(f, "cores", &format!("{cores}; {logical} logical processor{plural}"))?;
    if logical < found.online {
        let text = format!("bound to {logical} of {} logical processors", found.online);
        line(f, "affinity", &text)?;
    }
    if let Some(quota) = found.quota {
        line(f, "quota", &format!("{quota} processors' time"))?;
    }
    let caches = found.caches.iter().map(|cache| {
        let number =
            if cache.instances > 1 { format!(" × {}", cache.instances) } else { "".into() };
        format!("L{} {}{number}", cache.level, cache_size(cache.bytes))
    });
    line(f, "caches", &or_unknown(caches.collect::<Vec<_>>().join(", ")))?;
    line(f, "features", &or_unknown(found.features.join(" ")))
}

fn instructions(f: &mut fmt::Formatter<'_>, found: &Instructions) -> fmt::Result {
    writeln!(f, "\nInstruction sets")?;
    let chosen = found.levels.iter().position(|level| level.name == found.chosen);
    for (at, level) in found.levels.iter().enumerate() {
        let is_better = chosen.is_none_or(|chosen| at > chosen);
        let text = match (&level.missing[..], &found.asked) {
            _ if level.name != found.chosen && !is_better => "available".to_owned(),
            ([], _) if level.name == found.chosen && found.asked.is_none() => {
                "in use: the best of this processor".to_owned()
            }
            ([], Some(asked)) if level.name == found.chosen => {
                format!("in use: {}={asked} asks for it", cpu::isa::ENV)
            }
            ([], Some(asked)) => format!("not used: {}={asked} asks for less", cpu::isa::ENV),
            ([], None) => "available".to_owned(),
            (missing, _) => format!("not available: the processor lacks {}", missing.join(", ")),
        };
        line(f, level.name, &text)?;
    }
    Ok(())
}

fn kernels(f: &mut fmt::Formatter<'_>, found: &KernelFacts) -> fmt::Result {
    writeln!(f, "\nKernels")?;
    for name in &found.disabled {
        line(f, "not used", &format!("{name}: {} asks for it", cpu::kernel::ENV))?;
    }
    for wrong in &found.wrong {
        let instead = wrong.instead.as_deref().unwrap_or("nothing, as all others are wrong too,");
        let text = format!("{}: wrong ({}); {instead} takes its place", wrong.name, wrong.why);
        line(f, "not used", &text)?;
    }
    if found.wrong.is_empty() {
        line(f, "in use", "agree with the reference; 'llamafile selftest' tests all")?;
    }
    Ok(())
}

fn memory(f: &mut fmt::Formatter<'_>, found: Option<&MemoryFacts>) -> fmt::Result {
    writeln!(f, "\nMemory")?;
    let Some(found) = found else { return line(f, "total", "unknown") };
    line(f, "total", &size(found.total))?;
    line(f, "available", &found.available.map_or("unknown".into(), size))?;
    found
        .limit
        .map_or(Ok(()), |limit| line(f, "limit", &format!("{} for the control group", size(limit))))
}

fn limits(f: &mut fmt::Formatter<'_>, found: &LimitFacts, threads: usize) -> fmt::Result {
    let plural = if threads == 1 { "" } else { "s" };
    writeln!(f, "\nMeasured with {threads} thread{plural}")?;
    let unit = |value: Option<f64>, unit: &str, digits: usize| {
        value.map_or("unknown".to_owned(), |value| format!("{value:.digits$} {unit}"))
    };
    line(f, "memory", &unit(found.bandwidth_gb_s, "GB/s read", 1))?;
    line(f, "8-bit products", &unit(found.int8_gops, "GOPS", 0))?;
    line(f, "float products", &unit(found.f32_gflops, "GFLOPS", 0))
}

fn model(f: &mut fmt::Formatter<'_>, fit: &Fit, memory: Option<&MemoryFacts>) -> fmt::Result {
    writeln!(f, "\nModel")?;
    line(f, "file", &fit.path)?;
    line(f, "architecture", &fit.architecture)?;
    line(f, "weights", &size(fit.weights))?;
    let kv = fit.kv.map_or("more than can be addressed".into(), size);
    let reason = match fit.reason {
        "memory" => " (what fits)",
        _ => "",
    };
    line(f, "context", &format!("{} tokens{reason}, {kv} of memory", fit.context))?;
    fit.work.map_or(Ok(()), |work| line(f, "batches", &format!("{} of memory", size(work))))?;
    if let Some(largest) = fit.largest_context {
        line(f, "largest context", &format!("{largest} tokens"))?;
    }
    let available = memory.and_then(|memory| memory.available);
    let verdict = match (fit.fits, fit.largest_context) {
        (None, _) => "unknown: the system does not tell how much memory is available".to_owned(),
        (Some(true), _) => "yes".to_owned(),
        (Some(false), Some(largest)) if largest > 0 => {
            format!("not with this context: give {largest} or less with -c")
        }
        (Some(false), _) => format!(
            "no: the weights alone need more than the {} available; take a model of fewer \
             parameters or bits, or close other programs",
            size(available.unwrap_or(0))
        ),
    };
    line(f, "fits", &verdict)
}

/// A name and its text, wrapped.
fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    write!(f, "  {name:<NAMES$}")?;
    let mut column = NAMES + 2;
    for (at, word) in text.split(' ').enumerate() {
        let len = word.chars().count();
        if at > 0 && column + 1 + len > WIDTH {
            write!(f, "\n{:1$}", "", NAMES + 2)?;
            column = NAMES + 2;
        } else if at > 0 {
            write!(f, " ")?;
            column += 1;
        }
        write!(f, "{word}")?;
        column += len;
    }
    writeln!(f)
}

/// Bytes in the unit that makers of processors use.
fn cache_size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

fn or_unknown(text: String) -> String {
    if text.is_empty() { "unknown".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::{CacheFacts, Level, Threads, WrongKernel};
    use super::*;

    fn diagnosis() -> Diagnosis {
        let level = |name, missing: &[&'static str]| Level { name, missing: missing.to_vec() };
        Diagnosis {
            build: "llamafile 0.1.0".into(),
            os: "linux 6.8.0".into(),
            architecture: "x86_64",
            processor: ProcessorFacts {
                name: Some("Some CPU".into()),
                online: 20,
                allowed: (0..6).collect(),
                performance_cores: 2,
                efficiency_cores: 2,
                quota: Some(2.5),
                caches: vec![
                    CacheFacts { level: 1, bytes: 48 << 10, instances: 2 },
                    CacheFacts { level: 2, bytes: 1280 << 10, instances: 2 },
                    CacheFacts { level: 3, bytes: 25 << 20, instances: 1 },
                ],
                features: vec!["avx2", "fma"],
            },
            instructions: Instructions {
                chosen: "avx2",
                asked: None,
                levels: vec![
                    level("scalar", &[]),
                    level("avx2", &[]),
                    level("avx512", &["avx512f", "avx512bw"]),
                ],
            },
            kernels: KernelFacts { disabled: Vec::new(), wrong: Vec::new() },
            threads: Threads { chosen: 2, reason: "one for each performance core".into() },
            memory: Some(MemoryFacts {
                total: 32 << 30,
                available: Some(20 << 30),
                limit: Some(24 << 30),
            }),
            limits: LimitFacts {
                bandwidth_gb_s: Some(41.26),
                int8_gops: Some(812.4),
                f32_gflops: None,
            },
            model: None,
        }
    }

    #[test]
    fn sections_and_reasons() {
        let expected = "\
System
  program         llamafile 0.1.0
  system          linux 6.8.0, x86_64

Processor
  name            Some CPU
  cores           2 performance, 2 efficiency; 6 logical processors
  affinity        bound to 6 of 20 logical processors
  quota           2.5 processors' time
  caches          L1 48 KiB × 2, L2 1.25 MiB × 2, L3 25 MiB
  features        avx2 fma

Instruction sets
  scalar          available
  avx2            in use: the best of this processor
  avx512          not available: the processor lacks avx512f, avx512bw

Kernels
  in use          agree with the reference; 'llamafile selftest' tests all

Threads
  2               one for each performance core

Memory
  total           32.00 GiB
  available       20.00 GiB
  limit           24.00 GiB for the control group

Measured with 2 threads
  memory          41.3 GB/s read
  8-bit products  812 GOPS
  float products  unknown
";
        assert_eq!(diagnosis().to_string(), expected);
    }

    #[test]
    fn kernels_that_are_not_used() {
        let mut found = diagnosis();
        found.kernels.disabled.push("avx2/rope".into());
        found.kernels.wrong.push(WrongKernel {
            name: "avx2/Q4_K/panels".into(),
            why: "35x512 weights: value 3 is 2 instead of 1, within 1.0e-4".into(),
            instead: Some("scalar/Q4_K/panels".into()),
        });
        let expected = "
Kernels
  not used        avx2/rope: LLAMAFILE_DISABLE asks for it
  not used        avx2/Q4_K/panels: wrong (35x512 weights: value 3 is 2 instead of 1, within
                  1.0e-4); scalar/Q4_K/panels takes its place

";
        let text = found.to_string();
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_environment_may_ask_for_less() {
        let mut found = diagnosis();
        found.instructions.chosen = "scalar";
        found.instructions.asked = Some("scalar".into());
        let text = found.to_string();
        assert!(text.contains("in use: LLAMAFILE_ISA=scalar asks for it"), "{text}");
        assert!(text.contains("avx2            not used: LLAMAFILE_ISA=scalar asks for less"));
        assert!(text.contains("not available: the processor lacks avx512f"), "{text}");
    }

    #[test]
    fn models_that_fit_and_that_do_not() {
        let with = |fits, largest_context| {
            let fit = Fit {
                path: "a.gguf".into(),
                architecture: "llama".into(),
                weights: 4 << 30,
                context: 8192,
                reason: "asked",
                work: Some(64 << 20),
                kv: Some(1 << 30),
                fits,
                largest_context,
            };
            Diagnosis { model: Some(fit), ..diagnosis() }.to_string()
        };
        let text = with(Some(true), Some(163_840));
        assert!(text.contains("8192 tokens, 1.00 GiB of memory"), "{text}");
        assert!(text.contains("largest context 163840 tokens\n  fits            yes"), "{text}");
        assert!(with(Some(false), Some(4096)).contains("give 4096 or less with -c"));
        let text = with(Some(false), Some(0));
        assert!(text.contains("need more than the 20.00 GiB available"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(with(None, None).contains("unknown: the system"));
    }
}
