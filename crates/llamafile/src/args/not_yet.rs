//! The table of flags that are refused with a reason.

/// Flags of llama.cpp and llamafile that ask for something this version cannot do.
pub const NOT_YET: &[(&[&str], &str)] = &[
    (&["--image", "--audio", "--video", "-mm", "--mmproj"], "models read only text yet"),
    (
        &["--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled"],
        "adapters cannot be applied yet",
    ),
    (
        &["-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-mu", "--model-url"],
        "only known models can be fetched yet",
    ),
    (
        &["-r", "--reverse-prompt", "--in-prefix", "--in-suffix"],
        "the conversation's form comes from the chat template only, yet",
    ),
    (
        &["--prompt-cache", "--keep", "--context-shift"],
        "the context cannot be saved or shifted yet",
    ),
    (
        &[
            "-tb",
            "--threads-batch",
            "-Cb",
            "--cpu-mask-batch",
            "-Crb",
            "--cpu-range-batch",
            "--cpu-strict-batch",
        ],
        "prompts and answers share one pool of threads, which -t, -C and --cpu-strict set",
    ),
    (
        &["--prio", "--prio-batch", "--poll", "--poll-batch"],
        "threads keep the priority of the process, and spin for a moment before they sleep",
    ),
    (&["--numa"], "memory is left where the system puts it"),
];
